//! The tables of report.md, one file a subject.

mod cost;
mod defences;
mod frontier;
mod leakage;
mod overview;
mod problems;
mod published;
mod quality;

pub(crate) use defences::share;

use record::markdown::{NONE, Table};
use record::metrics::Metric;
use record::run::Run;
use record::stats::{Interval, Rate, Summary};

/// Every section with its tables, in reading order.
pub(crate) fn sections(run: &Run) -> String {
    [
        overview::overview(run),
        overview::setting(run),
        overview::cells(run),
        overview::threats(run),
        quality::quality(run),
        quality::success(run),
        cost::cost(run),
        defences::defences(run),
        defences::worst_case(run),
        frontier::frontier(run),
        leakage::leakage(run),
        published::published(run),
        problems::failures(run),
        problems::flags(run),
        problems::notes(run),
    ]
    .concat()
}

/// A table whose rows are cells: number, attack, defence, what else tells them apart, then
/// `columns`.
fn keyed(run: &Run, columns: impl IntoIterator<Item = String>) -> Table {
    let defence = varies(run, "defenses").then(|| "defence".to_owned());
    let setting = settings_vary(run).then(|| "setting".to_owned());
    let head = ["#".to_owned(), "attack".into()].into_iter().chain(defence).chain(setting);
    Table::new(head.chain(columns))
}

fn varies(run: &Run, path: &str) -> bool {
    run.axes.paths.iter().any(|p| p == path)
}

fn settings_vary(run: &Run) -> bool {
    run.settings.iter().any(|s| !s.is_empty())
}

/// The key of the row of cell `at`.
fn key(run: &Run, at: usize) -> Vec<String> {
    row_key(
        run,
        at,
        (at + 1).to_string(),
        run.axes.attacks[at].clone(),
        run.axes.value(at, "defenses").unwrap_or_default(),
    )
}

/// The key of the row of a null baseline of the world of cell `at`.
fn null_key(run: &Run, at: usize, name: &str) -> Vec<String> {
    row_key(run, at, String::new(), format!("*null: {name}*"), "")
}

fn row_key(run: &Run, at: usize, number: String, attack: String, defence: &str) -> Vec<String> {
    let defence = varies(run, "defenses").then(|| defence.to_owned());
    [number, attack]
        .into_iter()
        .chain(defence)
        .chain(settings_vary(run).then(|| run.settings[at].clone()))
        .collect()
}

/// "21.50 [20.10, 22.90]".
pub(crate) fn mean_ci(metric: &Metric, summary: Option<&Summary>) -> String {
    match summary.and_then(|s| Some((s.mean?, s.ci))) {
        Some((mean, ci)) => format!("{}{}", metric.show(mean), interval(metric, ci)),
        None => NONE.into(),
    }
}

fn interval(metric: &Metric, ci: Option<Interval>) -> String {
    ci.map(|ci| format!(" [{}, {}]", metric.show(ci.low), metric.show(ci.high))).unwrap_or_default()
}

/// "70 % (7/10) [40, 89]".
pub(crate) fn rate(rate: Option<&Rate>) -> String {
    let percent = |v: f64| format!("{:.0}", 100.0 * v);
    rate.map_or(NONE.into(), |r| {
        let (low, high) = (percent(r.ci.low), percent(r.ci.high));
        format!("{} % ({}/{}) [{low}, {high}]", percent(r.rate), r.successes, r.tries)
    })
}

/// Images behind a row, with those that are not in the mean.
pub(crate) fn n(summary: Option<&Summary>) -> String {
    let Some(s) = summary else { return "0".into() };
    let parts = [(s.capped, "capped"), (s.failed, "failed"), (s.missing, "missing")];
    let rest: Vec<_> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if rest.is_empty() { s.n.to_string() } else { format!("{} ({})", s.n, rest.join(", ")) }
}
