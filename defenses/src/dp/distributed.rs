//! `dp-distributed`: every client adds a share of discrete noise on the integers that secure
//! aggregation sums.

mod rotation;
mod sampler;

use std::collections::BTreeMap;

use learning::effect::{ClipUnit, NoiseLaw, NoiseScale, Noised, Norm};
use learning::noise::discrete::Sampler;
use learning::{Effect, Params};
use rand::Rng;
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};
use tch::{Device, Kind, Tensor};

use super::accountant::distributed as account;
use super::common;
use super::{Budget, Clip, Neighbouring, Pilot, Unit};
use crate::{Defense, DefenseError, Deployment, Released, Turn};

/// Registry entry.
pub static ENTRY: Entry<dyn Defense> = Entry {
    name: "dp-distributed",
    summary: "clients clip, rotate, round to integers and each add a share of discrete Gaussian \
        (or Skellam) noise; only the sum is private",
    reference: "Kairouz, Liu, Steinke: The Distributed Discrete Gaussian Mechanism, ICML 2021; \
        Agarwal, Kairouz, Liu: The Skellam Mechanism, NeurIPS 2021",
    build: |map| {
        let setting: Distributed = suites::params("dp-distributed", map)?;
        setting.check()?;
        Ok(Box::new(setting))
    },
};

/// Distribution of a client's share.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// Discrete Gaussian; sums are nearly, not exactly, discrete Gaussian again.
    DiscreteGaussian,
    /// Difference of two Poisson variables; closed under sums.
    Skellam,
}

/// Parameters.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Distributed {
    /// Privacy loss over all rounds of the deployment, above 0.
    pub epsilon: f64,
    /// Failure probability, inside (0, 1).
    pub delta: f64,
    /// Largest L2 norm of a client's update, above 0.
    pub clip: Clip,
    /// Distribution of the noise.
    pub mechanism: Mechanism,
    /// Step of the integer grid as a share of `clip / sqrt(d)` (rounded down to a power of two), in
    /// (0, 1].
    pub rounding: f64,
    /// Clients that may drop out or collude before the guarantee weakens: the others' shares
    /// suffice. At least 1 where only clients see the sum, since each knows its own share.
    pub tolerate: usize,
}

impl Default for Distributed {
    fn default() -> Distributed {
        Distributed {
            epsilon: 8.0,
            delta: 1e-5,
            clip: Clip::default(),
            mechanism: Mechanism::DiscreteGaussian,
            rounding: 0.1,
            tolerate: 0,
        }
    }
}

/// Bias of conditional rounding: a client redraws while its rounded norm exceeds a bound that holds
/// with probability `1 - BETA`.
const BETA: f64 = 0.6065306597126334; // exp(-1/2), as in both papers' experiments

/// 32-bit floats hold every integer below this.
const EXACT: f64 = 16_777_216.0;

/// Scales of one calibrated deployment, in grid steps.
#[derive(Clone, Copy, Debug)]
struct Scales {
    /// The grid's step, a power of two.
    step: f64,
    /// Largest L2 norm of a rounded update.
    l2: f64,
    /// Standard deviation of one client's share.
    sigma: f64,
}

impl Distributed {
    fn check(&self) -> Result<(), SpecError> {
        common::positive("dp-distributed", "epsilon", self.epsilon)?;
        self.clip.check("dp-distributed")?;
        common::probability("dp-distributed", "delta", self.delta)?;
        if self.rounding > 0.0 && self.rounding <= 1.0 {
            Ok(())
        } else {
            Err(SpecError::value(
                "defenses.dp-distributed.rounding",
                format!("is {}", self.rounding),
                "write a share above 0 and at most 1, e.g. 0.1",
            ))
        }
    }

    /// Clients whose noise the guarantee counts on.
    fn honest(&self, deployment: &Deployment) -> Result<usize, DefenseError> {
        match deployment.clients.checked_sub(self.tolerate) {
            Some(n) if n > 0 => Ok(n),
            _ => Err(DefenseError::Unfit(format!(
                "dp-distributed: tolerate = {} leaves none of {} clients to add noise; write a \
                 smaller number",
                self.tolerate, deployment.clients
            ))),
        }
    }

