//! The exact sign test (Arbuthnott, 1710); on paired yes-or-no outcomes it is McNemar's exact test
//! (McNemar, 1947).

use statrs::distribution::{Binomial, DiscreteCDF};

/// Two-sided p-value of `plus` against `minus` changes, each a fair coin where nothing changed;
/// pairs that did not change do not enter.
pub fn sign_test(plus: usize, minus: usize) -> f64 {
    let changes = (plus + minus) as u64;
    match Binomial::new(0.5, changes) {
        Ok(coin) if changes > 0 => (2.0 * coin.cdf(plus.min(minus) as u64)).min(1.0),
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        assert_eq!(sign_test(0, 0), 1.0);
        assert!((sign_test(0, 6) - 2.0 / 64.0).abs() < 1e-12);
        assert!((sign_test(7, 1) - 2.0 * 9.0 / 256.0).abs() < 1e-12);
        assert_eq!(sign_test(4, 4), 1.0);
    }
}
