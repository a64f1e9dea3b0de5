//! Bias-corrected and accelerated bootstrap (BCa; Efron, 1987; DiCiccio and Efron, 1996) with tails
//! widened for small samples (Hesterberg, 2015).

use super::{Interval, mean};
use rand::Rng;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Resamples behind every bootstrap interval at [`CONFIDENCE`]; a higher confidence takes more.
pub const BOOTSTRAP_RESAMPLES: usize = 2_000;

/// Resamples behind one interval, at most.
const MOST_RESAMPLES: usize = 20_000;

/// Confidence level of every interval in a report; several that are read together share it.
pub const CONFIDENCE: f64 = 0.95;

/// Independent units below which nothing is printed as an interval: the values themselves say more.
pub const LEAST_UNITS: usize = 8;

/// The sum and the number of the values of one independent unit.
pub type Cluster = (f64, usize);

/// The interval of the mean over all values at a `confidence` in (0, 1), drawing whole clusters;
/// `None` below [`LEAST_UNITS`] clusters, a point where all of them have one mean.
///
/// The ends are those of [`Bca::interval`].
pub fn bootstrap<R: Rng>(clusters: &[Cluster], confidence: f64, rng: &mut R) -> Option<Interval> {
    Bca::new(confidence).interval(clusters, || rng.random_range(0..clusters.len()))
}

/// How an interval is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bca {
    /// Nominal coverage, in (0, 1).
    pub confidence: f64,
    /// Resamples, at least 1.
    pub resamples: usize,
}

impl Bca {
    /// An interval at `confidence`, in (0, 1), with as many resamples in its tails as at
    /// [`CONFIDENCE`], within bounds.
    pub fn new(confidence: f64) -> Self {
        let more = (1.0 - CONFIDENCE) / (1.0 - confidence).max(f64::EPSILON);
        let resamples = (BOOTSTRAP_RESAMPLES as f64 * more).round() as usize;
        Bca { confidence, resamples: resamples.clamp(BOOTSTRAP_RESAMPLES, MOST_RESAMPLES) }
    }

    /// The interval of the mean over all values of `clusters`; `place` draws the place of one of
    /// them.
    ///
    /// With `n` clusters, `z0` the normal quantile of the share of resampled means below the mean
    /// (ties count half) and `a` the jackknife's acceleration over clusters, the lower end is the
    /// resamples' quantile `Phi(z0 + (z0 + z) / (1 - a (z0 + z)))`. Plain BCa has `z` the normal
    /// quantile of the tail and covers 89 % of the means of 8 normal values. Here `z` is Student's
    /// quantile at `n - 1` degrees of freedom times `sqrt(n / (n - 1))`, since resamples vary by
    /// `(n - 1) / n` too little (Hesterberg, 2015, section 5.2).
    ///
    /// `None` below [`LEAST_UNITS`] clusters and where a value is not finite; a point where all
    /// clusters have one mean.
    pub fn interval(
        &self,
        clusters: &[Cluster],
        mut place: impl FnMut() -> usize,
    ) -> Option<Interval> {
        let (sum, count) = total(clusters);
        let finite = clusters.iter().all(|(s, n)| s.is_finite() && *n > 0);
        if clusters.len() < LEAST_UNITS || !finite {
            return None;
        }
        let centre = sum / count as f64;
        let each = |c: &Cluster| c.0 / c.1 as f64;
        let spread = clusters.iter().map(|c| (each(c) - centre).abs()).fold(0.0, f64::max);
        let rounding = 1e-12 * centre.abs();
        if spread <= rounding {
            return Some(Interval { low: centre, high: centre });
        }
        let mut draw = || {
            let drawn = (0..clusters.len()).map(|_| clusters[place()]);
            let (s, n) = drawn.fold((0.0, 0), |(s, n), c| (s + c.0, n + c.1));
            s / n as f64
        };
        let mut means: Vec<f64> = (0..self.resamples.max(1)).map(|_| draw()).collect();
        let shape = Shape {
            bias: bias(&means, centre, (1e-9 * spread).max(rounding)),
            acceleration: acceleration(clusters),
        };
        let z = small_sample_z(self.confidence, clusters.len());
        let mut end = |z: f64| quantile(&mut means, shape.adjusted(z));
        Some(Interval { low: end(-z), high: end(z) })
    }
}

fn total(clusters: &[Cluster]) -> Cluster {
    clusters.iter().fold((0.0, 0), |(s, n), c| (s + c.0, n + c.1))
}

/// What tells the resamples' quantiles from those of an unbiased normal mean.
struct Shape {
    bias: f64,
    acceleration: f64,
}

impl Shape {
    /// The share of resamples below the end that lies at `z` of an unbiased normal mean.
    fn adjusted(&self, z: f64) -> f64 {
        let z = self.bias + z;
        let shrink = 1.0 - self.acceleration * z;
        // The formula has a pole; beyond it the end is that of all resamples.
        if shrink <= 0.0 {
            return if z > 0.0 { 1.0 } else { 0.0 };
        }
        Normal::standard().cdf(self.bias + z / shrink)
    }
}

/// The normal quantile of the share of resampled means below `centre`; means within `rounding` of
/// it count half. Where all lie on one side it would be infinite, and stays half a resample short.
fn bias(means: &[f64], centre: f64, rounding: f64) -> f64 {
    let share = |m: &f64| match m - centre {
        d if d.abs() <= rounding => 0.5,
        d if d < 0.0 => 1.0,
        _ => 0.0,
    };
    let half = 0.5 / means.len() as f64;
    let below = mean(&means.iter().map(share).collect::<Vec<_>>()).unwrap_or(0.5);
    Normal::standard().inverse_cdf(below.clamp(half, 1.0 - half))
}

