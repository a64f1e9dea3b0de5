//! Renyi differential privacy of the Poisson-subsampled Gaussian (Mironov, Talwar, Zhang 2019),
//! add/remove neighbouring.
//!
//! With `mu0 = N(0, sigma^2)` and `mu = (1 - q) N(0, sigma^2) + q N(1, sigma^2)`, one step has
//! `RDP(alpha) = log A(alpha) / (alpha - 1)`, `A(alpha) = E_{mu0} (mu/mu0)^alpha`, which bounds
//! both directions (their theorem 5).

use std::sync::LazyLock;

/// Largest fractional order; above it all orders are whole.
const LAST_FRACTION: f64 = 10.9;
/// Below this noise multiplier fractional orders are bounded by interpolation: quadrature would
/// need too many nodes.
const QUADRATURE_FROM: f64 = 0.01;
/// Largest order.
const LAST_ORDER: usize = 16_384;

static ORDERS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    // Near 1 for large epsilon; 1.1 to 63 as Opacus; beyond for small epsilon.
    let mut orders = vec![1.001, 1.002, 1.005, 1.01, 1.02, 1.05];
    orders.extend((1..100).map(|x| 1.0 + f64::from(x) / 10.0));
    orders.extend((11..64).map(f64::from));
    let mut order = 64;
    while order < LAST_ORDER {
        orders.push(order as f64);
        order += order / 8;
    }
    orders.push(LAST_ORDER as f64);
    orders
});

static LOG_FACTORIALS: LazyLock<Vec<f64>> =
    LazyLock::new(|| (0..=LAST_ORDER).map(|n| libm::lgamma(n as f64 + 1.0)).collect());

/// The orders at which curves are evaluated, ascending, all above 1.
pub fn orders() -> &'static [f64] {
    &ORDERS
}

/// The whole numbers among [`orders`], from 2.
pub fn integer_orders() -> impl Iterator<Item = f64> {
    ORDERS.iter().copied().filter(|a| a.fract() == 0.0)
}

/// RDP of one step at every order of [`orders`], for `sigma > 0` and `0 < rate <= 1`.
pub fn curve(sigma: f64, rate: f64) -> Vec<f64> {
    if rate == 1.0 {
        return orders().iter().map(|a| 0.5 * a / (sigma * sigma)).collect();
    }
    let nodes = (sigma >= QUADRATURE_FROM).then(|| Nodes::new(sigma, rate));
    let at = |alpha: f64| {
        let log_moment = match &nodes {
            _ if alpha.fract() == 0.0 => log_moment_integer(alpha as usize, sigma, rate),
            Some(nodes) => nodes.log_moment(alpha),
            None => log_moment_interpolated(alpha, sigma, rate),
        };
        log_moment / (alpha - 1.0)
    };
    orders().iter().copied().map(at).collect()
}

/// The smallest epsilon at `delta` over a curve of `(order, RDP)`, and its order.
///
/// `epsilon = RDP(alpha) + log((alpha - 1)/alpha) - (log delta + log alpha)/(alpha - 1)` (Canonne,
/// Kamath, Steinke 2020, proposition 12; Balle et al. 2020, theorem 21). Never below 0; infinite
/// for an empty or infinite curve.
pub fn convert(curve: impl IntoIterator<Item = (f64, f64)>, delta: f64) -> (f64, f64) {
    let mut best = (f64::INFINITY, f64::NAN);
    for (alpha, rdp) in curve {
        let epsilon = rdp + (-1.0 / alpha).ln_1p() - (delta.ln() + alpha.ln()) / (alpha - 1.0);
        if epsilon < best.0 {
            best = (epsilon, alpha);
        }
    }
    (best.0.max(0.0), best.1)
}

/// `log A` at a whole order: `A - 1 = sum_{k >= 2} C(alpha, k) (1-q)^(alpha-k) q^k (e^((k^2-k)/(2
/// sigma^2)) - 1)`.
///
/// Every term is positive, so nothing cancels however small the loss; all in logarithms, so nothing
/// overflows.
fn log_moment_integer(alpha: usize, sigma: f64, rate: f64) -> f64 {
    let (log_rate, log_rest) = (rate.ln(), (-rate).ln_1p());
    let lf = &*LOG_FACTORIALS;
    let term = |k: usize| {
        let growth = (k as f64) * (k as f64 - 1.0) / (2.0 * sigma * sigma);
        let log_growth = if growth > 40.0 { growth } else { growth.exp_m1().ln() };
        lf[alpha] - lf[k] - lf[alpha - k]
            + (alpha - k) as f64 * log_rest
            + k as f64 * log_rate
            + log_growth
    };
    let terms: Vec<f64> = (2..=alpha).map(term).collect();
    softplus(log_sum_exp(&terms))
}

