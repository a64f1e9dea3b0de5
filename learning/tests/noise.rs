//! The discrete samplers against probabilities that a script adds up in exact fractions, beside the
//! algorithm of the paper they are from.

use std::sync::Arc;

use learning::noise::discrete::Sampler;
use rand::RngCore;
use rand_chacha::ChaCha12Rng;
use suites::rng::stream;

const DRAWS: usize = 1_000_000;

/// `(law, scale)` and its bins of magnitudes `[from, to)` with their probabilities.
type Golden = Vec<((String, f64), Vec<(u64, u64, f64)>)>;

fn golden() -> Golden {
    let mut laws: Golden = Vec::new();
    for line in include_str!("golden/noise/pmf_golden.csv").lines().skip(1) {
        let v: Vec<&str> = line.split(',').collect();
        let law = (v[0].to_string(), v[1].parse().unwrap());
        let to = v[3].parse::<u64>().unwrap_or(u64::MAX);
        let bin = (v[2].parse().unwrap(), to, v[4].parse().unwrap());
        match laws.last_mut() {
            Some((last, bins)) if *last == law => bins.push(bin),
            _ => laws.push((law, vec![bin])),
        }
    }
    laws
}

fn sampler((law, scale): &(String, f64)) -> Arc<Sampler> {
    let sampler = match law.as_str() {
        "gaussian" => Sampler::gaussian(*scale),
        _ => Sampler::laplace(*scale),
    };
    sampler.unwrap()
}

/// Pearson's statistic of the magnitudes of `n` draws, and its degrees of freedom.
fn chi_square(bins: &[(u64, u64, f64)], draws: &[i64]) -> (f64, f64) {
    let n = draws.len() as f64;
    let count = |from: u64, to: u64| {
        draws.iter().filter(|k| (from..to).contains(&k.unsigned_abs())).count() as f64
    };
    let terms = bins.iter().map(|&(from, to, p)| (count(from, to) - n * p).powi(2) / (n * p));
    (terms.sum(), bins.len() as f64 - 1.0)
}

/// The statistic that a right sampler exceeds once in a million seeds (Wilson and Hilferty 1931).
fn largest(freedom: f64) -> f64 {
    let spread = 2.0 / (9.0 * freedom);
    freedom * (1.0 - spread + 4.753 * spread.sqrt()).powi(3)
}

#[test]
fn draws_have_the_exact_probabilities() {
    let mut laws = 0;
    for (law, bins) in golden() {
        let (sampler, mut rng) = (sampler(&law), stream(1, "noise", &law.0));
        assert_eq!(sampler.scale(), law.1);
        let draws: Vec<i64> = (0..DRAWS).map(|_| sampler.draw(&mut rng)).collect();
        let (found, freedom) = chi_square(&bins, &draws);
        assert!(found < largest(freedom), "{law:?}: {found} at {freedom} degrees");
        let negative = draws.iter().filter(|k| **k < 0).count() as f64;
        let nonzero = draws.iter().filter(|k| **k != 0).count() as f64;
        assert!((negative - nonzero / 2.0).abs() < 2.5 * nonzero.sqrt(), "{law:?}: {negative}");
        // The test tells a scale that is one percent off from the right one.
        let off: Vec<i64> = draws.iter().map(|k| (*k as f64 * 1.02).round() as i64).collect();
        assert!(law.1 < 100.0 || chi_square(&bins, &off).0 > largest(freedom), "{law:?}");
        laws += 1;
    }
    assert_eq!(laws, 8);
}

/// The low bits of a wide law are fair, inside blocks and across them.
#[test]
fn low_bits_are_even() {
    for law in ["gaussian", "laplace"] {
        let sampler = sampler(&(law.to_string(), 1e6));
        let mut rng = stream(2, "noise", law);
        let draws: Vec<i64> = (0..200_000).map(|_| sampler.draw(&mut rng)).collect();
        for bit in 0..16 {
            let set = draws.iter().filter(|k| (**k >> bit) & 1 == 1).count();
            assert!(set.abs_diff(100_000) < 1200, "bit {bit} of {law}: {set}");
        }
    }
}

/// Coins and samplers of Canonne, Kamath and Steinke 2020 (algorithms 1 to 3), on whole numbers.
struct Reference<'a>(&'a mut ChaCha12Rng);

