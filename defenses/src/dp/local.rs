//! `dp-local`: each client clips its own update and adds the whole noise itself, trusting nobody.

use std::collections::BTreeMap;
use std::sync::Arc;

use learning::effect::{ClipUnit, NoiseLaw, NoiseScale, Noised, Norm};
use learning::noise::discrete::Sampler;
use learning::{Effect, Params};
use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};

use super::{Budget, Clip, Neighbouring, Pilot, Unit, accountant, analytic};
use super::{common, grid};
use crate::{Defense, DefenseError, Deployment, Released, Turn};

/// Registry entry.
pub static ENTRY: Entry<dyn Defense> = Entry {
    name: "dp-local",
    summary: "each client clips its update to norm `clip` and adds Gaussian (or Laplace) noise \
        for `epsilon` over all rounds",
    reference: "Balle, Wang: Improving the Gaussian Mechanism for Differential Privacy, ICML \
        2018; Dwork, McSherry, Nissim, Smith, TCC 2006 (Laplace)",
    build: |map| {
        let setting: Local = suites::params("dp-local", map)?;
        setting.check()?;
        Ok(Box::new(setting))
    },
};

/// Whole numbers up to this are 32-bit floats.
const FLOATS: i64 = 1 << 24;

/// Distribution of the noise.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// Gaussian; `clip` bounds the L2 norm.
    Gaussian,
    /// Laplace; `clip` bounds the L1 norm, and delta is 0.
    Laplace,
}

/// How the Gaussian's sigma is found.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Calibration {
    /// The smallest that is private, at any epsilon.
    Analytic,
    /// sqrt(2 ln(1.25/delta))/epsilon, one release, epsilon at most 1.
    Classical,
}

/// Parameters.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Local {
    /// Privacy loss over all rounds of the deployment, above 0.
    pub epsilon: f64,
    /// Failure probability, inside (0, 1); unused by Laplace.
    pub delta: f64,
    /// Largest norm of a client's update, above 0.
    pub clip: Clip,
    /// Distribution of the noise.
    pub mechanism: Mechanism,
    /// How sigma is found.
    pub calibration: Calibration,
}

impl Default for Local {
    fn default() -> Local {
        Local {
            epsilon: 8.0,
            delta: 1e-5,
            clip: Clip::default(),
            mechanism: Mechanism::Gaussian,
            calibration: Calibration::Analytic,
        }
    }
}

impl Local {
    fn check(&self) -> Result<(), SpecError> {
        common::positive("dp-local", "epsilon", self.epsilon)?;
        self.clip.check("dp-local")?;
        common::probability("dp-local", "delta", self.delta)?;
        if self.calibration == Calibration::Classical && self.epsilon > 1.0 {
            return Err(SpecError::value(
                "defenses.dp-local.calibration",
                format!(
                    "is \"classical\" at epsilon = {}, where its proof does not hold and it adds \
                     too little noise",
                    self.epsilon
                ),
                "write calibration = \"analytic\", or an epsilon of at most 1",
            ));
        }
        Ok(())
    }

    /// Scale of the noise on each coordinate: the Gaussian's standard deviation or the Laplace's
    /// `b`.
    ///
    /// `T` Gaussian releases compose exactly to one of `sigma / sqrt(T)`; `T` Laplace releases add
    /// their epsilons; the classical formula is applied to `T` equal shares of epsilon and delta
    /// (basic composition).
    pub fn scale(&self, rounds: usize) -> f64 {
        let t = rounds.max(1) as f64;
        match (self.mechanism, self.calibration) {
            (Mechanism::Laplace, _) => self.clip.bound() * t / self.epsilon,
            (_, Calibration::Analytic) => {
                self.clip.bound() * analytic::sigma(self.epsilon, self.delta) * t.sqrt()
            }
            (_, Calibration::Classical) => {
                self.clip.bound() * (2.0 * (1.25 * t / self.delta).ln()).sqrt() * t / self.epsilon
            }
        }
    }

    /// Epsilon by the mechanism's own formula, and for the Gaussian by every accountant.
    fn accountants(
        &self,
        own: &'static str,
        rounds: usize,
    ) -> Result<BTreeMap<&'static str, f64>, SpecError> {
        let mut all = match self.mechanism {
            Mechanism::Laplace => BTreeMap::new(),
            Mechanism::Gaussian => {
                let multiplier = self.scale(rounds) / self.clip.bound();
                accountant::epsilon(multiplier, 1.0, rounds.max(1) as u64, self.delta)?
                    .accountants()
            }
        };
        all.insert(own, self.epsilon);
        Ok(all)
    }

    /// Epsilon where an update is replaced by another, which is twice as far away as zero.
    fn replaced(&self) -> Option<f64> {
        match (self.mechanism, self.calibration) {
            (Mechanism::Laplace, _) => Some(2.0 * self.epsilon),
            (_, Calibration::Analytic) => Some(analytic::replaced(self.epsilon, self.delta)),
            (_, Calibration::Classical) => None,
        }
    }

    /// The grid and its noise.
    fn sampler(&self, scale: f64) -> Result<(f64, Arc<Sampler>), DefenseError> {
        let reach = if self.mechanism == Mechanism::Gaussian { 14.0 } else { 32.0 };
        let step = grid::float_step(self.clip.bound(), reach * scale);
        let sampler = match self.mechanism {
            Mechanism::Gaussian => Sampler::rounded_normal(scale / step),
            Mechanism::Laplace => Sampler::laplace(scale / step),
        };
        Ok((step, sampler.ok_or_else(|| grid::unfit("dp-local", scale / step))?))
    }

    fn norm(&self) -> Norm {
        match self.mechanism {
            Mechanism::Gaussian => Norm::L2,
            Mechanism::Laplace => Norm::L1,
        }
    }
}

