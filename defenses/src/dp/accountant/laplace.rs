//! The Laplace mechanism over many releases (Dwork and Roth 2014; its Renyi curve: Mironov 2017,
//! proposition 6).

use suites::SpecError;

use super::{check_delta, check_sampling, positive, rdp};

/// Epsilon of `steps` releases with noise of scale `scale` times the L1 sensitivity: `(steps/scale,
/// 0)`-DP.
pub fn pure(scale: f64, steps: u64) -> f64 {
    steps as f64 / scale
}

/// The scale, in units of the L1 sensitivity, at which `steps` releases are `(epsilon, 0)`-DP.
pub fn scale(epsilon: f64, steps: u64) -> f64 {
    steps as f64 / epsilon
}

/// RDP of one release at order `alpha > 1`; never above the pure epsilon `1/scale`.
///
/// `log(alpha/(2 alpha - 1) e^((alpha-1)/b) + (alpha-1)/(2 alpha - 1) e^(-alpha/b)) / (alpha - 1)`
pub fn curve(alpha: f64, scale: f64) -> f64 {
    let (up, down) = ((alpha - 1.0) / scale, -alpha / scale);
    let (first, second) = (alpha / (2.0 * alpha - 1.0), (alpha - 1.0) / (2.0 * alpha - 1.0));
    // As 1 + weighted expm1 where that keeps digits, in logarithms where it would overflow.
    let log = if up < 1.0 {
        (first * up.exp_m1() + second * down.exp_m1()).ln_1p()
    } else {
        up + (first + second * (down - up).exp()).ln()
    };
    (log / (alpha - 1.0)).min(1.0 / scale)
}

/// Epsilon at `delta` of `steps` releases: the smaller of pure composition and of the Renyi curve.
///
/// # Errors
/// `scale` not above 0, no `steps`, or `delta` outside (0, 1).
pub fn epsilon(scale: f64, steps: u64, delta: f64) -> Result<f64, SpecError> {
    positive("scale", scale)?;
    check_sampling(1.0, steps)?;
    check_delta(delta)?;
    let composed = rdp::orders().iter().map(|a| (*a, steps as f64 * curve(*a, scale)));
    Ok(rdp::convert(composed, delta).0.min(pure(scale, steps)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The Renyi divergence of `Lap(0, b)` and `Lap(1, b)` by direct integration.
    fn direct(alpha: f64, b: f64) -> f64 {
        let density = |x: f64, m: f64| (-(x - m).abs() / b).exp() / (2.0 * b);
        let (low, high, count) = (-40.0 * b, 1.0 + 40.0 * b, 400_000);
        let h = (high - low) / f64::from(count);
        let term = |i: i32| {
            let x = low + (f64::from(i) + 0.5) * h;
            h * density(x, 0.0).powf(alpha) * density(x, 1.0).powf(1.0 - alpha)
        };
        (0..count).map(term).sum::<f64>().ln() / (alpha - 1.0)
    }

    #[test]
    fn the_curve_is_the_divergence() {
        for (alpha, b) in [(1.5, 1.0), (4.0, 2.0), (10.0, 0.5), (2.0, 20.0)] {
            let (ours, theirs) = (curve(alpha, b), direct(alpha, b));
            assert!((ours / theirs - 1.0).abs() < 1e-6, "{alpha} {b}: {ours} against {theirs}");
        }
        assert!(curve(16_384.0, 0.01) <= 100.0);
    }

    #[test]
    fn one_release_is_pure_and_many_are_tighter() {
        assert_eq!(epsilon(scale(2.0, 1), 1, 1e-12).unwrap(), 2.0);
        let many = epsilon(50.0, 1000, 1e-5).unwrap();
        assert!(many < 4.0 && pure(50.0, 1000) == 20.0, "{many}");
        for bad in [epsilon(0.0, 1, 1e-5), epsilon(1.0, 0, 1e-5), epsilon(1.0, 1, 1.0)] {
            assert!(!bad.unwrap_err().to_string().contains('\n'));
        }
    }
}
