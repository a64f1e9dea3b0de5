//! The worst case over attacks, and the panels of a frontier.

use super::*;
use record::stats::{Interval, wilson_at};
use record::{RunInfo, SuiteInfo};
use serde_json::json;
use suites::federation::{ClientsSpec, LocalSpec};
use suites::{CellSpec, FederationSpec, Named, Regime};

/// A finished cell with these PSNRs, one image a trial, whose federation came to an accuracy of
/// 0.9.
fn cell(attack: &str, psnrs: &[f64]) -> CellRecord {
    let mut spec = CellSpec::new("digits", "mlp", attack);
    spec.trials = psnrs.len().max(4);
    spec.federation = FederationSpec {
        rounds: 10,
        clients: ClientsSpec { total: 1, ..ClientsSpec::default() },
        local: LocalSpec { batch_size: 1, ..LocalSpec::default() },
        ..FederationSpec::new(Regime::Federated)
    };
    let image = |(trial, psnr): (usize, &f64)| {
        json!({
            "trial": trial, "index": 0, "id": trial, "client": 0, "label": 1,
            "guessed_label": null, "flags": [],
            "scores": { "psnr": psnr }, "truth_png": null, "guess_png": null,
        })
    };
    let record = json!({
        "id": spec.id(), "spec": spec, "outcome": { "kind": "done" }, "threat": "",
        "baselines": { "grey": psnrs.iter().map(|_| json!({ "psnr": 5.0 })).collect::<Vec<_>>() },
        "defenses": [],
        "images": psnrs.iter().enumerate().map(image).collect::<Vec<_>>(),
        "trace": [], "flags": [], "notes": [],
        "task": {
            "accuracy": 0.5, "trained_rounds": 8.0, "trained_accuracy": 0.9, "test_examples": 360.0,
        },
        "cost": {
            "bytes_up": 1, "bytes_down": 1, "gradient_evaluations": 1, "restarts": 1,
            "iterations": 1,
        },
        "wall": { "seconds": 1.0, "attack_seconds": 1.0, "phases": {}, "finished_unix": 0 },
    });
    serde_json::from_value(record).unwrap()
}

/// The cell as it is recorded where `stage` failed.
fn failed(mut record: CellRecord, stage: &str) -> CellRecord {
    record.outcome = Outcome::Failed { stage: stage.into(), message: "no memory".into() };
    record
}

/// A run of these records, in this order.
fn run(records: Vec<CellRecord>) -> Run {
    let suite =
        SuiteInfo { cells: records.iter().map(|r| r.id.clone()).collect(), ..SuiteInfo::default() };
    let info = RunInfo { schema: record::SCHEMA.into(), suite, ..RunInfo::default() };
    Run::new("nowhere".into(), info, records)
}

fn with(mut record: CellRecord, defense: &str) -> CellRecord {
    record.spec.defenses = vec![Named::new(defense)];
    record.id = record.spec.id();
    record
}

/// The cell with another federation.
fn of_rounds(mut record: CellRecord, rounds: usize) -> CellRecord {
    record.spec.federation.rounds = rounds;
    record.id = record.spec.id();
    record
}

fn measures(run: &Run) -> [Measure; 2] {
    let (psnr, bound, _) = run.headline().unwrap();
    [Measure::Success(psnr.clone(), bound), Measure::Metric(psnr)]
}

/// Success and PSNR of the cells at these places.
fn points(run: &Run, at: &[usize]) -> [Point; 2] {
    let cells: Vec<Picked> = at.iter().map(|at| Picked::whole(run, *at)).collect();
    measures(run).map(|measure| Point::new(run, &measure, &cells))
}

fn worst(records: Vec<CellRecord>) -> [Point; 2] {
    let run = run(records);
    points(&run, &(0..run.records.len()).collect::<Vec<_>>())
}

/// Successes, tries and the place of the strongest.
fn counted(point: &Point) -> Option<(usize, usize, usize)> {
    Some((point.leak.successes?, point.leak.n, point.cell()?))
}

fn close(a: Option<(f64, f64)>, b: Interval) -> bool {
    a.is_some_and(|(low, high)| (low - b.low).abs() < 1e-9 && (high - b.high).abs() < 1e-9)
}

#[test]
fn a_defense_whose_attacks_crashed_is_not_on_the_frontier() {
    let mut crashed =
        ["a", "b"].map(|attack| with(failed(cell(attack, &[]), "attack"), "ckks")).to_vec();
    crashed.extend([
        cell("a", &[30.0; 4]),
        cell("b", &[20.0; 4]),
        with(cell("a", &[26.0; 4]), "prune"),
    ]);
    let run = run(crashed);
    let defenses = &panels(&run)[0].defenses;
    assert_eq!(defenses.len(), 3);
    assert!(!run.defended(defenses[0][0]) && defenses[1..].iter().all(|d| run.defended(d[0])));
    let worth = Measure::Task("trained_accuracy".into());
    for measure in measures(&run) {
        let cells: Vec<Picked> = defenses[1].iter().map(|at| Picked::whole(&run, *at)).collect();
        let point = Point::new(&run, &measure, &cells);
        assert_eq!(point.worth(&run, &worth, &cells).value, Some(0.9));
        assert!(point.leak.value.is_none());
    }
}

