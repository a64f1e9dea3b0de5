//! Noise that clients add in shares, on the integers that secure aggregation sums.
//!
//! Everything here is in units of the integer grid: a value `x` is sent as `x/gamma`,
//! stochastically rounded.

use std::f64::consts::PI;

use suites::SpecError;

use super::{check_delta, rdp};

/// Below this standard deviation of a client's share the discrete Gaussian's bound is not proved.
pub const SMALLEST_SHARE: f64 = 0.5;

/// L2 norm of a vector of `dim` coordinates after stochastic rounding that is drawn again until the
/// norm meets the bound, where the norm was at most `l2` before. `beta` in [0, 1) is the bias the
/// caller allows: 0 never draws again.
///
/// `min(l2 + sqrt(d), sqrt(l2^2 + d/4 + sqrt(2 log(1/beta)) (l2 + sqrt(d)/2)))` (Kairouz, Liu,
/// Steinke 2021, theorem 1, with gamma = 1).
pub fn rounded_l2(l2: f64, dim: usize, beta: f64) -> f64 {
    let d = dim as f64;
    let always = l2 + d.sqrt();
    if beta <= 0.0 {
        return always;
    }
    let deviation = (2.0 * beta.recip().ln()).sqrt() * (l2 + 0.5 * d.sqrt());
    always.min((l2 * l2 + 0.25 * d + deviation).sqrt())
}

/// L1 norm of an integer vector of L2 norm at most `l2`: `min(sqrt(d) l2, l2^2)`.
pub fn rounded_l1(l2: f64, dim: usize) -> f64 {
    l2 * l2.min((dim as f64).sqrt())
}

/// How far the sum of `clients` discrete Gaussians of parameter `sigma` is from one:
/// `tau = 10 sum_{k=1}^{n-1} e^(-2 pi^2 sigma^2 k/(k+1))` (Kairouz, Liu, Steinke 2021, theorem 1).
pub fn discrete_gaussian_gap(sigma: f64, clients: usize) -> f64 {
    let term = |k: usize| (-2.0 * PI * PI * sigma * sigma * k as f64 / (k + 1) as f64).exp();
    10.0 * (1..clients).map(term).sum::<f64>()
}

/// RDP at order `alpha > 1` of a sum to which each of `clients` clients adds `N_Z(0, sigma^2)`,
/// `sigma >= 0.5`, on each of `dim` coordinates.
///
/// With `s = l2/(sqrt(n) sigma)` and `tau` of [`discrete_gaussian_gap`], the least of `alpha s^2/2
/// + tau d`, `alpha/2 (s^2 + 2 tau l1/(sqrt(n) sigma) + tau^2 d)` and `alpha/2 (s + tau sqrt(d))^2`
/// (Kairouz, Liu, Steinke 2021, proposition 14), with `l1` bounded by [`rounded_l1`]. Infinite
/// where `sigma` is below [`SMALLEST_SHARE`].
pub fn rdp_discrete_gaussian(alpha: f64, l2: f64, sigma: f64, clients: usize, dim: usize) -> f64 {
    if sigma.is_nan() || sigma < SMALLEST_SHARE {
        return f64::INFINITY;
    }
    let (tau, d) = (discrete_gaussian_gap(sigma, clients), dim as f64);
    let total = (clients as f64).sqrt() * sigma;
    let (s, s1) = (l2 / total, rounded_l1(l2, dim) / total);
    let additive = 0.5 * alpha * s * s + tau * d;
    let mixed = 0.5 * alpha * (s * s + 2.0 * s1 * tau + tau * tau * d);
    let joint = 0.5 * alpha * (s + tau * d.sqrt()).powi(2);
    additive.min(mixed).min(joint)
}

/// RDP at the whole order `alpha >= 2` of a sum with Skellam noise of total variance `variance` on
/// each coordinate.
///
/// `alpha l2^2/(2 mu) + min(((2 alpha - 1) l2^2 + 6 l1)/(4 mu^2), 3 l1/(2 mu))` (Agarwal, Kairouz,
/// Liu 2021, theorem 3.5). Shares add up exactly: `n` clients of variance `v` give `mu = n v`.
pub fn rdp_skellam(alpha: f64, l1: f64, l2: f64, variance: f64) -> f64 {
    let mu = variance;
    let correction = ((2.0 * alpha - 1.0) * l2 * l2 + 6.0 * l1) / (4.0 * mu * mu);
    0.5 * alpha * l2 * l2 / mu + correction.min(1.5 * l1 / mu)
}

