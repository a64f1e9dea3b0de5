//! The attack that breaching calls modern: cosine distance, soft signs, a patterned start, total
//! variation of colours and their opponents, and the features of the last layer.
//!
//! `breaching/config/attack/modern.yaml` at commit 8bd99d5 of `JonasGeiping/breaching`, on the
//! values of `_default_optimization_attack.yaml`. Its total variation pads the picture with zeros,
//! so that the frame's own contrast counts; here only neighbours inside the picture do. Its labels
//! are read off with a correction for the bias, here by the bias's sign.

use suites::Entry;

use crate::Attack;
use crate::matching::config::Tv;
use crate::matching::init::Start;
use crate::matching::objective::Objective;
use crate::matching::{Matching, MatchingConfig};
use crate::optim::Decay;

/// Registry entry.
pub static ENTRY: Entry<dyn Attack> = Entry {
    name: "breaching-modern",
    summary: "Adam with soft signs on cosine distance, from a pattern, with total variation of \
        opponent colours and the last layer's features",
    reference: "Geiping and others: breaching, 2022; JonasGeiping/breaching at 8bd99d5, \
        breaching/config/attack/modern.yaml",
    build: |map| {
        Ok(Box::new(Matching {
            config: MatchingConfig::overlay("breaching-modern", &config(), map)?,
        }))
    },
};

/// The preset.
pub fn config() -> MatchingConfig {
    MatchingConfig {
        iterations: 24_000,
        objective: Objective::Cosine,
        soft_sign: true,
        schedule: Decay::Cosine,
        warmup: 50.0,
        tv_weight: 0.1,
        tv: Tv::DoubleOpponent,
        feature_weight: 0.1,
        boxed: true,
        init: Start::Patterned,
        ..MatchingConfig::default()
    }
}
