//! `dp-sgd`: clients clip every example's gradient and add noise to every step.

use std::collections::BTreeMap;

use learning::client::GradientRule;
use learning::effect::{ClipUnit, NoiseLaw, NoiseScale, Noised, Norm};
use learning::per_example::LARGEST_MULTIPLIER;
use learning::{Effect, Params};
use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};

use super::{Budget, Clip, Neighbouring, Pilot, Unit, accountant, calibrate, common};
use crate::{Defense, DefenseError, Deployment, Released, Stage, Turn};

/// Registry entry.
pub static ENTRY: Entry<dyn Defense> = Entry {
    name: "dp-sgd",
    summary: "every client clips each example's gradient to `clip`, adds Gaussian noise to each \
        Poisson-sampled step for `epsilon` over all steps",
    reference: "Abadi et al.: Deep Learning with Differential Privacy, CCS 2016",
    build: |map| {
        let setting: Sgd = suites::params("dp-sgd", map)?;
        setting.check()?;
        Ok(Box::new(setting))
    },
};

/// Parameters.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// Privacy loss of one example over all steps of the deployment, above 0.
    pub epsilon: f64,
    /// Failure probability, inside (0, 1).
    pub delta: f64,
    /// Largest L2 norm of an example's gradient, above 0.
    pub clip: Clip,
}

impl Default for Sgd {
    fn default() -> Sgd {
        Sgd { epsilon: 8.0, delta: 1e-5, clip: Clip::default() }
    }
}

impl Sgd {
    fn check(&self) -> Result<(), SpecError> {
        common::positive("dp-sgd", "epsilon", self.epsilon)?;
        self.clip.check("dp-sgd")?;
        common::probability("dp-sgd", "delta", self.delta)
    }

    fn multiplier(&self, d: &Deployment) -> Result<f64, SpecError> {
        calibrate::noise_multiplier(
            self.epsilon,
            self.delta,
            d.example_rate(),
            d.steps().max(1) as u64,
        )
    }
}

impl Defense for Sgd {
    fn stage(&self) -> Stage {
        Stage::Training
    }

    fn gradient_rule(&self, deployment: &Deployment) -> Result<Option<GradientRule>, DefenseError> {
        let noise_multiplier = self.multiplier(deployment)?;
        if noise_multiplier > LARGEST_MULTIPLIER {
            return Err(DefenseError::Unfit(format!(
                "dp-sgd: epsilon = {} needs noise of {noise_multiplier:.1e} times the clip, beyond \
                 the {LARGEST_MULTIPLIER:.0e} that are drawn exactly; raise epsilon",
                self.epsilon
            )));
        }
        let (rate, expected_batch) = (deployment.example_rate(), deployment.batch_size as f64);
        Ok(Some(GradientRule { clip: self.clip.bound(), noise_multiplier, rate, expected_batch }))
    }

    /// The noise is in the update already: only what is known of it is printed.
    fn release(&self, update: Params, turn: &mut Turn) -> Result<Released, DefenseError> {
        let multiplier = self.multiplier(turn.deployment)?;
        let values = BTreeMap::from([
            ("noise_multiplier".to_string(), multiplier),
            ("clip".to_string(), self.clip.bound()),
            // Of one step's mean gradient.
            (
                "sigma".to_string(),
                multiplier * self.clip.bound() / turn.deployment.captured.batch.max(1) as f64,
            ),
            ("update_norm".to_string(), common::mean(&update.norm())),
        ]);
        Ok(Released { update, values, grid: None })
    }

    fn effects(&self, deployment: &Deployment) -> Result<Vec<Effect>, DefenseError> {
        let multiplier = self.multiplier(deployment)?;
        let scale = multiplier * self.clip.bound() / deployment.captured.batch.max(1) as f64;
        let (law, scale) = (NoiseLaw::Gaussian, NoiseScale::Absolute(scale));
        Ok(vec![
            common::clip_effect(Norm::L2, self.clip.bound(), ClipUnit::Example),
            Effect::Noise { law, scale, on: Noised::Step },
        ])
    }

    fn adaptive(&self) -> Option<&'static str> {
        Some("adaptive-matching")
    }

    fn pilot(&self) -> Option<Pilot> {
        self.clip.pilot(Norm::L2, ClipUnit::Example)
    }

    fn piloted(&self, bound: f64) -> Option<Box<dyn Defense>> {
        Some(Box::new(Sgd { clip: bound.into(), ..self.clone() }))
    }

    fn private(&self) -> bool {
        true
    }

    fn privacy(&self, deployment: &Deployment) -> Result<Option<Budget>, DefenseError> {
        let (rate, steps) = (deployment.example_rate(), deployment.steps().max(1));
        let multiplier = self.multiplier(deployment)?;
        let answer = accountant::epsilon(multiplier, rate, steps as u64, self.delta)?;
        let of_round = deployment.local_steps.max(1) as u64;
        let certain = accountant::epsilon(multiplier, 1.0, of_round, self.delta)?;
        let against = "everyone who sees the client's updates, the server included".to_string();
        Ok(Some(Budget {
            epsilon: answer.best,
            delta: self.delta,
            unit: Unit::Example,
            neighbouring: Neighbouring::AddRemove,
            accountants: answer.accountants(),
            steps,
            rate,
            against,
            replaced: None,
            certain: (rate < 1.0).then_some(certain.best),
        }))
    }

    fn spent(&self, deployment: &Deployment, rounds: usize) -> Result<Option<f64>, DefenseError> {
        let steps = (rounds * deployment.local_steps) as u64;
        let (multiplier, rate) = (self.multiplier(deployment)?, deployment.example_rate());
        Ok(Some(if steps == 0 {
            0.0
        } else {
            accountant::epsilon(multiplier, rate, steps, self.delta)?.best
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::deployment;

    #[test]
    fn the_budget_is_met_and_sampling_saves_noise() {
        let dp = Sgd { epsilon: 2.0, ..Sgd::default() };
        let full = Deployment { local_steps: 10, batch_size: 16, examples: 16, ..deployment(10) };
        let sampled = Deployment { examples: 1600, ..full.clone() };
        for d in [&full, &sampled] {
            let budget = dp.privacy(d).unwrap().unwrap();
            assert!(budget.epsilon <= 2.0 && budget.epsilon > 1.99, "{budget}");
            assert_eq!((budget.steps, budget.unit), (100, Unit::Example));
        }
        let noise = |d| dp.gradient_rule(d).unwrap().unwrap().noise_multiplier;
        assert!(noise(&sampled) < noise(&full) / 4.0);
    }

    #[test]
    fn whoever_is_known_to_take_part_is_not_hidden_by_sampling() {
        let dp = Sgd { epsilon: 2.0, ..Sgd::default() };
        let full = Deployment { local_steps: 2, batch_size: 16, examples: 16, ..deployment(10) };
        let sampled = Deployment { examples: 1600, ..full.clone() };
        assert_eq!(dp.privacy(&full).unwrap().unwrap().certain, None);
        let budget = dp.privacy(&sampled).unwrap().unwrap();
        // Two steps of the Gaussian are one of 1/sqrt(2) of its noise.
        let noise = dp.gradient_rule(&sampled).unwrap().unwrap().noise_multiplier;
        let alone = accountant::gaussian::epsilon(noise / 2f64.sqrt(), dp.delta);
        let certain = budget.certain.unwrap();
        assert!((certain / alone - 1.0).abs() < 1e-6, "{certain} against {alone}");
        assert!(certain > 2.0 * budget.epsilon, "{budget}");
        assert!(budget.to_string().contains(&format!("epsilon {certain:.4} of that round")));
    }
}
