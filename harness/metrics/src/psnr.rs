//! Peak signal-to-noise ratio.

use crate::{Metric, MetricCard, MetricEntry, MetricError, mse};
use tch::Tensor;

/// The registry's entry.
pub static ENTRY: MetricEntry = MetricEntry {
    name: "psnr",
    summary: "peak signal-to-noise ratio, per image, data range 1",
    build: |_| Ok(Box::new(Psnr)),
};

/// Where PSNR enters means, in dB, when it is above: an exact reconstruction is infinitely good and
/// would make every mean infinite. Records keep the raw value.
pub const CAP_DB: f64 = record::metrics::PSNR_CAP_DB;

struct Psnr;

impl Metric for Psnr {
    fn card(&self) -> MetricCard {
        MetricCard {
            name: ENTRY.name,
            unit: "dB",
            range: (0.0, f64::INFINITY),
            higher_is_better: true,
            reference: "10 log10(1 / MSE), data range 1; scikit-image's peak_signal_noise_ratio",
        }
    }

    fn score(&self, guess: &Tensor, truth: &Tensor) -> Result<Vec<f64>, MetricError> {
        Ok(mse(guess, truth)?.into_iter().map(psnr_from_mse).collect())
    }
}

/// PSNR in dB of an image whose mean squared error on `[0, 1]` is `mse`; infinite for 0.
pub fn psnr_from_mse(mse: f64) -> f64 {
    -10.0 * mse.log10()
}
