//! `dp-central`: clients clip, a trusted server adds noise once to the mean (DP-FedAvg), optionally
//! with an adaptive clipping norm.

use std::collections::BTreeMap;

use learning::effect::{ClipUnit, NoiseLaw, NoiseScale, Noised, Norm};
use learning::noise::discrete::Sampler;
use learning::noise::power_of_two;
use learning::{Effect, Params};
use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};

use super::{Budget, Clip, Neighbouring, Pilot, Unit, accountant, analytic, calibrate};
use super::{common, grid};
use crate::{Defense, DefenseError, Deployment, Released, Stage, Turn};

/// Registry entry.
pub static ENTRY: Entry<dyn Defense> = Entry {
    name: "dp-central",
    summary: "clients clip to `clip`, the trusted server adds Gaussian noise once to the mean for \
        `epsilon` over all rounds; `adaptive` clipping by quantile",
    reference: "McMahan et al.: Learning Differentially Private Recurrent Language Models, ICLR \
        2018; Andrew et al.: Differentially Private Learning with Adaptive Clipping, NeurIPS 2021",
    build: |map| {
        let setting: Central = suites::params("dp-central", map)?;
        setting.check()?;
        Ok(Box::new(setting))
    },
};

/// Parameters.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Central {
    /// Privacy loss over all rounds of the deployment, above 0.
    pub epsilon: f64,
    /// Failure probability, inside (0, 1).
    pub delta: f64,
    /// Largest L2 norm of a client's update (of the first round, where `adaptive`), above 0.
    pub clip: Clip,
    /// Whether the clipping norm follows a quantile of the updates' norms.
    pub adaptive: bool,
    /// The quantile it follows, inside (0, 1).
    pub quantile: f64,
    /// Step size of its geometric update, above 0.
    pub clip_lr: f64,
    /// Standard deviation of the noise on the number of unclipped clients; `None` for a twentieth
    /// of the clients, and at least 1 (the paper's choice for large cohorts).
    pub count_noise: Option<f64>,
}

impl Default for Central {
    fn default() -> Central {
        Central {
            epsilon: 8.0,
            delta: 1e-5,
            clip: Clip::default(),
            adaptive: false,
            quantile: 0.5,
            clip_lr: 0.2,
            count_noise: None,
        }
    }
}

/// The current clipping norm in the defense's memory.
const CLIP: &str = "clip";
/// How many clients of this round were within the norm.
const WITHIN: &str = "within";

impl Central {
    fn check(&self) -> Result<(), SpecError> {
        common::positive("dp-central", "epsilon", self.epsilon)?;
        self.clip.check("dp-central")?;
        common::positive("dp-central", "clip_lr", self.clip_lr)?;
        common::probability("dp-central", "delta", self.delta)?;
        common::probability("dp-central", "quantile", self.quantile)?;
        self.count_noise
            .map_or(Ok(()), |sigma| common::positive("dp-central", "count_noise", sigma))
    }

    /// Noise multiplier of one round whose composition over all rounds meets the budget.
    fn multiplier(&self, deployment: &Deployment) -> Result<f64, SpecError> {
        let rounds = deployment.rounds.max(1);
        if deployment.client_rate < 1.0 {
            return calibrate::noise_multiplier(
                self.epsilon,
                self.delta,
                deployment.client_rate,
                rounds as u64,
            );
        }
        Ok(analytic::sigma(self.epsilon, self.delta) * (rounds as f64).sqrt())
    }

    /// What the sum is divided by: the clients in it, a public number; under Poisson sampling,
    /// where that number is itself private, the expected one.
    fn divisor(turn: &Turn) -> f64 {
        let clients = if turn.deployment.client_rate < 1.0 {
            turn.deployment.clients
        } else {
            turn.contributors
        };
        clients.max(1) as f64
    }

    /// Noise multipliers `(updates, count)` that together cost what `z` alone would: `z_u = (z^-2 -
    /// s^-2)^(-1/2)` where `s` is the standard deviation on the count. A zero update counts as
    /// within the norm, so that the count's sensitivity is 1 (1/2 in Andrew et al. 2021, theorem 1,
    /// where a client that is away adds nothing).
    fn split(&self, z: f64, clients: usize) -> Result<(f64, f64), DefenseError> {
        let count = self.count_noise.unwrap_or((clients as f64 / 20.0).max(1.0));
        let left = z.powi(-2) - count.powi(-2);
        if left > 0.0 {
            Ok((left.powf(-0.5), count))
        } else {
            Err(DefenseError::Unfit(format!(
                "dp-central: the noise on the count (count_noise = {count:.3}) spends more than \
             epsilon = {}; write a count_noise above {:.3}",
                self.epsilon, z
            )))
        }
    }

