//! What went wrong, what is doubtful, and what was remarked.

use crate::report::model::{Section, Table, row};
use record::markdown::ranges;
use record::run::Run;
use record::{CellRecord, Outcome};
use std::collections::BTreeMap;
use suites::Flag;

pub(super) fn failures(run: &Run) -> Section {
    let mut table = Table::new(["cells", "outcome", "reason"]);
    let mut reasons: Vec<((&str, String), Vec<usize>)> = Vec::new();
    for (at, record) in run.records.iter().enumerate() {
        let Some(reason) = reason(record) else { continue };
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, cells)) => cells.push(at + 1),
            None => reasons.push((reason, vec![at + 1])),
        }
    }
    reasons
        .into_iter()
        .for_each(|((what, why), cells)| table.push(row![ranges(&cells), what, why]));
    Section::new("Failed and not applicable").table(table, "None.")
}

fn reason(record: &CellRecord) -> Option<(&'static str, String)> {
    match &record.outcome {
        Outcome::NotApplicable { why } => Some(("not applicable", why.clone())),
        other => other.failure().map(|failure| ("failed", failure)),
    }
}

pub(super) fn flags(run: &Run) -> Section {
    let mut table = Table::new(["flag", "cells (images)"]);
    let mut cells: BTreeMap<&Flag, Vec<String>> = BTreeMap::new();
    for (at, cell) in run.cells.iter().enumerate() {
        for (flag, images) in &cell.flags {
            cells.entry(flag).or_default().push(format!("{} ({images})", at + 1));
        }
    }
    cells.into_iter().for_each(|(flag, list)| table.push(row![flag.to_string(), list.join(", ")]));
    Section::new("Flags").table(table, "None.")
}

pub(super) fn notes(run: &Run) -> Section {
    let mut cells: BTreeMap<&String, Vec<usize>> = BTreeMap::new();
    for (at, record) in run.records.iter().enumerate() {
        record.notes.iter().for_each(|note| cells.entry(note).or_default().push(at + 1));
    }
    let mut table = Table::new(["cells", "note"]);
    let undirected = run.metrics.without_direction(&run.metric_names);
    undirected.into_iter().for_each(|note| table.push(row!["all", note]));
    cells.into_iter().for_each(|(note, list)| table.push(row![ranges(&list), note.as_str()]));
    Section::new("Notes").table(table, "None.")
}
