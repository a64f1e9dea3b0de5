//! Machine-readable files beside the report: `records.csv`, `cells.csv`, `summary.json`.

use crate::figure::data::{Sheet, shown};
use crate::tables::threshold_labels;
use record::RecordError;
use record::run::Run;
use record::stats::Summary;
use record::{CellRecord, ImageScore, Outcome, Scores};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use suites::flag_words;
use suites::foreign::printable_lines;

/// One tidy row per image and metric, null baselines included.
///
/// `value` is a number, `inf`, `-inf` or `nan`; empty where the metric was not measured.
pub(crate) fn records_csv(run: &Run, path: &Path) -> Result<Vec<u8>, RecordError> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let fixed = [
        "cell",
        "by",
        "trial",
        "index",
        "id",
        "client",
        "label",
        "guessed_label",
        "metric",
        "value",
        "flags",
        "candidates",
    ];
    let write = |out: &mut csv::Writer<Vec<u8>>, row: Vec<String>| {
        let row = row.iter().map(|cell| printable_lines(cell).into_owned());
        out.write_record(row).map_err(|e| fault(path, &e))
    };
    write(&mut out, head(run, &fixed))?;
    for (at, record) in run.records.iter().enumerate() {
        for (place, image) in record.images.iter().enumerate() {
            let nulls = record
                .baselines
                .iter()
                .filter_map(|(name, rows)| Some((format!("null:{name}"), rows.get(place)?)));
            for (by, scores) in [("attack".to_owned(), &image.scores)].into_iter().chain(nulls) {
                for row in image_rows(run, at, image, &by, scores) {
                    write(&mut out, row)?;
                }
            }
        }
    }
    out.into_inner().map_err(|e| fault(path, &e.into_error().into()))
}

fn fault(path: &Path, error: &csv::Error) -> RecordError {
    RecordError::io("write", path)(std::io::Error::other(error.to_string()))
}

/// The fixed columns, then one for each varying setting by its path.
fn head(run: &Run, fixed: &[&str]) -> Vec<String> {
    fixed.iter().map(|c| (*c).to_owned()).chain(run.axes.paths.iter().cloned()).collect()
}

fn image_rows(
    run: &Run,
    at: usize,
    image: &ImageScore,
    by: &str,
    scores: &Scores,
) -> Vec<Vec<String>> {
    let guess =
        image.guessed_label.filter(|_| by == "attack").map(|l| l.to_string()).unwrap_or_default();
    let place = [image.trial, image.index, image.id, image.client].map(|v| v.to_string());
    let flags = if by == "attack" { flag_words(&image.flags) } else { String::new() };
    let row = |(metric, value): (&String, &Option<f64>)| {
        let mut row = vec![run.cells[at].id.clone(), by.to_owned()];
        row.extend(place.clone());
        row.extend([
            image.label.to_string(),
            guess.clone(),
            metric.clone(),
            shown(*value),
            flags.clone(),
            candidates(&run.records[at]),
        ]);
        row.extend(run.axes.rows[at].iter().cloned());
        row
    };
    scores.iter().map(row).collect()
}

/// One row per cell.
pub(crate) fn cells_csv(run: &Run, path: &Path) -> Result<Vec<u8>, RecordError> {
    let rates: Vec<String> =
        run.metric_names.iter().flat_map(|m| threshold_labels(&run.metric(m))).collect();
    let tasks: BTreeSet<&String> = run.records.iter().flat_map(|r| r.task.keys()).collect();
    let mut columns = head(run, &["cell", "outcome", "attack_name", "measurable", "candidates"]);
    let statistics = ["n", "missing", "capped", "failed", "mean", "sd", "median", "low", "high"];
    let of_metric = |m: &String| statistics.map(|s| format!("{m}_{s}"));
    columns.extend(run.metric_names.iter().flat_map(of_metric));
    columns.extend(rates.iter().flat_map(|r| [r.clone(), format!("{r} low"), format!("{r} high")]));
    columns.extend(["label_accuracy", "labels_known"].map(String::from));
    columns.extend(tasks.iter().map(|t| format!("task_{t}")));
    let cost = ["bytes_up", "bytes_down", "gradient_evaluations", "restarts", "iterations"];
    columns
        .extend(cost.into_iter().chain(["seconds", "attack_seconds", "flags"]).map(String::from));
    let mut sheet = Sheet::new(columns);
    (0..run.records.len()).for_each(|at| sheet.push(cell_row(run, at, &rates, &tasks)));
    sheet.csv(path)
}

