//! Success rates with Wilson's interval (Wilson, 1927).

use super::{CONFIDENCE, Interval};
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal};

/// A share of successes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// How often it succeeded.
    pub successes: usize,
    /// How often it was tried; failed attacks count as tries.
    pub tries: usize,
    /// `successes / tries`.
    pub rate: f64,
    /// Wilson interval, at [`CONFIDENCE`] where nothing else is said.
    pub ci: Interval,
}

/// Wilson score interval of a binomial share at [`CONFIDENCE`]; `None` where nothing was tried or
/// `successes > tries`.
pub fn wilson(successes: usize, tries: usize) -> Option<Rate> {
    wilson_at(successes, tries, CONFIDENCE)
}

/// As [`wilson`], at another `confidence` in (0, 1).
pub fn wilson_at(successes: usize, tries: usize, confidence: f64) -> Option<Rate> {
    if tries == 0 || successes > tries {
        return None;
    }
    let (n, p) = (tries as f64, successes as f64 / tries as f64);
    let z2 = Normal::standard().inverse_cdf(0.5 + confidence / 2.0).powi(2);
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = (z2 * (p * (1.0 - p) / n + z2 / (4.0 * n * n))).sqrt() / (1.0 + z2 / n);
    // At the two ends the interval touches 0 or 1 exactly; rounding may leave it a hair off.
    let low = if successes == 0 { 0.0 } else { centre - half };
    let high = if successes == tries { 1.0 } else { centre + half };
    Some(Rate { successes, tries, rate: p, ci: Interval { low, high } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_exact() {
        let none = wilson(0, 10).unwrap();
        let all = wilson(10, 10).unwrap();
        assert_eq!((none.ci.low, all.ci.high), (0.0, 1.0));
        assert!((none.ci.high + all.ci.low - 1.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_tried_has_no_rate() {
        assert_eq!(wilson(0, 0), None);
        assert_eq!(wilson(3, 2), None);
    }
}
