//! Marks that the intervals support, and those that only the estimates do.

use super::*;
use crate::frontier::panels;
use proptest::prelude::*;
use record::CellRecord;
use record::testing::{from_spec, info};
use suites::{CellSpec, FederationSpec, Named, Regime};

/// A finished cell of a deployed federation with these PSNRs that came to this accuracy.
fn cell(defense: &str, attack: &str, seed: u64, psnrs: &[f64], accuracy: f64) -> CellRecord {
    let mut spec = CellSpec::new("digits", "mlp", attack);
    (spec.trials, spec.seed) = (psnrs.len(), seed);
    spec.federation = FederationSpec { regime: Regime::Federated, ..spec.federation };
    spec.defenses = (defense != "none").then(|| Named::new(defense)).into_iter().collect();
    let mut record = from_spec(spec, psnrs);
    let task = [("trained_accuracy", accuracy), ("trained_rounds", 9.0), ("test_examples", 360.0)];
    record.task.extend(task.map(|(name, v)| (name.to_owned(), v)));
    record
}

/// One attack on a defense in so many trainings: image `i` of any seed at `psnr(i)`, 8 of them,
/// training `s` at `accuracy(s)`.
fn trainings(
    defense: &str,
    seeds: u64,
    psnr: impl Fn(f64) -> f64,
    accuracy: impl Fn(f64) -> f64,
) -> Vec<CellRecord> {
    let psnrs: Vec<f64> = (0..8).map(|i| psnr(f64::from(i))).collect();
    (0..seeds).map(|s| cell(defense, "a", s, &psnrs, accuracy(s as f64))).collect()
}

/// The marks by PSNR of the defenses in the order of the records, and those by the estimates alone.
fn marks(records: Vec<CellRecord>, floor: Option<f64>) -> (Vec<Option<Pareto>>, Vec<bool>) {
    let mut info = info("a");
    info.suite.cells = records.iter().map(|r| r.id.clone()).collect();
    let run = Run::new("".into(), info, records);
    let (leak, worth) =
        (Measure::Metric(run.metric("psnr")), Measure::Task("trained_accuracy".into()));
    let found = panels(&run);
    assert_eq!(found.len(), 1);
    let point = |at: &Vec<usize>| {
        let cells: Vec<Picked> = at.iter().map(|at| Picked::whole(&run, *at)).collect();
        let point = Point::new(&run, &leak, &cells);
        let worth = point.worth(&run, &worth, &cells);
        (point, worth)
    };
    let points: Vec<_> = found[0].defenses.iter().map(point).collect();
    let places: Vec<_> = points.iter().map(|(point, worth)| Some((point, worth))).collect();
    let judge = Judge { run: &run, leak: &leak, worth: &worth, floor };
    let values = points.iter().map(|(p, w)| (p.leak.value.unwrap(), w.value.unwrap()));
    (judge.marks(&places), by_estimates(&values.collect::<Vec<_>>(), floor))
}

/// The rule that looks at no interval: what no other beats in one without losing in the other.
fn by_estimates(places: &[(f64, f64)], floor: Option<f64>) -> Vec<bool> {
    let places = places.iter().map(|(x, y)| (floor.map_or(*x, |f| x.max(f)), *y));
    let places: Vec<(f64, f64)> = places.collect();
    let beats =
        |a: &(f64, f64), b: &(f64, f64)| a.0 <= b.0 && a.1 >= b.1 && (a.0 < b.0 || a.1 > b.1);
    places.iter().map(|own| !places.iter().any(|p| beats(p, own))).collect()
}

const ON: Option<Pareto> = Some(Pareto::On);
const OFF: Option<Pareto> = Some(Pareto::Off);
const OPEN: Option<Pareto> = Some(Pareto::Open);
const FEW: Option<Pareto> = Some(Pareto::TooFew);

#[test]
fn what_is_surely_beaten_is_off_and_the_others_are_on() {
    // Images differ far more among each other than defenses do on any of them, and so do trainings.
    let spread = |base: f64| move |i: f64| base + 2.0 * i + 0.05 * (i % 3.0);
    let worth = |base: f64| move |s: f64| base + 0.01 * s + 0.001 * (s % 2.0);
    let records = [
        trainings("none", 8, spread(30.0), worth(0.80)),
        trainings("prune", 8, spread(27.0), worth(0.79)),
        trainings("sign", 8, |i| 28.0 + 2.0 * i, |s| 0.78 + 0.01 * s),
    ];
    let (marks, estimates) = marks(records.concat(), None);
    assert_eq!((marks, estimates), (vec![ON, ON, OFF], vec![true, true, false]));
}

#[test]
fn what_intervals_leave_open_has_no_mark() {
    // By the estimates `sign` is beaten, by 0.1 dB on images that scatter by more.
    let records = [
        trainings("none", 8, |i| 30.0 + i, |s| 0.80 + 0.01 * s),
        trainings("prune", 8, |i| 25.0 + i, |s| 0.70 + 0.01 * s),
        trainings("sign", 8, |i| 25.1 + (i * 3.0) % 8.0, |s| 0.69 + 0.01 * ((s * 3.0) % 8.0)),
    ];
    let (marks, estimates) = marks(records.concat(), None);
    assert_eq!(estimates, [true, true, false]);
    assert_eq!(marks, [ON, OPEN, OPEN]);
}

