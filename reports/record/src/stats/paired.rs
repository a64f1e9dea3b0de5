//! Differences between two cells that attacked the same images.

use super::{Interval, bootstrap_ci, mean};
use rand::Rng;
use serde::Serialize;

/// Mean of per-image differences.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// Pairs with a finite value on both sides.
    pub n: usize,
    /// Pairs left out because a side is missing or not finite.
    pub unpaired: usize,
    /// Mean of `after - before`.
    pub mean: f64,
    /// Percentile bootstrap interval of that mean; `None` below two pairs.
    pub ci: Option<Interval>,
}

/// Mean of `after - before` over `pairs` of (before, after), with a bootstrap interval; `None`
/// without a usable pair.
pub fn paired_difference<R: Rng>(
    pairs: &[(Option<f64>, Option<f64>)],
    rng: &mut R,
) -> Option<Paired> {
    let differences: Vec<f64> = pairs
        .iter()
        .filter_map(|(before, after)| Some((*after)? - (*before)?))
        .filter(|d| d.is_finite())
        .collect();
    let centre = mean(&differences)?;
    let unpaired = pairs.len() - differences.len();
    Some(Paired {
        n: differences.len(),
        unpaired,
        mean: centre,
        ci: bootstrap_ci(&differences, rng),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};

    #[test]
    fn pairs_cancel_what_images_share() {
        let pairs: Vec<_> =
            (0..8).map(|i| (Some(20.0 + 3.0 * i as f64), Some(18.0 + 3.0 * i as f64))).collect();
        let p = paired_difference(&pairs, &mut ChaCha12Rng::seed_from_u64(0)).unwrap();
        assert_eq!((p.n, p.mean), (8, -2.0));
        assert_eq!(p.ci, Some(Interval { low: -2.0, high: -2.0 }));
    }

    #[test]
    fn incomplete_pairs_are_counted() {
        let pairs = [(Some(1.0), None), (Some(1.0), Some(f64::NAN)), (Some(1.0), Some(2.0))];
        let p = paired_difference(&pairs, &mut ChaCha12Rng::seed_from_u64(0)).unwrap();
        assert_eq!((p.n, p.unpaired, p.mean, p.ci), (1, 2, 1.0, None));
        assert!(paired_difference(&pairs[..2], &mut ChaCha12Rng::seed_from_u64(0)).is_none());
    }
}
