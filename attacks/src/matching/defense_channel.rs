//! What the captured gradient went through, applied to a candidate's: both are then compared as if
//! nothing had happened to them.

use learning::layer_grad::{LayerGrad, sum_lanes};
use learning::{Observation, Signal};
use tch::Tensor;

use super::defense_model::{Clip, DefenseModel, Law, Values};
use super::entry_constraint::{EntryConstraint, constraints};
use super::objective::{Objective, Target};
use super::signal;
use crate::AttackError;

/// An [`DefenseModel`] made ready for one observation.
pub struct DefenseChannel {
    clip: Option<Clip>,
    pruned: Option<f64>,
    signs: bool,
    /// The likelihood's distance, or the attack's own.
    pub objective: Objective,
    /// What each matched parameter goes through.
    constraints: Vec<EntryConstraint>,
    /// What the distance is divided by, `[N]`, where it is the likelihood's.
    size: Option<Tensor>,
    /// Weight of total variation that balances prior and likelihood, `[N]`.
    prior: Option<Tensor>,
}

/// The trainable tensors of the signal in units of a gradient, weight decay left in: a defense
/// acted on them as they are.
///
/// # Errors
/// What [`signal::gradient`] says.
pub fn captured(seen: &Observation) -> Result<Vec<Tensor>, AttackError> {
    signal::gradient(seen)?;
    let factor = match &seen.signal {
        Signal::Gradient(_) => 1.0,
        Signal::Update(_) => -1.0 / signal::step_scale(seen)?,
    };
    Ok(seen.signal.params().trainable().map(|t| t * factor).collect())
}

impl DefenseChannel {
    /// For the `selected` parameters, whose captured tensors `[N, ...]` are `target`'s; `own` is
    /// the attack's objective and `values` the number of a batch's pixels.
    pub fn new(
        seen: &Observation,
        defense_model: &DefenseModel,
        target: &Target,
        own: Objective,
        values: i64,
    ) -> DefenseChannel {
        let objective = defense_model.objective();
        let mut channel = DefenseChannel {
            clip: defense_model.clip,
            pruned: defense_model.pruned,
            signs: defense_model.values == Values::Signs,
            objective: objective.unwrap_or(own),
            constraints: constraints(seen, defense_model, target),
            size: None,
            prior: None,
        };
        if let Some(objective) = objective {
            let size = channel.size_of(target, objective).clamp_min(1e-30);
            // -log p = |G - g|^2 / (2 s^2) + (values / d) tv, or |G - g|_1 / s + (values / d) tv;
            // times what makes the first term relative.
            channel.prior = defense_model.noise.map(|noise| {
                let spread = if noise.law == Law::Laplace {
                    noise.scale
                } else {
                    2.0 * noise.scale * noise.scale
                };
                size.reciprocal() * (spread * values as f64 / noise.contrast)
            });
            channel.size = Some(size);
        }
        channel
    }

    fn size_of(&self, target: &Target, objective: Objective) -> Tensor {
        let one = |(i, entry): (usize, &EntryConstraint)| {
            let (captured, weight) = target.part(i);
            let held = match &entry.matched {
                Some(mask) => captured * mask,
                None => captured.shallow_clone(),
            };
            weight * sum_lanes(&if objective == Objective::L1 { held.abs() } else { held.square() })
        };
        self.constraints
            .iter()
            .enumerate()
            .map(one)
            .reduce(|a, b| a + b)
            .expect("at least one layer is selected")
    }

    /// Distance of candidates to their targets `[T]`: of likelihoods relative to the signal.
    pub fn distance(&self, target: &Target, both_weight: f64, layers: Vec<LayerGrad>) -> Tensor {
        let layers = self.pass(target, layers);
        if self.signs {
            return self.disagreement(target, &layers);
        }
        let distance = target.distance(self.objective, both_weight, &layers);
        match &self.size {
            Some(size) => {
                let size = target.spread(size, &distance);
                distance / size
            }
            None => distance,
        }
    }

    /// Weight of total variation beside the attack's own, `[T]`.
    pub fn prior(&self, target: &Target, like: &Tensor) -> Option<Tensor> {
        self.prior.as_ref().map(|weight| target.spread(weight, like))
    }

