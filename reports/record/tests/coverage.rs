//! How often the interval of a mean holds the true mean: by simulation, and for two-valued outcomes
//! by the probability of each count.
//!
//! docs/metrics.md has these numbers.

use rand::Rng;
use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
use record::stats::{Bca, CONFIDENCE, Cluster};
use statrs::distribution::{Binomial, Discrete};

const SIZES: [usize; 4] = [8, 16, 32, 64];

/// Values drawn for one share: as 4,000 sets of 8 its own error is 0.4 points, as 500 of 64 one.
const VALUES: usize = 32_000;

/// Resamples behind an interval of the simulation, fewer than in reports for its speed.
const RESAMPLES: usize = 500;

/// A cheap source of places (Weyl sequence through the finaliser of MurmurHash3): the simulation
/// draws some hundred million.
struct Places(u64);

impl Places {
    fn next(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        z = (z ^ (z >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
        ((((z ^ (z >> 33)) >> 32) * n as u64) >> 32) as usize
    }
}

/// Whether the interval of these values holds `truth`.
fn holds(values: &[f64], truth: f64, resamples: usize, places: &mut Places) -> bool {
    let ones: Vec<Cluster> = values.iter().map(|v| (*v, 1)).collect();
    let bca = Bca { confidence: CONFIDENCE, resamples };
    let ci = bca.interval(&ones, || places.next(values.len())).unwrap();
    ci.low <= truth + 1e-9 && truth - 1e-9 <= ci.high
}

/// The share of sets of `n` values of `draw`, whose mean is `truth`, that the interval covers, in
/// percent.
fn simulated(n: usize, truth: f64, draw: impl Fn(&mut ChaCha12Rng) -> f64) -> f64 {
    let mut rng = ChaCha12Rng::seed_from_u64(n as u64);
    let mut places = Places(n as u64);
    let mut held = 0;
    let sets = VALUES / n;
    for _ in 0..sets {
        let values: Vec<f64> = (0..n).map(|_| draw(&mut rng)).collect();
        held += usize::from(holds(&values, truth, RESAMPLES, &mut places));
    }
    100.0 * held as f64 / sets as f64
}

/// The same of values that are `high` with probability `p` and else `low`: every number of high
/// ones among `n` has its probability.
fn two_valued(n: usize, (low, high): (f64, f64), p: f64) -> f64 {
    let truth = low + p * (high - low);
    let mut places = Places(7);
    let share = |k: usize| {
        let values: Vec<f64> = (0..n).map(|i| if i < k { high } else { low }).collect();
        // The ends lie on a lattice, and may by chance fall on either of two points.
        let held = (0..2).filter(|_| holds(&values, truth, 2_000, &mut places)).count();
        held as f64 / 2.0 * Binomial::new(p, n as u64).unwrap().pmf(k as u64)
    };
    100.0 * (0..=n).map(share).sum::<f64>()
}

fn normal(rng: &mut ChaCha12Rng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// Minus the logarithm of a uniform number: exponential with mean 1.
fn exponential(rng: &mut ChaCha12Rng) -> f64 {
    -(1.0 - rng.random::<f64>()).ln()
}

fn print(what: &str, found: &[f64]) {
    println!("{what}: {}", found.iter().map(|c| format!("{c:.1} ")).collect::<String>());
}

fn within(covered: &f64) -> bool {
    (covered - 95.0).abs() <= 3.0
}

#[test]
fn smooth_outcomes_are_covered_at_every_size() {
    let bell = SIZES.map(|n| simulated(n, 22.0, |rng| 22.0 + 4.0 * normal(rng)));
    // The sum of four exponentials, skewness 1.
    let skewed = SIZES.map(|n| simulated(n, 4.0, |rng| (0..4).map(|_| exponential(rng)).sum()));
    print("normal", &bell);
    print("skewness 1", &skewed);
    assert!(bell.iter().all(within) && skewed.iter().all(within), "{bell:?} {skewed:?}");
}

#[test]
fn long_tails_fall_short_at_eight_units() {
    let tail = SIZES.map(|n| simulated(n, 1.0, exponential));
    print("exponential, skewness 2", &tail);
    // What the method gives, and no more.
    assert!((90.0..92.0).contains(&tail[0]), "{tail:?}");
    assert!(tail[1..].iter().all(within), "{tail:?}");
}

#[test]
fn two_values_are_covered_at_every_size() {
    for p in [0.5, 0.3] {
        let found = SIZES.map(|n| two_valued(n, (12.0, 40.0), p));
        print(&format!("12 or 40 dB, {p}"), &found);
        assert!(found.iter().all(|c| *c >= 92.0), "{p}: {found:?}");
        // Below 32 the ends jump by so much from count to count that the interval errs to the safe
        // side.
        assert!(found[2..].iter().all(within), "{p}: {found:?}");
    }
    // Half and half at 8, every interval covers either 93.0 % or 99.2 %, by whether those of 1 and
    // 7 high ones reach the middle; constant sets (0.8 %) have a point and never cover.
    assert!(two_valued(8, (12.0, 40.0), 0.5) > 99.0);
}
