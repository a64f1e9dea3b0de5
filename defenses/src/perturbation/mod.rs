//! Perturbations from the literature that prove nothing: no entry here has a guarantee, and each
//! names the adaptive attack that tries it.

use learning::Params;
use suites::SpecError;
use tch::{Kind, Tensor};

use crate::DefenseError;

pub mod ats;
pub mod instahide;
mod mixing;
pub mod mixup;
pub mod noise;
pub mod percentile;
pub mod precode;
pub mod prune;
pub mod qsgd;
pub mod quantise;
pub mod sign;
pub mod soteria;
#[cfg(test)]
mod testing;
pub mod withhold_bn;

/// The attack that knows a perturbation and works around it.
const ADAPTIVE: &str = "adaptive-matching";

/// Applies `f` to the trainable tensors and leaves buffers as they are (`withhold-bn` is what
/// removes those).
fn on_trainable(update: &Params, mut f: impl FnMut(&Tensor) -> Tensor) -> Params {
    let trainable: Vec<bool> = update.layout().specs().iter().map(|s| s.trainable).collect();
    let mut trainable = trainable.into_iter();
    update.map(|t| if trainable.next() == Some(true) { f(t) } else { t.shallow_clone() })
}

/// The trainable values of each client in one row, `[T, n]`.
fn pooled(update: &Params) -> Tensor {
    Tensor::cat(&update.trainable().map(|t| t.flatten(1, -1)).collect::<Vec<_>>(), 1)
}

/// The `q`-th percentile of each row of `[T, n]`, `q` in `[0, 100]`, interpolated linearly between
/// ranks (NumPy's default): `[T]`.
fn percentile_of(rows: &Tensor, q: f64) -> Tensor {
    let rank = q / 100.0 * (rows.size()[1] - 1) as f64;
    let at = |k: f64| rows.kthvalue(k as i64 + 1, 1, false).0;
    let (low, high) = (at(rank.floor()), at(rank.ceil()));
    let step = high - &low;
    low + step * rank.fract()
}

/// Share of the trainable values that is not zero, all clients together.
fn kept_share(update: &Params) -> f64 {
    let kept: f64 =
        update.trainable().map(|t| t.not_equal(0.0).sum(Kind::Double).double_value(&[])).sum();
    kept / update.trainable().map(|t| t.numel() as f64).sum::<f64>()
}

/// Mean over the clients of `||released - update|| / ||update||`.
fn relative_error(released: &Params, update: &Params) -> f64 {
    let error = released.sub(update).norm() / update.norm().clamp_min(1e-30);
    error.mean(Kind::Double).double_value(&[])
}

/// Refuses an update with NaN or infinite values, of which no norm, rank or mean says anything.
fn finite(update: &Params) -> Result<(), DefenseError> {
    if update.trainable().all(|t| t.isfinite().all().int64_value(&[]) != 0) {
        Ok(())
    } else {
        Err(DefenseError::BadUpdate(
        "holds NaN or infinite values; lower federation.local.lr, or look for the example that \
         causes \
         them"
            .into(),
    ))
    }
}

/// Refuses a parameter for which `good` does not hold.
fn range(
    entry: &str,
    name: &str,
    value: impl std::fmt::Display,
    good: bool,
    remedy: &str,
) -> Result<(), SpecError> {
    if good {
        Ok(())
    } else {
        Err(SpecError::value(format!("defenses.{entry}.{name}"), format!("is {value}"), remedy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NumPy: `np.percentile([1, 2, 4, 8], [0, 25, 50, 90, 100])`.
    #[test]
    fn percentiles_are_numpys() {
        let rows = Tensor::from_slice(&[4f64, 1.0, 8.0, 2.0]).reshape([1, 4]);
        for (q, expected) in [(0.0, 1.0), (25.0, 1.75), (50.0, 3.0), (90.0, 6.8), (100.0, 8.0)] {
            assert!((percentile_of(&rows, q).double_value(&[0]) - expected).abs() < 1e-12, "{q}");
        }
    }
}
