//! An update that somebody else's federated-learning stack captured, as its owner describes it: by
//! flags, by a `capture.json` beside the tensors, or by both.

mod description;
pub mod explain;
mod file;
mod observe;
mod plausible;
mod tensors;
mod training;

pub use description::{Description, Holds, Knowledge};
pub use observe::{model_of, observe, spec_named};
pub use training::Training;
