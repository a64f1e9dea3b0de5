//! What each parameter's entries go through: left out, rounded, bounded, or weighed.

use learning::layer_grad::sum_lanes;
use learning::models::head;
use learning::{Layout, Observation, Signal};
use tch::{Kind, Tensor};

use super::defense_model::{DefenseModel, Masked, Values};
use super::objective::Target;
use super::signal;

/// Weight of a difference inside a cell of [`Values::Cells`].
const PULL: f64 = 0.2;

/// What one parameter's gradient goes through.
#[derive(Default)]
pub struct EntryConstraint {
    /// What local training adds to it (weight decay), `[1, ...]`.
    pub added: Option<Tensor>,
    /// Least and greatest values that give the captured one, `[N, ...]`.
    pub cell: Option<[Tensor; 2]>,
    /// How much a difference inside the cell counts beside one outside.
    pull: f64,
    /// How much each entry counts, `[N, ...]`: 1 where it is matched, else 0, or one over the
    /// standard deviation of its rounding.
    pub matched: Option<Tensor>,
}

/// One for each matched parameter of `target`.
pub fn constraints(
    seen: &Observation,
    defense_model: &DefenseModel,
    target: &Target,
) -> Vec<EntryConstraint> {
    let layout = seen.weights.layout();
    let decay = match (&seen.signal, &seen.known.local) {
        (Signal::Update(_), Some(local)) => signal::decay(local),
        _ => 0.0,
    };
    let trainable = layout.trainable();
    let last = masked_weight(layout);
    let one = |(k, &i): (usize, &usize)| {
        let (captured, _) = target.part(k);
        let (spec, weight) = (&layout.specs()[trainable[i]], &seen.weights.tensors[trainable[i]]);
        let added = (decay != 0.0)
            .then(|| weight.to_device(captured.device()).to_kind(captured.kind()) * decay);
        let mut masks = Vec::new();
        if defense_model.kept {
            masks.push(kept(defense_model.values, captured));
        }
        if defense_model.masked == Some(Masked::Columns) && last.as_ref() == Some(&spec.name) {
            let held = captured.abs().amax([1], true).gt(0.0).to_kind(captured.kind());
            masks.push(held.expand(captured.size(), true));
        }
        if let Values::Rounded { levels, bucket } = defense_model.values {
            masks.push(precision(captured, levels, bucket));
        }
        let pull = if matches!(defense_model.values, Values::Cells { .. }) { PULL } else { 0.0 };
        let cell = cell(defense_model.values, captured);
        EntryConstraint { added, cell, pull, matched: masks.into_iter().reduce(|a, b| a * b) }
    };
    let mut constraints: Vec<EntryConstraint> =
        target.selected().iter().enumerate().map(one).collect();
    if matches!(defense_model.values, Values::Rounded { .. }) {
        level(&mut constraints);
    }
    constraints
}

/// Name of the weight that [`Masked`] speaks of.
pub fn masked_weight(layout: &Layout) -> Option<String> {
    head(layout).map(|layer| format!("{layer}.weight"))
}

/// One over the standard deviation of unbiased random rounding to a grid of width `u`: a value `v`
/// below it goes up with probability `|v| / u`, so the variance is `|v| (u - |v|)`, at most `u^2 /
/// 4`, and its mean over the bucket is about `u` times the mean magnitude. The least magnitude of a
/// bucket is its first level. Buckets that are all zero tell nothing.
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
    let variance =
        (&width * buckets.mean_dim(2, true, None::<Kind>)).minimum(&(width.square() / 4.0));
    let precision = variance.sqrt().reciprocal();
    let precision = precision.where_self(&precision.isfinite(), &precision.zeros_like());
    let spread = precision.expand(buckets.size(), true).reshape([-1, padded]);
    spread.narrow(1, 0, n).reshape(captured.size())
}

/// Scales the entries' precisions to a root mean square of 1 over all parameters of a signal.
fn level(constraints: &mut [EntryConstraint]) {
    let masks: Vec<&Tensor> = constraints.iter().filter_map(|w| w.matched.as_ref()).collect();
    let count: i64 = masks.iter().map(|m| m.numel() as i64 / m.size()[0]).sum();
    let Some(sum) = masks.iter().map(|m| sum_lanes(&m.square())).reduce(|a, b| a + b) else {
        return;
    };
    let scale = (sum / count as f64).clamp_min(1e-30).sqrt().reciprocal();
    for entry in constraints {
        entry.matched = entry.matched.take().map(|m| {
            let mut shape = vec![1; m.dim()];
            shape[0] = -1;
            m * scale.reshape(shape)
        });
    }
}

/// 1 at entries that were not zeroed. Rounding may have moved zeros off zero, but not out of their
/// cell.
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
            let least =
                captured.abs().masked_fill(&zero, f64::INFINITY).flatten(1, -1).amin([1], true);
            let mut shape = vec![1; captured.dim()];
            shape[0] = -1;
            let bound = least.reshape(shape) + captured.zeros_like();
            Some([(-&bound).where_self(&zero, captured), bound.where_self(&zero, captured)])
        }
        Values::Censored { at } => {
            // Rounding of the units is allowed for.
            let reaches = captured.abs().ge(at * (1.0 - 1e-5));
            let (up, down) =
                (reaches.logical_and(&captured.gt(0.0)), reaches.logical_and(&captured.lt(0.0)));
            Some([
                captured.masked_fill(&down, f64::NEG_INFINITY),
                captured.masked_fill(&up, f64::INFINITY),
            ])
        }
    }
}

impl EntryConstraint {
    /// `g` `[T, ...]` as it is compared with the captured tensor `[N, ...]`: anything inside a cell
    /// is the captured value, and what is not matched is zero, as there.
    pub fn through(&self, g: &Tensor, captured: &Tensor) -> Tensor {
        let mut grouped = grouped(g, captured.size()[0]);
        if let Some([least, greatest]) = &self.cell {
            let outside =
                &grouped - grouped.maximum(&least.unsqueeze(1)).minimum(&greatest.unsqueeze(1));
            // Inside a cell no value is likelier than another, but most that the grid would bear
            // are larger than the gradient has: a light pull to the middle decides.
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
