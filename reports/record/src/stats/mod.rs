//! Statistics over per-image scores: nothing leaves a mean silently.
//!
//! A [`Summary`] states how many values stand behind its mean and how many do not: `missing` (not
//! measured), `capped` (infinite or above the cap, entered at the cap) and `failed` (the attack
//! gave no usable image).

mod bootstrap;
mod holm;
mod paired;
mod rate;
mod resamples;
mod sign;
mod wilcoxon;

pub use bootstrap::{BOOTSTRAP_RESAMPLES, CONFIDENCE, bootstrap_ci, bootstrap_ci_at};
pub use holm::{holm, testable};
pub use paired::{Paired, paired_difference};
pub use rate::{Rate, wilson, wilson_at};
pub use resamples::Resamples;
pub use sign::sign_test;
pub use wilcoxon::{EXACT_UP_TO, SignedRank, wilcoxon};

use rand::Rng;
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
    /// Percentile bootstrap interval of the mean at [`CONFIDENCE`]; `None` below two values.
    pub ci: Option<Interval>,
}

/// Summarises `values` (one per image, `None` = not measured).
///
/// Values above `cap` (also +inf) enter at `cap` and are counted; NaN and -inf are counted in
/// `failed`, as are the `lost` images that never got a score. Without a cap, +inf counts as failed.
pub fn summarise<R: Rng>(
    values: &[Option<f64>],
    cap: Option<f64>,
    lost: usize,
    rng: &mut R,
) -> Summary {
    let mut out = Summary { failed: lost, ..Summary::default() };
    let mut kept = Vec::with_capacity(values.len());
    for value in values {
        match (value, cap) {
            (None, _) => out.missing += 1,
            (Some(v), Some(top)) if *v > top => {
                out.capped += 1;
                kept.push(top);
            }
            (Some(v), _) if v.is_finite() => kept.push(*v),
            _ => out.failed += 1,
        }
    }
    out.n = kept.len();
    out.mean = mean(&kept);
    out.sd = sample_sd(&kept);
    out.median = median(&kept);
    out.ci = bootstrap_ci(&kept, rng);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};

    fn rng() -> ChaCha12Rng {
        ChaCha12Rng::seed_from_u64(7)
    }

    #[test]
    fn nothing_is_dropped_silently() {
        let values = [
            Some(20.0),
            None,
            Some(f64::INFINITY),
            Some(f64::NAN),
            Some(30.0),
            Some(f64::NEG_INFINITY),
        ];
        let s = summarise(&values, Some(100.0), 2, &mut rng());
        assert_eq!((s.n, s.missing, s.capped, s.failed), (3, 1, 1, 4));
        assert_eq!(s.mean, Some(50.0));
        assert_eq!(s.median, Some(30.0));
        assert_eq!(s.n + s.missing + s.failed, values.len() + 2);
    }

    #[test]
    fn infinity_without_a_cap_is_a_failure() {
        let s = summarise(&[Some(1.0), Some(f64::INFINITY)], None, 0, &mut rng());
        assert_eq!((s.n, s.capped, s.failed), (1, 0, 1));
        assert_eq!((s.sd, s.ci), (None, None));
    }

    #[test]
    fn empty_has_no_mean() {
        assert_eq!(summarise(&[], None, 0, &mut rng()), Summary::default());
    }

    #[test]
    fn quantiles_interpolate() {
        let v = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(quantile_sorted(&v, 0.25), Some(1.75));
        assert_eq!(quantile_sorted(&v, 1.0), Some(4.0));
        assert_eq!(median(&[9.0, 1.0, 4.0]), Some(4.0));
        assert_eq!(sample_sd(&[2.0, 4.0]), Some(2f64.sqrt()));
    }

    proptest! {
        #[test]
        fn every_value_is_counted_once(
            values in prop::collection::vec(prop::option::of(prop::num::f64::ANY), 0..40),
            lost in 0usize..5,
        ) {
            let s = summarise(&values, Some(100.0), lost, &mut rng());
            prop_assert_eq!(s.n + s.missing + s.failed, values.len() + lost);
            prop_assert!(s.capped <= s.n);
        }

        #[test]
        fn the_interval_holds_the_mean(values in prop::collection::vec(-50.0f64..50.0, 2..30)) {
            let some: Vec<_> = values.iter().copied().map(Some).collect();
            let s = summarise(&some, None, 0, &mut rng());
            let (m, ci) = (s.mean.unwrap(), s.ci.unwrap());
            let slack = 0.35 * s.sd.unwrap() + 1e-9;
            prop_assert!(ci.low <= m + slack && m <= ci.high + slack && ci.low <= ci.high);
        }
    }
}