/// A sixth of the skewness of the means that leave one cluster out; 0 where they are all equal.
fn acceleration(clusters: &[Cluster]) -> f64 {
    let (sum, count) = total(clusters);
    let without = |c: &Cluster| (sum - c.0) / (count - c.1) as f64;
    let left: Vec<f64> = clusters.iter().map(without).collect();
    let centre = mean(&left).unwrap_or(0.0);
    let power = |p: i32| left.iter().map(|v| (centre - v).powi(p)).sum::<f64>();
    let found = power(3) / (6.0 * power(2).powf(1.5));
    if found.is_finite() { found } else { 0.0 }
}

/// Student's quantile of the upper tail at `n - 1` degrees of freedom, in units of the resamples'
/// own standard deviation.
fn small_sample_z(confidence: f64, n: usize) -> f64 {
    let (n, upper) = (n as f64, 0.5 + confidence / 2.0);
    let t = StudentsT::new(0.0, 1.0, n - 1.0).map(|t| t.inverse_cdf(upper));
    let t = t.unwrap_or_else(|_| Normal::standard().inverse_cdf(upper));
    t * (n / (n - 1.0)).sqrt()
}

/// As [`super::quantile_sorted`] of values that are not sorted, and change places; there is at
/// least one.
fn quantile(values: &mut [f64], q: f64) -> f64 {
    let last = values.len() - 1;
    let place = q * last as f64;
    let (below, weight) = (place.floor() as usize, place.fract());
    let (_, lower, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let lower = *lower;
    let upper = above.iter().copied().min_by(f64::total_cmp).unwrap_or(lower);
    lower + weight * (upper - lower)
}

#[cfg(test)]
mod tests {
    use super::super::{quantile_sorted, sorted};
    use super::*;
    use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};

    fn draw(values: &[f64], seed: u64) -> Option<Interval> {
        let ones: Vec<Cluster> = values.iter().map(|v| (*v, 1)).collect();
        bootstrap(&ones, CONFIDENCE, &mut ChaCha12Rng::seed_from_u64(seed))
    }

    #[test]
    fn same_seed_same_interval() {
        let values: Vec<f64> = (1..20).map(|i| f64::from(i).sqrt()).collect();
        assert_eq!(draw(&values, 1), draw(&values, 1));
        assert_ne!(draw(&values, 1), draw(&values, 2));
    }

    #[test]
    fn fewer_than_eight_units_have_none() {
        let values: Vec<f64> = (0..8).map(f64::from).collect();
        assert!(draw(&values, 0).is_some());
        assert_eq!(draw(&values[..7], 0), None);
        assert_eq!(draw(&[3.0; 7], 0), None);
    }

    #[test]
    fn what_degenerates_is_no_panic() {
        // Rounding makes the mean of equal values another one: the point is the mean.
        let mean = [0.1; 9].iter().sum::<f64>() / 9.0;
        assert_eq!(draw(&[0.1; 9], 0), Some(Interval { low: mean, high: mean }));
        assert_eq!(draw(&[f64::INFINITY; 9], 0), None);
        let mut one = [12.0; 8];
        one[3] = 1e9;
        let far = draw(&one, 0).unwrap();
        assert!(far.low == 12.0 && far.high > 5e8 && far.high <= 1e9, "{far:?}");
        // A share of exactly 0 or 1 has no normal quantile.
        assert!(bias(&[1.0; 10], 0.0, 0.0).is_finite() && bias(&[-1.0; 10], 0.0, 0.0).is_finite());
        let steep = Shape { bias: 0.0, acceleration: 0.5 };
        assert_eq!((steep.adjusted(3.0), steep.adjusted(-3.0) < 0.2), (1.0, true));
        assert_eq!(Shape { bias: 0.0, acceleration: -0.5 }.adjusted(-3.0), 0.0);
    }

    #[test]
    fn a_cluster_is_drawn_as_a_whole() {
        let values: Vec<f64> = (0..16).map(|i| f64::from(i * i)).collect();
        let alone: Vec<Cluster> = values.iter().map(|v| (*v, 1)).collect();
        let four: Vec<Cluster> = values.iter().map(|v| (4.0 * v, 4)).collect();
        let of = |c: &[Cluster]| bootstrap(c, CONFIDENCE, &mut ChaCha12Rng::seed_from_u64(4));
        assert_eq!(of(&alone), of(&four));
    }

    #[test]
    fn the_tail_is_students() {
        // t quantiles of any table: 2.3646 at 7 degrees, 1.9600 at infinitely many.
        assert!((small_sample_z(0.95, 8) - 2.3646 * (8f64 / 7.0).sqrt()).abs() < 1e-4);
        assert!((small_sample_z(0.95, 100_000) - 1.96).abs() < 1e-3);
        assert_eq!(Bca::new(CONFIDENCE).resamples, BOOTSTRAP_RESAMPLES);
        assert_eq!(Bca::new(1.0 - 0.05 / 3.0).resamples, 3 * BOOTSTRAP_RESAMPLES);
        assert_eq!(Bca::new(1.0).resamples, MOST_RESAMPLES);
    }

    #[test]
    fn quantiles_need_no_order() {
        let values = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6, 5.0];
        for q in [0.0, 0.025, 0.25, 0.5, 0.9, 0.975, 1.0] {
            let want = quantile_sorted(&sorted(&values), q).unwrap();
            assert!((quantile(&mut values.to_vec(), q) - want).abs() < 1e-12, "{q}");
        }
    }
}
