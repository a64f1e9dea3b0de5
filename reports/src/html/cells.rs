//! Every cell: its row in the table of cells, and what its own view shows beside the rows of the
//! report's tables.

use super::{Texts, suite};
use crate::identified;
use crate::report::model::Cell;
use crate::tables::{CHANCE, chance, mean_ci, n, rate, share, threshold_labels};
use record::axes::defense_label;
use record::markdown::{NONE, bytes, count, significant};
use record::run::Run;
use record::{CellRecord, DefenseNote, MetricInfo, Outcome, utility};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The headline numbers as (title, value, remark).
pub(super) fn tiles(run: &Run) -> Vec<[String; 3]> {
    let open = run.open().len();
    let rest = [
        (run.ended("failed"), "failed"),
        (run.ended("not applicable"), "not applicable"),
        (open, "not run yet"),
    ];
    let rest = rest.map(|(n, what)| format!("{n} {what}")).join(", ");
    let cells = [
        "Cells done".into(),
        format!("{} of {}", run.ended("done"), run.records.len() + open),
        rest,
    ];
    let sent: Vec<f64> =
        run.records.iter().map(|r| r.cost.bytes_up as f64).filter(|b| *b > 0.0).collect();
    let seconds: f64 = run.records.iter().map(|r| r.wall.seconds).sum();
    let accuracies =
        worths(run).into_iter().filter_map(|(title, of)| accuracy_tile(run, title, of));
    let costs = [
        span(&sent, |v| bytes(v as u64)).map(|v| {
            ["Sent by a client".into(), v, "in the captured round, lowest to highest".into()]
        }),
        Some([
            "Time".into(),
            format!("{} s", count(seconds.round() as u64)),
            "all cells added up".into(),
        ]),
    ]
    .into_iter();
    let first = [Some(cells), strongest(run, false), strongest(run, true)].into_iter().flatten();
    first.chain(accuracies).chain(costs.flatten()).collect()
}