#[test]
fn no_panel_has_points_of_two_federations() {
    let attacks = |rounds| {
        let own = move |record| of_rounds(record, rounds);
        [
            own(cell("a", &[30.0; 4])),
            own(cell("b", &[28.0; 4])),
            own(with(cell("a", &[26.0; 4]), "prune")),
            own(with(cell("b", &[25.0; 4]), "prune")),
        ]
    };
    let mut records = [attacks(10), attacks(20)].concat();
    // A defense of a third federation, whose undefended twin only others have.
    records.push(of_rounds(with(cell("a", &[22.0; 4]), "ckks"), 30));
    let run = run(records);
    let panels = panels(&run);
    assert_eq!(panels.len(), 2);
    for panel in &panels {
        let rounds = |at: &usize| run.records[*at].spec.federation.rounds;
        let cells = panel.defenses.concat();
        assert_eq!((panel.defenses.len(), cells.len()), (2, 4));
        assert!(cells.iter().all(|at| rounds(at) == rounds(&cells[0])), "{cells:?}");
    }
    // One point over both says what the strongest got, and what its own federation is worth.
    let mut two = run.records[..2].to_vec();
    two.push(of_rounds(cell("a", &[34.0; 4]), 20));
    two[2].task.insert("trained_accuracy".into(), 0.4);
    let run = self::run(two);
    let cells: Vec<Picked> = (0..3).map(|at| Picked::whole(&run, at)).collect();
    let point = Point::new(&run, &measures(&run)[1], &cells);
    let worth = point.worth(&run, &Measure::Task("trained_accuracy".into()), &cells);
    assert_eq!((point.leak.value, worth.value), (Some(34.0), Some(0.4)));
}

#[test]
fn crashed_attacks_are_no_privacy() {
    for stage in ["attack", "panic"] {
        let all = worst(vec![failed(cell("a", &[]), stage), failed(cell("b", &[]), stage)]);
        assert!(all.iter().all(|p| p.leak.value.is_none() && p.cell().is_none()), "{stage}");
        assert!(all.iter().all(|p| p.tries.len() == 2 && p.tries.iter().all(|t| t.loose)));
    }
}

#[test]
fn what_failed_before_its_attack_is_no_try() {
    let [some, _] = worst(vec![
        failed(cell("a", &[]), "capture"),
        cell("b", &[30.0, 20.0]),
        failed(cell("c", &[]), "attack"),
    ]);
    let loose: Vec<bool> = some.tries.iter().map(|t| t.loose).collect();
    assert_eq!((loose, counted(&some)), (vec![false, true, true], Some((1, 2, 1))));
}

#[test]
fn lost_images_of_a_scored_attack_are_failed_tries() {
    let mut torn = failed(cell("a", &[30.0, 30.0, 30.0, 30.0]), "attack");
    torn.images.truncate(1);
    assert_eq!(counted(&worst(vec![torn])[0]), Some((1, 4, 0)));
    // No attack, scored or not, that did worse than another stands for the defense.
    let [none, _] = worst(vec![failed(cell("a", &[]), "attack"), cell("b", &[10.0, 12.0])]);
    assert_eq!(counted(&none), Some((0, 2, 1)));
}

#[test]
fn intervals_widen_with_the_attacks_tried() {
    let psnrs = [30.0, 29.0, 28.0, 26.0, 24.0, 23.0, 22.0, 20.0];
    let alone = run(vec![cell("a", &psnrs)]);
    let [success, psnr] = points(&alone, &[0]);
    // One attack alone has the interval of its own summary.
    assert!(close(success.leak.interval, alone.cells[0].success["PSNR ≥ 25 dB"].ci.unwrap()));
    assert!(close(psnr.leak.interval, alone.cells[0].metrics["psnr"].ci.unwrap()));
    // Crashed attacks are tries, and widen it as well.
    let more =
        worst(vec![cell("a", &psnrs), cell("b", &[9.0; 8]), failed(cell("c", &[]), "attack")]);
    assert!(close(more[0].leak.interval, wilson_at(4, 8, 1.0 - 0.05 / 3.0).unwrap().ci.unwrap()));
    for (wide, narrow) in more.iter().zip([success, psnr]) {
        let (wide, narrow) = (wide.leak.interval.unwrap(), narrow.leak.interval.unwrap());
        assert!(wide.0 < narrow.0 && wide.1 > narrow.1);
    }
}

#[test]
fn the_largest_may_be_an_attack_tried_less_often() {
    let many = [[30.0; 10], [10.0; 10]].concat();
    let [both, _] =
        worst(vec![cell("a", &many), cell("b", &[30.0, 30.0, 30.0, 10.0, 10.0, 10.0, 10.0, 10.0])]);
    let of = |k, n| wilson_at(k, n, 0.975).unwrap().ci.unwrap();
    let (often, seldom) = (of(10, 20), of(3, 8));
    assert!(both.cell() == Some(0) && seldom.high > often.high);
    assert!(close(both.leak.interval, Interval { low: often.low, high: seldom.high }));
}

#[test]
fn fewer_than_eight_images_show_themselves() {
    let [success, psnr] = worst(vec![cell("a", &[30.0, 20.0, 25.0]), cell("b", &[9.0; 3])]);
    assert_eq!((psnr.leak.interval, psnr.leak.values), (None, vec![20.0, 25.0, 30.0]));
    assert_eq!((success.leak.interval, success.leak.units), (None, 3));
}
