//! Mean squared error.

use crate::images::{clean, pixels};
use crate::{Metric, MetricEntry, MetricError};
use record::MetricInfo;
use tch::Tensor;

/// The registry's entry.
pub static ENTRY: MetricEntry = MetricEntry {
    name: "mse",
    summary: "mean squared error over pixels and channels",
    info: || MetricInfo {
        range: [Some(0.0), Some(1.0)],
        decimals: 5,
        reference: "mean of squared differences of pixels in [0, 1]".into(),
        ..MetricInfo::lower(ENTRY.name, "MSE")
    },
    build: |_| Ok(Box::new(Mse)),
};

struct Mse;

impl Metric for Mse {
    fn score(&self, guess: &Tensor, truth: &Tensor) -> Result<Vec<f64>, MetricError> {
        mse(guess, truth)
    }

    fn embed(&self, pixels: &Tensor) -> Result<Option<Tensor>, MetricError> {
        Ok(Some(clean(pixels)?.0.flatten(1, -1)))
    }
}

/// Mean squared error of each image over all its channels and pixels, in `[0, 1]`.
///
/// # Errors
/// As [`prepare`](super::images::prepare).
pub fn mse(guess: &Tensor, truth: &Tensor) -> Result<Vec<f64>, MetricError> {
    let (guess, truth) = pixels(guess, truth)?;
    Ok(guess.images().zip(truth.images()).map(|(g, t)| mean_squared(g, t)).collect())
}

fn mean_squared(a: &[f64], b: &[f64]) -> f64 {
    let sum: f64 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
    sum / a.len() as f64
}
