//! What the mechanisms share: checks of their parameters, clipping in tensors, and, for noise
//! without a guarantee, draws in floating point from each client's own stream.

use learning::effect::{ClipUnit, Effect, Norm};
use learning::{Params, noise};
use rand::Rng;
use rand_chacha::ChaCha12Rng;
use suites::SpecError;
use tch::{Kind, Tensor};

use crate::DefenseError;

/// Updates after clipping.
pub struct Clipped {
    /// `[T, ...]`, each of norm at most `clip`; buffers are zero, for running statistics would
    /// leave unprotected.
    pub update: Params,
    /// `min(1, clip / norm)`, `[T]`.
    pub factor: Tensor,
    /// Norms before, `[T]`.
    pub norm: Tensor,
}

/// Refuses what is not a finite number above 0.
pub fn positive(entry: &str, name: &str, value: f64) -> Result<(), SpecError> {
    if value > 0.0 && value.is_finite() {
        Ok(())
    } else {
        Err(SpecError::value(
            format!("defenses.{entry}.{name}"),
            format!("is {value}"),
            "write a finite number above 0",
        ))
    }
}

/// Refuses a delta outside (0, 1).
pub fn probability(entry: &str, name: &str, value: f64) -> Result<(), SpecError> {
    if value > 0.0 && value < 1.0 {
        Ok(())
    } else {
        Err(SpecError::value(
            format!("defenses.{entry}.{name}"),
            format!("is {value}"),
            "write a probability strictly between 0 and 1, e.g. 1e-5",
        ))
    }
}

/// Scales each client's update down to norm `clip`.
///
/// # Errors
/// An update that is not finite: nothing that is clipped from it is private.
pub fn clip(update: &Params, norm: Norm, clip: f64) -> Result<Clipped, DefenseError> {
    let length = match norm {
        Norm::L2 => update.norm(),
        Norm::L1 => {
            let parts: Vec<Tensor> = update
                .trainable()
                .map(|t| t.abs().flatten(1, -1).sum_dim_intlist(1, false, Kind::Double))
                .collect();
            Tensor::stack(&parts, 0).sum_dim_intlist(0, false, None)
        }
    };
    if length.isfinite().all().int64_value(&[]) == 0 {
        return Err(DefenseError::BadUpdate(
            "holds NaN or infinite values; nothing that is clipped from it is private".into(),
        ));
    }
    let factor = (length.clamp_min(1e-30).reciprocal() * clip).clamp_max(1.0);
    let update = map_trainable(update, |t| scaled(t, &factor));
    Ok(Clipped { update, factor, norm: length })
}

/// What a clip to a fixed bound publishes.
pub fn clip_effect(norm: Norm, bound: f64, unit: ClipUnit) -> Effect {
    Effect::Clip { norm, bound, unit, moving: false }
}

/// Applies `f` to the trainable tensors and zeroes the rest.
pub fn map_trainable(update: &Params, mut f: impl FnMut(&Tensor) -> Tensor) -> Params {
    let trainable: Vec<bool> = update.layout().specs().iter().map(|s| s.trainable).collect();
    let mut trainable = trainable.into_iter();
    update.map(|t| if trainable.next() == Some(true) { f(t) } else { t.zeros_like() })
}

/// Multiplies row `t` of `[T, ...]` by `factor[t]`.
pub fn scaled(t: &Tensor, factor: &Tensor) -> Tensor {
    let mut shape = vec![1; t.dim()];
    shape[0] = -1;
    t * factor.to_kind(t.kind()).reshape(shape)
}

/// One standard normal draw a client, each from its own stream, `[T, ...]` like `t`.
pub fn normal(like: &Tensor, rngs: &mut [ChaCha12Rng]) -> Tensor {
    rows(like, rngs, noise::normal)
}

/// One Laplace draw of scale 1 a client, by inversion, `[T, ...]` like `t`.
pub fn laplace(like: &Tensor, rngs: &mut [ChaCha12Rng]) -> Tensor {
    rows(like, rngs, |rng, shape| {
        let n = shape.iter().product::<i64>();
        let values: Vec<f32> = (0..n).map(|_| one_laplace(rng) as f32).collect();
        Tensor::from_slice(&values).reshape(shape)
    })
}

/// `-ln(u) ` with a random sign: an exponential on each side.
fn one_laplace(rng: &mut ChaCha12Rng) -> f64 {
    let magnitude = -(1.0 - rng.random::<f64>()).ln();
    if rng.random::<bool>() { magnitude } else { -magnitude }
}

fn rows(
    like: &Tensor,
    rngs: &mut [ChaCha12Rng],
    mut draw: impl FnMut(&mut ChaCha12Rng, &[i64]) -> Tensor,
) -> Tensor {
    let shape = &like.size()[1..];
    let rows: Vec<Tensor> = rngs.iter_mut().map(|rng| draw(rng, shape)).collect();
    Tensor::stack(&rows, 0).to_device(like.device()).to_kind(like.kind())
}

/// Mean of a tensor as a number.
pub fn mean(t: &Tensor) -> f64 {
    t.mean(Kind::Double).double_value(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laplace_has_variance_two() {
        let mut rngs = [suites::rng::stream(1, "test", "laplace")];
        let like = Tensor::zeros([1, 40_000], (Kind::Float, tch::Device::Cpu));
        let draws = laplace(&like, &mut rngs);
        assert!((draws.var(true).double_value(&[]) - 2.0).abs() < 0.1);
        assert!((mean(&draws.abs()) - 1.0).abs() < 0.02);
    }
}