impl Defense for Local {
    /// Clip and noise on a grid ([`grid`]) that 32-bit floats hold: the Gaussian's noise stays
    /// within 14 deviations, and what Laplace noise throws beyond `2^24` steps is cut to that.
    fn release(&self, update: Params, turn: &mut Turn) -> Result<Released, DefenseError> {
        let (scale, clip) = (self.scale(turn.deployment.rounds), self.clip.bound());
        let (step, sampler) = self.sampler(scale)?;
        let back = |k: i64| step * k.clamp(-FLOATS, FLOATS) as f64;
        let (update, clipping) = grid::clip(&update, (self.norm(), clip), step, |t, steps| {
            sampler.noised(&steps, |k| k as i64, back, &mut turn.rngs[t])
        })?;
        let std = match self.mechanism {
            Mechanism::Gaussian => scale,
            Mechanism::Laplace => scale * std::f64::consts::SQRT_2,
        };
        let noise = std * (update.layout().trainable_len() as f64).sqrt();
        let values = BTreeMap::from([
            ("sigma".to_string(), std),
            ("clip".to_string(), clip),
            ("clip_factor".to_string(), clipping.factor()),
            ("update_norm".to_string(), clipping.norm()),
            // Expected noise norm over the clipped signal's own.
            ("noise_to_signal".to_string(), noise / clipping.signal().max(1e-30)),
        ]);
        Ok(Released { update, values, grid: None })
    }

    fn effects(&self, deployment: &Deployment) -> Result<Vec<Effect>, DefenseError> {
        let scale = NoiseScale::Absolute(self.scale(deployment.rounds));
        let law = match self.mechanism {
            Mechanism::Gaussian => NoiseLaw::Gaussian,
            Mechanism::Laplace => NoiseLaw::Laplace,
        };
        Ok(vec![
            Effect::WithheldStatistics,
            common::clip_effect(self.norm(), self.clip.bound(), ClipUnit::Update),
            Effect::Noise { law, scale, on: Noised::Update },
        ])
    }

    fn adaptive(&self) -> Option<&'static str> {
        Some("adaptive-matching")
    }

    fn bits_per_value(&self) -> Option<f64> {
        // Noise fills in what an earlier defense left out or rounded.
        Some(32.0)
    }

    fn pilot(&self) -> Option<Pilot> {
        self.clip.pilot(self.norm(), ClipUnit::Update)
    }

    fn piloted(&self, bound: f64) -> Option<Box<dyn Defense>> {
        Some(Box::new(Local { clip: bound.into(), ..self.clone() }))
    }

    fn private(&self) -> bool {
        true
    }

    fn privacy(&self, deployment: &Deployment) -> Result<Option<Budget>, DefenseError> {
        let (name, delta) = match (self.mechanism, self.calibration) {
            (Mechanism::Laplace, _) => ("pure", 0.0),
            (_, Calibration::Analytic) => ("analytic", self.delta),
            (_, Calibration::Classical) => ("classical", self.delta),
        };
        let accountants = self.accountants(name, deployment.rounds)?;
        Ok(Some(Budget {
            epsilon: accountants.values().copied().fold(self.epsilon, f64::min),
            delta,
            unit: Unit::Client,
            neighbouring: Neighbouring::ZeroOut,
            accountants,
            steps: deployment.rounds,
            rate: 1.0,
            against: "everyone who sees the update, the server included".into(),
            replaced: self.replaced(),
            certain: None,
        }))
    }

    fn spent(&self, deployment: &Deployment, rounds: usize) -> Result<Option<f64>, DefenseError> {
        let all = deployment.rounds.max(1);
        Ok(Some(match (self.mechanism, self.calibration) {
            _ if rounds == 0 => 0.0,
            (Mechanism::Gaussian, Calibration::Analytic) => {
                let multiplier = self.scale(all) / self.clip.bound();
                accountant::epsilon(multiplier, 1.0, rounds as u64, self.delta)?
                    .best
                    .min(self.epsilon)
            }
            // Basic composition: equal shares.
            _ => self.epsilon * rounds as f64 / all as f64,
        }))
    }
}

#[cfg(test)]
mod tests;
