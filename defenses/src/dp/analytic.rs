//! The analytic Gaussian mechanism (Balle and Wang 2018): the smallest sigma for one release, valid
//! at every epsilon.

pub use super::accountant::gaussian::{delta, sigma};

/// The epsilon of a release calibrated for `(epsilon, target)` when an input is replaced by
/// another: at twice the sensitivity.
///
/// More than twice `epsilon`, since delta stays the same.
pub fn replaced(epsilon: f64, target: f64) -> f64 {
    let half = sigma(epsilon, target) / 2.0;
    let (mut low, mut high) = (0.0, 2.0 * epsilon + 1.0);
    while delta(half, high) > target {
        high *= 2.0;
    }
    while high - low > 1e-9 * high {
        let middle = 0.5 * (low + high);
        if delta(half, middle) > target { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of Balle and Wang's own code and of dp-accounting, sensitivity 1
    /// (tests/golden/gauss_golden.csv).
    #[test]
    fn agrees_with_the_authors_code() {
        let golden = include_str!("../../tests/golden/gauss_golden.csv");
        let mut rows = 0;
        for line in golden.lines().skip(1) {
            let v: Vec<f64> = line.split(',').map(|v| v.parse().unwrap()).collect();
            let ours = sigma(v[0], v[1]);
            assert!((ours / v[3] - 1.0).abs() < 1e-9, "epsilon {}: {ours} against {}", v[0], v[3]);
            rows += 1;
        }
        assert_eq!(rows, 6);
    }

    #[test]
    fn a_replaced_input_costs_more_than_twice() {
        // Twice the sensitivity at the noise for epsilon 1, 8 and 100, delta 1e-5.
        for (epsilon, expected) in [(1.0, 2.15), (8.0, 19.1), (100.0, 312.0)] {
            let found = replaced(epsilon, 1e-5);
            assert!((found / expected - 1.0).abs() < 5e-3, "{epsilon}: {found}");
            assert!((delta(sigma(epsilon, 1e-5) / 2.0, found) / 1e-5 - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn delta_falls_with_sigma_and_epsilon() {
        for epsilon in [0.1, 1.0, 10.0, 100.0, 1000.0] {
            let s = sigma(epsilon, 1e-5);
            assert!(
                delta(s, epsilon) <= 1e-5 && delta(s * 0.999, epsilon) > 1e-5,
                "epsilon {epsilon}: sigma {s}"
            );
            assert!(sigma(epsilon * 2.0, 1e-5) < s);
        }
    }
}
