//! What was run, on what, how to run it again, and in which setting.

use record::markdown::{Table, count, escape, ranges};
use record::run::Run;
use record::store::Host;
use record::{Outcome, axes};
use std::collections::HashSet;

pub(super) fn overview(run: &Run) -> String {
    let info = &run.info;
    let mut table = Table::new(["", ""]);
    let mut row = |what: &str, value: String| table.row([what.to_owned(), value]);
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
    row("run again", format!("`{}`", info.command));
    row("go on or repair", format!("`{}`", info.resume));
    let seconds: f64 = run.records.iter().map(|r| r.wall.seconds).sum();
    row("time", format!("{} s, all cells added up", count(seconds.round() as u64)));
    let title = format!("# {}\n\n", escape(&heading(run)));
    let description = format!("{}\n\n", escape(&info.suite.description));
    format!(
        "{title}{}{}{}",
        if info.suite.description.is_empty() { "" } else { &description },
        table.render(""),
        elsewhere(run)
    )
}

fn heading(run: &Run) -> String {
    let title = run.info.suite.title();
    let mut letters = title.chars();
    letters
        .next()
        .map(|c| c.to_uppercase().collect::<String>() + letters.as_str())
        .unwrap_or_default()
}

fn elsewhere(run: &Run) -> String {
    let host = |h: &Host| format!("- {}, {}, bench {}\n", h.machine, h.kind(), h.bench_version);
    if run.info.elsewhere.is_empty() {
        return String::new();
    }
    let hosts: String = run.info.elsewhere.iter().map(host).collect();
    let note = if run.info.is_mixed() {
        "**Parts of this run were made on other kinds of machine.** Each cell is whole and as right \
         as on one machine, but last digits, what attacks make of them, and seconds do not compare \
         between:"
    } else {
        "**Parts of this run were made elsewhere**, on the same kind of machine, so that seconds \
         do not compare:"
    };
    let first = host(&run.info.host());
    format!("{note}\n\n{first}{hosts}\n")
}

fn state(run: &Run) -> String {
    let counted = |word: &str| run.cells.iter().filter(|c| c.outcome == word).count();
    let present: HashSet<_> = run.records.iter().map(|r| &r.id).collect();
    let open = run.info.suite.cells.iter().filter(|id| !present.contains(id)).count();
    let parts = [
        (counted("done"), "done"),
        (counted("failed"), "failed"),
        (counted("not applicable"), "not applicable"),
        (open, "not run yet"),
    ];
    let shown: Vec<_> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let total = run.records.len() + open;
    format!("{total}: {}", if shown.is_empty() { "none".into() } else { shown.join(", ") })
}

pub(super) fn setting(run: &Run) -> String {
    let mut table = Table::new(["setting", "value"]);
    run.axes.constant.iter().for_each(|(path, value)| table.row([path.clone(), value.clone()]));
    let lead = "Equal in every cell; what varies keys the rows of the tables below.\n\n";
    format!("## Setting\n\n{lead}{}", table.render("No cell has been run yet."))
}

/// Every cell with all that varies; the other tables name only what is needed to tell cells apart.
pub(super) fn cells(run: &Run) -> String {
    let mut paths: Vec<usize> =
        (0..run.axes.paths.len()).filter(|c| run.axes.paths[*c] != "attack").collect();
    paths.sort_by_key(|c| run.axes.paths[*c] != "defenses");
    let titles = paths.iter().map(|c| run.axes.titles[*c].clone());
    let head = ["#", "id", "outcome", "attack"].map(String::from);
    let mut table = Table::new(head.into_iter().chain(titles));
    for (at, cell) in run.cells.iter().enumerate() {
        let own = [
            (at + 1).to_string(),
            cell.id.clone(),
            cell.outcome.to_owned(),
            run.axes.attacks[at].clone(),
        ];
        table.row(own.into_iter().chain(paths.iter().map(|c| run.axes.rows[at][*c].clone())));
    }
    format!("## Cells\n\n{}", table.render("No cell has been run yet."))
}

pub(super) fn threats(run: &Run) -> String {
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
    threats.into_iter().for_each(|(text, cells)| table.row([ranges(&cells), text.to_owned()]));
    format!("## Threat models\n\n{}", table.render("No cell has been attacked yet."))
}
