//! What was attacked, and how: the setting of a run in a few lines for a reader.

use super::overview;
use crate::report::model::{Section, Table, row};
use crate::words;
use record::axes::plain;
use record::markdown::counted;
use record::run::Run;
use record::{CellRecord, Outcome};
use suites::CellSpec;

/// Values that a line lists.
const LISTED: usize = 8;

pub(super) fn setting(run: &Run) -> Section {
    let description = run.info.suite.description.as_str();
    let own = overview::elsewhere(run, Section::new("What was attacked, and how"));
    if run.records.is_empty() {
        return own.paragraph(description);
    }
    let mut table = Table::new(["", ""]);
    let mut say = |what: &str, of: &dyn Fn(&CellRecord) -> String| {
        let values = several(run.records.iter().map(of));
        if !values.is_empty() {
            table.push(row![what, values]);
        }
    };
    say("pictures", &|r| pictures(&r.spec));
    say("attacked", &attacked);
    say("model", &|r| r.spec.model.title());
    say("federation", &|r| federation(&r.spec));
    say("attacked round", &|r| round(&r.spec));
    say("signal", &|r| words::source(r.spec.source).to_owned());
    say("by whom", &|r| words::vantage(r.spec.vantage));
    say("known", &|r| {
        plain(&r.spec.facts.iter().map(ToString::to_string).collect::<Vec<_>>().into())
    });
    say("attacks", &|r| r.spec.attack.name.clone());
    table.push(row!["cells", overview::state(run)]);
    table.push(row!["device", format!("{}; {}", run.info.device, run.info.machine)]);
    own.paragraph(description).table(table, "")
}

/// The different values in the order they appear, without those that are empty.
fn several(values: impl Iterator<Item = String>) -> String {
    let mut all: Vec<String> = Vec::new();
    for value in values.filter(|v| !v.is_empty()) {
        if !all.contains(&value) {
            all.push(value);
        }
    }
    let more = all.len().saturating_sub(LISTED);
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{rest}", all.into_iter().take(LISTED).collect::<Vec<_>>().join("; "))
}

fn pictures(spec: &CellSpec) -> String {
    let size = spec.task.size.map_or(String::new(), |n| format!(", {n} x {n} pixels"));
    format!("{}{size}, split {}", spec.task.dataset, spec.task.split)
}

/// Images of a cell that an attack was let loose on.
fn attacked(record: &CellRecord) -> String {
    let images = record.images.len() + record.lost_images();
    let trials = record.spec.trials;
    match (&record.outcome, images) {
        (Outcome::NotApplicable { .. }, _) | (_, 0) => String::new(),
        (_, 1) => "1 picture".into(),
        (_, _) if trials == 1 => format!("{images} pictures of one capture"),
        (_, _) => format!("{images} pictures of {trials} captures"),
    }
}

fn federation(spec: &CellSpec) -> String {
    let (clients, batch) = (spec.federation.clients.total, spec.federation.local.batch_size);
    let clients = counted(clients, "client");
    let rounds = if spec.federation.is_bare() {
        "a single release".into()
    } else {
        counted(spec.federation.rounds, "round")
    };
    format!("{clients}, batch {batch}, {rounds}")
}

/// How far the attacked model has been trained; nothing of a bare release.
fn round(spec: &CellSpec) -> String {
    match (spec.federation.is_bare(), spec.capture.round) {
        (true, _) => String::new(),
        (false, 0) => "the first".into(),
        (false, round) => format!("after {round}"),
    }
}