    /// Standard deviation of the noise on the captured mean, of the first round where the clip
    /// moves.
    fn noise_on_mean(&self, deployment: &Deployment) -> Result<f64, DefenseError> {
        let z = self.multiplier(deployment)?;
        let z = if self.adaptive { self.split(z, deployment.clients)?.0 } else { z };
        let std = z * self.clip.bound() * Central::slack(deployment);
        Ok(std / deployment.captured.clients.max(1) as f64)
    }

    /// The grid of this round.
    fn step(&self, turn: &Turn) -> Result<f64, DefenseError> {
        Ok(grid::sum_step(self.clip_now(turn), self.multiplier(turn.deployment)?))
    }

    /// How much more than `clip` two neighbouring sums may differ by once the server has them.
    ///
    /// The mean arrives as 32-bit floats, so that a sum of `k` steps is `k (1 + e)`, `|e| <=
    /// 2^-24`, and exact again after rounding while `k` is below `2^23`; beyond it is off by at
    /// most `2^-23 k`. The sum of `n` clients has norm at most `n clip`, and two of them are off by
    /// `n 2^-22 clip` at most. Under sampling `n` is every client there is.
    fn slack(deployment: &Deployment) -> f64 {
        let rate = deployment.client_rate.clamp(1e-9, 1.0);
        1.0 + deployment.clients as f64 / rate * 2f64.powi(-22)
    }

    fn clip_now(&self, turn: &Turn) -> f64 {
        turn.memory.get(CLIP).copied().unwrap_or(self.clip.bound())
    }

    /// Moves the clipping norm: `C <- C exp(-lr (b - quantile))` with `b` the noised share of
    /// clients within it.
    fn adapt(&self, turn: &mut Turn, count_noise: f64) -> Result<(), DefenseError> {
        let within = turn.memory.remove(WITHIN).unwrap_or(0.0).min(turn.contributors as f64);
        // The count is a whole number, and so a whole number of these.
        let step = (power_of_two(count_noise) * 2f64.powi(-20)).min(1.0);
        let sampler = Sampler::rounded_normal(count_noise / step)
            .ok_or_else(|| grid::unfit("dp-central.count_noise", count_noise / step))?;
        let count = (within / step) as i64;
        let draw = turn.rngs.first_mut().map_or(0, |rng| sampler.draw(rng));
        let share = (count + draw) as f64 * step / Central::divisor(turn);
        let next = self.clip_now(turn) * (-self.clip_lr * (share - self.quantile)).exp();
        turn.memory.insert(CLIP.into(), next);
        Ok(())
    }
}

impl Defense for Central {
    /// Clipped updates are whole steps of a grid ([`grid`]), on which a protocol carries their sum
    /// without rounding, whatever its own step.
    fn release(&self, update: Params, turn: &mut Turn) -> Result<Released, DefenseError> {
        let (clip, step) = (self.clip_now(turn), self.step(turn)?);
        let back = |_, steps: Vec<f64>| steps.into_iter().map(|k| k * step).collect();
        let (update, clipping) = grid::clip(&update, (Norm::L2, clip), step, back)?;
        // Clients of one round may come one after another; the server takes the count and begins
        // anew.
        *turn.memory.entry(WITHIN.into()).or_default() += clipping.within(clip);
        let values = BTreeMap::from([
            ("clip".to_string(), clip),
            ("clip_factor".to_string(), clipping.factor()),
            ("update_norm".to_string(), clipping.norm()),
        ]);
        Ok(Released { update, values, grid: Some(step) })
    }

