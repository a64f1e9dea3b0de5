//! Privacy-loss accounting by FFT (Gopi, Lee, Wutschitz 2021; Koskela, Jalkoe, Honkela 2020), every
//! error on the safe side.
//!
//! The grid of one step ([`super::loss`]) is tilted by `e^(lambda l)` with lambda near the saddle
//! point before it is composed, so that the transform's rounding is relative to delta itself and
//! not to 1.

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;

use super::Phase;
use super::loss::{Direction, Grid, Pair};

/// How finely to divide.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Part of epsilon that the grid may add.
    mesh: f64,
    /// Largest transform.
    cells: usize,
}

/// For an answer.
pub const FINE: Effort = Effort { mesh: 2e-6, cells: 1 << 20 };
/// While searching.
pub const COARSE: Effort = Effort { mesh: 3e-5, cells: 1 << 18 };

/// Tilted probability that may fall outside the window on either side.
const OUTSIDE: f64 = 1e-10;
/// Part of delta that may go to losses beyond the range of a step.
const TAIL: f64 = 1e-7;

/// Where to look: what the RDP accountant found.
#[derive(Clone, Copy, Debug)]
pub struct Hint {
    /// An upper bound of epsilon.
    pub epsilon: f64,
    /// Its order.
    pub order: f64,
}

/// Upper bound of epsilon at `delta`, in both directions; `None` where no grid of acceptable size
/// covers the question.
pub fn epsilon(phases: &[Phase], delta: f64, hint: Hint, effort: Effort) -> Option<f64> {
    if !hint.epsilon.is_finite() {
        return None;
    }
    let mut scale = hint.epsilon.max(1e-9);
    let mut found = f64::INFINITY;
    // Where the Renyi bound is far off, its grid is too coarse: again, with the grid of what was
    // found.
    for _ in 0..4 {
        let one = |direction| direction_epsilon(phases, delta, (hint, scale), effort, direction);
        let Some(better) = one(Direction::Remove).and_then(|r| Some(r.max(one(Direction::Add)?)))
        else {
            break;
        };
        found = found.min(better);
        if found > 0.3 * scale || found == 0.0 {
            break;
        }
        scale = found;
    }
    // An upper bound above the other one means that the grid had to be too coarse to say anything.
    (found <= hint.epsilon * 1.001 + 1e-9).then_some(found)
}

/// `scale`: roughly epsilon.
fn direction_epsilon(
    phases: &[Phase],
    delta: f64,
    (hint, scale): (Hint, f64),
    effort: Effort,
    direction: Direction,
) -> Option<f64> {
    let steps: f64 = phases.iter().map(|p| p.steps as f64).sum();
    let tail = (TAIL * delta / steps).max(1e-300);
    // Chords raise epsilon by about steps (lambda + 1) h^2 / 12.
    let mut step = (12.0 * effort.mesh * scale / (steps * hint.order)).sqrt();
    for _ in 0..4 {
        let tilt = |p: &Phase| {
            let grid = Pair::new(p.noise_multiplier, p.rate, direction).grid(step, tail)?;
            Some(Tilted::new(grid, step, hint.order - 1.0, p.steps))
        };
        let tilted: Vec<Tilted> = phases.iter().map(tilt).collect::<Option<_>>()?;
        let (low, high) = window(&tilted, step)?;
        let high = high.max(hint.epsilon.min(10.0 * scale) + step);
        let cells = (high - low) / step + 2.0;
        if cells <= effort.cells as f64 {
            let sum = Sum::new(&tilted, step, low, cells as usize);
            return sum.epsilon(&tilted, hint.order - 1.0, delta, steps);
        }
        step *= 1.05 * cells / effort.cells as f64;
    }
    None
}

/// A step's grid under the tilt.
struct Tilted {
    grid: Grid,
    /// Tilted probabilities, summing to 1.
    mass: Vec<f64>,
    /// Logarithm of what they were divided by.
    log_moment: f64,
    steps: u64,
}

impl Tilted {
    fn new(grid: Grid, step: f64, tilt: f64, steps: u64) -> Tilted {
        let log = |(i, m): (&i64, &f64)| m.ln() + tilt * *i as f64 * step;
        let logs: Vec<f64> = grid.index.iter().zip(&grid.mass).map(log).collect();
        let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut mass: Vec<f64> = logs.iter().map(|l| (l - top).exp()).collect();
        let total: f64 = mass.iter().sum();
        mass.iter_mut().for_each(|m| *m /= total);
        Tilted { grid, mass, log_moment: top + total.ln(), steps }
    }

    /// Smallest and largest loss.
    fn ends(&self, step: f64) -> (f64, f64) {
        let at = |i: Option<&i64>| i.map_or(0.0, |i| *i as f64 * step);
        (at(self.grid.index.first()), at(self.grid.index.last()))
    }

    /// Logarithm of the tilted moment generating function at `theta`; infinite where it overflows.
    fn log_mgf(&self, theta: f64, step: f64) -> f64 {
        let terms = self.grid.index.iter().zip(&self.mass);
        terms.map(|(i, m)| m * (theta * *i as f64 * step).exp()).sum::<f64>().ln()
    }

    fn variance(&self, step: f64) -> f64 {
        let moment = |k: i32| {
            let terms = self.grid.index.iter().zip(&self.mass);
            terms.map(|(i, m)| m * (*i as f64 * step).powi(k)).sum::<f64>()
        };
        let mean = moment(1);
        (moment(2) - mean * mean).max(0.0)
    }
}

