//! Every output takes its means from `record::aggregate`: where that caps PSNR elsewhere, all of
//! them change.

mod common;

use common::gallery;
use compare::{Pairing, Side};
use record::aggregate::mean_of;
use record::store::read_records;
use record::testing::cap_psnr_at;
use record::{CellRecord, Metrics, RunInfo, RunStore};
use reports::{StyleName, write_history, write_paper, write_report};
use std::path::Path;
use suites::Gate;

/// Every number that the outputs of two runs hold, by the name of the output.
fn outputs(root: &Path) -> Vec<(&'static str, String)> {
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let (run, other) = (root.join("runs/a"), root.join("runs/b"));
    let report = write_report(&run).unwrap();
    let folder = report.parent().unwrap();
    write_paper(&run, &root.join("paper"), StyleName::Acm, None).unwrap();
    let history = write_history(&root.join("runs"), &root.join("history"), None).unwrap();
    let [base, new] = [&run, &other].map(|dir| Side::open(dir).unwrap());
    let compared = compare::compare(&base, &new, &Gate::default(), Pairing::SameSeed).unwrap();
    vec![
        ("report.md", read(&report)),
        ("report.tex", read(&folder.join("report.tex"))),
        ("report.html", read(&folder.join("report.html"))),
        ("cells.csv", read(&folder.join("cells.csv"))),
        ("summary.json", read(&folder.join("summary.json"))),
        ("figure of the report", read(&folder.join("figures/bars-psnr.svg"))),
        ("figure of the paper", read(&root.join("paper/data/psnr-bars.csv"))),
        ("heat map", read(&root.join("paper/data/attack-defense.csv"))),
        ("table of the paper", read(&root.join("paper/tables/overview.csv"))),
        ("history", read(&history.page.with_file_name("history.csv"))),
        ("comparison", compared.markdown()),
    ]
}

/// The same cell with 3 dB less of every image.
fn weaker(mut record: CellRecord) -> CellRecord {
    for image in &mut record.images {
        image.scores.entry("psnr".into()).and_modify(|v| *v = v.map(|v| v - 3.0));
    }
    record
}

/// What the progress line shows of a cell.
fn progress(psnrs: &[f64]) -> Option<f64> {
    let record = record::testing::record("dlg", 0, psnrs);
    mean_of(record.images.iter(), &Metrics::from_run(&record::testing::info("")).get("psnr"))
}

#[test]
fn every_output_follows_the_one_rule() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = ["a", "b"].map(|name| dir.path().join("runs").join(name));
    gallery::write(&first);
    let mut store = RunStore::create(&second, RunInfo::read(&first).unwrap()).unwrap();
    for record in read_records(&first).unwrap() {
        store.append(&weaker(record)).unwrap();
    }
    drop(store);
    let own = outputs(dir.path());
    cap_psnr_at(Some(14.0));
    let capped = outputs(dir.path());
    assert_eq!(progress(&[10.0, 30.0]), Some(12.0));
    cap_psnr_at(None);
    assert_eq!(progress(&[10.0, 30.0]), Some(20.0));
    for ((name, before), (_, after)) in own.iter().zip(&capped) {
        assert_ne!(before, after, "{name} has a mean of its own");
    }
}
