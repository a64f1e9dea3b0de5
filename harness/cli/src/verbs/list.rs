//! `bench list`: everything that has a name.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args as ClapArgs, ValueEnum};
use harness::Registries;
use metrics::MetricEntry;
use serde_json::{Value, json};
use suites::{Entry, Registry, Suite, SuiteEntry};

use crate::settings::Settings;

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Attacks
    Attacks,
    /// Defenses
    Defenses,
    /// Data sets
    Datasets,
    /// Models
    Models,
    /// Metrics
    Metrics,
    /// Suites
    Suites,
    /// Tasks that `bench train` trains
    Tasks,
}

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// What to list; everything without it
    #[arg(value_enum)]
    what: Option<What>,
}

#[derive(Clone)]
struct Row {
    name: String,
    summary: String,
    reference: String,
}

/// Prints names, summaries and references.
///
/// # Errors
/// None of its own.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    let registries = &settings.registries;
    let kinds = match args.what {
        Some(what) => vec![what],
        None => What::value_variants().to_vec(),
    };
    if settings.json {
        let map: serde_json::Map<String, Value> =
            kinds.iter().map(|k| (title(*k).to_lowercase(), rows_json(*k, registries))).collect();
        println!("{}", Value::Object(map));
        return Ok(ExitCode::SUCCESS);
    }
    for (i, kind) in kinds.iter().enumerate() {
        if i > 0 {
            println!();
        }
        show!("{}", title(*kind));
        let rows = rows(*kind, registries);
        let width = rows.iter().map(|r| r.name.len()).max().unwrap_or(0);
        for row in rows {
            show!("  {:width$}  {}", row.name, row.summary);
            if !row.reference.is_empty() {
                show!("  {:width$}  [{}]", "", row.reference);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn title(what: What) -> &'static str {
    match what {
        What::Attacks => "Attacks",
        What::Defenses => "Defenses",
        What::Datasets => "Datasets",
        What::Models => "Models",
        What::Metrics => "Metrics",
        What::Suites => "Suites",
        What::Tasks => "Tasks",
    }
}

fn rows_json(what: What, registries: &Registries) -> Value {
    rows(what, registries)
        .into_iter()
        .map(|r| json!({ "name": r.name, "summary": r.summary, "reference": r.reference }))
        .collect()
}

fn rows(what: What, registries: &Registries) -> Vec<Row> {
    let parts = &registries.federation;
    match what {
        What::Attacks => entries(&registries.attacks),
        What::Defenses => {
            [entries(parts.defenses.defenses()), entries(parts.defenses.protocols())].concat()
        }
        What::Tasks => {
            let one = |(name, line): &(&str, String)| {
                row(name, line, &format!("suites/tasks/{name}.toml"))
            };
            suites::train::describe().iter().map(one).collect()
        }
        What::Models => entries(&parts.models),
        What::Datasets => {
            parts.datasets.iter().map(|e| row(e.name, e.summary, e.reference)).collect()
        }
        What::Metrics => {
            let line = |e: &MetricEntry| row(e.name, e.summary, "docs/metrics.md");
            registries.metrics.iter().map(line).collect()
        }
        What::Suites => suites_rows(&registries.suites),
    }
}

fn row(name: &str, summary: &str, reference: &str) -> Row {
    Row { name: name.into(), summary: summary.into(), reference: reference.into() }
}

fn entries<T: ?Sized + 'static>(entries: &Registry<Entry<T>>) -> Vec<Row> {
    entries.iter().map(|e| row(e.name, e.summary, e.reference)).collect()
}

fn suites_rows(suites: &Registry<SuiteEntry>) -> Vec<Row> {
    let load = |name: &str| Suite::load_from(suites, name, None, &[]).ok();
    suites
        .names()
        .map(|name| match load(name) {
            Some(suite) => {
                let profiles: Vec<&str> =
                    suite.profiles().iter().map(|(n, _)| n.as_str()).collect();
                row(
                    name,
                    &format!("{} ({} cells)", suite.description, suite.cells.len()),
                    &format!("profiles: {}", profiles.join(", ")),
                )
            }
            None => row(name, "does not load; see `bench check`", ""),
        })
        .collect()
}
