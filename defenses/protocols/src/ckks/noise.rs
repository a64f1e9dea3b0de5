//! How far off a decrypted mean can be, and how much noise hides a decryption.

use super::params::ParameterSet;
use super::sample::SIGMA;
use super::threshold::KEPT_SCALE;

/// Deviations that bound the largest of many millions of Gaussian values.
const DEVIATIONS: f64 = 6.0;

/// Which noise a fresh ciphertext has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `e`: encrypted under the secret key.
    Secret,
    /// `v e + e_0 + e_1 s`: under the public key of a secret shared among so many.
    Public(usize),
}

/// Standard deviation of a coefficient's noise in the sum of `clients` fresh ciphertexts.
///
/// With `k` parties, `s` and `e` are sums of `k` ternary and of `k` Gaussian polynomials, so that
/// `v e` and `e_1 s` have variance `2/3 N k sigma^2` each. Rounding the encoding adds 1/12.
pub(crate) fn sum_sigma(params: &ParameterSet, clients: usize, origin: Origin) -> f64 {
    let parties = match origin {
        Origin::Secret => 0.0,
        Origin::Public(parties) => parties as f64,
    };
    let one = SIGMA * SIGMA * (1.0 + 4.0 / 3.0 * params.degree() as f64 * parties) + 1.0 / 12.0;
    (clients as f64 * one).sqrt()
}

/// Standard deviation of flooding noise `bits` bits above noise of deviation `sigma`; none for 0
/// bits.
///
/// A Gaussian of deviation `2^bits sigma` moved by the noise it hides is within `2^-(bits + 1)
/// sqrt(D)` of itself in total variation, for `D` coefficients together (Pinsker's inequality on `D
/// 2^(-2 bits) / 2` nats).
pub(crate) fn flooding_sigma(bits: u32, sigma: f64) -> f64 {
    if bits == 0 { 0.0 } else { 2f64.powi(bits as i32) * sigma }
}

/// Standard deviation, before primes are dropped, of what dropping them rounds away in the sum of
/// `terms` polynomials: each is rounded to whole numbers at the scale that is left (variance 1/12),
/// beside which earlier roundings vanish. Zero where none is dropped.
pub(crate) fn rescaling_sigma(params: &ParameterSet, terms: usize) -> f64 {
    let mut shift = 0;
    for bits in params.moduli()[1..].iter().rev() {
        if params.scale_bits() < shift + bits + KEPT_SCALE as u32 {
            break;
        }
        shift += bits;
    }
    if shift == 0 { 0.0 } else { (terms as f64 / 12.0).sqrt() * 2f64.powi(shift as i32) }
}

/// Error of a value of magnitude `range` by encoding and decoding in 64-bit floating point: a
/// rounding of `2^-53` in each of the `log2 N` stages of either transform.
pub(crate) fn transform_error(params: &ParameterSet, range: f64) -> f64 {
    range * f64::from(params.degree().ilog2()) * f64::EPSILON
}

/// Largest error to expect of a decrypted value when each coefficient has noise of deviation
/// `sigma` at scale `scale`: a slot sums `N` coefficients times roots of unity, whose real parts
/// have mean square 1/2.
pub(crate) fn worst_error(params: &ParameterSet, sigma: f64, scale: f64) -> f64 {
    DEVIATIONS * sigma * (params.degree() as f64 / 2.0).sqrt() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_primes_and_transforms_add_their_rounding() {
        let set = |text: &str| text.parse::<ParameterSet>().unwrap();
        // 2^90 less 50 bits leaves 2^40; without a prime to spare nothing is dropped.
        assert_eq!(rescaling_sigma(&set("fedavg"), 3), 0.5 * 2f64.powi(50));
        assert_eq!(rescaling_sigma(&set("4096/50,50/85"), 3), 0.0);
        assert_eq!(rescaling_sigma(&set("compact"), 3), 0.0);
        assert_eq!(rescaling_sigma(&set("8192/60,60,40,40/116"), 12), 2f64.powi(80));
        assert_eq!(transform_error(&set("fedavg"), 64.0), 64.0 * 12.0 * 2f64.powi(-52));
    }
}
