//! Wilcoxon's signed-rank test (Wilcoxon, 1945) with an exact null distribution that ties leave
//! exact.

use super::sorted;
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal};

/// Up to so many differences other than zero the null distribution is counted out; all counts stay
/// below 2^53.
pub const EXACT_UP_TO: usize = 50;

/// A two-sided signed-rank test of paired differences.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SignedRank {
    /// Differences other than zero, which alone enter (Wilcoxon's own rule).
    pub n: usize,
    /// Sum of the ranks of the positive ones.
    pub plus: f64,
    /// Sum of the ranks of the negative ones.
    pub minus: f64,
    /// Two-sided p-value; 1 where every difference is zero.
    pub p: f64,
}

impl SignedRank {
    /// The smallest p-value that `n` differences other than zero can have: all of one sign.
    pub fn smallest_p(n: usize) -> f64 {
        2f64.powi(1 - n.min(1000) as i32).min(1.0)
    }
}

/// Tests whether `differences` are symmetric about zero.
///
/// Zeros are dropped, equal sizes share their mean rank. Up to [`EXACT_UP_TO`] remaining
/// differences the p-value is exact given their sizes: every sign is a fair coin, and the ways to
/// each rank sum are counted. Beyond, the normal approximation with correction for ties. Values
/// that are not finite must not be among them.
pub fn wilcoxon(differences: &[f64]) -> SignedRank {
    let nonzero: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    let ranks = doubled_ranks(&nonzero);
    let total: u64 = ranks.iter().sum();
    let plus: u64 =
        ranks.iter().zip(&nonzero).filter(|(_, d)| **d > 0.0).map(|(rank, _)| *rank).sum();
    let smaller = plus.min(total - plus);
    let p = match nonzero.len() {
        0 => 1.0,
        n if n <= EXACT_UP_TO => exact(&ranks, smaller),
        _ => approximate(&ranks, smaller),
    };
    SignedRank { n: nonzero.len(), plus: plus as f64 / 2.0, minus: (total - plus) as f64 / 2.0, p }
}

/// Twice the mid-ranks of the sizes, in the order given: mid-ranks are whole or half numbers, twice
/// that is whole.
fn doubled_ranks(values: &[f64]) -> Vec<u64> {
    let sizes = sorted(&values.iter().map(|v| v.abs()).collect::<Vec<_>>());
    let doubled = |v: &f64| {
        let below = sizes.partition_point(|s| *s < v.abs());
        let up_to = sizes.partition_point(|s| *s <= v.abs());
        (below + 1 + up_to) as u64
    };
    values.iter().map(doubled).collect()
}

/// Twice the share of the 2^n sign patterns whose positive ranks sum to at most `smaller`.
fn exact(ranks: &[u64], smaller: u64) -> f64 {
    let top = ranks.iter().sum::<u64>() as usize;
    let mut ways = vec![0.0f64; top + 1];
    ways[0] = 1.0;
    let mut reached = 0;
    for rank in ranks.iter().map(|r| *r as usize) {
        for sum in (0..=reached).rev() {
            ways[sum + rank] += ways[sum];
        }
        reached += rank;
    }
    let at_most: f64 = ways.iter().take(smaller as usize + 1).sum();
    (2.0 * at_most / 2f64.powi(ranks.len() as i32)).min(1.0)
}

/// The rank sum has mean `sum r / 2` and variance `sum r^2 / 4`, which accounts for ties by itself.
fn approximate(ranks: &[u64], smaller: u64) -> f64 {
    let (sum, squares) = ranks.iter().fold((0.0, 0.0), |(s, q), r| {
        let rank = *r as f64 / 2.0;
        (s + rank, q + rank * rank)
    });
    let z = (smaller as f64 / 2.0 - sum / 2.0) / (squares / 4.0).sqrt();
    (2.0 * Normal::standard().cdf(z)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::super::sign_test;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_moved_is_no_evidence() {
        assert_eq!(wilcoxon(&[0.0; 9]), SignedRank { n: 0, plus: 0.0, minus: 0.0, p: 1.0 });
        assert_eq!(wilcoxon(&[]).p, 1.0);
        assert_eq!(SignedRank::smallest_p(0), 1.0);
    }

    #[test]
    fn one_sign_has_the_smallest_p() {
        for n in 1..=EXACT_UP_TO {
            let all: Vec<f64> = (1..=n).map(|i| i as f64).collect();
            assert_eq!(wilcoxon(&all).p, SignedRank::smallest_p(n));
        }
    }

    proptest! {
        #[test]
        fn all_ties_are_the_sign_test(signs in prop::collection::vec(any::<bool>(), 1..50)) {
            let differences: Vec<f64> = signs.iter().map(|s| if *s { 1.0 } else { -1.0 }).collect();
            let plus = signs.iter().filter(|s| **s).count();
            let want = sign_test(plus, signs.len() - plus);
            prop_assert!((wilcoxon(&differences).p - want).abs() < 1e-9);
        }

        #[test]
        fn ends_meet_at_the_limit(values in prop::collection::vec(-9i32..10, EXACT_UP_TO)) {
            let values: Vec<f64> = values.iter().map(|v| f64::from(*v) + 0.5).collect();
            let (ranks, plus) = (doubled_ranks(&values), (wilcoxon(&values).plus * 2.0) as u64);
            let smaller = plus.min(ranks.iter().sum::<u64>() - plus);
            prop_assert!((exact(&ranks, smaller) - approximate(&ranks, smaller)).abs() < 0.02);
        }
    }
}
