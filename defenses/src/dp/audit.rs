//! The mechanisms audited from outside: an empirical lower bound on epsilon from many releases of
//! two neighbours, which must not exceed the claim, and must where the noise is not what is claimed
//! (Jagielski, Ullman, Oprea 2020; Nasr et al. 2021).

use std::collections::BTreeMap;
use std::f64::consts::LN_2;

use tch::{Kind, Tensor};

use super::analytic;
use super::central::Central;
use super::distributed::{self, Distributed};
use super::local::{Local, Mechanism};
use super::sgd::Sgd;
use crate::testing::{deployment, in_turn, streams, update};
use crate::{Defense, Deployment};
use learning::Params;

/// Releases of each neighbour: half choose the threshold, half are counted.
const RUNS: usize = 40_000;
const EPSILON: f64 = 2.0;
const DELTA: f64 = 1e-5;

/// Probability of at most `k` of `n` coins of probability `p`.
fn at_most(k: usize, n: usize, p: f64) -> f64 {
    let log = |i: usize| {
        let (i, n) = (i as f64, n as f64);
        let choose = libm::lgamma(n + 1.0) - libm::lgamma(i + 1.0) - libm::lgamma(n - i + 1.0);
        choose + i * p.ln() + (n - i) * (-p).ln_1p()
    };
    (0..=k).map(|i| log(i).exp()).sum()
}

/// Clopper and Pearson's upper limit of a probability of which `k` of `n` were seen, at 97.5 %.
fn upper(k: usize, n: usize) -> f64 {
    let (mut low, mut high) = (k as f64 / n as f64, 1.0);
    if k == n {
        return 1.0;
    }
    while high - low > 1e-9 {
        let middle = 0.5 * (low + high);
        if at_most(k, n, middle) > 0.025 { low = middle } else { high = middle }
    }
    high
}

/// The lower limit: the upper one of the others.
fn lower(k: usize, n: usize) -> f64 {
    let (mut low, mut high) = (0.0, k as f64 / n as f64);
    while high - low > 1e-9 {
        let middle = 0.5 * (low + high);
        if k > 0 && 1.0 - at_most(k - 1, n, middle) < 0.025 { low = middle } else { high = middle }
    }
    low
}

/// A lower bound on epsilon at 95 %: the best threshold of the first halves, counted in the second.
fn bound(with: &[f64], without: &[f64], delta: f64) -> f64 {
    let half = with.len() / 2;
    let above = |values: &[f64], t: f64| values.iter().filter(|v| **v > t).count();
    let of = |a: &[f64], b: &[f64], t: f64| {
        let (hits, false_hits) = (lower(above(a, t), a.len()), upper(above(b, t), b.len()));
        ((hits - delta).max(1e-12) / false_hits).ln()
    };
    let mut sorted = without[..half].to_vec();
    sorted.sort_by(f64::total_cmp);
    let thresholds = [0.3, 0.1, 0.03, 0.01, 0.003, 0.001].map(|share: f64| {
        let at = half as f64 * (1.0 - share);
        sorted[at as usize]
    });
    let best = thresholds.into_iter().max_by(|a, b| {
        let value = |t: &f64| of(&with[..half], &without[..half], *t);
        value(a).total_cmp(&value(b))
    });
    best.map_or(0.0, |t| of(&with[half..], &without[half..], t))
}

/// The noise multiplier is half of the claim's.
fn halved() -> f64 {
    let (mut low, mut high) = (EPSILON, 20.0 * EPSILON);
    let goal = analytic::sigma(EPSILON, DELTA) / 2.0;
    while high - low > 1e-9 {
        let middle = 0.5 * (low + high);
        if analytic::sigma(middle, DELTA) > goal { low = middle } else { high = middle }
    }
    high
}

/// The first value of each lane.
fn firsts(update: &Params) -> Vec<f64> {
    Vec::<f64>::try_from(update.tensors[0].select(1, 0).to_kind(Kind::Double)).unwrap()
}

/// `RUNS` releases of the worst update of norm `clip`, as a client sends them or, summed over
/// `clients` of whom one holds it, as the server publishes them.
fn released(dp: &dyn Defense, d: &Deployment, value: f64, seed: usize) -> Vec<f64> {
    let n = d.clients * RUNS;
    let mut values = vec![0f32; n];
    values.iter_mut().step_by(d.clients).for_each(|v| *v = value as f32);
    let sent = update(n as i64, 1, 1.0).map(|t| t * Tensor::from_slice(&values).reshape([-1, 1]));
    let mut streams = streams((seed + 2) * n).split_off((seed + 1) * n);
    let mut memory = BTreeMap::new();
    let sent = in_turn(d, &mut streams, &mut memory, |t| dp.release(sent, t)).unwrap().update;
    let mean = sent
        .map(|t| t.reshape([RUNS as i64, d.clients as i64, -1]).mean_dim(1, false, Kind::Float));
    streams.truncate(RUNS);
    firsts(&in_turn(d, &mut streams, &mut memory, |t| dp.aggregate(mean, t)).unwrap().update)
}

