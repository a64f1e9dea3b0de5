//! Inverting Gradients: cosine distance, total variation, signed Adam with step decay, box
//! constraint.

use suites::Entry;

use crate::Attack;
use crate::matching::objective::Objective;
use crate::matching::{Matching, Setting};
use crate::optim::Decay;

/// Registry entry.
pub static ENTRY: Entry<dyn Attack> = Entry {
    name: "inverting-gradients",
    summary: "signed Adam on cosine distance with total variation in the pixel box",
    reference: "Geiping, Bauermeister, Dröge, Moeller: Inverting Gradients, NeurIPS 2020",
    build: |map| {
        Ok(Box::new(Matching {
            setting: Setting::overlay("inverting-gradients", &setting(), map)?,
        }))
    },
};

/// The preset (4,800 iterations, learning rate 0.1, as the authors' default configuration).
pub fn setting() -> Setting {
    Setting {
        iterations: 4800,
        objective: Objective::Cosine,
        signed: true,
        schedule: Decay::Step,
        tv_weight: 1e-4,
        boxed: true,
        ..Setting::default()
    }
}
