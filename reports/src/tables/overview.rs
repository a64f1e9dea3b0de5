//! What was run, on what, how to run it again, and in which setting: all of it, in tables.

use super::{NOTHING, line, words};
use crate::report::model::{Cell, Section, Span, Table, Text, row};
use record::markdown::{count, ranges};
use record::run::Run;
use record::store::Host;
use record::{Outcome, axes};

pub(super) fn overview(run: &Run) -> Section {
    let info = &run.info;
    let mut table = Table::new(["", ""]);
    let mut row = |what: &str, value: String| table.push(row![what, value]);
    row("suite", format!("{}, version {}", info.suite.title(), info.suite.version));
    row("cells", state(run));
    row("device", info.device.clone());
    row("machine", info.machine.clone());
    if !info.processor.is_empty() {
        row("processor", info.processor.clone());
    }
    row(
        "versions",
        format!("bench {}, libtorch {}, schema {}", info.bench_version, info.libtorch, info.schema),
    );
    if !info.overrides.is_empty() {
        let set =
            info.overrides.iter().map(|(path, value)| format!("{path} = {}", axes::plain(value)));
        row("set on the command line", set.collect::<Vec<_>>().join("; "));
    }
    info.shard.iter().for_each(|shard| row("shard", shard.clone()));
    table.push(row!["run again", Text::code(&info.command)]);
    table.push(row!["go on or repair", Text::code(&info.resume)]);
    let seconds: f64 = run.records.iter().map(|r| r.wall.seconds).sum();
    let time = format!("{} s, all cells added up", count(seconds.round() as u64));
    table.push(row!["time", time]);
    Section::new("Run").table(table, "")
}

/// The heading of the report.
pub(super) fn title(run: &Run) -> String {
    let title = run.info.suite.title();
    let mut letters = title.chars();
    letters
        .next()
        .map(|c| c.to_uppercase().collect::<String>() + letters.as_str())
        .unwrap_or_default()
}

/// The section with what must be said of machines and of schemas.
pub(super) fn elsewhere(run: &Run, mut section: Section) -> Section {
    if let Some(old) = run.info.old() {
        section = section.paragraph(old);
    }
    if run.info.elsewhere.is_empty() {
        return section;
    }
    let host =
        |h: &Host| Text::from(format!("{}, {}, bench {}", h.machine, h.kind(), h.bench_version));
    let warning = if run.info.is_mixed() {
        line([
            Span::Strong("Parts of this run were made on other kinds of machine.".into()),
            words(
                " Each cell is whole and as right as on one machine, but last digits, what attacks \
             make of them, and seconds do not compare between:",
            ),
        ])
    } else {
        line([
            Span::Strong("Parts of this run were made elsewhere".into()),
            words(", on the same kind of machine, so that seconds do not compare:"),
        ])
    };
    let hosts = std::iter::once(run.info.host()).chain(run.info.elsewhere.iter().cloned());
    section.paragraph(warning).list(hosts.map(|h| host(&h)).collect())
}

/// How many cells there are, and how they ended.
pub(super) fn state(run: &Run) -> String {
    let open = run.open().len();
    let parts = [
        (run.ended("done"), "done"),
        (run.ended("failed"), "failed"),
        (run.ended("not applicable"), "not applicable"),
        (open, "not run yet"),
    ];
    let shown: Vec<_> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let total = run.records.len() + open;
    format!("{total}: {}", if shown.is_empty() { "none".into() } else { shown.join(", ") })
}

pub(super) fn setting(run: &Run) -> Section {
    let mut table = Table::new(["setting", "value"]);
    let constant = run.axes.constant.iter();
    constant.for_each(|(path, value)| table.push(row![path.as_str(), value.as_str()]));
    let lead = "Equal in every cell; what varies keys the rows of the tables below.";
    Section::new("Setting").paragraph(lead).table(table, "No cell has been run yet.")
}

/// Every cell with all that varies; the other tables name only what is needed to tell cells apart.
pub(super) fn cells(run: &Run) -> Section {
    let mut paths: Vec<usize> =
        (0..run.axes.paths.len()).filter(|c| run.axes.paths[*c] != "attack").collect();
    paths.sort_by_key(|c| run.axes.paths[*c] != "defenses");
    let titles = paths.iter().map(|c| run.axes.titles[*c].clone());
    let head = ["#", "id", "outcome", "attack"].map(String::from);
    let mut table = Table::new(head.into_iter().chain(titles));
    for (at, cell) in run.cells.iter().enumerate() {
        let own = row![at + 1, cell.id.as_str(), cell.outcome, run.axes.attacks[at].as_str()];
        let varying = paths.iter().map(|c| Cell::from(run.axes.rows[at][*c].as_str()));
        table.push(own.into_iter().chain(varying));
    }
    Section::new("Cells").table(table, "No cell has been run yet.")
}

pub(super) fn threats(run: &Run) -> Section {
    let mut threats: Vec<(&str, Vec<usize>)> = Vec::new();
    for (at, record) in run.records.iter().enumerate() {
        if matches!(record.outcome, Outcome::NotApplicable { .. }) {
            continue;
        }
        match threats.iter_mut().find(|(text, _)| *text == record.threat) {
            Some((_, cells)) => cells.push(at + 1),
            None => threats.push((&record.threat, vec![at + 1])),
        }
    }
    let mut table = Table::new(["cells", "who attacks, and what is seen and known"]);
    threats.into_iter().for_each(|(text, cells)| table.push(row![ranges(&cells), text]));
    Section::new("Threat models").table(table, NOTHING)
}
