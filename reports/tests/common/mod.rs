//! Synthetic runs and trainings shared by the tests of this crate.

#![allow(dead_code)]

pub mod gallery;
pub mod tasks;
pub mod trainings;

use std::path::Path;

/// Compares with a golden file, which `BENCH_BLESS=1` writes anew.
pub fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("BENCH_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    for (line, (got, want)) in text.lines().zip(want.lines()).enumerate() {
        assert_eq!(got, want, "{name} line {}", line + 1);
    }
    assert_eq!(text.lines().count(), want.lines().count(), "{name} has another length");
}
