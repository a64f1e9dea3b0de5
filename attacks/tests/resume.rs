//! Going on from another result: what polishing stands on.

mod common;

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use attacks::matching::{DefenseModel, Matching, MatchingConfig};
use attacks::{Attack, Reconstruction, Run};
use common::{capture, digits, lenet, mse, values, weights};
use learning::Observation;
use suites::{Flag, FlagKind, Init};
use tch::{Device, Tensor};

const STEPS: usize = 6;

/// Evaluations of a step of L-BFGS at most.
const EACH: u64 = 26;

fn world() -> (Observation, Tensor, Tensor) {
    let (x, y) = digits(3, 1);
    (capture(&lenet(), &weights(&lenet(), Init::DlgUniform, 4), &x, &y, false), x, y)
}

/// The likelihood by second order, from wherever it is started.
fn last(iterations: usize) -> Matching {
    let (optimizer, objective) =
        ("lbfgs".into(), attacks::matching::objective::Objective::Relative);
    let base = MatchingConfig { iterations, optimizer, objective, lr: 1.0, ..Default::default() };
    Matching { config: base }
}

/// A rough result under a prior, three starts a signal.
fn rough(seen: &Observation) -> Reconstruction {
    let config =
        MatchingConfig { iterations: 60, restarts: 3, tv_weight: 1e-3, ..Default::default() };
    with(|run| Matching { config }.reconstruct(seen, run)).0.unwrap()
}

/// With the steps that were reported.
fn with<V>(of: impl FnOnce(&Run) -> V) -> (V, usize) {
    tch::set_num_threads(1);
    let (cancel, steps) = (AtomicBool::new(false), Mutex::new(0));
    let progress = |p: attacks::Progress| *steps.lock().unwrap() = p.iteration;
    let seed = suites::rng::AttackSeed::new(1);
    let run = Run { seed, key: "test", device: Device::Cpu, cancel: &cancel, progress: &progress };
    let out = of(&run);
    (out, steps.into_inner().unwrap())
}

fn resume(seen: &Observation, found: &Reconstruction) -> (Reconstruction, usize) {
    let (out, steps) = with(|run| last(STEPS).resume(seen, &DefenseModel::default(), found, run));
    (out.unwrap(), steps)
}

#[test]
fn what_is_resumed_starts_where_the_other_ended_and_ends_below() {
    let (seen, x, y) = world();
    let found = rough(&seen);
    let (resumed, _) = resume(&seen, &found);
    let none = DefenseModel::default();
    let before = with(|run| last(1).misfit(&seen, &none, &found, run)).0.unwrap();
    let after = with(|run| last(1).misfit(&seen, &none, &resumed, run)).0.unwrap();
    println!("{before:?} to {after:?}, told {:?}", resumed.objective);
    for n in 0..3 {
        // A start of its own would be a thousand times above where the other ended.
        assert!(resumed.trace[0].1[n] <= before[n], "{:?} from {before:?}", resumed.trace[0]);
        assert!(after[n] < before[n] / 100.0 && resumed.objective[n] < before[n] / 100.0);
    }
    let [before, after] = [&found, &resumed].map(|r| mse(&r.pixels, &x));
    println!("error {before:.2e} to {after:.2e}");
    assert!(after < before / 10.0, "{before:.2e} to {after:.2e}");
    assert_eq!(values(&resumed.labels.unwrap()), values(&y));
    // What it started from is as it was.
    assert_eq!(found.restarts, 3);
    assert!(mse(&found.pixels, &rough(&seen).pixels) == 0.0);
}

/// Labels are taken over and not read again, whatever they are; doubts are kept.
#[test]
fn labels_and_flags_are_the_others() {
    let (seen, _, y) = world();
    let mut found = rough(&seen);
    let others = (&y + 1i64).remainder(10);
    found.labels = Some(others.shallow_clone());
    let doubt = Flag::with(FlagKind::Adapted, "by hand");
    found.flags[1].push(doubt.clone());
    let (resumed, _) = resume(&seen, &found);
    assert_eq!(values(&resumed.labels.unwrap()), values(&others));
    assert_eq!(resumed.flags, vec![vec![], vec![doubt], vec![]]);
    let (right, _) = resume(&seen, &rough(&seen));
    assert!(right.objective[0] < resumed.objective[0], "wrong labels fit worse");
}

/// What both spent, and the starts of the one that had more.
#[test]
fn both_are_paid_for() {
    let (seen, ..) = world();
    let found = rough(&seen);
    let (resumed, steps) = resume(&seen, &found);
    assert_eq!(steps, STEPS);
    let own = resumed.evaluations - found.evaluations;
    // At least two evaluations a step, and that at the end; no more than a step may take.
    let (least, most) = (2 * STEPS as u64, EACH * STEPS as u64 + 1);
    assert!((least..=most).contains(&own), "{own} evaluations in {STEPS} steps");
    assert_eq!(resumed.iterations, found.iterations + STEPS as u64);
    assert_eq!((found.restarts, resumed.restarts), (3, 3));
    // The same again costs the same.
    let mut free = rough(&seen);
    (free.evaluations, free.iterations) = (0, 0);
    assert_eq!(resume(&seen, &free).0.evaluations, own);
}
