//! Whether the time of an operation tells two classes of inputs apart, by the test of dudect
//! (Reparaz, Balasch and Verbauwhede: "Dude, is my code constant time?", DATE 2017).
#![allow(dead_code, missing_docs)]

use std::time::Instant;

use rand::Rng;

/// Above this many standard errors dudect speaks of a leak.
pub const LEAK: f64 = 10.0;
/// Below this many it has found nothing.
pub const NOTHING: f64 = 4.5;
/// Upper bounds of times at which samples are cropped, beside all of them.
const CROPS: usize = 100;

/// Times in nanoseconds of the fixed class and of the random one.
#[derive(Clone, Debug, Default)]
pub struct Times(pub [Vec<f64>; 2]);

/// Prepares and times `count` inputs, in batches of 64; the class of each is drawn by a coin, and
/// the timed runs of a batch follow one another.
pub fn measure<I>(
    count: usize,
    rng: &mut impl Rng,
    mut input: impl FnMut(usize) -> I,
    mut run: impl FnMut(I),
) -> Times {
    let mut times = Times::default();
    for _ in 0..count.div_ceil(64) {
        let classes: Vec<usize> = (0..64).map(|_| usize::from(rng.random::<bool>())).collect();
        let inputs: Vec<I> = classes.iter().map(|&class| input(class)).collect();
        for (class, input) in classes.into_iter().zip(inputs) {
            let start = Instant::now();
            run(input);
            times.0[class].push(start.elapsed().as_nanos() as f64);
        }
    }
    times
}

impl Times {
    /// Welch's t of the two means: 0 where a class has fewer than two times.
    pub fn welch(&self) -> f64 {
        let moments = |values: &Vec<f64>| {
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let square = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
            (mean, square / (n - 1.0) / n)
        };
        if self.0.iter().any(|values| values.len() < 2) {
            return 0.0;
        }
        let [(a, var_a), (b, var_b)] = [moments(&self.0[0]), moments(&self.0[1])];
        if a == b { 0.0 } else { (a - b) / (var_a + var_b).sqrt() }
    }

    /// The t of largest magnitude over all times and those below a percentile, for a hundred
    /// percentiles that close in on the largest time: what interrupts an operation lengthens the
    /// upper tail of both classes. Crops that leave a class fewer than 100 times are left out.
    pub fn largest(&self) -> f64 {
        let mut sorted = self.0.concat();
        sorted.sort_by(f64::total_cmp);
        let crops = (1..=CROPS).filter_map(|i| {
            let share = 1.0 - 0.5f64.powf(10.0 * i as f64 / CROPS as f64);
            let bound = *sorted.get((share * sorted.len() as f64) as usize)?;
            let below = |values: &Vec<f64>| values.iter().copied().filter(|v| *v < bound).collect();
            let cropped = Times([below(&self.0[0]), below(&self.0[1])]);
            cropped.0.iter().all(|values: &Vec<f64>| values.len() >= 100).then(|| cropped.welch())
        });
        crops.fold(self.welch(), |most, t| if t.abs() > most.abs() { t } else { most })
    }

    /// Median of a class.
    pub fn median(&self, class: usize) -> f64 {
        let mut sorted = self.0[class].clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }
}
