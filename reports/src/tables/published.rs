//! Values from the literature beside the measured ones.

use super::{interval, key, keyed};
use record::markdown::{NONE, significant};
use record::metrics::Metric;
use record::run::Run;
use record::stats::Interval;
use suites::Published;

pub(super) fn published(run: &Run) -> String {
    if run.info.suite.published.is_empty() {
        return String::new();
    }
    let columns = ["metric", "published", "measured", "n", "difference", "agrees", "source"];
    let mut table = keyed(run, columns.map(String::from));
    for at in run.attacked() {
        for value in run.info.suite.published.iter().filter(|p| p.applies(&run.records[at].spec)) {
            table.row(key(run, at).into_iter().chain(row(run, at, value)));
        }
    }
    let lead = "\"Agrees\" means within the tolerance that the suite states.\n\n";
    format!(
        "## Published values\n\n{lead}{}",
        table.render("No cell that a published value speaks of has been run.")
    )
}

fn row(run: &Run, at: usize, published: &Published) -> [String; 7] {
    let metric = Metric::of(&published.metric);
    let measured = measured(run, at, &published.metric);
    let spread = published.spread.map(|s| format!(" ± {}", significant(s))).unwrap_or_default();
    let off = measured.map(|(mean, ..)| mean - published.value);
    let agrees = match (off, published.tolerance) {
        (Some(off), Some(tolerance)) if off.abs() <= tolerance => "yes".to_owned(),
        (Some(_), Some(tolerance)) => format!("no (± {})", significant(tolerance)),
        _ => NONE.into(),
    };
    [
        metric.label(),
        format!("{}{spread}", significant(published.value)),
        measured.map_or("not measured".into(), |(mean, ci, _)| {
            format!("{}{}", metric.show(mean), interval(&metric, ci))
        }),
        measured.map_or(NONE.into(), |(_, _, n)| n.map_or(NONE.into(), |n| n.to_string())),
        off.map_or(NONE.into(), |off| format!("{off:+.*}", metric.decimals)),
        agrees,
        published.source.clone(),
    ]
}

/// Mean, interval and n of a score, a task measure or the label accuracy.
fn measured(run: &Run, at: usize, name: &str) -> Option<(f64, Option<Interval>, Option<usize>)> {
    let cell = &run.cells[at];
    if let Some(summary) = cell.metrics.get(name) {
        return Some((summary.mean?, summary.ci, Some(summary.n)));
    }
    if let ("label_accuracy", Some(rate)) = (name, &cell.label_accuracy) {
        return Some((rate.rate, Some(rate.ci), Some(rate.tries)));
    }
    let task = run.records[at].task.get(name.strip_prefix("task_").unwrap_or(name))?;
    Some((*task, None, None))
}