/// A title, and what it says of a cell.
type Worth = (&'static str, fn(&CellRecord) -> Option<utility::Share>);

/// What the run knows of the task: the accuracy of the attacked model and that after training with
/// the defenses are two things, so that where both occur each has its own name.
fn worths(run: &Run) -> Vec<Worth> {
    let trains = |r: &CellRecord| utility::rounds(r).is_some();
    let mixed = run.records.iter().any(trains)
        && run.records.iter().any(|r| !trains(r) && utility::accuracy(r).is_some());
    if !mixed {
        return vec![("task accuracy", utility::accuracy)];
    }
    let trained = |r: &CellRecord| utility::rounds(r).and_then(|_| utility::accuracy(r));
    vec![
        ("accuracy of the attacked model", utility::attacked),
        ("task accuracy after training", trained),
    ]
}

fn accuracy_tile(
    run: &Run,
    title: &str,
    of: fn(&CellRecord) -> Option<utility::Share>,
) -> Option<[String; 3]> {
    let values: Vec<f64> = run.records.iter().filter_map(|r| Some(of(r)?.0)).collect();
    let without = run.attacked().iter().filter(|at| of(&run.records[**at]).is_none()).count();
    let shown = span(&values, |v| format!("{v:.3}"))?;
    let title = format!("{}{}", title[..1].to_uppercase(), &title[1..]);
    Some([title, shown, format!("on the test split, lowest to highest; {without} cells without")])
}

/// The attack that got most by mean PSNR, over cells with or without a defense.
fn strongest(run: &Run, defended: bool) -> Option<[String; 3]> {
    let psnr = run.metric("psnr");
    psnr.higher_is_better.filter(|higher| *higher)?;
    let of = run.attacked().into_iter().filter(|at| run.defended(*at) == defended);
    let means = of.filter_map(|at| Some((run.cells[at].mean("psnr")?, at)));
    // The first of equals, as the suite lists them.
    let (mean, at) = means.reduce(|best, next| if next.0 > best.0 { next } else { best })?;
    let null =
        run.best_null_psnr(at).map_or("no floor".into(), |v| format!("floor {} dB", psnr.show(v)));
    let what =
        if defended { format!("through {}, ", defense_label(run, at)) } else { String::new() };
    let title =
        if defended { "Strongest attack, defended" } else { "Strongest attack, undefended" };
    Some([
        title.into(),
        format!("{} dB", psnr.show(mean)),
        format!("PSNR of {} (#{}), {what}{null}", run.axes.attacks[at], at + 1),
    ])
}

fn span(values: &[f64], show: impl Fn(f64) -> String) -> Option<String> {
    let low = values.iter().copied().reduce(f64::min)?;
    let high = values.iter().copied().reduce(f64::max)?;
    let (low, high) = (show(low), show(high));
    Some(if low == high { low } else { format!("{low} – {high}") })
}

/// Head, rows in the order of the cells, and which columns are of the first interest.
pub(super) fn table(run: &Run) -> Value {
    let mut columns = identity(run);
    columns.extend(scores(run));
    columns.extend(worth(run));
    columns.retain(|c| c.always || c.cells.iter().any(|v| !v.is_empty() && v != NONE));
    let row = |at: usize| columns.iter().map(|c| c.cells[at].as_str()).collect::<Vec<_>>();
    json!({
        "head": columns.iter().map(|c| &c.title).collect::<Vec<_>>(),
        "main": columns.iter().map(|c| c.main).collect::<Vec<_>>(),
        "rows": (0..run.records.len()).map(row).collect::<Vec<_>>(),
    })
}

struct Column {
    title: String,
    /// Shown before all columns are asked for.
    main: bool,
    /// Shown even where empty.
    always: bool,
    cells: Vec<String>,
}

fn column(run: &Run, title: impl Into<String>, main: bool, cell: impl Fn(usize) -> Cell) -> Column {
    let cells = (0..run.records.len()).map(|at| cell(at).marked()).collect();
    Column { title: title.into(), main, always: false, cells }
}

fn identity(run: &Run) -> Vec<Column> {
    let mut paths: Vec<usize> =
        (0..run.axes.paths.len()).filter(|c| run.axes.paths[*c] != "attack").collect();
    paths.sort_by_key(|c| run.axes.paths[*c] != "defenses");
    let mut columns = vec![
        column(run, "#", true, |at| (at + 1).into()),
        column(run, "outcome", true, |at| run.cells[at].outcome.into()),
        column(run, "attack", true, |at| run.axes.attacks[at].as_str().into()),
    ];
    columns.extend(paths.iter().map(|c| {
        column(run, &run.axes.titles[*c], true, |at| run.axes.rows[at][*c].as_str().into())
    }));
    columns.iter_mut().for_each(|c| c.always = true);
    columns.push(column(run, "id", false, |at| run.cells[at].id.as_str().into()));
    columns
}

fn scores(run: &Run) -> Vec<Column> {
    let names = run.metric_names.iter().filter(|m| *m != "label_match");
    let metrics: Vec<MetricInfo> = names.map(|m| run.metric(m)).collect();
    let psnr = run.metric("psnr");
    let summary = |at: usize| {
        run.cells[at].metrics.get("psnr").or_else(|| run.cells[at].metrics.values().next())
    };
    let mut columns =
        vec![column(
            run,
            "n",
            true,
            |at| if applies(run, at) { n(summary(at)) } else { Cell::None },
        )];
    for metric in &metrics {
        let main = ["psnr", "ssim", identified::NAME].contains(&metric.name.as_str())
            || metric.name.starts_with("lpips-");
        let title = format!("{}{}", metric.label(), metric.arrow());
        columns.push(column(run, title, main, |at| {
            mean_ci(metric, run.cells[at].metrics.get(&metric.name))
        }));
        if metric.name == "psnr" {
            let null = |at: usize| Cell::number(run.best_null_psnr(at).map(|v| psnr.show(v)));
            columns.push(column(run, "floor (dB)", true, null));
        }
        if metric.name == identified::NAME {
            columns.push(column(run, CHANCE, true, |at| chance(run, at)));
        }
    }
    let main = run.headline().map(|(.., label)| label);
    for label in metrics.iter().flat_map(threshold_labels) {
        let main = main.as_ref() == Some(&label);
        columns.push(column(run, &label, main, |at| rate(run.cells[at].success.get(&label))));
    }
    columns.push(column(run, "label accuracy", true, |at| match &run.cells[at] {
        cell if cell.labels_known => "known".into(),
        cell => rate(cell.label_accuracy.as_ref()),
    }));
    columns
}

fn applies(run: &Run, at: usize) -> bool {
    !matches!(run.records[at].outcome, Outcome::NotApplicable { .. })
}

fn worth(run: &Run) -> Vec<Column> {
    let record = |at: usize| &run.records[at];
    let sent = |v: u64| Cell::number((v > 0).then(|| bytes(v)));
    let some = |at: usize, text: String| Cell::number(applies(run, at).then_some(text));
    let flags = |at: usize| {
        let all: Vec<_> = run.cells[at].flags.iter().map(|(f, n)| format!("{f} ({n})")).collect();
        if all.is_empty() { Cell::None } else { all.join(", ").into() }
    };
    let accuracies = worths(run).into_iter();
    let accuracies =
        accuracies.map(|(title, of)| column(run, title, true, |at| share(of(record(at)))));
    let costs = [
        column(run, "ε", true, |at| Cell::number(utility::epsilon(record(at)).map(significant))),
        column(run, "ε of a round, known to take part", true, |at| {
            Cell::number(utility::certain_epsilon(record(at)).map(significant))
        }),
        column(run, "bytes up a client", true, |at| sent(record(at).cost.bytes_up)),
        column(run, "bytes down a client", false, |at| sent(record(at).cost.bytes_down)),
        column(run, "bytes up in all", false, |at| sent(record(at).cost.bytes_up_all)),
        column(run, "bytes down in all", false, |at| sent(record(at).cost.bytes_down_all)),
        column(run, "gradient evaluations", true, |at| {
            some(at, count(record(at).cost.gradient_evaluations))
        }),
        column(run, "seconds", true, |at| some(at, format!("{:.1}", record(at).wall.seconds))),
        column(run, "flags", true, flags),
    ];
    accuracies.chain(costs).collect()
}

/// What the view of cell `at` needs beside the tables.
pub(super) fn detail(run: &Run, at: usize, texts: &mut Texts) -> Value {
    let (record, cell) = (&run.records[at], &run.cells[at]);
    let suite = suite::suite(&record.spec);
    let lines =
        suite.as_ref().map(|s| s.lines().map(|line| texts.number(line)).collect::<Vec<_>>());
    let spec = json!(format!("{:#}", run.spec(at)));
    let claims = record.defenses.iter().filter(|d| d.name != "none").map(claim);
    json!({
        "id": cell.id,
        "attack": run.axes.attacks[at],
        "defense": defense_label(run, at),
        "setting": run.settings[at],
        "defended": run.defended(at),
        "outcome": cell.outcome,
        "why": why(record),
        "threat": texts.number(&record.threat),
        "world": texts.number(run.world(at)),
        "claims": claims.collect::<Vec<_>>(),
        "psnr": psnr(run, at),
        "phases": seconds(&record.wall.phases),
        "rounds": seconds(&record.wall.rounds),
        "flags": cell.flags,
        "notes": record.notes.iter().map(|note| texts.number(note)).collect::<Vec<_>>(),
        "lost": record.lost_images(),
        "toml": &lines,
        "spec": if lines.is_some() { Value::Null } else { spec },
    })
}

/// Where and why a cell did not end well.
fn why(record: &CellRecord) -> Option<String> {
    match &record.outcome {
        Outcome::NotApplicable { why } => Some(why.clone()),
        other => other.failure().map(|failure| format!("in {failure}")),
    }
}

/// Name, promise and adaptive attack of a defense; what it measured is in the table of defenses.
fn claim(note: &DefenseNote) -> Value {
    let adaptive = match &note.adaptive {
        Some(name) => format!("adaptive attack: {name}"),
        None => "no adaptive attack registered".into(),
    };
    json!([note.name, note.claim, adaptive])
}

/// Mean, its interval and the floor, in dB, for the bars.
fn psnr(run: &Run, at: usize) -> Option<Vec<Option<f64>>> {
    let summary = run.cells[at].metrics.get("psnr")?;
    let ci = |pick: fn(&record::stats::Interval) -> f64| summary.ci.as_ref().map(pick);
    let all = [Some(summary.mean?), ci(|c| c.low), ci(|c| c.high), run.best_null_psnr(at)];
    let rounded = |v: f64| (v.is_finite()).then(|| (v * 1e4).round() / 1e4);
    Some(all.iter().map(|v| v.and_then(rounded)).collect())
}

fn seconds(phases: &BTreeMap<String, f64>) -> Vec<[String; 2]> {
    phases.iter().map(|(phase, s)| [phase.clone(), significant(*s)]).collect()
}