#[test]
fn too_few_images_or_trainings_have_no_mark() {
    let of = |seeds: u64| {
        let records = [
            trainings("none", seeds, |i| 30.0 + i, |s| 0.80 + 0.01 * s),
            trainings("prune", seeds, |i| 27.0 + i, |s| 0.79 + 0.01 * s),
            trainings("sign", seeds, |i| 28.0 + i, |s| 0.78 + 0.01 * s),
        ];
        marks(records.concat(), None)
    };
    for (seeds, wanted) in [(1, [FEW; 3]), (4, [FEW; 3]), (5, [ON, ON, OFF]), (8, [ON, ON, OFF])] {
        let (marks, estimates) = of(seeds);
        assert_eq!((marks.as_slice(), estimates), (wanted.as_slice(), vec![true, true, false]));
    }
    // Seven images are the same whatever the number of trainings.
    let cut = |mut all: Vec<CellRecord>| {
        all.iter_mut().for_each(|r| r.images.truncate(7));
        all
    };
    let records = [
        trainings("none", 5, |i| 30.0 + i, |s| 0.80 + 0.01 * s),
        cut(trainings("prune", 5, |i| 27.0 + i, |s| 0.79 + 0.01 * s)),
    ];
    assert_eq!(marks(records.concat(), None).0, [ON, FEW]);
}

#[test]
fn of_few_trainings_every_one_must_agree() {
    let with = |last: f64| {
        let accuracy = move |s: f64| if s == 4.0 { last } else { 0.79 + 0.01 * s };
        let records = [
            trainings("none", 5, |i| 30.0 + i, |s| 0.90 + 0.01 * s),
            trainings("prune", 5, |i| 27.0 + i, accuracy),
            trainings("sign", 5, |i| 28.0 + i, |s| 0.78 + 0.01 * s),
        ];
        marks(records.concat(), None).0
    };
    assert_eq!((with(0.83)[2], with(0.81)[2]), (OFF, OPEN));
}

#[test]
fn every_attack_must_surely_get_less() {
    // The second attack on `prune` scatters about what the strongest gets on `sign`.
    let second = |all: &[CellRecord], psnr: fn(f64) -> f64| {
        let psnrs: Vec<f64> = (0..8).map(|i| psnr(f64::from(i))).collect();
        let of = |r: &CellRecord| {
            let accuracy = r.task["trained_accuracy"];
            cell("prune", "b", r.spec.seed, &psnrs, accuracy)
        };
        all.iter().map(of).collect::<Vec<_>>()
    };
    let none = trainings("none", 5, |i| 35.0 + i, |s| 0.90 + 0.01 * s);
    let prune = trainings("prune", 5, |i| 26.0 + i, |s| 0.79 + 0.01 * s);
    let sign = trainings("sign", 5, |i| 28.0 + i, |s| 0.78 + 0.01 * s);
    let of = |psnr| {
        let all = [none.clone(), prune.clone(), second(&prune, psnr), sign.clone()].concat();
        marks(all, None).0
    };
    assert_eq!(of(|i| 20.0 + i), [ON, ON, OFF]);
    assert_eq!(of(|i| 24.0 + (i * 3.0) % 8.0), [ON, ON, OFF]);
    assert_eq!(of(|i| 27.7 + (i * 3.0) % 8.0)[2], OPEN);
}

#[test]
fn below_the_floor_all_leak_the_same() {
    let records = [
        trainings("none", 5, |i| 30.0 + i, |s| 0.90 + 0.01 * s),
        trainings("prune", 5, |i| 7.0 + 0.1 * i, |s| 0.79 + 0.01 * s),
        trainings("sign", 5, |i| 9.0 + 0.1 * i, |s| 0.78 + 0.01 * s),
    ];
    assert_eq!(marks(records.concat(), None).0, [ON, ON, OFF]);
    assert_eq!(marks(records.concat(), Some(12.0)).0, [ON, ON, OPEN]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn no_mark_contradicts_the_estimates(
        defenses in prop::collection::vec(
            (prop::collection::vec(5.0f64..40.0, 8), prop::collection::vec(0.1f64..0.9, 5)),
            2..5,
        ),
        floor in prop::option::of(5.0f64..40.0),
    ) {
        let names = ["none", "prune", "sign", "mixup"];
        let records: Vec<CellRecord> = defenses.iter().zip(names).flat_map(|((p, w), name)| {
            trainings(name, 5, |i| p[i as usize], |s| w[s as usize])
        }).collect();
        // Without a defense the attack beats the floor of the records, or nothing is judged.
        prop_assume!(defenses[0].0.iter().all(|p| *p > 12.0));
        let (marks, estimates) = marks(records, floor);
        for (mark, best) in marks.iter().zip(estimates) {
            prop_assert!(*mark != ON || best);
            prop_assert!(*mark != OFF || !best);
        }
    }
}