    fn scales(&self, dim: usize, deployment: &Deployment) -> Result<Scales, DefenseError> {
        let step = (self.rounding * self.clip.bound() / (dim as f64).sqrt()).log2().floor().exp2();
        let l2 = account::rounded_l2(self.clip.bound() / step, dim, BETA);
        let clients = self.honest(deployment)?;
        let rounds = deployment.rounds.max(1) as u64;
        // Larger noise, smaller epsilon: bracket, then halve on a logarithmic scale.
        // A share too small for any guarantee is an infinite epsilon, not an error.
        let spent =
            |sigma: f64| self.epsilon_at(sigma, l2, dim, clients, rounds).unwrap_or(f64::INFINITY);
        let (mut low, mut high) = (1e-3 * l2, l2);
        while spent(high) > self.epsilon {
            high *= 2.0;
            if !high.is_finite() {
                return Err(self.epsilon_at(l2, l2, dim, clients, rounds).err().unwrap_or_else(
                    || {
                        DefenseError::Unfit(format!(
                            "dp-distributed: no noise meets epsilon = {}",
                            self.epsilon
                        ))
                    },
                ));
            }
        }
        while high / low > 1.0 + 1e-6 {
            let middle = (low * high).sqrt();
            if spent(middle) > self.epsilon { low = middle } else { high = middle }
        }
        Ok(Scales { step, l2, sigma: high })
    }

    /// Epsilon of `rounds` sums in which each of `clients` adds noise of standard deviation `sigma`
    /// (in grid steps).
    fn epsilon_at(
        &self,
        sigma: f64,
        l2: f64,
        dim: usize,
        clients: usize,
        rounds: u64,
    ) -> Result<f64, DefenseError> {
        let (epsilon, _) = match self.mechanism {
            Mechanism::DiscreteGaussian => account::epsilon(
                |alpha| account::rdp_discrete_gaussian(alpha, l2, sigma, clients, dim),
                rounds,
                self.delta,
            )?,
            Mechanism::Skellam => account::epsilon(
                |alpha| {
                    let l1 = account::rounded_l1(l2, dim);
                    account::rdp_skellam(alpha, l1, l2, clients as f64 * sigma * sigma)
                },
                rounds,
                self.delta,
            )?,
        };
        Ok(epsilon)
    }

    /// One client's integers: rounded at random until their norm is within the bound, and noised.
    fn integers(
        &self,
        row: &Tensor,
        scales: &Scales,
        rng: &mut ChaCha12Rng,
    ) -> Result<Tensor, DefenseError> {
        let exact = Vec::<f64>::try_from(row.to_kind(Kind::Double).to_device(Device::Cpu))
            .map_err(|e| DefenseError::Unfit(format!("dp-distributed: {e}")))?;
        let rounded: Vec<f64> = loop {
            let draw = |x: &f64| (x / scales.step + rng.random::<f64>()).floor();
            let rounded: Vec<f64> = exact.iter().map(draw).collect();
            if rounded.iter().map(|k| k * k).sum::<f64>() <= scales.l2 * scales.l2 {
                break rounded;
            }
        };
        let noised: Vec<f64> = match self.mechanism {
            Mechanism::DiscreteGaussian => Sampler::gaussian(scales.sigma)
                .ok_or_else(|| DefenseError::Unfit(Distributed::beyond(scales)))?
                .noised(&rounded, |k| k as i64, |k| k as f64, rng),
            Mechanism::Skellam => sampler::skellam(scales.sigma * scales.sigma, rounded.len(), rng)
                .map_err(DefenseError::Unfit)?
                .into_iter()
                .zip(rounded)
                .map(|(draw, k)| k + draw as f64)
                .collect(),
        };
        if noised.iter().all(|k| k.abs() < EXACT) {
            let noised = Tensor::from_slice(&noised).to_kind(row.kind()).to_device(row.device());
            Ok(noised)
        } else {
            Err(DefenseError::Unfit(Distributed::beyond(scales)))
        }
    }

    fn beyond(scales: &Scales) -> String {
        format!(
            "dp-distributed: noise of {:.3e} grid steps leaves the 24 bits of an exact integer; \
             raise `rounding` or `epsilon`",
            scales.sigma
        )
    }
}

