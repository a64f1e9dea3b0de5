//! Coarse to fine: a smooth picture first, then its details without the prior.

use attacks::matching::{Matching, MatchingConfig};
use attacks::{Attack, AttackError, Reconstruction, Run};
use learning::Observation;
use serde::{Deserialize, Serialize};
use suites::{Entry, Fact, SpecError};

/// Registry entry.
pub static ENTRY: Entry<dyn Attack> = Entry {
    name: "coarse-to-fine",
    summary: "gradient matching under strong total variation, then on without it",
    reference: "Your name: your paper, your conference 2026",
    build: |map| Ok(Box::new(suites::params::<CoarseToFine>("coarse-to-fine", map)?)),
};

/// The attack with its parameters.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, try_from = "Params")]
pub struct CoarseToFine(Params);

/// What a suite may set.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Optimiser steps of each stage, at least 1.
    pub iterations: usize,
    /// Weight of total variation in the first stage, at least 0.
    pub tv_weight: f64,
}

impl Default for Params {
    fn default() -> Params {
        Params { iterations: 500, tv_weight: 1e-2 }
    }
}

impl TryFrom<Params> for CoarseToFine {
    type Error = SpecError;

    fn try_from(p: Params) -> Result<CoarseToFine, SpecError> {
        if p.iterations == 0 || p.tv_weight < 0.0 {
            let problem = format!("has iterations = {}, tv_weight = {}", p.iterations, p.tv_weight);
            return Err(SpecError::value(
                "attack",
                problem,
                "write at least 1 iteration and a tv_weight of at least 0",
            ));
        }
        Ok(CoarseToFine(p))
    }
}

impl Attack for CoarseToFine {
    fn needs(&self) -> Vec<Fact> {
        vec![Fact::BatchSize]
    }

    fn reconstruct(&self, seen: &Observation, run: &Run) -> Result<Reconstruction, AttackError> {
        let stage = |tv_weight| Matching {
            config: MatchingConfig {
                iterations: self.0.iterations,
                tv_weight,
                boxed: true,
                ..MatchingConfig::default()
            },
        };
        let coarse = stage(self.0.tv_weight).reconstruct(seen, run)?;
        let mut fine = stage(0.0).reconstruct_from(seen, Some(&coarse.pixels), run)?;
        fine.evaluations += coarse.evaluations;
        fine.iterations += coarse.iterations;
        Ok(fine)
    }
}
