//! The scale of the `fl-attack` sandbox (gradient inversion on CelebA), so that its published table
//! can be laid beside ours. Its formulas are not standard ones; `docs/metrics.md` says how they
//! differ and what was assumed.
//!
//! It compares images normalised with mean and standard deviation 0.5, that is on `[-1, 1]`, but
//! with a data range of 4.

use crate::images::pixels;
use crate::{CAP_DB, Metric, MetricEntry, MetricError, mse};
use record::MetricInfo;
use tch::Tensor;

/// The data range that it assumes.
const RANGE: f64 = 4.0;
const C1: f64 = (0.01 * RANGE) * (0.01 * RANGE);
const C2: f64 = (0.03 * RANGE) * (0.03 * RANGE);
/// What normalisation multiplies differences by.
const STRETCH: f64 = 2.0;

/// The registry's entry for the PSNR.
pub static PSNR: MetricEntry = MetricEntry {
    name: "fl-attack-psnr",
    summary: "PSNR with range 4 on [-1, 1] images (6.02 dB above psnr)",
    info: || MetricInfo {
        unit: "dB".into(),
        range: [Some(fl_attack_psnr(1.0)), None],
        cap: Some(CAP_DB),
        decimals: 2,
        reference: "the fl-attack sandbox's own scale, not comparable with psnr".into(),
        ..MetricInfo::higher(PSNR.name, "PSNR, range 4")
    },
    build: |_| Ok(Box::new(RangeFourPsnr)),
};

/// The registry's entry for the SSIM.
pub static SSIM: MetricEntry = MetricEntry {
    name: "fl-attack-ssim",
    summary: "SSIM of the whole image at once with range 4",
    info: || MetricInfo {
        range: [Some(-1.0), Some(1.0)],
        reference: "the fl-attack sandbox's own scale, not comparable with ssim".into(),
        ..MetricInfo::higher(SSIM.name, "SSIM, one window")
    },
    build: |_| Ok(Box::new(GlobalSsim)),
};

struct RangeFourPsnr;
struct GlobalSsim;

impl Metric for RangeFourPsnr {
    fn score(&self, guess: &Tensor, truth: &Tensor) -> Result<Vec<f64>, MetricError> {
        Ok(mse(guess, truth)?.into_iter().map(fl_attack_psnr).collect())
    }
}

/// `10 log10(16 / mse')` in dB, where `mse'` is the error on `[-1, 1]`, four times the `mse` on
/// `[0, 1]` given here; infinite for 0.
pub fn fl_attack_psnr(mse: f64) -> f64 {
    10.0 * (RANGE * RANGE / (STRETCH * STRETCH * mse)).log10()
}

impl Metric for GlobalSsim {
    fn score(&self, guess: &Tensor, truth: &Tensor) -> Result<Vec<f64>, MetricError> {
        let (guess, truth) = pixels(guess, truth)?;
        Ok(guess.images().zip(truth.images()).map(|(g, t)| global_ssim(g, t)).collect())
    }
}

/// One mean, variance and covariance over all channels and pixels of an image.
fn global_ssim(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len() as f64;
    let normal = |v: &f64| STRETCH * v - 1.0;
    let mean = |v: &[f64]| v.iter().map(normal).sum::<f64>() / n;
    let (a, b) = (mean(x), mean(y));
    let (mut va, mut vb, mut cov) = (0.0, 0.0, 0.0);
    for (p, q) in x.iter().map(normal).zip(y.iter().map(normal)) {
        va += (p - a) * (p - a) / n;
        vb += (q - b) * (q - b) / n;
        cov += (p - a) * (q - b) / n;
    }
    (2.0 * a * b + C1) * (2.0 * cov + C2) / ((a * a + b * b + C1) * (va + vb + C2))
}
