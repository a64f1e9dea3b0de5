//! Points on and off the frontier.

use super::*;
use proptest::prelude::*;
use record::{CellRecord, Outcome, RunInfo, SuiteInfo};
use serde_json::json;
use suites::federation::{ClientsSpec, LocalSpec};
use suites::{CellSpec, FederationSpec, Named, Regime};

/// A finished cell with these PSNRs, one image a trial, whose federation came to an accuracy of
/// 0.9.
pub(super) fn cell(attack: &str, psnrs: &[f64]) -> CellRecord {
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
        "baselines": {}, "defenses": [],
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
pub(super) fn failed(mut record: CellRecord, stage: &str) -> CellRecord {
    record.outcome = Outcome::Failed { stage: stage.into(), message: "no memory".into() };
    record
}

/// A run of these records, in this order.
pub(super) fn run(records: Vec<CellRecord>) -> Run {
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

#[test]
fn a_defense_whose_attacks_crashed_is_not_on_the_frontier() {
    let mut crashed =
        ["a", "b"].map(|attack| with(failed(cell(attack, &[]), "attack"), "ckks")).to_vec();
    crashed.extend([
        cell("a", &[30.0; 4]),
        cell("b", &[20.0; 4]),
        with(cell("a", &[26.0; 4]), "prune"),
    ]);
    let panels = panels(&run(crashed));
    let points = &panels[0].points;
    let names: Vec<&str> = points.iter().map(|p| p.label.as_str()).collect();
    assert_eq!(names, ["no defense", "ckks", "prune"]);
    for leak in [Leak::Success, Leak::Psnr] {
        assert_eq!(points[1].place(leak), None);
        assert!(!panels[0].optimal(leak)[1] && panels[0].optimal(leak)[2]);
    }
    assert!(matches!(points[1].accuracy, Accuracy::Measured((0.9, Some(_)))));
}

#[test]
fn the_frontier_is_what_nothing_beats() {
    let places =
        [(1.0, 0.9), (0.5, 0.8), (0.5, 0.7), (0.0, 0.8), (0.0, 0.8), (0.9, 0.95)].map(Some);
    assert_eq!(pareto(&places), [false, false, false, true, true, true]);
    assert_eq!(pareto(&[None, Some((0.3, 0.1))]), [false, true]);
}

proptest! {
    #[test]
    fn some_point_is_always_optimal(
        places in prop::collection::vec((0.0f64..1.0, 0.0f64..1.0), 1..12),
    ) {
        let places: Vec<_> = places.into_iter().map(Some).collect();
        prop_assert!(pareto(&places).contains(&true));
    }
}
