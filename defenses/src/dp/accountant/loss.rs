//! The privacy loss of one subsampled Gaussian step, put on a grid from above.
//!
//! Each cell of the grid hands its mass to its two ends so that both `P` and `Q` keep theirs. The
//! hockey-stick curve of the result is the chord of the true one between grid points, hence above
//! it everywhere and so after composition as well (Doroshenko, Ghazi, Kamath, Kumar, Manurangsi
//! 2022, "Connect the Dots").

use super::rdp::log_mixture;

/// Which of the two neighbours is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// `P = (1-q) N(0, s^2) + q N(1, s^2)` against `Q = N(0, s^2)`.
    Remove,
    /// `N(0, s^2)` against the mixture.
    Add,
}

/// Cells grow with the loss: their width is at most this part of it, which moves epsilon by less
/// than a millionth of itself.
const RELATIVE_WIDTH: i64 = 2000;

/// Losses are counted in steps up to here.
const LARGEST_INDEX: f64 = 1e15;

/// Nodes and weights of the Gauss-Legendre rules on `[-1, 1]` with three and four points.
const RULE3: [(f64, f64); 3] = [
    (-0.774_596_669_241_483_4, 0.555_555_555_555_555_6),
    (0.0, 0.888_888_888_888_888_8),
    (0.774_596_669_241_483_4, 0.555_555_555_555_555_6),
];
const RULE4: [(f64, f64); 4] = [
    (-0.861_136_311_594_052_6, 0.347_854_845_137_453_85),
    (-0.339_981_043_584_856_26, 0.652_145_154_862_546_1),
    (0.339_981_043_584_856_26, 0.652_145_154_862_546_1),
    (0.861_136_311_594_052_6, 0.347_854_845_137_453_85),
];

/// A distribution of losses on the multiples of `step`, ascending.
pub struct Grid {
    /// Losses in units of the step.
    pub index: Vec<i64>,
    /// Probability of each.
    pub mass: Vec<f64>,
    /// Probability of an infinite loss.
    pub infinite: f64,
}

/// One step.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    sigma: f64,
    rate: f64,
    direction: Direction,
}

impl Pair {
    /// The pair of noise multiplier `sigma` and sampling rate `rate`.
    pub fn new(sigma: f64, rate: f64, direction: Direction) -> Pair {
        Pair { sigma, rate, direction }
    }

    /// Loss at output `y`; the sign of `y` is chosen such that it increases.
    fn loss(&self, y: f64) -> f64 {
        let variance = self.sigma * self.sigma;
        match self.direction {
            Direction::Remove => log_mixture(self.rate, (y - 0.5) / variance),
            Direction::Add => -log_mixture(self.rate, (-y - 0.5) / variance),
        }
    }

    /// The output with this loss; infinite where none has.
    fn output(&self, loss: f64) -> f64 {
        let (variance, q) = (self.sigma * self.sigma, self.rate);
        // u with log(1 - q + q e^u) = l
        let exponent = |l: f64| match l {
            l if q == 1.0 => l,
            l if l > 1.0 => l - q.ln() + (-(1.0 - q) * (-l).exp()).ln_1p(),
            l if l.exp_m1() <= -q => f64::NEG_INFINITY,
            l => (l.exp_m1() / q).ln_1p(),
        };
        match self.direction {
            Direction::Remove => variance * exponent(loss) + 0.5,
            Direction::Add => -(variance * exponent(-loss) + 0.5),
        }
    }

    fn density(&self, y: f64) -> f64 {
        let bell = |z: f64| (-0.5 * z * z).exp();
        let (at, shifted) = (bell(y / self.sigma), bell((y - 1.0) / self.sigma));
        let scale = 1.0 / (self.sigma * std::f64::consts::TAU.sqrt());
        match self.direction {
            Direction::Remove => scale * ((1.0 - self.rate) * at + self.rate * shifted),
            Direction::Add => scale * at,
        }
    }

    /// The loss on multiples of `step`; at most `tail` of the probability becomes an infinite loss.
    /// `None` where the multiples are too large to be counted exactly.
    pub fn grid(&self, step: f64, tail: f64) -> Option<Grid> {
        let z = normal_quantile(tail);
        let low = -z * self.sigma;
        let high = z * self.sigma + if self.direction == Direction::Remove { 1.0 } else { 0.0 };
        let (first, last) = ((self.loss(low) / step).floor(), (self.loss(high) / step).ceil());
        if !(-LARGEST_INDEX..LARGEST_INDEX).contains(&first)
            || !(first..LARGEST_INDEX).contains(&last)
        {
            return None;
        }
        let index = points(first as i64, last as i64);
        let mut grid = Grid { mass: vec![0.0; index.len()], index, infinite: tail };
        // What lies below the range is rounded up to the lowest loss.
        grid.mass[0] = tail;
        let mut left = low;
        for cell in 0..grid.index.len() - 1 {
            let end = cell + 2 == grid.index.len();
            let right = if end {
                high
            } else {
                self.output(grid.index[cell + 1] as f64 * step).clamp(left, high)
            };
            self.share(&mut grid, cell, step, (left, right));
            left = right;
        }
        Some(grid)
    }

    /// Divides the mass of the outputs `left..right` between the two ends of a cell.
    fn share(&self, grid: &mut Grid, cell: usize, step: f64, (left, right): (f64, f64)) {
        let (low, high) = (grid.index[cell] as f64 * step, grid.index[cell + 1] as f64 * step);
        let whole = (low - high).exp_m1();
        let pieces = ((right - left) / (0.25 * self.sigma)).ceil().max(1.0);
        let half = 0.5 * (right - left) / pieces;
        let rule: &[(f64, f64)] = if half < 0.025 * self.sigma { &RULE3 } else { &RULE4 };
        for piece in 0..pieces as usize {
            let middle = left + half * (2 * piece + 1) as f64;
            for (node, weight) in rule {
                let y = middle + half * node;
                let (mass, loss) = (half * weight * self.density(y), self.loss(y).clamp(low, high));
                // p_low + p_high = P and p_low e^-low + p_high e^-high = Q, with Q = e^-loss P
                let upper = (low - loss).exp_m1() / whole;
                grid.mass[cell + 1] += mass * upper;
                grid.mass[cell] += mass * (1.0 - upper);
            }
        }
    }
}

/// Whole numbers from `low` to `high` with gaps that grow with their size.
fn points(low: i64, high: i64) -> Vec<i64> {
    let high = high.max(low + 1);
    let (mut all, mut at) = (vec![], low);
    while at < high {
        all.push(at);
        at += (at.abs() / RELATIVE_WIDTH).max(1);
    }
    all.push(high);
    all
}

/// The `z` above which a standard normal variable has at most the probability `tail`.
fn normal_quantile(tail: f64) -> f64 {
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..60 {
        let z = 0.5 * (low + high);
        if 0.5 * libm::erfc(z / std::f64::consts::SQRT_2) > tail { low = z } else { high = z }
    }
    high
}
