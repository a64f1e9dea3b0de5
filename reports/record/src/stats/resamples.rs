//! Bootstrap intervals of many means at once: samples of one size share their resamples.

use super::{BOOTSTRAP_RESAMPLES, CONFIDENCE, Interval};
use rand::Rng;
use std::collections::HashMap;
use suites::rng;

/// Seed of the draws.
const SEED: u64 = 0;

/// Resamples by sample size, drawn once each.
///
/// The percentile intervals are those of [`super::bootstrap_ci`]; that two of them rest on the same
/// draws makes neither less exact, and thousands of small samples cost no more random numbers than
/// one.
#[derive(Clone, Debug, Default)]
pub struct Resamples {
    by_size: HashMap<usize, Vec<u32>>,
}

impl Resamples {
    /// Percentile interval of the mean at [`CONFIDENCE`]; `None` below two values.
    pub fn interval(&mut self, values: &[f64]) -> Option<Interval> {
        let n = values.len();
        if n < 2 {
            return None;
        }
        if values.iter().all(|v| *v == values[0]) {
            // Resampling equal values gives that value.
            return Some(Interval { low: values[0], high: values[0] });
        }
        let places = self.by_size.entry(n).or_insert_with(|| {
            // One stream a size, so that no interval depends on which others are asked for.
            let mut rng = rng::stream(SEED, "resamples", &n.to_string());
            (0..n * BOOTSTRAP_RESAMPLES).map(|_| rng.random_range(0..n as u32)).collect()
        });
        let mean =
            |draw: &[u32]| draw.iter().map(|at| values[*at as usize]).sum::<f64>() / n as f64;
        let mut means: Vec<f64> = places.chunks_exact(n).map(mean).collect();
        let tail = (1.0 - CONFIDENCE) / 2.0;
        Some(Interval { low: quantile(&mut means, tail), high: quantile(&mut means, 1.0 - tail) })
    }
}

/// As [`super::quantile_sorted`] of values that are not sorted, and change places; there is at
/// least one.
fn quantile(values: &mut [f64], q: f64) -> f64 {
    let last = values.len() - 1;
    let place = q * last as f64;
    let above = (place.floor() as usize + 1).min(last);
    let (below, upper, _) = values.select_nth_unstable_by(above, f64::total_cmp);
    let (upper, lower) = (*upper, below.iter().copied().max_by(f64::total_cmp).unwrap_or(*upper));
    lower + (place - place.floor()) * (upper - lower)
}

#[cfg(test)]
mod tests {
    use super::super::{quantile_sorted, sorted};
    use super::*;
    use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};

    #[test]
    fn agrees_with_the_plain_bootstrap() {
        let values: Vec<f64> = (1..20).map(|i| f64::from(i).sqrt()).collect();
        let mut many = Resamples::default();
        let got = many.interval(&values).unwrap();
        let want =
            super::super::bootstrap_ci(&values, &mut ChaCha12Rng::seed_from_u64(19)).unwrap();
        let slack = 0.05 * (want.high - want.low);
        assert!((got.low - want.low).abs() < slack && (got.high - want.high).abs() < slack);
        assert_eq!(many.interval(&values), Some(got));
        assert_eq!(many.interval(&[2.0; 3]), Some(Interval { low: 2.0, high: 2.0 }));
        assert_eq!(many.interval(&[2.0]), None);
    }

    #[test]
    fn quantiles_need_no_order() {
        let values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.0];
        for q in [0.0, 0.025, 0.25, 0.5, 0.9, 0.975] {
            let want = quantile_sorted(&sorted(&values), q).unwrap();
            assert!((quantile(&mut values.to_vec(), q) - want).abs() < 1e-12, "{q}");
        }
    }
}