impl Reference<'_> {
    fn below(&mut self, n: u64) -> u64 {
        let largest = u64::MAX - u64::MAX % n;
        loop {
            let word = self.0.next_u64();
            if word < largest {
                return word % n;
            }
        }
    }

    /// `Bernoulli(exp(-p/q))`: for `p <= q` by the parity of the first failure among coins of
    /// `p/q`, `p/2q`, `p/3q` ...
    fn coin(&mut self, mut p: u64, q: u64) -> bool {
        while p > q {
            if !self.coin(1, 1) {
                return false;
            }
            p -= q;
        }
        let mut k = 1;
        while self.below(q * k) < p {
            k += 1;
        }
        k % 2 == 1
    }

    /// `P(k) ~ exp(-|k| s / t)`.
    fn laplace(&mut self, s: u64, t: u64) -> i64 {
        loop {
            let within = self.below(t);
            if !self.coin(within, t) {
                continue;
            }
            let mut whole = 0;
            while self.coin(1, 1) {
                whole += 1;
            }
            let magnitude = ((within + t * whole) / s) as i64;
            match self.below(2) == 1 {
                true if magnitude == 0 => continue,
                true => return -magnitude,
                false => return magnitude,
            }
        }
    }

    /// `P(k) ~ exp(-k^2 d / (2 n))` with `sigma^2 = n / d`.
    fn gaussian(&mut self, n: u64, d: u64) -> i64 {
        let t = (n / d).isqrt() + 1;
        loop {
            let k = self.laplace(1, t);
            // (|k| - n/(d t))^2 d / (2 n) = (|k| d t - n)^2 / (2 n d t^2)
            let away = (k.unsigned_abs() * d * t).abs_diff(n);
            if self.coin(away * away, 2 * n * d * t * t) {
                return k;
            }
        }
    }
}

#[test]
fn the_papers_algorithm_has_the_same_probabilities() {
    let mut rng = stream(3, "noise", "reference");
    let mut reference = Reference(&mut rng);
    for (law, bins) in golden() {
        let draw: Box<dyn Fn(&mut Reference) -> i64> = match (law.0.as_str(), law.1) {
            ("gaussian", 0.8125) => Box::new(|r| r.gaussian(169, 256)),
            ("gaussian", 5.0) => Box::new(|r| r.gaussian(25, 1)),
            ("laplace", 6.75) => Box::new(|r| r.laplace(4, 27)),
            ("laplace", 1000.0) => Box::new(|r| r.laplace(1, 1000)),
            _ => continue,
        };
        let draws: Vec<i64> = (0..DRAWS / 5).map(|_| draw(&mut reference)).collect();
        let (found, freedom) = chi_square(&bins, &draws);
        assert!(found < largest(freedom), "{law:?}: {found} at {freedom} degrees");
    }
}

/// The same bits on every machine: what these seeds gave when they were first drawn.
#[test]
fn draws_are_pinned() {
    let first = |sampler: Arc<Sampler>| {
        let mut rng = stream(4, "noise", "pinned");
        sampler.noised(&[0.0; 6], |v| v as i64, |k| k as f64, &mut rng)
    };
    let found = [
        first(Sampler::gaussian(0.8).unwrap()),
        first(Sampler::gaussian(1e6).unwrap()),
        first(Sampler::laplace(1e6).unwrap()),
    ];
    let pinned = [
        [-1.0, 1.0, 0.0, 0.0, 0.0, 0.0],
        [-1369863.0, -756141.0, -352436.0, 643360.0, -172294.0, 364340.0],
        [1091812.0, -319668.0, 56707.0, 331572.0, 1408278.0, -769942.0],
    ];
    assert_eq!(found, pinned);
}

/// Five million draws a second on one core, the best of several tries (a machine may be busy).
#[test]
fn draws_are_fast() {
    for law in ["gaussian", "laplace"] {
        for scale in [0.5, 40.0, 1e6] {
            let sampler = sampler(&(law.to_string(), scale));
            let mut rng = stream(5, "noise", law);
            let seconds = (0..20).map(|_| {
                let start = std::time::Instant::now();
                let sum: i64 = (0..100_000).map(|_| sampler.draw(&mut rng)).sum();
                assert!(sum.unsigned_abs() < (1e4 * (scale + 1.0)) as u64);
                start.elapsed().as_secs_f64()
            });
            let rate = 0.1 / seconds.fold(f64::INFINITY, f64::min);
            println!("{law} {scale}: {rate:.0} million draws a second");
            assert!(rate > 5.0, "{law} {scale}: {rate} million draws a second");
        }
    }
}
