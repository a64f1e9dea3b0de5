//! From the captured signal to the gradient it stands for.

use learning::client::{LocalTraining, StepRule};
use learning::{Observation, Params, Signal};
use suites::Fact;
use tch::Tensor;

use crate::AttackError;

/// The batch gradient that the signal is or approximates, `[N, ...]`.
///
/// An update of `s` SGD steps of size `lr` is taken as `-lr * s` times a gradient: exact for one
/// step, an approximation for more (Geiping et al. 2020, section 6). Known momentum and weight
/// decay are allowed for, see [`step_scale`] and [`undecayed`].
///
/// # Errors
/// Missing facts, or values that are not finite.
pub fn gradient(seen: &Observation) -> Result<Params, AttackError> {
    let gradient = match &seen.signal {
        Signal::Gradient(g) => g.clone(),
        Signal::Update(delta) => undecayed(seen, &delta.scale(-1.0 / step_scale(seen)?)),
    };
    finite(gradient)
}

fn finite(gradient: Params) -> Result<Params, AttackError> {
    if gradient.trainable().any(|t| !is_finite(t)) {
        return Err(AttackError::BadSignal("holds NaN or infinite values".into()));
    }
    Ok(gradient)
}

/// [`direction`], where that is enough; else [`gradient`].
///
/// # Errors
/// As these.
pub fn read(seen: &Observation, a_direction: bool) -> Result<Params, AttackError> {
    if a_direction { direction(seen) } else { gradient(seen) }
}

/// As [`gradient`], up to a positive factor where the learning rate is not known.
///
/// # Errors
/// Values that are not finite.
pub fn direction(seen: &Observation) -> Result<Params, AttackError> {
    match &seen.signal {
        Signal::Update(delta) if !has_scale(seen) => finite(delta.scale(-1.0)),
        _ => gradient(seen),
    }
}

/// Whether the signal's size says something: it is a gradient, or the learning rate is granted.
pub fn has_scale(seen: &Observation) -> bool {
    matches!(seen.signal, Signal::Gradient(_)) || seen.known.lr.is_some()
}

/// What an update is divided by: `lr * steps`, and with momentum `m` what `s` equal gradients add
/// up to, `lr * sum over i = 1..s of (1 - m^i) / (1 - m)`; each step at its own rate where they
/// differ. Adam's steps leave of equal gradients their signs, each times `lr`. Local training that
/// is not known is taken as one step.
///
/// # Errors
/// Where the learning rate is not granted: local training alone does not tell it.
pub fn step_scale(seen: &Observation) -> Result<f64, AttackError> {
    let known = &seen.known;
    let lr = known.lr.ok_or_else(|| AttackError::Missing(Fact::LearningRate.to_string()))?;
    let Some(local) = &known.local else { return Ok(lr) };
    if known.shares.is_empty() {
        return Ok(scale_of(local, lr, local_steps(seen, local)));
    }
    // Clients of several sizes take several numbers of steps, and weigh by their examples.
    let total = known.shares.iter().sum::<i64>().max(1) as f64;
    let one = |&share: &i64| {
        scale_of(local, lr, local.steps(share as usize).max(1)) * share as f64 / total
    };
    Ok(known.shares.iter().map(one).sum())
}

/// What so many equal gradients add up to.
fn scale_of(local: &LocalTraining, lr: f64, steps: usize) -> f64 {
    let momentum = if local.rule == StepRule::Sgd { local.momentum } else { 0.0 };
    let velocities = std::iter::successors(Some(1.0), |v| Some(1.0 + momentum * v)).take(steps);
    if local.lr_schedule.is_empty() {
        return lr * velocities.sum::<f64>();
    }
    velocities.enumerate().map(|(step, v)| local.rate(step) * v).sum()
}

/// Examples of each contributing client, `batch` together: its share of the mean, or as many as
/// the others have.
pub fn shares(seen: &Observation, batch: i64) -> Vec<i64> {
    let clients = seen.known.contributors.max(1);
    if seen.known.shares.is_empty() {
        return vec![batch / clients; clients as usize];
    }
    seen.known.shares.clone()
}

/// Weight decay as it stands in an update that is read as a gradient; Adam's is lost in its
/// normalisation.
pub fn decay(local: &LocalTraining) -> f64 {
    if local.rule == StepRule::Sgd { local.weight_decay } else { 0.0 }
}

/// SGD steps that a client took, at least 1. A client's share of the batch stands for its examples
/// where they are not known.
pub fn local_steps(seen: &Observation, local: &LocalTraining) -> usize {
    let share = seen.known.batch_size.map(|b| (b / seen.known.contributors.max(1)) as usize);
    local.steps(seen.known.local_examples.or(share).unwrap_or(1)).max(1)
}

/// Takes the known weight decay's share (at the broadcast weights) out of a gradient that was read
/// off an update.
pub fn undecayed(seen: &Observation, gradient: &Params) -> Params {
    match &seen.known.local {
        Some(local) if decay(local) != 0.0 => {
            gradient.zip(&seen.weights, |g, w| g - w.to_device(g.device()) * decay(local))
        }
        _ => gradient.clone(),
    }
}

/// What the last layer worked on, `[N, E]`: for one example the row of its weight's gradient at the
/// label, over the bias's entry there.
///
/// # Errors
/// `NotApplicable` for several examples, or a last layer that is not fully connected with a bias.
pub fn features(gradient: &Params, batch: i64) -> Result<Tensor, AttackError> {
    let refuse = || {
        let why = "feature_weight needs one example a signal and a last layer that is fully \
            connected with a bias; leave it at 0";
        AttackError::NotApplicable(why.into())
    };
    let [.., weight, bias] = &gradient.trainable().collect::<Vec<_>>()[..] else {
        return Err(refuse());
    };
    let fits = weight.dim() == 3 && weight.size()[..2] == bias.size()[..];
    if batch != 1 || !fits || gradient.layout().ends_frozen() {
        return Err(refuse());
    }
    // The label's entry is the largest in magnitude.
    let label = bias.abs().argmax(1, true);
    let scale = bias.gather(1, &label, false);
    let rows = label.unsqueeze(2).expand([-1, 1, weight.size()[2]], false);
    let features = weight.gather(1, &rows, false).squeeze_dim(1) / scale;
    Ok(features.nan_to_num(0.0, 0.0, 0.0))
}

fn is_finite(t: &Tensor) -> bool {
    t.isfinite().all().int64_value(&[]) != 0
}