/// Losses between which the tilted sum falls but for [`OUTSIDE`] on either side: Chernoff's bound,
/// and the range of the steps.
fn window(tilted: &[Tilted], step: f64) -> Option<(f64, f64)> {
    let total = |value: &dyn Fn(&Tilted) -> f64| {
        tilted.iter().map(|t| t.steps as f64 * value(t)).sum::<f64>()
    };
    let (least, most) = (total(&|t| t.ends(step).0), total(&|t| t.ends(step).1));
    let cost = -OUTSIDE.ln();
    let bound = |theta: f64| (total(&|t| t.log_mgf(theta, step)) + cost) / theta;
    // From what suits a normal sum down to what suits the widest step.
    let normal = (2.0 * cost / total(&|t| t.variance(step)).max(step * step)).sqrt();
    let widest =
        tilted.iter().map(|t| t.ends(step)).fold(step, |w, (low, high)| w.max(high).max(-low));
    let smallest = (1.0 / widest).min(normal / 16.0);
    let thetas = || {
        (0..40).map(|k| 2.0 * normal * (-0.7 * f64::from(k)).exp2()).take_while(|t| *t > smallest)
    };
    let finite = |v: &f64| v.is_finite();
    let high = thetas().map(bound).filter(finite).fold(most, f64::min);
    let low = thetas().map(|t| bound(-t)).filter(finite).fold(least, f64::max);
    (low < high).then_some((low, high))
}

/// The tilted distribution of the composed loss.
struct Sum {
    /// Loss of the first value, in steps.
    first: i64,
    step: f64,
    mass: Vec<f64>,
}

impl Sum {
    fn new(tilted: &[Tilted], step: f64, low: f64, cells: usize) -> Sum {
        let size = smooth(cells);
        let mut planner = RealFftPlanner::<f64>::new();
        let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
        let mut product = vec![Complex::new(1.0, 0.0); size / 2 + 1];
        let mut spectrum = forward.make_output_vec();
        let mut buffer = forward.make_input_vec();
        for one in tilted {
            buffer.fill(0.0);
            for (i, m) in one.grid.index.iter().zip(&one.mass) {
                buffer[i.rem_euclid(size as i64) as usize] += m;
            }
            // Lengths fit: the planner made both vectors.
            forward.process(&mut buffer, &mut spectrum).expect("lengths of one plan");
            for (p, s) in product.iter_mut().zip(&spectrum) {
                *p *= power(*s, one.steps);
            }
        }
        product[0].im = 0.0;
        product[size / 2].im = 0.0;
        inverse.process(&mut product, &mut buffer).expect("lengths of one plan");
        let first = (low / step).floor() as i64;
        buffer.rotate_left(first.rem_euclid(size as i64) as usize);
        // Rounding grows with the exponent and is spread over all cells: put as much on each.
        let top = buffer.iter().copied().fold(0.0, f64::max) / size as f64;
        let steps: f64 = tilted.iter().map(|t| t.steps as f64).sum();
        let floor = 4.0 * f64::EPSILON * (steps + (size as f64).log2()) * top;
        let mass = buffer.iter().map(|v| (v / size as f64).max(0.0) + floor).collect();
        Sum { first, step, mass }
    }

    /// Walks down from the largest loss until the hockey stick reaches delta.
    fn epsilon(&self, tilted: &[Tilted], tilt: f64, delta: f64, steps: f64) -> Option<f64> {
        let log_moment: f64 = tilted.iter().map(|t| t.steps as f64 * t.log_moment).sum();
        let at = |i: usize| (self.first + i as i64) as f64 * self.step;
        // In units of delta: no overflow before the answer.
        let weight = |l: f64| (log_moment - tilt * l - delta.ln()).exp();
        let infinite: f64 = tilted.iter().map(|t| t.steps as f64 * t.grid.infinite).sum();
        let outside = OUTSIDE * weight(at(self.mass.len()));
        let target = 1.0 - 1e-9 - 4e-14 * steps - infinite / delta - outside;
        let decay = (-self.step).exp();
        if target.is_nan() || target <= 0.0 {
            return None;
        }
        // sum of p(l), and of p(l) e^(at - l), over the losses l from `at` on
        let (mut above, mut discounted) = (0.0, 0.0);
        for i in (0..self.mass.len()).rev() {
            let (here, upper) = (at(i).max(0.0), at(i + 1));
            // delta(epsilon) = above - e^(epsilon - upper) discounted for every epsilon of this
            // cell
            if above - discounted * (here - upper).exp() >= target {
                return Some((upper + ((above - target) / discounted).ln()).clamp(here, upper));
            }
            if here <= 0.0 {
                return Some(0.0);
            }
            let p = self.mass[i] * weight(at(i));
            above += p;
            discounted = discounted * decay + p;
        }
        // Epsilon is below the window, whose end bounds it.
        Some(at(0).max(0.0))
    }
}

fn power(base: Complex<f64>, exponent: u64) -> Complex<f64> {
    // What vanishes anyhow, before it becomes subnormal and slow.
    if base.norm_sqr().ln() * (exponent as f64) < -180.0 {
        return Complex::new(0.0, 0.0);
    }
    let (mut result, mut base, mut left) = (Complex::new(1.0, 0.0), base, exponent);
    while left > 0 {
        if left & 1 == 1 {
            result *= base;
        }
        base = base * base;
        left >>= 1;
    }
    result
}

/// The next length `2^k` or `3 * 2^k`.
fn smooth(cells: usize) -> usize {
    let two = cells.max(16).next_power_of_two();
    if two / 4 * 3 >= cells { two / 4 * 3 } else { two }
}
