//! From the captured signal to the gradient it stands for.

use learning::{Observation, Params, Signal};
use suites::Fact;

use crate::AttackError;

/// The batch gradient that the signal is or approximates, `[N, ...]`.
///
/// An update of `s` SGD steps of size `lr` is taken as `-lr * s` times a gradient: exact for one step without momentum,
/// an approximation for more (Geiping et al. 2020, section 6).
///
/// # Errors
/// Missing facts, or values that are not finite.
pub fn gradient(seen: &Observation) -> Result<Params, AttackError> {
    let gradient = match &seen.signal {
        Signal::Gradient(g) => g.clone(),
        Signal::Update(delta) => delta.scale(-1.0 / step_scale(seen)?),
    };
    if gradient.trainable().any(|t| !is_finite(t)) {
        return Err(AttackError::BadSignal("holds NaN or infinite values".into()));
    }
    Ok(gradient)
}

/// `lr * steps`: what an update is divided by.
pub fn step_scale(seen: &Observation) -> Result<f64, AttackError> {
    let missing = |fact: Fact| AttackError::Missing(fact.to_string());
    let lr = seen.known.lr.ok_or_else(|| missing(Fact::LearningRate))?;
    let local = seen.known.local.as_ref();
    let steps = local.zip(seen.known.local_examples).map_or(1, |(l, examples)| l.steps(examples));
    Ok(lr * steps.max(1) as f64)
}

fn is_finite(t: &tch::Tensor) -> bool {
    t.isfinite().all().int64_value(&[]) != 0
}
