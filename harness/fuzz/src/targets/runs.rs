//! Run folders: records, rounds, baselines and trainings that somebody hands over.

use std::path::Path;

use compare::Side;
use record::RunInfo;
use suites::foreign::limits;

use crate::{Target, on_disk, samples};

/// Targets of this room.
pub(super) static TARGETS: &[Target] = &[
    Target { name: "run_json", limit: &limits::RUN, check: run_json, samples: samples::run_json },
    Target { name: "cells_jsonl", limit: &limits::RUN, check: cells, samples: samples::cells },
    Target { name: "rounds_csv", limit: &limits::RUN, check: rounds, samples: samples::rounds },
    Target { name: "baseline", limit: &limits::RUN, check: baseline, samples: samples::baselines },
    Target { name: "training", limit: &limits::RUN, check: training, samples: samples::trainings },
];

fn folder(path: &Path) -> &Path {
    path.parent().expect("a file lies in a folder")
}

/// `run.json`.
fn run_json(bytes: &[u8]) {
    on_disk("run.json", bytes, |path| {
        if let Ok(info) = RunInfo::read(folder(path)) {
            let again: RunInfo = serde_json::from_str(&serde_json::to_string(&info).expect("JSON"))
                .expect("what was read is written and read again");
            assert_eq!(again.suite.name, info.suite.name);
        }
    });
}

/// `cells.jsonl`: a record is of the cell whose id it has.
fn cells(bytes: &[u8]) {
    on_disk("cells.jsonl", bytes, |path| {
        if let Ok(records) = record::store::read_records(folder(path)) {
            assert!(records.iter().all(|r| r.id == r.spec.id()));
        }
    });
}

/// `rounds.csv`.
fn rounds(bytes: &[u8]) {
    on_disk("rounds.csv", bytes, |path| {
        if let Ok(rounds) = record::read_rounds(path) {
            assert!(rounds.len() <= bytes.len());
        }
    });
}

/// A file of `bench baseline`.
fn baseline(bytes: &[u8]) {
    on_disk("baseline.json", bytes, |path| {
        if let Ok(side) = Side::open(path) {
            assert!(side.records().iter().all(|r| r.id == r.spec.id()));
            let _ = side.gate();
        }
    });
}

/// `training.json` beside sound rounds: the report that is written from it.
fn training(bytes: &[u8]) {
    on_disk("rounds.csv", &samples::rounds()[0], |_| {});
    on_disk("about.json", bytes, |path| drop(federation::write_report(folder(path))));
}