/// The bound on what `dp` releases.
fn audited(dp: &dyn Defense, clients: usize, clip: f64, delta: f64) -> f64 {
    let d = Deployment { clients, values: 1, ..deployment(1) };
    // The rotation of one value is a public sign.
    let release = |value, seed| released(dp, &d, value, seed);
    let (mut with, without) = (release(clip, 0), release(0.0, 1));
    if with.iter().sum::<f64>() < 0.0 {
        with.iter_mut().for_each(|v| *v = -*v);
    }
    bound(&with, &without, delta)
}

/// The bound on a step of `dp-sgd`, at a rate.
fn audited_step(dp: &Sgd, rate: f64) -> f64 {
    let examples = (1.0 / rate) as usize;
    let d = Deployment { examples, ..deployment(1) };
    let rule = dp.gradient_rule(&d).unwrap().unwrap();
    let step = |value: f64, seed: usize| {
        let mut streams = streams((seed + 2) * RUNS).split_off((seed + 1) * RUNS);
        let taken: Vec<f32> = streams
            .iter_mut()
            .map(|rng| if rule.sample(1, rng).is_empty() { 0.0 } else { value as f32 })
            .collect();
        let taken = Tensor::from_slice(&taken).reshape([-1, 1]);
        let sum = update(RUNS as i64, 1, 1.0).map(|t| t * &taken);
        firsts(&rule.noisy_mean(&sum, &mut streams))
    };
    bound(&step(rule.clip, 0), &step(0.0, 1), DELTA)
}

/// A line of the table in `docs/dp.md`.
fn line(name: &str, [honest, half, double]: [f64; 3]) -> String {
    assert!(honest <= EPSILON, "{name}: {honest} of {EPSILON} claimed");
    assert!(honest > 0.3 * EPSILON, "{name}: the audit sees little, {honest}");
    assert!(half > EPSILON, "{name}: half of the noise passes as {half}");
    assert!(double > EPSILON, "{name}: twice the clip passes as {double}");
    format!("| {name} | {EPSILON} | {honest:.2} | {half:.2} | {double:.2} |")
}

fn documented(lines: &[String]) {
    let document = include_str!("../../../docs/dp.md");
    println!("{}", lines.join("\n"));
    for line in lines {
        assert!(document.contains(line.as_str()), "docs/dp.md has another table:\n{line}");
    }
}

#[test]
fn the_audit_of_single_updates() {
    let local = |mechanism, epsilon, clip: f64| {
        let dp = Local { epsilon, clip: clip.into(), mechanism, ..Local::default() };
        let delta = if mechanism == Mechanism::Laplace { 0.0 } else { DELTA };
        audited(&dp, 1, clip, delta)
    };
    let gaussian = [(EPSILON, 1.0), (halved(), 1.0), (halved(), 2.0)]
        .map(|(epsilon, clip)| local(Mechanism::Gaussian, epsilon, clip));
    let laplace = [(EPSILON, 1.0), (2.0 * EPSILON, 1.0), (2.0 * EPSILON, 2.0)]
        .map(|(epsilon, clip)| local(Mechanism::Laplace, epsilon, clip));
    documented(&[line("`dp-local`", gaussian), line("`dp-local`, Laplace", laplace)]);
}

#[test]
fn the_audit_of_the_servers_noise() {
    let central = [(EPSILON, 1.0), (halved(), 1.0), (halved(), 2.0)].map(|(epsilon, clip)| {
        let dp = Central { epsilon, clip: clip.into(), ..Central::default() };
        audited(&dp, 2, clip, DELTA)
    });
    documented(&[line("`dp-central`", central)]);
}

#[test]
fn the_audit_of_steps() {
    let whole = [(EPSILON, 1.0), (halved(), 1.0), (halved(), 2.0)].map(|(epsilon, clip)| {
        audited_step(&Sgd { epsilon, clip: clip.into(), delta: DELTA }, 1.0)
    });
    let sampled = audited_step(&Sgd { epsilon: EPSILON, delta: DELTA, ..Sgd::default() }, 0.25);
    assert!(sampled <= EPSILON && sampled > 0.3 * EPSILON, "{sampled}");
    let sampled = format!("| `dp-sgd`, rate 0.25 | {EPSILON} | {sampled:.2} | | |");
    documented(&[line("`dp-sgd`", whole), sampled]);
}

#[test]
fn the_audit_of_sums() {
    let shares = |mechanism| {
        [(EPSILON, 1.0), (2.3 * EPSILON, 1.0), (2.3 * EPSILON, 2.0)].map(|(epsilon, clip)| {
            let dp = Distributed { epsilon, clip: clip.into(), mechanism, ..Default::default() };
            audited(&dp, 2, clip, DELTA)
        })
    };
    documented(&[
        line("`dp-distributed`", shares(distributed::Mechanism::DiscreteGaussian)),
        line("`dp-distributed`, Skellam", shares(distributed::Mechanism::Skellam)),
    ]);
}

/// Clopper and Pearson 1934: of 10 coins 3, and of 20 none.
#[test]
fn limits_are_clopper_and_pearsons() {
    assert!((lower(3, 10) - 0.0667).abs() < 1e-4 && (upper(3, 10) - 0.6525).abs() < 1e-4);
    assert!((upper(0, 20) - 0.1684).abs() < 1e-4 && lower(0, 20) == 0.0);
    let exact: Vec<f64> = (0..4000).map(|i| f64::from(i % 2)).collect();
    assert!(bound(&exact, &exact, 0.0) < LN_2);
}
