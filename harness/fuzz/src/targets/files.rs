//! What verbs are given by hand: tables, lists and pictures.

use std::sync::LazyLock;

use cli::infer::columns::Columns;
use cli::infer::table;
use cli::score_files::{ScoreOptions, score_files};
use datasets::Column;
use metrics::{MetricEntry, verification};
use suites::Registry;
use suites::foreign::limits;

use crate::{Target, on_disk, samples};

/// Targets of this room.
pub(super) static TARGETS: &[Target] = &[
    Target { name: "table_csv", limit: &limits::TABLE, check: table_csv, samples: samples::tables },
    Target { name: "pairs", limit: &limits::TABLE, check: pairs, samples: samples::pairs },
    Target {
        name: "score_picture",
        limit: &limits::PICTURE,
        check: score_picture,
        samples: samples::pictures,
    },
];

/// A table of `bench predict`.
fn table_csv(bytes: &[u8]) {
    let column = |name: &str| Column { name: name.into(), low: 0.0, high: 30.0 };
    let columns =
        Columns { columns: ["mean radius", "mean texture"].map(column).into(), scaled: false };
    let classes = ["malignant".to_string(), "benign".to_string()];
    on_disk("table.csv", bytes, |path| {
        let Ok(table) = table::read(path, &columns, &classes) else { return };
        assert!(table.features.iter().all(|row| row.len() == 2));
        assert!(table.features.iter().flatten().all(|v| (0.0..=1.0).contains(v)));
        assert!(table.labels.iter().flatten().all(|label| *label < 2));
    });
}

/// Lists of pairs of faces.
fn pairs(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for folds in [None, Some(2), Some(usize::MAX)] {
        if let Ok(pairs) = verification::parse_pairs(text, folds) {
            assert!(!pairs.is_empty() && pairs.iter().all(|p| p.line > 0));
        }
    }
}

/// A picture of `bench score`, against itself.
fn score_picture(bytes: &[u8]) {
    static NONE: LazyLock<Registry<MetricEntry>> =
        LazyLock::new(|| Registry::builtin("metric", &[]));
    let options =
        ScoreOptions { metrics: &NONE, data_root: None, device: tch::Device::Cpu, pair: false };
    on_disk("picture", bytes, |path| {
        if let Ok(scored) = score_files(path, path, &options) {
            assert_eq!(scored.rows.len(), 1);
        }
        if let Ok(picture) = harness::artifacts::read_picture(path, 3) {
            assert_eq!(picture.size()[0], 3);
        }
    });
}
