//! The tables of report.md, one file a subject.

mod cost;
mod defences;
mod overview;
mod problems;
mod published;
mod quality;

use crate::markdown::{NONE, Table};
use crate::metrics::Metric;
use crate::run::Run;
use crate::stats::{Interval, Rate, Summary};

/// Every section with its tables, in reading order.
pub(crate) fn sections(run: &Run) -> String {
    [
        overview::overview(run),
        overview::setting(run),
        overview::threats(run),
        quality::quality(run),
        quality::success(run),
        cost::cost(run),
        defences::defences(run),
        defences::worst_case(run),
        published::published(run),
        problems::failures(run),
        problems::flags(run),
        problems::notes(run),
    ]
    .concat()
}

/// A table whose rows are cells: number, attack, the other varying settings, then `columns`.
fn keyed(run: &Run, columns: impl IntoIterator<Item = String>) -> Table {
    let axes = run.axes.titles.iter().zip(&run.axes.paths).filter(|(_, path)| *path != "attack");
    let axes = axes.map(|(title, _)| title.clone());
    Table::new(["#".to_owned(), "attack".into()].into_iter().chain(axes).chain(columns))
}

/// The key of the row of cell `at`.
fn key(run: &Run, at: usize) -> Vec<String> {
    let own = run.axes.paths.iter().zip(&run.axes.rows[at]).filter(|(path, _)| *path != "attack");
    let own = own.map(|(_, value)| value.clone());
    [(at + 1).to_string(), run.axes.attacks[at].clone()].into_iter().chain(own).collect()
}

/// The key of the row of a null baseline for the cells `group`: what they have in common.
fn null_key(run: &Run, group: &[usize], name: &str) -> Vec<String> {
    let common = |column: usize| {
        let first = &run.axes.rows[group[0]][column];
        if group.iter().all(|at| &run.axes.rows[*at][column] == first) {
            first.clone()
        } else {
            String::new()
        }
    };
    let columns = (0..run.axes.paths.len()).filter(|c| run.axes.paths[*c] != "attack");
    [String::new(), format!("*null: {name}*")].into_iter().chain(columns.map(common)).collect()
}

/// "21.50 [20.10, 22.90]".
fn mean_ci(metric: &Metric, summary: Option<&Summary>) -> String {
    match summary.and_then(|s| Some((s.mean?, s.ci))) {
        Some((mean, ci)) => format!("{}{}", metric.show(mean), interval(metric, ci)),
        None => NONE.into(),
    }
}

fn interval(metric: &Metric, ci: Option<Interval>) -> String {
    ci.map(|ci| format!(" [{}, {}]", metric.show(ci.low), metric.show(ci.high))).unwrap_or_default()
}

/// "70 % (7/10) [40, 89]".
fn rate(rate: Option<&Rate>) -> String {
    let percent = |v: f64| format!("{:.0}", 100.0 * v);
    rate.map_or(NONE.into(), |r| {
        let (low, high) = (percent(r.ci.low), percent(r.ci.high));
        format!("{} % ({}/{}) [{low}, {high}]", percent(r.rate), r.successes, r.tries)
    })
}

/// Images behind a row, with those that are not in the mean.
fn n(summary: Option<&Summary>) -> String {
    let Some(s) = summary else { return "0".into() };
    let parts = [(s.capped, "capped"), (s.failed, "failed"), (s.missing, "missing")];
    let rest: Vec<_> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if rest.is_empty() { s.n.to_string() } else { format!("{} ({})", s.n, rest.join(", ")) }
}
