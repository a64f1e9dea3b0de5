//! One Gaussian release of sensitivity 1, exactly (Balle and Wang 2018, theorem 8), at every
//! epsilon however large.

/// Logarithm of the upper tail of the standard normal distribution at `z`.
fn log_tail(z: f64) -> f64 {
    if z < 30.0 {
        return (0.5 * libm::erfc(z / std::f64::consts::SQRT_2)).ln();
    }
    // Where erfc underflows: the asymptotic series, exact to the last digit from here on.
    let w = 1.0 / (z * z);
    let series = -w * (1.0 - w * (3.0 - w * (15.0 - w * 105.0)));
    -0.5 * z * z - (z * std::f64::consts::TAU.sqrt()).ln() + series.ln_1p()
}

/// The delta at `epsilon` of noise with standard deviation `sigma`.
///
/// `delta = Phi(1/(2 sigma) - epsilon sigma) - e^epsilon Phi(-1/(2 sigma) - epsilon sigma)`
pub fn delta(sigma: f64, epsilon: f64) -> f64 {
    let (half, shift) = (0.5 / sigma, epsilon * sigma);
    let first = 0.5 * libm::erfc((shift - half) / std::f64::consts::SQRT_2);
    first - (epsilon + log_tail(half + shift)).exp()
}

/// The smallest epsilon at `target`, for `sigma > 0` and `0 < target < 1`, to 13 digits.
pub fn epsilon(sigma: f64, target: f64) -> f64 {
    if delta(sigma, 0.0) <= target {
        return 0.0;
    }
    let mut high = 1.0;
    while delta(sigma, high) > target {
        high *= 2.0;
    }
    smallest(0.0, high, |e| delta(sigma, e) <= target)
}

/// The smallest sigma that is `(epsilon, target)`-DP, for `epsilon > 0` and `0 < target < 1`, to 13
/// digits.
pub fn sigma(epsilon: f64, target: f64) -> f64 {
    let (mut low, mut high) = (1.0, 1.0);
    while delta(high, epsilon) > target {
        high *= 2.0;
    }
    while delta(low, epsilon) <= target {
        low *= 0.5;
    }
    smallest(low, high, |s| delta(s, epsilon) <= target)
}

/// The end of the interval from which on `met` holds.
fn smallest(mut low: f64, mut high: f64, met: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..2000 {
        let middle = 0.5 * (low + high);
        if high - low <= 1e-13 * high || middle <= low || middle >= high {
            break;
        }
        if met(middle) { high = middle } else { low = middle }
    }
    high
}