    /// The sum in whole steps, with whole noise; dividing by a public number comes after.
    fn aggregate(&self, mean: Params, turn: &mut Turn) -> Result<Released, DefenseError> {
        let (clip, divisor) = (self.clip_now(turn), Central::divisor(turn));
        let (step, contributors) = (self.step(turn)?, turn.contributors as f64);
        let mut z = self.multiplier(turn.deployment)?;
        if self.adaptive {
            let (updates, count) = self.split(z, divisor as usize)?;
            self.adapt(turn, count)?;
            z = updates;
        }
        let std = z * clip * Central::slack(turn.deployment);
        let sampler = Sampler::rounded_normal(std / step)
            .ok_or_else(|| grid::unfit("dp-central", std / step))?;
        let onto = |mean: f64| (mean * contributors / step).round_ties_even() as i64;
        let noised = grid::each_lane(&mean, |t, values| {
            sampler.noised(&values, onto, |k| k as f64 * step / divisor, &mut turn.rngs[t])
        });
        let sigma = std / divisor;
        let noise = sigma * (mean.layout().trainable_len() as f64).sqrt();
        let values = BTreeMap::from([
            ("sigma".to_string(), sigma),
            ("noise_multiplier".to_string(), z),
            ("noise_to_signal".to_string(), noise / common::mean(&mean.norm()).max(1e-30)),
        ]);
        Ok(Released { update: noised, values, grid: None })
    }

    fn grid_steps(&self, deployment: &Deployment) -> Result<Option<f64>, DefenseError> {
        Ok(Some(grid::sum_steps(self.multiplier(deployment)?)))
    }

    fn stage(&self) -> Stage {
        Stage::Server
    }

    fn effects(&self, deployment: &Deployment) -> Result<Vec<Effect>, DefenseError> {
        let clip = Effect::Clip {
            norm: Norm::L2,
            bound: self.clip.bound(),
            unit: ClipUnit::Update,
            moving: self.adaptive,
        };
        let mut effects = vec![Effect::WithheldStatistics, clip];
        if deployment.captured.released {
            let scale = NoiseScale::Absolute(self.noise_on_mean(deployment)?);
            effects.push(Effect::Noise { law: NoiseLaw::Gaussian, scale, on: Noised::Mean });
        }
        Ok(effects)
    }

    fn adaptive(&self) -> Option<&'static str> {
        Some("adaptive-matching")
    }

    fn equal_weights(&self) -> bool {
        true
    }

    fn pilot(&self) -> Option<Pilot> {
        self.clip.pilot(Norm::L2, ClipUnit::Update)
    }

    fn piloted(&self, bound: f64) -> Option<Box<dyn Defense>> {
        Some(Box::new(Central { clip: bound.into(), ..self.clone() }))
    }

    fn private(&self) -> bool {
        true
    }

    fn privacy(&self, deployment: &Deployment) -> Result<Option<Budget>, DefenseError> {
        let (rounds, rate) = (deployment.rounds.max(1) as u64, deployment.client_rate.min(1.0));
        let multiplier = self.multiplier(deployment)?;
        let answer = accountant::epsilon(multiplier, rate, rounds, self.delta)?;
        let certain = accountant::epsilon(multiplier, 1.0, 1, self.delta)?;
        let (mut accountants, sampled) = (answer.accountants(), rate < 1.0);
        if !sampled {
            // What the noise was calibrated by, without the rounding of the way back.
            accountants.insert("analytic", self.epsilon);
        }
        Ok(Some(Budget {
            epsilon: if sampled { answer.best } else { self.epsilon },
            delta: self.delta,
            unit: Unit::Client,
            neighbouring: if sampled { Neighbouring::AddRemove } else { Neighbouring::ZeroOut },
            accountants,
            steps: deployment.rounds,
            rate,
            certain: sampled.then_some(certain.best),
            replaced: (!sampled).then(|| analytic::replaced(self.epsilon, self.delta)),
            against: if sampled {
                "whoever sees only the released models and not who was drawn; the server \
                itself is trusted"
            } else {
                "whoever sees only the released models; the server itself is trusted"
            }
            .into(),
        }))
    }

    fn spent(&self, deployment: &Deployment, rounds: usize) -> Result<Option<f64>, DefenseError> {
        let (multiplier, rate) = (self.multiplier(deployment)?, deployment.client_rate.min(1.0));
        Ok(Some(match rounds {
            0 => 0.0,
            n => {
                accountant::epsilon(multiplier, rate, n as u64, self.delta)?.best.min(self.epsilon)
            }
        }))
    }
}

#[cfg(test)]
mod tests;
