//! The way that the captured gradient took, applied to a candidate's: both are then compared as if nothing had happened to them.

use learning::client::LocalTraining;
use learning::layer_grad::{LayerGrad, sum_trials};
use learning::models::head;
use learning::{Layout, Observation, Signal};
use tch::{Kind, Tensor};

use super::adaptation::{Adaptation, Clip, Law, Masked, Values};
use super::objective::{Objective, Target};
use super::signal;
use crate::AttackError;

/// An [`Adaptation`] made ready for one observation.
pub struct Channel {
    clip: Option<Clip>,
    pruned: Option<f64>,
    signs: bool,
    /// The likelihood's distance, or the attack's own.
    pub objective: Objective,
    /// What each matched parameter goes through.
    ways: Vec<Way>,
    /// What the distance is divided by, `[N]`, where it is the likelihood's.
    size: Option<Tensor>,
    /// Weight of total variation that balances prior and likelihood, `[N]`.
    prior: Option<Tensor>,
}

/// Weight of a difference inside a cell of [`Values::Cells`].
const PULL: f64 = 0.2;

/// What one parameter's gradient goes through.
#[derive(Default)]
struct Way {
    /// What local training adds to it (weight decay), `[1, ...]`.
    added: Option<Tensor>,
    /// Least and greatest values that give the captured one, `[N, ...]`.
    cell: Option<[Tensor; 2]>,
    /// How much a difference inside the cell counts beside one outside.
    pull: f64,
    /// How much each entry counts, `[N, ...]`: 1 where it is matched, else 0, or one over the standard deviation of its rounding.
    matched: Option<Tensor>,
}

/// The trainable tensors of the signal in units of a gradient, weight decay left in: a defence acted on them as they are.
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

impl Channel {
    /// For the `selected` parameters, whose captured tensors `[N, ...]` are `target`'s; `own` is the attack's objective and `values`
    /// the number of a batch's pixels.
    pub fn new(
        seen: &Observation,
        adaptation: &Adaptation,
        target: &Target,
        own: Objective,
        values: i64,
    ) -> Channel {
        let objective = adaptation.objective();
        let mut channel = Channel {
            clip: adaptation.clip,
            pruned: adaptation.pruned,
            signs: adaptation.values == Values::Signs,
            objective: objective.unwrap_or(own),
            ways: ways(seen, adaptation, target),
            size: None,
            prior: None,
        };
        if let Some(objective) = objective {
            let size = channel.size_of(target, objective).clamp_min(1e-30);
            // -log p = |G - g|^2 / (2 s^2) + (values / d) tv, or |G - g|_1 / s + (values / d) tv; times what makes the first term relative.
            channel.prior = adaptation.noise.map(|noise| {
                let spread =
                    if noise.law == Law::Laplace { noise.scale } else { 2.0 * noise.scale * noise.scale };
                size.reciprocal() * (spread * values as f64 / noise.contrast)
            });
            channel.size = Some(size);
        }
        channel
    }

    fn size_of(&self, target: &Target, objective: Objective) -> Tensor {
        let one = |(i, way): (usize, &Way)| {
            let (captured, weight) = target.part(i);
            let held = match &way.matched {
                Some(mask) => captured * mask,
                None => captured.shallow_clone(),
            };
            weight * sum_trials(&if objective == Objective::L1 { held.abs() } else { held.square() })
        };
        self.ways.iter().enumerate().map(one).reduce(|a, b| a + b).expect("at least one layer is selected")
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
        for (&i, way) in target.selected().iter().zip(&self.ways) {
            if let Some(added) = &way.added {
                layers[i] = LayerGrad::Dense(layers[i].to_dense() + added);
            }
        }
        if let Some(factor) = self.factor(target, &layers) {
            layers = layers.iter().map(|g| scaled(g, &factor)).collect();
        }
        for (place, (&i, way)) in target.selected().iter().zip(&self.ways).enumerate() {
            let pruned = self.pruned.filter(|_| !self.signs);
            if way.cell.is_none() && way.matched.is_none() && pruned.is_none() {
                continue;
            }
            let mut g = layers[i].to_dense();
            if let Some(fraction) = pruned {
                g = &g * largest(&g, fraction);
            }
            layers[i] = LayerGrad::Dense(way.through(&g, target.part(place).0));
        }
        layers
    }

