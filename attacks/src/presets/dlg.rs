//! Deep Leakage from Gradients: images and labels jointly, squared distance, L-BFGS.

use suites::Entry;

use crate::Attack;
use crate::matching::labels::Labels;
use crate::matching::{Matching, MatchingConfig};

/// Registry entry.
pub static ENTRY: Entry<dyn Attack> = Entry {
    name: "dlg",
    summary: "L-BFGS on the squared gradient distance, labels optimised jointly",
    reference: "Zhu, Liu, Han: Deep Leakage from Gradients, NeurIPS 2019",
    build: |map| Ok(Box::new(Matching { config: MatchingConfig::overlay("dlg", &config(), map)? })),
};

/// The preset.
pub fn config() -> MatchingConfig {
    MatchingConfig {
        iterations: 300,
        optimizer: "lbfgs".into(),
        lr: 1.0,
        labels: Labels::Joint,
        ..MatchingConfig::default()
    }
}
