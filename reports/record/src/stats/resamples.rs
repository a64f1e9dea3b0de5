//! Bootstrap intervals of many means at once: samples of one size share their resamples.

use super::{Bca, CONFIDENCE, Cluster, Interval, LEAST_UNITS};
use rand::Rng;
use std::collections::HashMap;
use suites::rng;

/// Seed of the draws.
const SEED: u64 = 0;

/// Resamples by sample size, drawn once each.
///
/// The intervals are those of [`super::bootstrap`]; that two of them rest on the same draws makes
/// neither less exact, and thousands of small samples cost no more random numbers than one.
#[derive(Clone, Debug, Default)]
pub struct Resamples {
    by_size: HashMap<usize, Vec<u32>>,
}

impl Resamples {
    /// The interval of the mean of independent `values` at [`CONFIDENCE`]; `None` below
    /// [`LEAST_UNITS`] values.
    pub fn interval(&mut self, values: &[f64]) -> Option<Interval> {
        let (n, bca) = (values.len(), Bca::new(CONFIDENCE));
        if n < LEAST_UNITS {
            return None;
        }
        let places = self.by_size.entry(n).or_insert_with(|| {
            // One stream a size, so that no interval depends on which others are asked for.
            let mut rng = rng::stream(SEED, "resamples", &n.to_string());
            (0..n * bca.resamples).map(|_| rng.random_range(0..n as u32)).collect()
        });
        let ones: Vec<Cluster> = values.iter().map(|v| (*v, 1)).collect();
        let mut next = places.iter().copied();
        bca.interval(&ones, || next.next().unwrap_or_default() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::super::bootstrap;
    use super::*;
    use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};

    #[test]
    fn agrees_with_draws_of_its_own() {
        let values: Vec<f64> = (1..20).map(|i| f64::from(i).sqrt()).collect();
        let mut many = Resamples::default();
        let got = many.interval(&values).unwrap();
        let ones: Vec<Cluster> = values.iter().map(|v| (*v, 1)).collect();
        let want = bootstrap(&ones, CONFIDENCE, &mut ChaCha12Rng::seed_from_u64(19)).unwrap();
        let slack = 0.05 * (want.high - want.low);
        assert!((got.low - want.low).abs() < slack && (got.high - want.high).abs() < slack);
        assert_eq!(many.interval(&values), Some(got));
        assert_eq!(many.interval(&[2.0; 8]), Some(Interval { low: 2.0, high: 2.0 }));
        assert_eq!(many.interval(&[2.0; 7]), None);
    }
}