impl Defense for Distributed {
    fn release(&self, update: Params, turn: &mut Turn) -> Result<Released, DefenseError> {
        let clipped = common::clip(&update, Norm::L2, self.clip.bound())?;
        let dim = update.layout().len() as usize;
        let scales = self.scales(dim, turn.deployment)?;
        let rotated = rotation::forward(&rotation::rows(&clipped.update));
        let mut rows = Vec::new();
        for (row, rng) in (0..).zip(turn.rngs.iter_mut()) {
            rows.push(self.integers(&rotated.get(row), &scales, rng)? * scales.step);
        }
        let released = rotation::params(&Tensor::stack(&rows, 0), update.layout());
        let values = BTreeMap::from([
            ("share_sigma".to_string(), scales.sigma * scales.step),
            ("grid".to_string(), scales.step),
            ("clip".to_string(), self.clip.bound()),
            ("clip_factor".to_string(), common::mean(&clipped.factor)),
            ("update_norm".to_string(), common::mean(&clipped.norm)),
        ]);
        Ok(Released { update: released, values, grid: Some(scales.step) })
    }

    /// A whole rounded update in one value, and ten standard deviations of the share's noise, which
    /// a draw exceeds with probability below `2^-70`.
    fn grid_steps(&self, deployment: &Deployment) -> Result<Option<f64>, DefenseError> {
        let Scales { l2, sigma, .. } = self.scales(deployment.values, deployment)?;
        Ok(Some(l2 + 10.0 * sigma))
    }

    fn aggregate(&self, mean: Params, turn: &mut Turn) -> Result<Released, DefenseError> {
        let dim = mean.layout().len() as usize;
        let scales = self.scales(dim, turn.deployment)?;
        let sigma = scales.sigma * scales.step / (turn.contributors.max(1) as f64).sqrt();
        let mean = self.undo(mean);
        let signal = common::mean(&mean.norm());
        let values = BTreeMap::from([
            ("sigma".to_string(), sigma),
            // The mean that is at hand holds the noise already.
            ("noise_to_noised_mean".to_string(), sigma * (dim as f64).sqrt() / signal.max(1e-30)),
        ]);
        Ok(Released { update: mean, values, grid: None })
    }

    fn undo(&self, update: Params) -> Params {
        rotation::params(&rotation::backward(&rotation::rows(&update)), update.layout())
    }

    /// The shares of the clients behind the signal are told as one noise on their mean.
    fn effects(&self, deployment: &Deployment) -> Result<Vec<Effect>, DefenseError> {
        let Scales { step, sigma, .. } = self.scales(deployment.values, deployment)?;
        let scale = sigma * step / (deployment.captured.clients.max(1) as f64).sqrt();
        let law = match self.mechanism {
            Mechanism::DiscreteGaussian => NoiseLaw::DiscreteGaussian { step },
            Mechanism::Skellam => NoiseLaw::Skellam { step },
        };
        let scale = NoiseScale::Absolute(scale);
        Ok(vec![
            Effect::WithheldStatistics,
            common::clip_effect(Norm::L2, self.clip.bound(), ClipUnit::Update),
            Effect::Noise { law, scale, on: Noised::Mean },
        ])
    }

    fn equal_weights(&self) -> bool {
        true
    }

    fn tolerates(&self) -> usize {
        self.tolerate
    }

    fn needs_sum(&self) -> bool {
        true
    }

    fn adaptive(&self) -> Option<&'static str> {
        Some("adaptive-matching")
    }

    fn pilot(&self) -> Option<Pilot> {
        self.clip.pilot(Norm::L2, ClipUnit::Update)
    }

    fn piloted(&self, bound: f64) -> Option<Box<dyn Defense>> {
        Some(Box::new(Distributed { clip: bound.into(), ..self.clone() }))
    }

    fn private(&self) -> bool {
        true
    }

    fn privacy(&self, deployment: &Deployment) -> Result<Option<Budget>, DefenseError> {
        self.honest(deployment)?;
        Ok(Some(Budget {
            epsilon: self.epsilon,
            delta: self.delta,
            unit: Unit::Client,
            neighbouring: Neighbouring::ZeroOut,
            accountants: BTreeMap::from([("rdp", self.epsilon)]),
            steps: deployment.rounds,
            rate: 1.0,
            replaced: None,
            certain: None,
            against: format!(
                "everyone who sees only the sum, the server included, while at most {} client(s) \
                 drop out or collude (a client that sees the sum knows its own share: it counts)",
                self.tolerate
            ),
        }))
    }

    fn spent(&self, deployment: &Deployment, rounds: usize) -> Result<Option<f64>, DefenseError> {
        if rounds == 0 {
            return Ok(Some(0.0));
        }
        let dim = deployment.values;
        let scales = self.scales(dim, deployment)?;
        let clients = self.honest(deployment)?;
        self.epsilon_at(scales.sigma, scales.l2, dim, clients, rounds as u64).map(Some)
    }
}

#[cfg(test)]
mod tests;
