//! The fl-attack sandbox's recipe: squared distance, Adam 0.1 with a cosine schedule, light total
//! variation.

use suites::Entry;

use crate::Attack;
use crate::matching::{Matching, MatchingConfig};
use crate::optim::Decay;

/// Registry entry.
pub static ENTRY: Entry<dyn Attack> = Entry {
    name: "fl-attack",
    summary: "Adam 0.1 with cosine schedule on the squared gradient distance, TV 1e-5 (the \
        sandbox's benchmark recipe)",
    reference: "fl-attack sandbox: gradient inversion on CelebA with DP and HE, \
        scripts/run_benchmark.sh",
    build: |map| {
        Ok(Box::new(Matching { config: MatchingConfig::overlay("fl-attack", &config(), map)? }))
    },
};

/// The preset: 3,000 iterations and 3 restarts, as its benchmark; its showcase asks for 4,500 and
/// 5.
pub fn config() -> MatchingConfig {
    MatchingConfig {
        iterations: 3000,
        restarts: 3,
        schedule: Decay::Cosine,
        tv_weight: 1e-5,
        ..MatchingConfig::default()
    }
}
