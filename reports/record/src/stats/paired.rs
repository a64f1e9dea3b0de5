//! Differences between two cells that attacked the same images.

use super::{CONFIDENCE, Cluster, Interval, bootstrap, few, mean};
use rand::Rng;
use serde::Serialize;
use std::collections::BTreeMap;

/// Mean of per-image differences.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// Pairs with a finite value on both sides.
    pub n: usize,
    /// Pairs left out because a side is missing or not finite.
    pub unpaired: usize,
    /// Independent units among the pairs.
    pub units: usize,
    /// Mean of `after - before`.
    pub mean: f64,
    /// Bootstrap interval of that mean over the units; `None` below
    /// [`LEAST_UNITS`](super::LEAST_UNITS) units.
    pub ci: Option<Interval>,
    /// The mean difference of each unit, ascending, where they are too few for an interval; else
    /// empty.
    pub values: Vec<f64>,
}

/// Two values of one image, (before, after), with the unit that the image belongs to.
pub type Pair = (usize, Option<f64>, Option<f64>);

/// Mean of `after - before` over `pairs`, with a bootstrap interval over their units; `None`
/// without a usable pair.
pub fn paired_difference<R: Rng>(pairs: &[Pair], rng: &mut R) -> Option<Paired> {
    let difference = |(unit, before, after): &Pair| Some((*unit, (*after)? - (*before)?));
    let usable: Vec<(usize, f64)> =
        pairs.iter().filter_map(difference).filter(|(_, d)| d.is_finite()).collect();
    let centre = mean(&usable.iter().map(|(_, d)| *d).collect::<Vec<_>>())?;
    let clusters = clusters(&usable);
    Some(Paired {
        n: usable.len(),
        unpaired: pairs.len() - usable.len(),
        units: clusters.len(),
        mean: centre,
        ci: bootstrap(&clusters, CONFIDENCE, rng),
        values: few(&clusters),
    })
}

/// The values of each unit, in the order of the units.
pub fn clusters<U: Ord>(values: &[(U, f64)]) -> Vec<Cluster> {
    let mut out: BTreeMap<&U, Cluster> = BTreeMap::new();
    for (unit, value) in values {
        let (sum, n) = out.entry(unit).or_default();
        (*sum, *n) = (*sum + value, *n + 1);
    }
    out.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};

    #[test]
    fn pairs_cancel_what_images_share() {
        let pair = |i: usize| (i, Some(20.0 + 3.0 * i as f64), Some(18.0 + 3.0 * i as f64));
        let pairs: Vec<_> = (0..8).map(pair).collect();
        let p = paired_difference(&pairs, &mut ChaCha12Rng::seed_from_u64(0)).unwrap();
        assert_eq!((p.n, p.units, p.mean), (8, 8, -2.0));
        assert_eq!(p.ci, Some(Interval { low: -2.0, high: -2.0 }));
        let p = paired_difference(&pairs[..3], &mut ChaCha12Rng::seed_from_u64(0)).unwrap();
        assert_eq!((p.ci, p.values), (None, vec![-2.0; 3]));
    }

    #[test]
    fn pairs_of_one_unit_are_one() {
        let pair = |i: usize| (i / 2, Some(0.0), Some(i as f64));
        let pairs: Vec<_> = (0..8).map(pair).collect();
        let p = paired_difference(&pairs, &mut ChaCha12Rng::seed_from_u64(0)).unwrap();
        assert_eq!((p.n, p.units, p.ci), (8, 4, None));
        assert_eq!(p.values, [0.5, 2.5, 4.5, 6.5]);
    }

    #[test]
    fn incomplete_pairs_are_counted() {
        let pairs =
            [(0, Some(1.0), None), (1, Some(1.0), Some(f64::NAN)), (2, Some(1.0), Some(2.0))];
        let p = paired_difference(&pairs, &mut ChaCha12Rng::seed_from_u64(0)).unwrap();
        assert_eq!((p.n, p.unpaired, p.mean, p.ci), (1, 2, 1.0, None));
        assert!(paired_difference(&pairs[..2], &mut ChaCha12Rng::seed_from_u64(0)).is_none());
    }
}
