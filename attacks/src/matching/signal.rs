//! From the captured signal to the gradient it stands for.

use learning::client::LocalTraining;
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
    if gradient.trainable().any(|t| !is_finite(t)) {
        return Err(AttackError::BadSignal("holds NaN or infinite values".into()));
    }
    Ok(gradient)
}

/// What an update is divided by: `lr * steps`, and with momentum `m` what `s` equal gradients add
/// up to, `lr * sum over i = 1..s of (1 - m^i) / (1 - m)`. Local training that is not known is
/// taken as one step.
///
/// # Errors
/// Where the learning rate is not known.
pub fn step_scale(seen: &Observation) -> Result<f64, AttackError> {
    let known = &seen.known;
    let lr = known.lr.or(known.local.as_ref().map(|l| l.lr));
    let lr = lr.ok_or_else(|| AttackError::Missing(Fact::LearningRate.to_string()))?;
    let (steps, momentum) =
        known.local.as_ref().map_or((1, 0.0), |l| (local_steps(seen, l), l.momentum));
    let velocities = std::iter::successors(Some(1.0), |v| Some(1.0 + momentum * v));
    Ok(lr * velocities.take(steps).sum::<f64>())
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
        Some(local) if local.weight_decay != 0.0 => {
            gradient.zip(&seen.weights, |g, w| g - w.to_device(g.device()) * local.weight_decay)
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
    if batch != 1 || weight.dim() != 3 || weight.size()[..2] != bias.size()[..] {
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
