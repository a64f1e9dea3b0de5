//! `report/` of a training: its facts, what it reached, its curves and its rounds.

use super::{Totals, last_and_best, metric_names, title};
use crate::{ReportError, figures};
use record::markdown::{NONE, Table, bytes, escape, ranges, significant};
use record::{RoundRecord, TrainingInfo, write_whole};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Rows of the table of rounds; of more, some are left out evenly.
const ROWS: usize = 30;
/// Rows of the table of failures.
const FAILURES: usize = 50;

/// Writes `dir/report/report.md` with its figures (PNG and SVG) and returns its path.
///
/// Works on a training under way, too: the report is of the rounds given.
///
/// # Errors
/// [`record::RecordError::Io`] where the folder cannot be written.
pub fn write_training_report(
    dir: &Path,
    about: &TrainingInfo,
    rounds: &[RoundRecord],
) -> Result<PathBuf, ReportError> {
    let folder = dir.join("report");
    let figures = figures::training::write(&folder, rounds, &about.robustness)?;
    let text = [
        overview(about, rounds),
        reached(rounds),
        robustness(about),
        table(rounds),
        figures,
        failures(rounds),
        notes(about),
    ]
    .concat();
    let path = folder.join("report.md");
    write_whole(&path, text.as_bytes())?;
    Ok(path)
}

fn overview(about: &TrainingInfo, rounds: &[RoundRecord]) -> String {
    let mut table = Table::new(["", ""]);
    about.facts.iter().for_each(|(what, value)| table.row([what, value]));
    if !about.command.is_empty() {
        table.row(["run again", format!("`{}`", about.command).as_str()]);
    }
    let totals = Totals::of(rounds);
    let done = rounds.iter().map(|r| r.round).max().unwrap_or(0);
    table.row(["rounds", done.to_string().as_str()]);
    table.row(["bytes sent, all clients", bytes(totals.up).as_str()]);
    table.row(["bytes received, all clients", bytes(totals.down).as_str()]);
    table.row(["seconds", format!("{:.1}", totals.seconds).as_str()]);
    if let Some(spent) = rounds.iter().rev().find_map(spent) {
        table.row(["privacy spent", spent.as_str()]);
    }
    format!("# {}\n\n{}", escape(&about.title), table.render(""))
}

fn spent(round: &RoundRecord) -> Option<String> {
    let delta = round.delta.map_or(String::new(), |d| format!(" at delta {}", significant(d)));
    Some(format!("epsilon {}{delta}", significant(round.epsilon?)))
}

/// The last and the best value of each metric.
fn reached(rounds: &[RoundRecord]) -> String {
    let mut table = Table::new(["metric", "last", "round", "best", "round"]);
    for name in metric_names(rounds) {
        let Some([(last, value), (best, top)]) = last_and_best(rounds, &name) else { continue };
        let (last, best) = (last.round.to_string(), best.round.to_string());
        table.row([title(&name), significant(value), last, significant(top), best]);
    }
    let lead = "On held-out examples. The best round was picked by looking at these examples: \
        quote the last.\n\n";
    format!("## Reached\n\n{lead}{}", table.render("No round has been evaluated yet."))
}

fn robustness(about: &TrainingInfo) -> String {
    if about.robustness.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["corruption", "strength", "accuracy", "relative to clean"]);
    for (corruption, strength, accuracy, relative) in &about.robustness {
        table.row([
            corruption.clone(),
            significant(*strength),
            format!("{accuracy:.4}"),
            format!("{relative:.4}"),
        ]);
    }
    format!("## Robustness\n\n{}", table.render(""))
}

fn table(rounds: &[RoundRecord]) -> String {
    let metrics = metric_names(rounds);
    let fixed = ["round", "survivors", "training loss"].map(String::from).into_iter();
    let rest = ["lr", "bytes up", "bytes down", "seconds", "epsilon"].map(String::from);
    let mut table = Table::new(fixed.chain(metrics.iter().map(|m| title(m))).chain(rest));
    let shown = thinned(rounds);
    for round in &shown {
        table.row(row(round, &metrics));
    }
    let part = match shown.len() < rounds.len() {
        true => format!(
            "{} of {} rounds; all are in [records.csv](../records.csv).\n\n",
            shown.len(),
            rounds.len()
        ),
        false => "Also in [records.csv](../records.csv).\n\n".into(),
    };
    let table = table.without_empty_columns();
    format!(
        "## Rounds\n\nBytes are those of all clients of the round. {part}{}",
        table.render("No round yet.")
    )
}

fn row(round: &RoundRecord, metrics: &[String]) -> Vec<String> {
    let number = |v: Option<f64>| v.map_or(NONE.into(), significant);
    let survivors = match round.clients {
        0 => NONE.into(),
        clients => format!("{} of {clients}", round.survivors),
    };
    let head = [round.round.to_string(), survivors, number(round.train_loss)];
    let scores = metrics.iter().map(|m| number(round.metrics.get(m).copied()));
    let rest = [
        number(Some(round.lr)),
        bytes(round.bytes_up),
        bytes(round.bytes_down),
        format!("{:.2}", round.seconds),
        number(round.epsilon),
    ];
    head.into_iter().chain(scores).chain(rest).collect()
}

/// The evaluated rounds if these are fewer than all, evenly thinned, the last one always among
/// them.
fn thinned(rounds: &[RoundRecord]) -> Vec<&RoundRecord> {
    if rounds.len() <= ROWS {
        return rounds.iter().collect();
    }
    let last = rounds.len() - 1;
    let telling = |at: usize| at == last || !rounds[at].metrics.is_empty();
    let places: Vec<usize> = (0..rounds.len()).filter(|at| telling(*at)).collect();
    let each = places.len().div_ceil(ROWS);
    let kept = places.iter().rev().step_by(each);
    let mut kept: Vec<&RoundRecord> = kept.map(|at| &rounds[*at]).collect();
    kept.reverse();
    kept
}

/// What went wrong, with the rounds in which it did.
fn failures(rounds: &[RoundRecord]) -> String {
    let (mut by_text, mut index) = (Vec::<(&str, Vec<usize>)>::new(), HashMap::new());
    for (round, text) in rounds.iter().flat_map(|r| r.failures.iter().map(|text| (r.round, text))) {
        let slot = *index.entry(text).or_insert(by_text.len());
        match by_text.get_mut(slot) {
            Some((_, at)) => at.push(round),
            None => by_text.push((text, vec![round])),
        }
    }
    if by_text.is_empty() {
        return String::new();
    }
    let left = by_text.len().saturating_sub(FAILURES);
    let mut table = Table::new(["rounds", "failure"]);
    by_text
        .iter()
        .take(FAILURES)
        .for_each(|(text, at)| table.row([ranges(at), (*text).to_owned()]));
    let more =
        if left > 0 { format!("{left} more kinds are in records.csv.\n\n") } else { String::new() };
    format!("## Failures\n\n{}{more}", table.render(""))
}

fn notes(about: &TrainingInfo) -> String {
    if about.notes.is_empty() {
        return String::new();
    }
    let lines = about.notes.iter().map(|note| format!("- {}\n", escape(note)));
    format!("## Notes\n\n{}\n", lines.collect::<String>())
}
