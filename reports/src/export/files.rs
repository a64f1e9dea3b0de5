//! Machine-readable files beside the report: `records.csv`, `cells.csv`, `summary.json`.

use crate::tables::threshold_labels;
use record::RecordError;
use record::run::Run;
use record::stats::{Rate, Summary};
use record::{ImageScore, Scores};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use suites::flag_words;

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
    ];
    let write = |out: &mut csv::Writer<Vec<u8>>, row: Vec<String>| {
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
        ]);
        row.extend(run.axes.rows[at].iter().cloned());
        row
    };
    scores.iter().map(row).collect()
}

/// Full precision; the words of `cells.jsonl` for what is not finite.
fn shown(value: Option<f64>) -> String {
    match value {
        Some(v) if v.is_nan() => "nan".into(),
        Some(v) => v.to_string(),
        None => String::new(),
    }
}

/// One row per cell.
pub(crate) fn cells_csv(run: &Run, path: &Path) -> Result<Vec<u8>, RecordError> {
    let metrics = &run.metric_names;
    let rates: Vec<String> =
        metrics.iter().flat_map(|m| threshold_labels(&run.metric(m))).collect();
    let tasks: BTreeSet<&String> = run.records.iter().flat_map(|r| r.task.keys()).collect();
    let mut out = csv::Writer::from_writer(Vec::new());
    let mut columns = head(run, &["cell", "outcome", "attack_name"]);
    for metric in metrics {
        columns.extend(
            ["n", "missing", "capped", "failed", "mean", "sd", "median", "low", "high"]
                .map(|s| format!("{metric}_{s}")),
        );
    }
    rates.iter().for_each(|r| columns.extend([r.clone(), format!("{r} low"), format!("{r} high")]));
    columns.extend(["label_accuracy", "labels_known"].map(String::from));
    columns.extend(tasks.iter().map(|t| format!("task_{t}")));
    let cost = [
        "bytes_up",
        "bytes_down",
        "gradient_evaluations",
        "restarts",
        "iterations",
        "seconds",
        "attack_seconds",
        "flags",
    ];
    columns.extend(cost.map(String::from));
    out.write_record(columns).map_err(|e| fault(path, &e))?;
    for at in 0..run.records.len() {
        out.write_record(cell_row(run, at, &rates, &tasks)).map_err(|e| fault(path, &e))?;
    }
    out.into_inner().map_err(|e| fault(path, &e.into_error().into()))
}

fn cell_row(run: &Run, at: usize, rates: &[String], tasks: &BTreeSet<&String>) -> Vec<String> {
    let (cell, record) = (&run.cells[at], &run.records[at]);
    let mut row = vec![cell.id.clone(), cell.outcome.to_owned(), record.spec.attack.name.clone()];
    row.extend(run.axes.rows[at].iter().cloned());
    run.metric_names.iter().for_each(|m| row.extend(summary_columns(cell.metrics.get(m))));
    rates.iter().for_each(|r| row.extend(rate_columns(cell.success.get(r))));
    row.extend([shown(cell.label_accuracy.map(|r| r.rate)), cell.labels_known.to_string()]);
    row.extend(tasks.iter().map(|t| shown(record.task.get(*t).copied())));
    let cost = &record.cost;
    row.extend(
        [
            cost.bytes_up,
            cost.bytes_down,
            cost.gradient_evaluations,
            cost.restarts as u64,
            cost.iterations,
        ]
        .map(|v| v.to_string()),
    );
    row.extend([shown(Some(record.wall.seconds)), shown(Some(record.wall.attack_seconds))]);
    row.push(flag_words(cell.flags.keys()));
    row
}

fn summary_columns(summary: Option<&Summary>) -> [String; 9] {
    let s = summary.cloned().unwrap_or_default();
    let counts = [s.n, s.missing, s.capped, s.failed].map(|v| v.to_string());
    let [n, missing, capped, failed] = counts;
    let end = |pick: fn(&record::stats::Interval) -> f64| shown(s.ci.as_ref().map(pick));
    [
        n,
        missing,
        capped,
        failed,
        shown(s.mean),
        shown(s.sd),
        shown(s.median),
        end(|c| c.low),
        end(|c| c.high),
    ]
}

fn rate_columns(rate: Option<&Rate>) -> [String; 3] {
    [shown(rate.map(|r| r.rate)), shown(rate.map(|r| r.ci.low)), shown(rate.map(|r| r.ci.high))]
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
            "summary": run.cells[at], "axes": axes, "spec": record.spec,
            "outcome": record.outcome, "threat": record.threat,
            "task": record.task, "defenses": record.defenses, "cost": record.cost,
            "notes": record.notes, "wall": record.wall,
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
