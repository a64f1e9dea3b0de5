//! Feature inversion: the input of the first fully connected layer, exactly from its gradient,
//! inverted through the convolutions and refined with what the other layers' gradients tell.
//!
//! Stages, each deterministic: (0) features `f` by [`crate::analytic`]; (1) an image with these
//! features, by L-BFGS; then, where the network is a [`chain::Chain`], (2) the last convolution's
//! ReLU pattern and exact input from its weight gradient, (3) the image with that input, (4) the
//! same one layer further down; elsewhere gradient matching from the image of stage 1.

mod attack;
mod budget;
mod chain;
mod features;
mod gauss_newton;
mod params;
mod posterior;
mod precondition;
mod recursive_layer;
mod refine;
#[cfg(test)]
mod tests;

pub use params::FeatureInversion;

use suites::Entry;

use crate::Attack;

/// Registry entry.
pub static ENTRY: Entry<dyn Attack> = Entry {
    name: "feature-inversion",
    summary: "the first fully connected layer's input inverted through the convolutions, then \
        refined layer by layer (batch 1)",
    reference: "features as Phong et al., IEEE TIFS 2018; layers in turn as Zhu and Blaschko: \
        R-GAP, ICLR 2021",
    build: |map| Ok(Box::new(FeatureInversion::new(map)?)),
};
