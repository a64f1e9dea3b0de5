//! BatchNorm's statistics of the client's batch, where an update holds them: matched beside the
//! gradient (Huang et al.: Evaluating Gradient Inversion Attacks and Defenses, NeurIPS 2021; as a
//! prior Yin et al.: See through Gradients, CVPR 2021).

use learning::effect::Ranked;
use learning::tape::BatchStat;
use learning::{Effect, Observation, Signal};
use tch::{Device, Kind, Tensor};

use super::config::MatchingConfig;
use super::objective::Target;
use super::signal;
use crate::AttackError;

/// What keeps a relative difference of variances finite, as BatchNorm's epsilon.
const EPS: f64 = 1e-5;

/// Mean and unbiased variance of each channel, `[N, C]` each, by layer.
#[derive(Debug)]
pub struct Statistics {
    layers: Vec<(usize, [Tensor; 2])>,
}

/// Whether the network has BatchNorm.
pub fn has_layers(seen: &Observation) -> bool {
    seen.net.layout().specs().iter().any(|spec| spec.name.ends_with(".running_mean"))
}

/// Whether the signal tells the statistics of its batch to the last digit: one client's one step,
/// and no defense that treats each tensor alike, the statistics among them.
pub fn are_exact(seen: &Observation) -> bool {
    let steps = seen.known.local.as_ref().map(|local| signal::local_steps(seen, local));
    let one = steps == Some(1) && seen.known.contributors <= 1;
    let altered = |e: &Effect| {
        matches!(e, Effect::Zeroed { among: Ranked::Tensor, .. } | Effect::Cells { .. })
    };
    one && has_layers(seen)
        && !seen.known.defenses.iter().any(|d| altered(&d.effect))
        && Statistics::sent(seen, Device::Cpu, Kind::Double).is_some()
}

impl Statistics {
    /// What BatchNorm saw of the client's batch, where that is matched and was sent.
    ///
    /// # Errors
    /// `NotApplicable` without BatchNorm, and for local steps that are unrolled.
    pub fn wanted(
        config: &MatchingConfig,
        seen: &Observation,
        device: Device,
    ) -> Result<Option<Statistics>, AttackError> {
        if config.bn_weight == 0.0 {
            return Ok(None);
        }
        let refuse = |why: &str| Err(AttackError::NotApplicable(why.into()));
        if !has_layers(seen) {
            return refuse("bn_weight needs a model with BatchNorm; leave it at 0");
        }
        if config.unroll && matches!(seen.signal, Signal::Update(_)) {
            return refuse(
                "bn_weight matches the statistics of one batch, not of unrolled steps; use \
                 unroll = false or bn_weight = 0",
            );
        }
        Ok(Statistics::sent(seen, device, config.kind(device)))
    }

    /// The statistics of the batch, from what they moved the running ones by; of several steps
    /// their mean, the later weighing more. `None` where the signal holds none: a gradient, a
    /// client in eval mode, or one that withholds them.
    pub fn sent(seen: &Observation, device: Device, kind: Kind) -> Option<Statistics> {
        let Signal::Update(moved) = &seen.signal else { return None };
        let steps = seen.known.local.as_ref().map_or(1, |local| signal::local_steps(seen, local));
        let share = |mean: usize| {
            let kept = 1.0 - seen.net.running_momentum(mean);
            1.0 - kept.powi(steps.min(1000) as i32)
        };
        let of = |i: usize, mean: usize| {
            let own = seen.weights.tensors[i].to_device(Device::Cpu).to_kind(Kind::Double);
            let moved = moved.tensors[i].to_device(Device::Cpu).to_kind(Kind::Double);
            (own + moved / share(mean)).to_device(device).to_kind(kind)
        };
        let names = seen.net.layout().specs().iter().enumerate();
        let means = names.filter(|(_, spec)| spec.name.ends_with(".running_mean"));
        let places: Vec<usize> = means.map(|(i, _)| i).collect();
        let still = |i: &usize| {
            [*i, *i + 1]
                .iter()
                .all(|&i| moved.tensors[i].count_nonzero(None::<i64>).int64_value(&[]) == 0)
        };
        if places.iter().all(still) {
            return None;
        }
        let layer = |i: usize| (i, [of(i, i), of(i + 1, i).clamp_min(0.0)]);
        Some(Statistics { layers: places.into_iter().map(layer).collect() })
    }

    /// How far a candidate batch's statistics are off, `[T]`: squared differences of means over the
    /// captured variance and squared relative differences of variances, their mean over channels
    /// and layers.
    pub fn distance(&self, own: &[BatchStat], target: &Target, like: &Tensor) -> Tensor {
        let off = |stat: &BatchStat| {
            let (_, [mean, var]) = self.layers.iter().find(|(at, _)| *at == stat.running_mean)?;
            let [mean, var] = [mean, var].map(|t| target.spread(t, like));
            let scale = &var + EPS;
            let means = (&stat.mean - mean).square() / &scale;
            let variances = ((&stat.var - var) / &scale).square();
            Some((means + variances).mean_dim(1, false, None::<Kind>))
        };
        let all: Vec<Tensor> = own.iter().filter_map(off).collect();
        let count = all.len().max(1) as f64;
        all.into_iter().reduce(|a, b| a + b).unwrap_or_else(|| like.zeros_like()) / count
    }
}
