//! Model inversion: pictures of classes from a trained model's weights alone.
//!
//! An image is optimised until the model takes it for the class (Fredrikson, Jha and Ristenpart,
//! CCS 2015, algorithm 1), held back by what pictures look like: total variation, a small norm,
//! pixels in their box, a blur now and then that fades away and a sharpening after it (their
//! section 5 alternates steps with denoising and sharpening likewise), and, for models with
//! BatchNorm, activations whose statistics are the running ones (Yin et al., CVPR 2020, equation
//! 4). Nothing of a client's update is read: what comes out is what whoever holds the model can
//! have, and the row beside which any attack on an update has to stand.

mod engine;
mod filter;
mod objective;
mod params;
#[cfg(test)]
mod tests;

pub use filter::{blur, sharpen};
pub use objective::{L2, Loss};
pub use params::ModelInversion;

use suites::Entry;

use crate::Attack;

/// Registry entry.
pub static ENTRY: Entry<dyn Attack> = Entry {
    name: "model-inversion",
    summary: "a picture of each label's class from the weights alone, by the model's own \
        confidence; reads no update",
    reference: "Fredrikson, Jha, Ristenpart: Model Inversion Attacks that Exploit Confidence \
        Information, CCS 2015; BatchNorm prior as Yin et al.: DeepInversion, CVPR 2020",
    build: |map| Ok(Box::new(ModelInversion::new(map)?)),
};
