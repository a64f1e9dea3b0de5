//! Percentile bootstrap (Efron, 1979; Efron and Tibshirani, 1993, chapter 13).

use super::{Interval, quantile_sorted, sorted};
use rand::Rng;

/// Resamples behind every bootstrap interval.
pub const BOOTSTRAP_RESAMPLES: usize = 2_000;

/// Confidence level of every interval in a report; several that are read together share it.
pub const CONFIDENCE: f64 = 0.95;

/// Percentile bootstrap interval of the mean of `values` at [`CONFIDENCE`]; `None` below two
/// values.
pub fn bootstrap_ci<R: Rng>(values: &[f64], rng: &mut R) -> Option<Interval> {
    bootstrap_clusters(&values.iter().map(|v| (*v, 1)).collect::<Vec<_>>(), CONFIDENCE, rng)
}

/// Percentile interval of the mean over all values, at a `confidence` in (0, 1), drawing whole
/// clusters, each given by the sum and the number of its values (Davison and Hinkley, 1997, section
/// 3.8); `None` below two clusters.
pub fn bootstrap_clusters<R: Rng>(
    clusters: &[(f64, usize)],
    confidence: f64,
    rng: &mut R,
) -> Option<Interval> {
    if clusters.len() < 2 {
        return None;
    }
    let mut draw = || {
        let (mut sum, mut n) = (0.0, 0);
        for _ in 0..clusters.len() {
            let (s, k) = clusters[rng.random_range(0..clusters.len())];
            (sum, n) = (sum + s, n + k);
        }
        sum / n as f64
    };
    let means = sorted(&(0..BOOTSTRAP_RESAMPLES).map(|_| draw()).collect::<Vec<_>>());
    let tail = (1.0 - confidence) / 2.0;
    Some(Interval {
        low: quantile_sorted(&means, tail)?,
        high: quantile_sorted(&means, 1.0 - tail)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};

    #[test]
    fn same_seed_same_interval() {
        let values: Vec<f64> = (1..20).map(|i| f64::from(i).sqrt()).collect();
        let draw = |seed| bootstrap_ci(&values, &mut ChaCha12Rng::seed_from_u64(seed));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn constant_values_give_a_point() {
        let ci = bootstrap_ci(&[3.0; 5], &mut ChaCha12Rng::seed_from_u64(0)).unwrap();
        assert_eq!((ci.low, ci.high), (3.0, 3.0));
    }
}
