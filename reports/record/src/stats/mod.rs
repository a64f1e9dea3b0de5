//! Statistics over per-image scores: nothing leaves a mean silently.
//!
//! A [`Summary`] states how many values stand behind its mean and how many do not: `missing` (not
//! measured), `capped` (infinite or above the cap, entered at the cap) and `failed` (the attack
//! gave no usable image).

mod bca;
mod holm;
mod paired;
mod rate;
mod resamples;
mod sign;
mod wilcoxon;

pub use bca::{BOOTSTRAP_RESAMPLES, Bca, CONFIDENCE, Cluster, LEAST_UNITS, bootstrap};
pub use holm::{holm, testable};
pub use paired::{Pair, Paired, clusters, paired_difference};
pub use rate::{Rate, wilson, wilson_at, wilson_of_units};
pub use resamples::Resamples;
pub use sign::sign_test;
pub use wilcoxon::{EXACT_UP_TO, SignedRank, wilcoxon};

use serde::Serialize;

/// A closed interval `[low, high]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Mean of `values`, in their unit; `None` where there are none.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Sample standard deviation (divisor n - 1); `None` below two values.
pub fn sample_sd(values: &[f64]) -> Option<f64> {
    let centre = mean(values)?;
    let squares: f64 = values.iter().map(|v| (v - centre).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

/// Quantile `q` in [0, 1] with linear interpolation between order statistics (type 7 of Hyndman and
/// Fan, 1996).
///
/// `sorted` must be ascending; `None` where it is empty.
pub fn quantile_sorted(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = q.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (place - below as f64) * (sorted[above] - sorted[below]))
}

/// `values` in ascending order.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut copy = values.to_vec();
    copy.sort_by(f64::total_cmp);
    copy
}

/// Median; `None` where there are no values.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile_sorted(&sorted(values), 0.5)
}

/// The means of the units, ascending, where they are fewer than [`LEAST_UNITS`]: what is shown in
/// the place of an interval.
pub fn few(clusters: &[Cluster]) -> Vec<f64> {
    let means: Vec<f64> = clusters.iter().map(|(sum, n)| sum / *n as f64).collect();
    if means.len() < LEAST_UNITS { sorted(&means) } else { Vec::new() }
}

/// One metric over the images of one cell.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Values behind the mean, capped ones included.
    pub n: usize,
    /// Images for which the metric was not measured.
    pub missing: usize,
    /// Values that were infinite or beyond the cap and entered at the cap.
    pub capped: usize,
    /// Images without a usable value: the attack failed, or the score is not a number.
    pub failed: usize,
    /// Mean of the n values.
    pub mean: Option<f64>,
    /// Sample standard deviation.
    pub sd: Option<f64>,
    /// Median.
    pub median: Option<f64>,
    /// Bootstrap interval of the mean over the units, at [`CONFIDENCE`] where nothing else is said;
    /// `None` below [`LEAST_UNITS`] units.
    pub ci: Option<Interval>,
    /// Independent units behind the values.
    pub units: usize,
    /// The mean of each unit, ascending, where they are too few for an interval; else empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate() {
        let v = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(quantile_sorted(&v, 0.25), Some(1.75));
        assert_eq!(quantile_sorted(&v, 1.0), Some(4.0));
        assert_eq!(median(&[9.0, 1.0, 4.0]), Some(4.0));
        assert_eq!(sample_sd(&[2.0, 4.0]), Some(2f64.sqrt()));
    }
}
