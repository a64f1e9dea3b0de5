//! Run folders of a few records, and the papers that are written of them.

use record::testing::info;
use record::{CellRecord, RunInfo, RunStore};
use reports::{PaperSummary, StyleName, write_paper};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A run folder with these records, described as `edit` leaves it.
pub fn run_as(dir: &Path, records: &[CellRecord], edit: impl FnOnce(&mut RunInfo)) {
    let mut info = info("[suite]\nname = \"demo\"\n");
    info.suite.cells = records.iter().map(|r| r.id.clone()).collect();
    edit(&mut info);
    let mut store = RunStore::create(dir, info).unwrap();
    records.iter().for_each(|r| store.append(r).unwrap());
}

/// A run folder with these records.
pub fn run(dir: &Path, records: &[CellRecord]) {
    run_as(dir, records, |_| {});
}

/// Writes the paper of the run in `dir` with these figures.
pub fn paper(dir: &Path, figures: &str) -> (PaperSummary, PathBuf) {
    let (file, out) = (dir.join("figures.toml"), dir.join("out"));
    std::fs::write(&file, figures).unwrap();
    (write_paper(dir, &out, StyleName::Acm, Some(&file)).unwrap(), out)
}

/// A figure of these lines.
pub fn figure(name: &str, lines: &str) -> String {
    format!("[[figure]]\nname = \"{name}\"\n{lines}\n")
}

/// The rows of a CSV file by the names of their columns.
pub fn rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let head = reader.headers().unwrap().clone();
    let row = |r: csv::StringRecord| {
        head.iter().map(str::to_owned).zip(r.iter().map(str::to_owned)).collect()
    };
    reader.records().map(|r| row(r.unwrap())).collect()
}

/// A file of a paper.
pub fn text(out: &Path, name: &str) -> String {
    std::fs::read_to_string(out.join(name)).unwrap()
}

/// The manifest of a paper.
pub fn manifest(out: &Path) -> Value {
    serde_json::from_str(&text(out, "manifest.json")).unwrap()
}

/// What the manifest says of a figure or table.
pub fn made(out: &Path, name: &str) -> Value {
    manifest(out)["made"].as_array().unwrap().iter().find(|m| m["name"] == name).unwrap().clone()
}

/// The remarks on a figure or table.
pub fn said(out: &Path, name: &str) -> String {
    made(out, name)["remarks"].to_string()
}
