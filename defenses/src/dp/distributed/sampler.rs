//! Discrete noise.

use rand::Rng;
use rand_chacha::ChaCha12Rng;
use rand_distr::{Distribution, Poisson};

/// Discrete Gaussian with `P(k) ~ exp(-k^2 / (2 sigma^2))`, by rejection from a discrete Laplace
/// (Canonne, Kamath, Steinke 2020, algorithm 3; probabilities in 64-bit floats).
pub struct DiscreteGaussian {
    sigma: f64,
    /// Scale of the discrete Laplace, `floor(sigma) + 1`.
    t: f64,
}

impl DiscreteGaussian {
    /// Of that parameter, above 0.
    pub fn new(sigma: f64) -> DiscreteGaussian {
        DiscreteGaussian { sigma, t: sigma.floor() + 1.0 }
    }

    /// One draw.
    pub fn draw(&self, rng: &mut ChaCha12Rng) -> i64 {
        loop {
            let y = self.laplace(rng);
            let away = y.abs() as f64 - self.sigma * self.sigma / self.t;
            if rng.random::<f64>() < (-(away * away) / (2.0 * self.sigma * self.sigma)).exp() {
                return y;
            }
        }
    }

    /// `P(k) ~ exp(-|k| / t)`: a geometric magnitude with a sign, zero counted once.
    fn laplace(&self, rng: &mut ChaCha12Rng) -> i64 {
        loop {
            let magnitude = (-(1.0 - rng.random::<f64>()).ln() * self.t).floor() as i64;
            match (magnitude, rng.random::<bool>()) {
                (0, true) => continue,
                (m, true) => return -m,
                (m, false) => return m,
            }
        }
    }
}

/// `n` draws of a Skellam variable of that variance: the difference of two Poissons of half of it
/// each.
///
/// # Errors
/// A variance beyond what a Poisson sampler takes.
pub fn skellam(variance: f64, n: usize, rng: &mut ChaCha12Rng) -> Result<Vec<i64>, String> {
    let poisson = Poisson::new(variance / 2.0).map_err(|e| {
        format!("dp-distributed: a Skellam variance of {variance:.3e} steps: {e}; raise `rounding`")
    })?;
    Ok((0..n).map(|_| (poisson.sample(rng) - poisson.sample(rng)) as i64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rng() -> ChaCha12Rng {
        suites::rng::stream(3, "test", "discrete")
    }

    #[test]
    fn the_discrete_gaussian_has_its_probabilities() {
        let (sampler, mut rng, n) = (DiscreteGaussian::new(0.8), rng(), 200_000);
        let mut counts = [0f64; 3];
        for _ in 0..n {
            let k = sampler.draw(&mut rng).unsigned_abs() as usize;
            if k < 3 {
                counts[k] += 1.0;
            }
        }
        let weight = |k: i64| (-(k * k) as f64 / (2.0 * 0.64)).exp();
        let total: f64 = (-20..=20).map(weight).sum();
        for (k, count) in counts.iter().enumerate() {
            let expected = weight(k as i64) / total * if k == 0 { 1.0 } else { 2.0 };
            assert!(
                (count / n as f64 - expected).abs() < 4e-3,
                "{k}: {} against {expected}",
                count / n as f64
            );
        }
    }

    #[test]
    fn variances_are_as_asked() {
        let variance = |v: &[i64]| v.iter().map(|k| (k * k) as f64).sum::<f64>() / v.len() as f64;
        let mut rng = rng();
        let gauss = DiscreteGaussian::new(50.0);
        let draws: Vec<i64> = (0..50_000).map(|_| gauss.draw(&mut rng)).collect();
        assert!((variance(&draws) / 2500.0 - 1.0).abs() < 0.03);
        assert!((variance(&skellam(900.0, 50_000, &mut rng).unwrap()) / 900.0 - 1.0).abs() < 0.03);
    }
}