    fn pass(&self, target: &Target, mut layers: Vec<LayerGrad>) -> Vec<LayerGrad> {
        for (&i, entry) in target.selected().iter().zip(&self.constraints) {
            if let Some(added) = &entry.added {
                layers[i] = LayerGrad::Dense(layers[i].to_dense() + added);
            }
        }
        if let Some(factor) = self.factor(target, &layers) {
            layers = layers.iter().map(|g| scaled(g, &factor)).collect();
        }
        for (place, (&i, entry)) in target.selected().iter().zip(&self.constraints).enumerate() {
            let pruned = self.pruned.filter(|_| !self.signs);
            if entry.cell.is_none() && entry.matched.is_none() && pruned.is_none() {
                continue;
            }
            let mut g = layers[i].to_dense();
            if let Some(fraction) = pruned {
                g = &g * largest(&g, fraction);
            }
            layers[i] = LayerGrad::Dense(entry.through(&g, target.part(place).0));
        }
        layers
    }

    /// What clipping multiplies each candidate's gradient by, `[T]`.
    fn factor(&self, target: &Target, layers: &[LayerGrad]) -> Option<Tensor> {
        let total = |f: &dyn Fn(&LayerGrad) -> Tensor| layers.iter().map(f).reduce(|a, b| a + b);
        let within =
            |norm: Tensor, at: f64| (norm.clamp_min(1e-30).reciprocal() * at).clamp_max(1.0);
        match self.clip? {
            Clip::L2 { at } => Some(within(total(&LayerGrad::norm2)?.clamp_min(1e-36).sqrt(), at)),
            Clip::L1 { at } => Some(within(total(&|g| sum_lanes(&g.to_dense().abs()))?, at)),
            Clip::Unknown => {
                // The factor s of the least |G - s g|^2.
                let own =
                    |(k, &i): (usize, &usize)| [layers[i].dot(target.part(k).0), layers[i].norm2()];
                let sums = target.selected().iter().enumerate().map(own);
                let [dot, norm] = sums.reduce(|[a, b], [c, d]| [a + c, b + d])?;
                Some((dot / norm.clamp_min(1e-36)).clamp(0.0, 1.0))
            }
        }
    }

    /// Share of the gradient's magnitude whose sign is not the captured one, twice, averaged over
    /// the parameters: 0 where all agree, 2 where none does. A sign tells no scale, and neither
    /// does this.
    fn disagreement(&self, target: &Target, layers: &[LayerGrad]) -> Tensor {
        let one = |(k, &i): (usize, &usize)| {
            let (captured, weight) = target.part(k);
            let signs = captured.sign();
            let g = layers[i].to_dense();
            let matched = LayerGrad::Dense(g.abs()).dot(&signs.abs());
            let agreed = LayerGrad::Dense(g).dot(&signs) / matched.clamp_min(1e-30);
            let weight = target.spread(weight, &agreed);
            [(agreed.neg() + 1.0) * &weight, weight]
        };
        let sums = target.selected().iter().enumerate().map(one);
        let [sum, weight] =
            sums.reduce(|[a, b], [c, d]| [a + c, b + d]).expect("at least one layer is selected");
        sum / weight
    }
}

/// Each lane's gradient times its factor `[T]`.
fn scaled(g: &LayerGrad, factor: &Tensor) -> LayerGrad {
    let times = |t: &Tensor| {
        let mut shape = vec![1; t.dim()];
        shape[0] = -1;
        t * factor.reshape(shape)
    };
    match g {
        LayerGrad::Dense(g) => LayerGrad::Dense(times(g)),
        LayerGrad::Factored { delta, input, shape } => LayerGrad::Factored {
            delta: times(delta),
            input: input.shallow_clone(),
            shape: shape.clone(),
        },
    }
}

/// 1 at the largest entries of each row of `[T, ...]`, all but `fraction` of them and at least one,
/// else 0.
fn largest(g: &Tensor, fraction: f64) -> Tensor {
    let rows = g.detach().flatten(1, -1).abs();
    let n = rows.size()[1];
    let kept = (n - (fraction * n as f64).floor() as i64).clamp(1, n);
    let (_, places) = rows.topk(kept, 1, true, false);
    rows.zeros_like().scatter_value(1, &places, 1.0).reshape(g.size())
}
