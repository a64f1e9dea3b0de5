//! Label skew: each client's class proportions come from a Dirichlet distribution (Hsu, Qi and
//! Brown, 2019, arXiv:1909.06335).

use rand::Rng;

use super::{Fault, even_sizes, groups};

/// Equal shares; client i draws its proportions q_i from the symmetric Dirichlet(alpha) over the
/// classes present and then its examples, without replacement, class by class from q_i. Once a
/// class is used up its share goes to the others in proportion.
///
/// Clients draw in turn, one example a round, so that none is left with only what the others did
/// not want.
pub(super) fn split<R: Rng + ?Sized>(
    alpha: f64,
    labels: &[i64],
    clients: usize,
    rng: &mut R,
) -> Result<Vec<Vec<usize>>, Fault> {
    if !(alpha.is_finite() && alpha > 0.0) {
        return Err(Fault::new(
            format!("alpha = {alpha}"),
            "set `alpha` to a number above 0 (0.1 is strongly skewed, 100 almost iid)",
        ));
    }
    let mut classes = groups(labels, rng);
    let wishes: Vec<Vec<f64>> =
        (0..clients).map(|_| proportions(alpha, classes.len(), rng)).collect();
    let sizes: Vec<usize> = even_sizes(labels.len(), clients).collect();
    let mut parts = vec![Vec::new(); clients];
    for round in 0..sizes[0] {
        for client in (0..clients).filter(|&c| round < sizes[c]) {
            let class = choose(&wishes[client], &classes, rng);
            parts[client].extend(classes[class].pop());
        }
    }
    Ok(parts)
}

/// A class that is not used up, with probability proportional to `wish`, or to what is left where
/// the wish is exhausted.
fn choose<R: Rng + ?Sized>(wish: &[f64], classes: &[Vec<usize>], rng: &mut R) -> usize {
    let wanted = |c: usize| if classes[c].is_empty() { 0.0 } else { wish[c] };
    let left = |c: usize| classes[c].len() as f64;
    let total: f64 = (0..classes.len()).map(wanted).sum();
    let point: f64 = rng.random();
    if total > 0.0 {
        pick(point * total, classes.len(), wanted)
    } else {
        pick(point * (0..classes.len()).map(left).sum::<f64>(), classes.len(), left)
    }
}

/// The index at which the running sum of `weight` passes `point`; the last one with weight where
/// rounding leaves it short.
fn pick(mut point: f64, count: usize, weight: impl Fn(usize) -> f64) -> usize {
    let mut last = 0;
    for index in (0..count).filter(|&i| weight(i) > 0.0) {
        last = index;
        point -= weight(index);
        if point < 0.0 {
            break;
        }
    }
    last
}

/// A draw from the symmetric Dirichlet(alpha): gamma variates over their sum, in logarithms, since
/// they underflow for small alpha.
fn proportions<R: Rng + ?Sized>(alpha: f64, classes: usize, rng: &mut R) -> Vec<f64> {
    // Below this all weight is on one class anyhow, and the logarithms would overflow.
    let alpha = alpha.max(1e-9);
    let logs: Vec<f64> = (0..classes).map(|_| log_gamma_variate(alpha, rng)).collect();
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logs.iter().map(|l| libm::exp(l - top)).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}

/// Logarithm of a Gamma(alpha, 1) variate (Marsaglia and Tsang, 2000); below 1 by their boost, G(a)
/// = G(a + 1) U^(1/a).
fn log_gamma_variate<R: Rng + ?Sized>(alpha: f64, rng: &mut R) -> f64 {
    if alpha < 1.0 {
        return log_gamma_variate(alpha + 1.0, rng) + libm::log(open_unit(rng)) / alpha;
    }
    let d = alpha - 1.0 / 3.0;
    let c = 1.0 / libm::sqrt(9.0 * d);
    loop {
        let x = normal(rng);
        let v = libm::pow(1.0 + c * x, 3.0);
        if v > 0.0 && libm::log(open_unit(rng)) < 0.5 * x * x + d * (1.0 - v + libm::log(v)) {
            return libm::log(d) + libm::log(v);
        }
    }
}

/// Standard normal by Box and Muller.
fn normal<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    let radius = libm::sqrt(-2.0 * libm::log(open_unit(rng)));
    radius * libm::cos(std::f64::consts::TAU * rng.random::<f64>())
}

/// Uniform in (0, 1].
fn open_unit<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    1.0 - rng.random::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(alpha: f64) -> (f64, f64) {
        let mut rng = suites::rng::stream(1, "test", "gamma");
        let draws: Vec<f64> =
            (0..20_000).map(|_| libm::exp(log_gamma_variate(alpha, &mut rng))).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        (mean, draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / draws.len() as f64)
    }

    #[test]
    fn gamma_variates_have_mean_and_variance_alpha() {
        for alpha in [0.3, 1.0, 4.0] {
            let (mean, variance) = moments(alpha);
            assert!((mean / alpha - 1.0).abs() < 0.05, "mean {mean} for alpha {alpha}");
            assert!((variance / alpha - 1.0).abs() < 0.15, "variance {variance} for alpha {alpha}");
        }
    }

    #[test]
    fn proportions_sum_to_one_even_for_tiny_alpha() {
        let mut rng = suites::rng::stream(2, "test", "dirichlet");
        for alpha in [f64::MIN_POSITIVE, 1e-6, 0.1, 1e6, f64::MAX] {
            let q = proportions(alpha, 7, &mut rng);
            assert!((q.iter().sum::<f64>() - 1.0).abs() < 1e-12 && q.iter().all(|v| *v >= 0.0));
        }
    }
}
