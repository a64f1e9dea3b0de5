//! Skellam noise.

use rand_chacha::ChaCha12Rng;
use rand_distr::{Distribution, Poisson};

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

    #[test]
    fn the_variance_is_as_asked() {
        let variance = |v: &[i64]| v.iter().map(|k| (k * k) as f64).sum::<f64>() / v.len() as f64;
        let mut rng = suites::rng::stream(3, "test", "discrete");
        assert!((variance(&skellam(900.0, 50_000, &mut rng).unwrap()) / 900.0 - 1.0).abs() < 0.03);
    }
}