/// Epsilon at `delta` of `rounds` releases whose RDP at the whole order `alpha >= 2` is
/// `rdp(alpha)`, and the order it was found at. Infinite (at order NaN) where the curve is.
///
/// # Errors
/// `delta` outside (0, 1) or no `rounds`.
pub fn epsilon(rdp: impl Fn(f64) -> f64, rounds: u64, delta: f64) -> Result<(f64, f64), SpecError> {
    check_delta(delta)?;
    super::check_sampling(1.0, rounds)?;
    Ok(rdp::convert(rdp::integer_orders().map(|a| (a, rounds as f64 * rdp(a))), delta))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Convolution of `n` copies of a distribution on `-reach..=reach`.
    fn summed(one: &[f64], n: usize) -> Vec<f64> {
        let mut sum = vec![1.0];
        for _ in 0..n {
            let mut next = vec![0.0; sum.len() + one.len() - 1];
            for (i, a) in sum.iter().enumerate() {
                for (j, b) in one.iter().enumerate() {
                    next[i + j] += a * b;
                }
            }
            sum = next;
        }
        sum
    }

    /// The Renyi divergence between a distribution on the integers and itself moved by `shift`.
    fn divergence(mass: &[f64], shift: usize, alpha: f64) -> f64 {
        let term = |i: usize| (alpha * mass[i].ln() - (alpha - 1.0) * mass[i - shift].ln()).exp();
        let both = (shift..mass.len()).filter(|i| mass[*i] > 1e-250 && mass[*i - shift] > 1e-250);
        both.map(term).sum::<f64>().ln() / (alpha - 1.0)
    }

    fn discrete_gaussian(sigma: f64) -> Vec<f64> {
        let reach = (12.0 * sigma).ceil() as i64;
        let weight = |x: i64| (-(x as f64).powi(2) / (2.0 * sigma * sigma)).exp();
        let total: f64 = (-reach..=reach).map(weight).sum();
        (-reach..=reach).map(|x| weight(x) / total).collect()
    }

    #[test]
    fn the_discrete_gaussian_bound_holds_and_is_tight() {
        for (sigma, clients) in [(0.5, 2), (0.5, 5), (0.8, 4), (2.0, 3)] {
            let mass = summed(&discrete_gaussian(sigma), clients);
            for alpha in [1.5, 2.0, 5.0] {
                let (true_value, bound) = (
                    divergence(&mass, 1, alpha),
                    rdp_discrete_gaussian(alpha, 1.0, sigma, clients, 1),
                );
                assert!(
                    true_value <= bound * (1.0 + 1e-9),
                    "{sigma} {clients} {alpha}: {true_value} {bound}"
                );
                let gaussian = alpha / (2.0 * clients as f64 * sigma * sigma);
                assert!(sigma < 1.0 || (bound / gaussian - 1.0).abs() < 1e-3, "{bound} {gaussian}");
            }
        }
        assert_eq!(rdp_discrete_gaussian(2.0, 1.0, 0.4, 5, 1), f64::INFINITY);
        assert_eq!(rdp_discrete_gaussian(2.0, 1.0, f64::NAN, 5, 1), f64::INFINITY);
    }

    /// `Poisson(mu/2) - Poisson(mu/2)`.
    fn skellam(mu: f64) -> Vec<f64> {
        let top = (0.5 * mu + 14.0 * mu.sqrt() + 30.0) as usize;
        let poisson =
            |k: usize| (k as f64 * (0.5 * mu).ln() - 0.5 * mu - libm::lgamma(k as f64 + 1.0)).exp();
        let one: Vec<f64> = (0..=top).map(poisson).collect();
        let at = |d: i64| {
            let from = d.max(0) as usize..=(top as i64 + d.min(0)) as usize;
            from.map(|k| one[k] * one[(k as i64 - d) as usize]).sum()
        };
        (-(top as i64)..=top as i64).map(at).collect()
    }

    #[test]
    fn the_skellam_bound_holds_and_is_tight() {
        for (mu, shift) in [(4.0, 1), (20.0, 2), (100.0, 5)] {
            let (mass, l) = (skellam(mu), shift as f64);
            for alpha in [2.0, 4.0, 8.0] {
                let (true_value, bound) =
                    (divergence(&mass, shift, alpha), rdp_skellam(alpha, l, l, mu));
                assert!(true_value <= bound, "{mu} {alpha}: {true_value} {bound}");
                assert!(
                    mu < 50.0 || bound / true_value < 1.05,
                    "{mu} {alpha}: {true_value} {bound}"
                );
            }
        }
    }

    #[test]
    fn fine_grids_approach_the_gaussian() {
        // Clip 1 on a grid of 1e-4, 10 clients, central noise multiplier 2, 1,000 coordinates.
        let (clip, clients, dim) = (1e4, 10usize, 1000);
        let l2 = rounded_l2(clip, dim, (-0.5f64).exp());
        let share = 2.0 * clip / (clients as f64).sqrt();
        let discrete =
            epsilon(|a| rdp_discrete_gaussian(a, l2, share, clients, dim), 50, 1e-5).unwrap().0;
        let skellam =
            epsilon(|a| rdp_skellam(a, rounded_l1(l2, dim), l2, 4.0 * clip * clip), 50, 1e-5)
                .unwrap()
                .0;
        let gaussian = epsilon(|a| 0.5 * a / 4.0, 50, 1e-5).unwrap().0;
        assert!(discrete >= gaussian && discrete / gaussian < 1.01, "{discrete} {gaussian}");
        assert!(skellam >= gaussian && skellam / gaussian < 1.01, "{skellam} {gaussian}");
        // Too little noise is no guarantee, not an error: a search for noise passes through it.
        let none = |a| rdp_discrete_gaussian(a, l2, 0.1, clients, dim);
        assert_eq!(epsilon(none, 50, 1e-5).unwrap().0, f64::INFINITY);
        assert!(epsilon(none, 0, 1e-5).is_err() && epsilon(none, 1, 1.0).is_err());
    }

    #[test]
    fn rounding_raises_the_norm_by_no_more_than_a_cell_a_coordinate() {
        let always = rounded_l2(10.0, 400, 0.0);
        assert_eq!(always, 30.0);
        let conditional = rounded_l2(10.0, 400, (-0.5f64).exp());
        assert!((conditional - (100.0f64 + 100.0 + 20.0).sqrt()).abs() < 1e-12, "{conditional}");
        assert_eq!((rounded_l1(3.0, 4), rounded_l1(3.0, 100)), (6.0, 9.0));
    }
}
