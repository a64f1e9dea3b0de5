//! A defense without which no attack beats the floor is said not to be measurable, everywhere.

mod common;

use common::papers::{figure, paper, rows, run, said};
use record::testing::from_spec;
use record::{CellRecord, RunStore};
use reports::{ExportFormat, export, write_report};
use std::path::Path;
use suites::{CellSpec, FederationSpec, Named, Regime};

/// A cell of a deployed federation; the floor of synthetic records is `mean` at 11.5 dB, and
/// `nearest`, which needs the truth, has 13.
fn cell(attack: &str, defense: Option<&str>, seed: u64, psnrs: &[f64]) -> CellRecord {
    let mut spec = CellSpec::new("photos", "simple-cnn", attack);
    (spec.trials, spec.seed) = (psnrs.len(), seed);
    spec.federation = FederationSpec { regime: Regime::Federated, ..spec.federation };
    spec.defenses = defense.map(Named::new).into_iter().collect();
    let mut record = from_spec(spec, psnrs);
    let accuracy = if defense.is_some() { 0.8 } else { 0.9 };
    record.task.extend([
        ("trained_rounds".to_owned(), 3.0),
        ("trained_accuracy".to_owned(), accuracy),
        ("test_examples".to_owned(), 100.0),
    ]);
    record
}

/// Without a defense the attack reaches `plain` dB.
fn records(plain: f64) -> Vec<CellRecord> {
    vec![
        cell("a", None, 0, &[plain; 3]),
        cell("a", Some("prune"), 0, &[8.0, 8.5, 9.0]),
        cell("a", Some("ckks"), 0, &[7.0; 3]),
    ]
}

const WHY: &str = "not measurable: the attack fails undefended (9.00 dB against 11.50 of the \
    floor, null: mean, n = 3)";

fn report(dir: &Path, records: &[CellRecord]) -> String {
    run(dir, records);
    let path = write_report(dir).unwrap();
    std::fs::read_to_string(path).unwrap()
}

/// The section of a report under this heading.
fn section<'a>(report: &'a str, heading: &str) -> &'a str {
    let head = format!("<summary>{heading}</summary>");
    let from = report.find(&head).unwrap_or_else(|| panic!("no {heading}"));
    let rest = &report[from..];
    &rest[..rest.find("</details>").unwrap_or(rest.len())]
}

#[test]
fn every_table_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let text = report(dir.path(), &records(9.0));
    for heading in ["Defenses", "Worst case over attacks", "Privacy against utility"] {
        let own = section(&text, heading);
        assert_eq!(own.matches(WHY).count(), 2, "{heading}: {own}");
        assert!(!own.contains("8.50 {"), "{heading}: {own}");
    }
    let main = text.split("## What each defense leaves").nth(1).unwrap();
    let main = &main[..main.find("\n## ").unwrap()];
    assert_eq!(main.matches(WHY).count(), 2, "{main}");
    assert!(!main.contains("8.50"), "{main}");
    assert!(section(&text, "Worst case over attacks").contains("below the floor"));
    let quality = section(&text, "Reconstruction");
    assert!(quality.contains("below the floor: the attack fails (9.00 dB"), "{quality}");
    assert!(quality.contains("oracle: nearest (needs the truth)"), "{quality}");
    // No defense is on the frontier.
    let frontier = section(&text, "Privacy against utility");
    let of_prune = frontier.lines().find(|l| l.contains("prune")).unwrap();
    assert!(!of_prune.contains("yes"), "{of_prune}");
    for file in ["report.tex", "report.html", "cells.csv"] {
        let there = std::fs::read_to_string(dir.path().join("report").join(file)).unwrap();
        let words =
            if file == "cells.csv" { "no: the attack fails undefended" } else { "not measurable" };
        assert!(there.contains(words), "{file}");
    }
}

#[test]
fn what_beats_the_floor_is_judged() {
    let dir = tempfile::tempdir().unwrap();
    // Above the mean image and below the nearest one: the oracle is no floor.
    let text = report(dir.path(), &records(12.0));
    assert!(!text.contains("not measurable:") && !text.contains("below the floor:"));
    let worst = section(&text, "Worst case over attacks");
    assert!(worst.contains("8.50 {8.00, 8.50, 9.00}"), "{worst}");
}

#[test]
fn what_has_no_twin_says_so_and_is_on_no_frontier() {
    let dir = tempfile::tempdir().unwrap();
    let text = report(dir.path(), &records(30.0)[1..]);
    let unknown = "no undefended twin was run: validity unknown";
    for heading in ["Defenses", "Worst case over attacks", "Privacy against utility"] {
        assert_eq!(section(&text, heading).matches(unknown).count(), 2, "{heading}");
    }
    assert!(!section(&text, "Privacy against utility").contains("yes"));
}

