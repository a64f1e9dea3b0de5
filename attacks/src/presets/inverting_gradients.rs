//! Inverting Gradients: cosine distance, total variation, signed Adam with step decay, box
//! constraint.

use suites::Entry;

use crate::Attack;
use crate::matching::objective::Objective;
use crate::matching::{Matching, MatchingConfig};
use crate::optim::Decay;

/// Registry entry.
pub static ENTRY: Entry<dyn Attack> = Entry {
    name: "inverting-gradients",
    summary: "signed Adam on cosine distance with total variation in the pixel box",
    reference: "Geiping, Bauermeister, Dröge, Moeller: Inverting Gradients, NeurIPS 2020",
    build: |map| {
        Ok(Box::new(Matching {
            config: MatchingConfig::overlay("inverting-gradients", &config(), map)?,
        }))
    },
};

/// The preset (4,800 iterations, learning rate 0.1, as the authors' default configuration).
pub fn config() -> MatchingConfig {
    MatchingConfig {
        iterations: 4800,
        objective: Objective::Cosine,
        signed: true,
        schedule: Decay::Step,
        tv_weight: 1e-4,
        boxed: true,
        ..MatchingConfig::default()
    }
}
