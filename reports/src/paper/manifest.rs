//! `manifest.json`: every file with its hash, what it was made of, and what must be said of it.

use super::write::{Made, PaperSummary};
use record::run::Run;
use serde_json::json;

/// What the figures and tables of a paper came from.
pub(super) struct Origin {
    /// In words: the suite, a file, or the defaults.
    pub words: String,
    /// The TOML of the defaults, so that it can be taken over; empty otherwise.
    pub text: String,
}

/// The whole manifest as JSON; no time stands in it.
pub(super) fn manifest(
    run: &Run,
    style: &str,
    origin: &Origin,
    made: &[Made],
    files: &[(String, String, usize)],
    summary: &PaperSummary,
) -> Vec<u8> {
    let suite = &run.info.suite;
    let source = |(path, hash): &(String, String)| json!({ "path": path, "blake3": hash });
    let item = |m: &Made| {
        json!({
            "kind": m.what, "name": m.name, "spec": m.spec, "declared": m.place, "files": m.files,
            "cells": m.cells, "sources": m.sources.iter().map(source).collect::<Vec<_>>(),
            "remarks": m.remarks, "error": m.error,
        })
    };
    let file = |of: &(String, String, usize)| {
        let (path, hash, bytes) = of;
        json!({ "path": path, "blake3": hash, "bytes": bytes })
    };
    let document = json!({
        "run": {
            "suite": suite.name, "profile": suite.profile, "version": suite.version,
            "schema": run.info.schema,
            "bench_version": run.info.bench_version, "libtorch": run.info.libtorch,
            "device": run.info.device,
            "machine": run.info.machine, "command": run.info.command,
            "overrides": run.info.overrides,
            "planned_cells": suite.cells.len(), "recorded_cells": run.records.len(),
        },
        "style": style,
        "declared_by": origin.words,
        "defaults": Some(&origin.text).filter(|text| !text.is_empty()),
        "remarks": summary.remarks,
        "errors": summary.errors,
        "made": made.iter().map(item).collect::<Vec<_>>(),
        "files": files.iter().map(file).collect::<Vec<_>>(),
    });
    format!("{document:#}\n").into_bytes()
}