/// `log A` is convex in the order: the chord between whole orders is an upper bound.
fn log_moment_interpolated(alpha: f64, sigma: f64, rate: f64) -> f64 {
    let (low, part) = (alpha.floor(), alpha.fract());
    let at = |a: f64| if a < 2.0 { 0.0 } else { log_moment_integer(a as usize, sigma, rate) };
    (1.0 - part) * at(low) + part * at(low + 1.0)
}

/// Nodes of the trapezoidal rule for `E_{t ~ N(0,1)} f(sigma t)`, shared by all fractional orders.
struct Nodes {
    sigma: f64,
    step: f64,
    /// Logarithm of the weight.
    log_weight: Vec<f64>,
    /// `log(mu/mu0)`.
    loss: Vec<f64>,
    /// `mu/mu0 - 1`.
    excess: Vec<f64>,
}

/// Standard deviations on either side of a peak beyond which the integrand is nothing.
const MARGIN: f64 = 12.0;

impl Nodes {
    /// The integrand is analytic but for `mu/mu0 = 0`, at imaginary part `pi sigma`, and grows like
    /// `e^(y^2/2)` off the axis: a rule of step `h` errs by `e^(y^2/2 - 2 pi y/h)` for every `y`
    /// below that.
    fn new(sigma: f64, rate: f64) -> Nodes {
        let y = (0.999 * std::f64::consts::PI * sigma).min(8.0);
        let step = std::f64::consts::TAU * y / (46.0 + 0.5 * y * y);
        let count = ((LAST_FRACTION / sigma + 2.0 * MARGIN) / step).ceil() as usize;
        let mut nodes = Nodes { sigma, step, log_weight: vec![], loss: vec![], excess: vec![] };
        let log_scale = (step / std::f64::consts::TAU.sqrt()).ln();
        for i in 0..=count {
            let t = -MARGIN + i as f64 * step;
            let u = t / sigma - 0.5 / (sigma * sigma);
            nodes.log_weight.push(log_scale - 0.5 * t * t);
            nodes.loss.push(log_mixture(rate, u));
            nodes.excess.push(rate * u.exp_m1());
        }
        nodes
    }

    /// Nodes around the two peaks, `t = 0` and `t = alpha/sigma`: `(a + b)^alpha <= 2^alpha
    /// max(a^alpha, b^alpha)` leaves nothing elsewhere.
    fn peaks(&self, alpha: f64) -> impl Iterator<Item = usize> + use<> {
        let index = |t: f64| ((t + MARGIN) / self.step).max(0.0) as usize;
        let (second, last) = (alpha / self.sigma, self.loss.len());
        let first_end = (index(MARGIN) + 1).min(last);
        let second_start = index(second - MARGIN).max(first_end);
        (0..first_end).chain(second_start..(index(second + MARGIN) + 1).min(last))
    }

    fn log_moment(&self, alpha: f64) -> f64 {
        let terms: Vec<f64> =
            self.peaks(alpha).map(|i| self.log_weight[i] + alpha * self.loss[i]).collect();
        let log_moment = log_sum_exp(&terms);
        if log_moment > 0.1 { log_moment } else { self.excess_moment(alpha).ln_1p() }
    }

    /// `A - 1`, as `E[r^alpha - 1 - alpha (r - 1)]` since `E r = 1`: keeps its digits where `A` is
    /// close to 1.
    fn excess_moment(&self, alpha: f64) -> f64 {
        let term = |i: usize| {
            let (w, l) = (self.log_weight[i], self.loss[i]);
            if alpha * l < 300.0 {
                w.exp() * ((alpha * l).exp_m1() - alpha * self.excess[i])
            } else {
                (w + alpha * l).exp() - alpha * (w + l).exp()
            }
        };
        self.peaks(alpha).map(term).sum()
    }
}

/// `log(1 - q + q e^u)` without cancellation or overflow.
pub(super) fn log_mixture(rate: f64, u: f64) -> f64 {
    match u {
        _ if rate == 1.0 => u,
        u if u > 30.0 => u + rate.ln() + ((1.0 - rate) / rate * (-u).exp()).ln_1p(),
        u => (rate * u.exp_m1()).ln_1p(),
    }
}

fn log_sum_exp(terms: &[f64]) -> f64 {
    let top = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !top.is_finite() {
        return top;
    }
    top + terms.iter().map(|t| (t - top).exp()).sum::<f64>().ln()
}

/// `log(1 + e^s)`.
fn softplus(s: f64) -> f64 {
    s.max(0.0) + (-s.abs()).exp().ln_1p()
}
