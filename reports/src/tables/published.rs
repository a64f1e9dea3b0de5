//! Values from the literature beside the measured ones.

use super::{key, keyed, spread};
use crate::report::model::{Cell, Section, row};
use record::markdown::significant;
use record::run::Run;
use suites::Published;

pub(super) fn published(run: &Run) -> Option<Section> {
    if run.info.suite.published.is_empty() {
        return None;
    }
    let columns = ["metric", "published", "measured", "n", "difference", "agrees", "source"];
    let mut table = keyed(run, columns.map(String::from));
    for at in run.attacked() {
        for value in run.info.suite.published.iter().filter(|p| p.applies(&run.records[at].spec)) {
            table.push(key(run, at).into_iter().chain(beside(run, at, value)));
        }
    }
    let lead = "\"Agrees\" means within the tolerance that the suite states.";
    let otherwise = "No cell that a published value speaks of has been run.";
    Some(Section::new("Published values").paragraph(lead).table(table, otherwise))
}

fn beside(run: &Run, at: usize, published: &Published) -> Vec<Cell> {
    let metric = run.metric(&published.metric);
    let measured = measured(run, at, &published.metric);
    let spread = published.spread.map(|s| format!(" ± {}", significant(s))).unwrap_or_default();
    let off = measured.as_ref().map(|(mean, ..)| mean - published.value);
    let agrees = match (off, published.tolerance) {
        (Some(off), Some(tolerance)) if off.abs() <= tolerance => "yes".into(),
        (Some(_), Some(tolerance)) => format!("no (± {})", significant(tolerance)).into(),
        _ => Cell::None,
    };
    row![
        metric.label(),
        Cell::Number(format!("{}{spread}", significant(published.value))),
        measured.as_ref().map_or("not measured".into(), |(mean, spread, _)| {
            Cell::Number(metric.show(*mean) + spread)
        }),
        measured.as_ref().and_then(|(_, _, n)| *n).map_or(Cell::None, Cell::from),
        Cell::number(off.map(|off| format!("{off:+.*}", metric.decimals))),
        agrees,
        published.source.as_str(),
    ]
}

/// Mean, its spread in words and n of a score, a task measure or the label accuracy.
fn measured(run: &Run, at: usize, name: &str) -> Option<(f64, String, Option<usize>)> {
    let metric = run.metric(name);
    let cell = &run.cells[at];
    if let Some(summary) = cell.metrics.get(name) {
        let spread = spread(&metric, summary.ci, &summary.values);
        return Some((summary.mean?, spread, Some(summary.n)));
    }
    if let ("label_accuracy", Some(rate)) = (name, &cell.label_accuracy) {
        return Some((rate.rate, spread(&metric, rate.ci, &[]), Some(rate.tries)));
    }
    let task = run.records[at].task.get(name.strip_prefix("task_").unwrap_or(name))?;
    Some((*task, String::new(), None))
}
