//! Peak signal-to-noise ratio.

use crate::{Metric, MetricEntry, MetricError, mse};
use record::MetricInfo;
use tch::Tensor;

/// The registry's entry.
pub static ENTRY: MetricEntry = MetricEntry {
    name: "psnr",
    summary: "peak signal-to-noise ratio, per image, data range 1",
    info: || MetricInfo {
        unit: "dB".into(),
        range: [Some(0.0), None],
        cap: Some(CAP_DB),
        decimals: 2,
        thresholds: vec![20.0, 25.0, 30.0],
        reference: "10 log10(1 / MSE), data range 1; scikit-image's peak_signal_noise_ratio".into(),
        ..MetricInfo::higher(ENTRY.name, "PSNR")
    },
    build: |_| Ok(Box::new(Psnr)),
};

/// Where PSNR enters means, in dB, when it is above: an exact reconstruction is infinitely good and
/// would make every mean infinite. Records keep the raw value.
pub const CAP_DB: f64 = 100.0;

struct Psnr;

impl Metric for Psnr {
    fn score(&self, guess: &Tensor, truth: &Tensor) -> Result<Vec<f64>, MetricError> {
        Ok(mse(guess, truth)?.into_iter().map(psnr_from_mse).collect())
    }
}

/// PSNR in dB of an image whose mean squared error on `[0, 1]` is `mse`; infinite for 0.
pub fn psnr_from_mse(mse: f64) -> f64 {
    -10.0 * mse.log10()
}