#[test]
fn seeds_are_repetitions_in_the_worst_case() {
    let dir = tempfile::tempdir().unwrap();
    let mut all = records(30.0);
    all.extend([cell("a", None, 1, &[32.0; 3]), cell("a", Some("prune"), 1, &[10.0, 10.5, 11.0])]);
    let text = report(dir.path(), &all);
    let worst = section(&text, "Worst case over attacks");
    // Three images, each with its mean over both seeds.
    assert!(worst.contains("9.50 {9.00, 9.50, 10.00}"), "{worst}");
    let frontier = section(&text, "Privacy against utility");
    let of_prune = frontier.lines().find(|l| l.contains("prune")).unwrap();
    assert!(of_prune.contains("0.800 {0.800, 0.800}"), "{of_prune}");
}

#[test]
fn figures_and_tables_leave_it_out_with_a_remark() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &records(9.0));
    let figures = figure("bars", "kind = \"bar\"\nx = \"defenses\"")
        + &figure("rates", "kind = \"bar\"\nx = \"defenses\"\ny = \"success.psnr-20\"")
        + &figure("worth", "kind = \"bar\"\nx = \"defenses\"\ny = \"task.trained_accuracy\"")
        + &figure("cloud", "kind = \"scatter\"\nx = \"psnr\"\ny = \"ssim\"")
        + &figure("boxes", "kind = \"box\"\nx = \"defenses\"")
        + &figure("roc", "kind = \"roc\"\ncolour = \"defenses\"")
        + &figure("front", "kind = \"frontier\"")
        + "[[table]]\nname = \"table\"\nrows = [\"defenses\"]\ncolumns = [\"psnr\"]\n";
    let (summary, out) = paper(dir.path(), &figures);
    assert_eq!(summary.errors, Vec::<String>::new());
    for name in ["bars", "rates", "cloud", "boxes", "roc", "front", "table"] {
        let remarks = said(&out, name);
        assert!(remarks.contains(&format!("cells 2-3 left out: {WHY}")), "{name}: {remarks}");
    }
    assert!(!said(&out, "worth").contains("not measurable"));
    let bars = rows(&out.join("data/bars.csv"));
    let attacks: Vec<&str> = bars
        .iter()
        .filter(|r| !r["cells"].is_empty() || r["n"] == "0")
        .map(|r| r["value"].as_str())
        .collect();
    assert_eq!(attacks, ["9", "", ""]);
    // The floor and the oracle stand beside the bars, each by its name.
    let lines: Vec<(&str, &str)> = bars
        .iter()
        .filter(|r| r["series"].contains(':'))
        .map(|r| (r["series"].as_str(), r["value"].as_str()))
        .collect();
    assert_eq!(lines, [("floor: mean", "11.5"), ("oracle: nearest", "13")]);
    assert!(
        rows(&out.join("data/front.csv"))
            .iter()
            .all(|r| r["defense"] == "no defense" || r["x"].is_empty())
    );
    let tex = std::fs::read_to_string(out.join("tables/table.tex")).unwrap();
    assert_eq!(tex.matches("& not measurable").count(), 2, "{tex}");
}

#[test]
fn exports_have_a_column() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &records(9.0));
    let out = dir.path().join("out.csv");
    export(dir.path(), ExportFormat::Csv, &out).unwrap();
    let of = |defense: &str| {
        let all = rows(&out);
        all.into_iter().find(|r| r["defenses"] == defense).unwrap()["measurable"].clone()
    };
    assert!(of("prune").starts_with("no: the attack fails undefended"));
    assert!(of("none").starts_with("no: the attack fails (9.00 dB"));
    // One more attack, which works undefended, and the defense can be judged.
    let mut store = RunStore::open(dir.path()).unwrap();
    store.append(&cell("b", None, 0, &[30.0; 3])).unwrap();
    drop(store);
    export(dir.path(), ExportFormat::Csv, &out).unwrap();
    assert_eq!(of("prune"), "yes");
}

#[test]
fn the_floor_is_called_so_wherever_it_is_met() {
    let dir = tempfile::tempdir().unwrap();
    let report = report(dir.path(), &records(20.0));
    let page = std::fs::read_to_string(dir.path().join("report/report.html")).unwrap();
    let tex = std::fs::read_to_string(dir.path().join("report/report.tex")).unwrap();
    for text in [&report, &page, &tex] {
        assert!(text.contains("floor"), "{text}");
        // Whoever says which baseline that is says that it is the floor.
        for (at, _) in text.match_indices("strongest null baseline") {
            let before: String = text[..at].chars().rev().take(30).collect();
            assert!(before.contains(&"floor".chars().rev().collect::<String>()), "{before}");
        }
        assert!(!text.contains("best null"), "another word for the floor");
    }
    assert!(page.contains("floor 11.50 dB") && page.contains("\"floor (dB)\""));
}
