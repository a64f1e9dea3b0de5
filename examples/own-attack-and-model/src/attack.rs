//! `polish`: the first layer's input in closed form, then gradient matching from there.

use attacks::analytic::Analytic;
use attacks::matching::labels::Labels;
use attacks::matching::{Matching, MatchingConfig};
use attacks::{Attack, AttackError, Reconstruction, Run};
use learning::Observation;
use serde::{Deserialize, Serialize};
use suites::{Entry, Fact, SpecError};

/// Registry entry.
pub static ENTRY: Entry<dyn Attack> = Entry {
    name: "polish",
    summary: "the input of the first fully connected layer, polished by gradient matching",
    reference: "Your name: your paper, your conference 2026",
    build: |map| {
        let polish: Polish = suites::params("polish", map)?;
        match polish.steps {
            0 => Err(SpecError::value("attack.steps", "is 0", "write at least 1")),
            _ => Ok(Box::new(polish)),
        }
    },
};

/// What a suite may set.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Polish {
    /// Optimiser steps after the closed form, at least 1.
    pub steps: usize,
}

impl Default for Polish {
    fn default() -> Polish {
        Polish { steps: 50 }
    }
}

impl Attack for Polish {
    fn needs(&self) -> Vec<Fact> {
        vec![Fact::BatchSize]
    }

    fn infers_labels(&self, _granted: &[Fact]) -> bool {
        true
    }

    fn reconstruct(&self, seen: &Observation, run: &Run) -> Result<Reconstruction, AttackError> {
        let first = Analytic {}.reconstruct(seen, run)?;
        let config = MatchingConfig {
            iterations: self.steps,
            lr: 1e-3,
            labels: Labels::Idlg,
            boxed: true,
            ..MatchingConfig::default()
        };
        Matching { config }.reconstruct_from(seen, Some(&first.pixels), run)
    }
}
