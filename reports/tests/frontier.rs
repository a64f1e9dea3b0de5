//! The marks of a frontier: the same in the table of the report and in the figure of a paper.

mod common;

use common::papers::{figure, paper, rows, run, said};
use record::CellRecord;
use record::DefenseNote;
use record::testing::from_spec;
use reports::write_report;
use suites::{CellSpec, FederationSpec, Named, Regime};

/// Five trainings with a defense: eight images from `psnr` dB on, an accuracy from `worth` on.
fn trainings(defense: Option<&str>, psnr: f64, worth: f64) -> Vec<CellRecord> {
    let cell = |seed: u64| {
        let mut spec = CellSpec::new("photos", "simple-cnn", "a");
        (spec.trials, spec.seed) = (8, seed);
        spec.federation = FederationSpec { regime: Regime::Federated, ..spec.federation };
        spec.defenses = defense.map(Named::new).into_iter().collect();
        let psnrs: Vec<f64> = (0..8).map(|i| psnr + f64::from(i)).collect();
        let mut record = from_spec(spec, &psnrs);
        let accuracy = worth + 0.01 * seed as f64;
        let task = [("trained_accuracy", accuracy), ("trained_rounds", 3.0)];
        record.task.extend(task.map(|(name, v)| (name.to_owned(), v)));
        record
    };
    (0..5).map(cell).collect()
}

/// `prune` is beaten by `sign`; `mixup` has one training, so that by success, which all its images
/// are as without a defense, nothing is sure of the latter.
fn records() -> Vec<CellRecord> {
    let few = trainings(Some("mixup"), 38.0, 0.6).remove(0);
    let all = [
        trainings(None, 30.0, 0.9),
        trainings(Some("prune"), 25.0, 0.7),
        trainings(Some("sign"), 15.0, 0.8),
        vec![few],
    ];
    all.concat()
}

#[test]
fn table_and_figure_have_the_same_marks() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &records());
    let report = std::fs::read_to_string(write_report(dir.path()).unwrap()).unwrap();
    let of = |defense: &str| {
        let row = format!("| {defense} |");
        let table = &report[report.find("<summary>Privacy against utility<").unwrap()..];
        let line = table.lines().find(|l| l.starts_with(&row)).unwrap_or_else(|| panic!("{row}"));
        line.trim_end_matches(" |").rsplit('|').next().unwrap().trim().to_owned()
    };
    let table = ["no defense", "prune", "sign", "mixup"].map(of);
    assert_eq!(table, ["open (yes)", "no (no)", "yes (yes)", "too few (too few)"]);
    for (x, first) in [("success.psnr-25", "open"), ("psnr", "yes")] {
        let (_, out) =
            paper(dir.path(), &figure("front", &format!("kind = \"frontier\"\nx = \"{x}\"")));
        let data = rows(&out.join("data/front.csv"));
        let marks: Vec<&str> = data.iter().map(|r| r["optimal"].as_str()).collect();
        assert_eq!(marks, [first, "no", "yes", "too few"], "{x}");
        let remarks = said(&out, "front");
        assert!(remarks.contains("5 trainings: mixup"), "{remarks}");
        assert_eq!(remarks.contains("leave open whether it is on the frontier"), first == "open");
    }
}

/// The epsilon that sampling amplifies never stands alone: table, figure and its data say what
/// whoever is known to take part faces.
#[test]
fn a_known_participant_has_an_epsilon_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let mut private = trainings(Some("dp-sgd"), 15.0, 0.8);
    for record in &mut private {
        let values = [("epsilon", 2.0), ("epsilon_certain", 31.25)];
        record.defenses = vec![DefenseNote {
            name: "dp-sgd".into(),
            claim: "(2, 1e-5)-DP".into(),
            values: values.map(|(name, v)| (name.to_owned(), v)).into(),
            adaptive: None,
        }];
    }
    run(dir.path(), &[trainings(None, 30.0, 0.9), private].concat());
    let report = std::fs::read_to_string(write_report(dir.path()).unwrap()).unwrap();
    let table = &report[report.find("<summary>Privacy against utility<").unwrap()..];
    let head: Vec<&str> =
        table.lines().find(|l| l.starts_with("| defense")).unwrap().split('|').collect();
    let row: Vec<&str> =
        table.lines().find(|l| l.starts_with("| dp-sgd")).unwrap().split('|').collect();
    let of = |title: &str| row[head.iter().position(|h| h.trim() == title).unwrap()].trim();
    assert_eq!((of("ε"), of("ε of a round, known to take part")), ("2", "31.25"));
    let (_, out) = paper(dir.path(), &figure("front", "kind = \"frontier\""));
    let data = rows(&out.join("data/front.csv"));
    let row = data.iter().find(|r| !r["epsilon"].is_empty()).unwrap();
    assert_eq!((row["epsilon"].as_str(), row["epsilon_certain"].as_str()), ("2", "31.25"));
    assert!(said(&out, "front").contains("faces epsilon 31.25 in it"), "{}", said(&out, "front"));
}
