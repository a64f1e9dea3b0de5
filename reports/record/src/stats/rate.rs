//! Success rates with Wilson's interval (Wilson, 1927).

use super::{CONFIDENCE, Interval, LEAST_UNITS};
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
    /// Independent units among the tries.
    pub units: usize,
    /// Wilson interval over the units, at [`CONFIDENCE`] where nothing else is said; `None` below
    /// [`LEAST_UNITS`] units.
    pub ci: Option<Interval>,
}

/// A binomial share of independent tries with its Wilson score interval at [`CONFIDENCE`]; `None`
/// where nothing was tried or `successes > tries`.
pub fn wilson(successes: usize, tries: usize) -> Option<Rate> {
    wilson_at(successes, tries, CONFIDENCE)
}

/// As [`wilson`], at another `confidence` in (0, 1).
pub fn wilson_at(successes: usize, tries: usize, confidence: f64) -> Option<Rate> {
    wilson_of_units(successes, tries, tries, confidence)
}

/// As [`wilson_at`] of tries among which only so many `units` are independent: the interval is that
/// of their share over the units.
///
/// Where the share is no whole number of units, it is the wider one of the two whole numbers beside
/// it.
pub fn wilson_of_units(
    successes: usize,
    tries: usize,
    units: usize,
    confidence: f64,
) -> Option<Rate> {
    if tries == 0 || successes > tries {
        return None;
    }
    let (rate, n) = (successes as f64 / tries as f64, units as f64);
    let whole = rate * n;
    let (below, above) = if (whole - whole.round()).abs() < 1e-6 {
        (whole.round(), whole.round())
    } else {
        (whole.floor(), whole.ceil())
    };
    let ci =
        || Interval { low: ends(below, n, confidence).low, high: ends(above, n, confidence).high };
    Some(Rate { successes, tries, rate, units, ci: (units >= LEAST_UNITS).then(ci) })
}

/// Wilson's interval of `successes` among `n` tries, both whole numbers.
fn ends(successes: f64, n: f64, confidence: f64) -> Interval {
    let p = successes / n;
    let z2 = Normal::standard().inverse_cdf(0.5 + confidence / 2.0).powi(2);
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = (z2 * (p * (1.0 - p) / n + z2 / (4.0 * n * n))).sqrt() / (1.0 + z2 / n);
    // At the two ends the interval touches 0 or 1 exactly; rounding may leave it a hair off.
    let low = if successes == 0.0 { 0.0 } else { centre - half };
    let high = if successes == n { 1.0 } else { centre + half };
    Interval { low, high }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_exact() {
        let [none, all] = [0, 10].map(|k| wilson(k, 10).unwrap().ci.unwrap());
        assert_eq!((none.low, all.high), (0.0, 1.0));
        assert!((none.high + all.low - 1.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_tried_has_no_rate() {
        assert_eq!(wilson(0, 0), None);
        assert_eq!(wilson(3, 2), None);
    }

    #[test]
    fn fewer_than_eight_units_have_no_interval() {
        let rate = wilson(3, 5).unwrap();
        assert_eq!((rate.rate, rate.units, rate.ci), (0.6, 5, None));
        assert!(wilson(3, 8).unwrap().ci.is_some() && wilson(3, 7).unwrap().ci.is_none());
        assert_eq!(wilson_of_units(30, 50, 7, 0.95).unwrap().ci, None);
    }

    #[test]
    fn a_share_of_no_whole_number_has_the_wider_interval() {
        let whole = |k| wilson_at(k, 9, 0.95).unwrap().ci.unwrap();
        let between = wilson_of_units(1, 2, 9, 0.95).unwrap();
        let want = Interval { low: whole(4).low, high: whole(5).high };
        assert_eq!((between.rate, between.ci), (0.5, Some(want)));
        assert_eq!(wilson_of_units(3, 9, 9, 0.95).unwrap().ci, Some(whole(3)));
    }
}