fn cell_row(run: &Run, at: usize, rates: &[String], tasks: &BTreeSet<&String>) -> Vec<String> {
    let (cell, record) = (&run.cells[at], &run.records[at]);
    let (cost, wall) = (&record.cost, &record.wall);
    let measurable = match record.outcome {
        Outcome::NotApplicable { .. } => String::new(),
        _ => run.validity[at].column(),
    };
    let attack = record.spec.attack.name.clone();
    let outcome = cell.outcome.to_owned();
    let mut row = vec![cell.id.clone(), outcome, attack, measurable, candidates(record)];
    row.extend(run.axes.rows[at].iter().cloned());
    row.extend(run.metric_names.iter().flat_map(|m| summary_columns(cell.metrics.get(m))));
    for rate in rates.iter().map(|r| cell.success.get(r)) {
        let ci = rate.and_then(|r| r.ci);
        row.extend([rate.map(|r| r.rate), ci.map(|ci| ci.low), ci.map(|ci| ci.high)].map(shown));
    }
    row.extend([shown(cell.label_accuracy.map(|r| r.rate)), cell.labels_known.to_string()]);
    row.extend(tasks.iter().map(|t| shown(record.task.get(*t).copied())));
    let counts = [cost.bytes_up, cost.bytes_down, cost.gradient_evaluations];
    let counts = counts.into_iter().chain([cost.restarts as u64, cost.iterations]);
    row.extend(counts.map(|v| v.to_string()));
    row.extend([shown(Some(wall.seconds)), shown(Some(wall.attack_seconds))]);
    row.push(flag_words(cell.flags.keys()));
    row
}

/// Images among which originals were looked for; empty where nobody asked.
fn candidates(record: &CellRecord) -> String {
    record.candidates.map(|n| n.to_string()).unwrap_or_default()
}

fn summary_columns(summary: Option<&Summary>) -> [String; 9] {
    let s = summary.cloned().unwrap_or_default();
    let counts = [s.n, s.missing, s.capped, s.failed].map(|v| v.to_string());
    let [n, missing, capped, failed] = counts;
    let (low, high) = (s.ci.map(|ci| ci.low), s.ci.map(|ci| ci.high));
    let [mean, sd, median, low, high] = [s.mean, s.sd, s.median, low, high].map(shown);
    [n, missing, capped, failed, mean, sd, median, low, high]
}

/// Everything that the tables show, as JSON.
pub(crate) fn summary_json(run: &Run) -> Vec<u8> {
    let cell = |at: usize| {
        let record = &run.records[at];
        let axes: serde_json::Map<_, _> = run
            .axes
            .paths
            .iter()
            .cloned()
            .zip(run.axes.rows[at].iter().cloned().map(Value::from))
            .collect();
        json!({
            "summary": run.cells[at], "measurable": run.validity[at].column(),
            "axes": axes, "spec": record.spec,
            "outcome": record.outcome, "threat": record.threat,
            "task": record.task, "defenses": record.defenses, "cost": record.cost,
            "notes": record.notes, "wall": record.wall, "candidates": record.candidates,
        })
    };
    let document = json!({
        "schema": run.info.schema,
        "suite": {
            "name": run.info.suite.name, "profile": run.info.suite.profile,
            "version": run.info.suite.version, "planned_cells": run.info.suite.cells.len(),
            "published": run.info.suite.published,
        },
        "bench_version": run.info.bench_version, "libtorch": run.info.libtorch,
        "metrics": run.metrics, "device": run.info.device, "machine": run.info.machine,
        "cells": (0..run.records.len()).map(cell).collect::<Vec<_>>(),
    });
    format!("{document:#}\n").into_bytes()
}