    /// What clipping multiplies each candidate's gradient by, `[T]`.
    fn factor(&self, target: &Target, layers: &[LayerGrad]) -> Option<Tensor> {
        let total = |f: &dyn Fn(&LayerGrad) -> Tensor| layers.iter().map(f).reduce(|a, b| a + b);
        let within = |norm: Tensor, at: f64| (norm.clamp_min(1e-30).reciprocal() * at).clamp_max(1.0);
        match self.clip? {
            Clip::L2 { at } => Some(within(total(&LayerGrad::norm2)?.clamp_min(1e-36).sqrt(), at)),
            Clip::L1 { at } => Some(within(total(&|g| sum_trials(&g.to_dense().abs()))?, at)),
            Clip::Unknown => {
                // The factor s of the least |G - s g|^2.
                let own = |(k, &i): (usize, &usize)| [layers[i].dot(target.part(k).0), layers[i].norm2()];
                let sums = target.selected().iter().enumerate().map(own);
                let [dot, norm] = sums.reduce(|[a, b], [c, d]| [a + c, b + d])?;
                Some((dot / norm.clamp_min(1e-36)).clamp(0.0, 1.0))
            }
        }
    }

    /// Share of the gradient's magnitude whose sign is not the captured one, twice, averaged over the parameters: 0 where all agree,
    /// 2 where none does. A sign tells no scale, and neither does this.
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

impl Way {
    /// `g` `[T, ...]` as it is compared with the captured tensor `[N, ...]`: anything inside a cell is the captured value, and what
    /// is not matched is zero, as there.
    fn through(&self, g: &Tensor, captured: &Tensor) -> Tensor {
        let mut grouped = grouped(g, captured.size()[0]);
        if let Some([least, greatest]) = &self.cell {
            let outside = &grouped - grouped.maximum(&least.unsqueeze(1)).minimum(&greatest.unsqueeze(1));
            // Inside a cell no value is likelier than another, but most that the grid would bear are larger than the gradient has: a
            // light pull to the middle decides.
            let pull = (&grouped - &outside - captured.unsqueeze(1)) * self.pull;
            grouped = outside + pull + captured.unsqueeze(1);
        }
        if let Some(matched) = &self.matched {
            // The target's entries that are left out count as met.
            let left_out = captured * (matched.neg() + 1.0);
            grouped = grouped * matched.unsqueeze(1) + left_out.unsqueeze(1);
        }
        grouped.reshape(g.size())
    }
}

/// `[T, ...]` as `[N, T/N, ...]`.
fn grouped(g: &Tensor, n: i64) -> Tensor {
    let mut size = g.size();
    let restarts = size[0] / n;
    size.splice(0..1, [n, restarts]);
    g.reshape(size)
}

/// Each trial's gradient times its factor `[T]`.
fn scaled(g: &LayerGrad, factor: &Tensor) -> LayerGrad {
    let times = |t: &Tensor| {
        let mut shape = vec![1; t.dim()];
        shape[0] = -1;
        t * factor.reshape(shape)
    };
    match g {
        LayerGrad::Dense(g) => LayerGrad::Dense(times(g)),
        LayerGrad::Factored { delta, input, shape } => {
            LayerGrad::Factored { delta: times(delta), input: input.shallow_clone(), shape: shape.clone() }
        }
    }
}

/// 1 at the largest entries of each row of `[T, ...]`, all but `fraction` of them and at least one, else 0.
fn largest(g: &Tensor, fraction: f64) -> Tensor {
    let rows = g.detach().flatten(1, -1).abs();
    let n = rows.size()[1];
    let kept = (n - (fraction * n as f64).floor() as i64).clamp(1, n);
    let (_, places) = rows.topk(kept, 1, true, false);
    rows.zeros_like().scatter_value(1, &places, 1.0).reshape(g.size())
}

fn ways(seen: &Observation, adaptation: &Adaptation, target: &Target) -> Vec<Way> {
    let layout = seen.weights.layout();
    let decay = match (&seen.signal, &seen.known.local) {
        (Signal::Update(_), Some(LocalTraining { weight_decay, .. })) => *weight_decay,
        _ => 0.0,
    };
    let trainable = layout.trainable();
    let last = masked_weight(layout);
    let one = |(k, &i): (usize, &usize)| {
        let (captured, _) = target.part(k);
        let (spec, weight) = (&layout.specs()[trainable[i]], &seen.weights.tensors[trainable[i]]);
        let added =
            (decay != 0.0).then(|| weight.to_device(captured.device()).to_kind(captured.kind()) * decay);
        let mut masks = Vec::new();
        if adaptation.kept {
            masks.push(kept(adaptation.values, captured));
        }
        if adaptation.masked == Some(Masked::Columns) && last.as_ref() == Some(&spec.name) {
            let held = captured.abs().amax([1], true).gt(0.0).to_kind(captured.kind());
            masks.push(held.expand(captured.size(), true));
        }
        if let Values::Rounded { levels, bucket } = adaptation.values {
            masks.push(precision(captured, levels, bucket));
        }
        let pull = if matches!(adaptation.values, Values::Cells { .. }) { PULL } else { 0.0 };
        let cell = cell(adaptation.values, captured);
        Way { added, cell, pull, matched: masks.into_iter().reduce(|a, b| a * b) }
    };
    let mut ways: Vec<Way> = target.selected().iter().enumerate().map(one).collect();
    if matches!(adaptation.values, Values::Rounded { .. }) {
        level(&mut ways);
    }
    ways
}

/// Name of the weight that [`Masked`] speaks of.
pub fn masked_weight(layout: &Layout) -> Option<String> {
    head(layout).map(|layer| format!("{layer}.weight"))
}

/// One over the standard deviation of unbiased random rounding to a grid of width `u`: a value `v` below it goes up with probability
/// `|v| / u`, so the variance is `|v| (u - |v|)`, at most `u^2 / 4`, and its mean over the bucket is about `u` times the mean magnitude. The
/// least magnitude of a bucket is its first level. Buckets that are all zero tell nothing.
fn precision(captured: &Tensor, levels: f64, bucket: i64) -> Tensor {
    let rows = captured.flatten(1, -1).abs();
    let n = rows.size()[1];
    let bucket = if bucket == 0 { n } else { bucket.min(n) };
    let padded = (n + bucket - 1) / bucket * bucket;
    let buckets = rows.constant_pad_nd([0, padded - n]).reshape([rows.size()[0], -1, bucket]);
    let least = buckets.masked_fill(&buckets.eq(0.0), f64::INFINITY).amin([2], true);
    // A lone value of the highest level: the grid is finer than it by the number of levels.
    let alone = least.ge_tensor(&(buckets.amax([2], true) * (1.0 - 1e-4)));
    let width = least.where_self(&alone.logical_not(), &(&least / levels));
    let variance = (&width * buckets.mean_dim(2, true, None::<Kind>)).minimum(&(width.square() / 4.0));
    let precision = variance.sqrt().reciprocal();
    let precision = precision.where_self(&precision.isfinite(), &precision.zeros_like());
    let spread = precision.expand(buckets.size(), true).reshape([-1, padded]);
    spread.narrow(1, 0, n).reshape(captured.size())
}

/// Scales the entries' precisions to a root mean square of 1 over all parameters of a signal.
fn level(ways: &mut [Way]) {
    let masks: Vec<&Tensor> = ways.iter().filter_map(|w| w.matched.as_ref()).collect();
    let count: i64 = masks.iter().map(|m| m.numel() as i64 / m.size()[0]).sum();
    let Some(sum) = masks.iter().map(|m| sum_trials(&m.square())).reduce(|a, b| a + b) else { return };
    let scale = (sum / count as f64).clamp_min(1e-30).sqrt().reciprocal();
    for way in ways {
        way.matched = way.matched.take().map(|m| {
            let mut shape = vec![1; m.dim()];
            shape[0] = -1;
            m * scale.reshape(shape)
        });
    }
}

/// 1 at entries that were not zeroed. Rounding may have moved zeros off zero, but not out of their cell.
fn kept(values: Values, captured: &Tensor) -> Tensor {
    let mask = match values {
        Values::Cells { bits } => captured.abs().gt_tensor(&(step(captured, bits) / 2.0)),
        _ => captured.not_equal(0.0),
    };
    mask.to_kind(captured.kind())
}

/// Width of a cell of each signal's grid, broadcasting over `[N, ...]`.
fn step(captured: &Tensor, bits: u32) -> Tensor {
    let rows = captured.flatten(1, -1);
    let width = (rows.amax([1], true) - rows.amin([1], true)) / (2f64.powi(bits as i32) - 1.0);
    let mut shape = vec![1; captured.dim()];
    shape[0] = -1;
    width.reshape(shape)
}

fn cell(values: Values, captured: &Tensor) -> Option<[Tensor; 2]> {
    match values {
        Values::Exact | Values::Signs | Values::Rounded { .. } => None,
        Values::Cells { bits } => {
            let half = step(captured, bits) / 2.0;
            Some([captured - &half, captured + half])
        }
        Values::Largest => {
            // What was zeroed is not larger than what was kept.
            let zero = captured.eq(0.0);
            let least = captured.abs().masked_fill(&zero, f64::INFINITY).flatten(1, -1).amin([1], true);
            let mut shape = vec![1; captured.dim()];
            shape[0] = -1;
            let bound = least.reshape(shape) + captured.zeros_like();
            Some([(-&bound).where_self(&zero, captured), bound.where_self(&zero, captured)])
        }
        Values::Censored { at } => {
            // Rounding of the units is allowed for.
            let reaches = captured.abs().ge(at * (1.0 - 1e-5));
            let (up, down) = (reaches.logical_and(&captured.gt(0.0)), reaches.logical_and(&captured.lt(0.0)));
            Some([captured.masked_fill(&down, f64::NEG_INFINITY), captured.masked_fill(&up, f64::INFINITY)])
        }
    }
}
