//! `report/` of a training: its facts, what it reached, its curves and its rounds.

use super::{Totals, constant, last_and_best, metric_names, title};
use crate::ReportError;
use crate::figure::{catalogue, files};
use crate::html;
use crate::report::model::{Cell, Report, Section, Span, Table, Text, row};
use crate::report::{latex, markdown};
use record::markdown::{bytes, ranges, significant};
use record::write_whole;
use record::{RoundRecord, TrainingInfo};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Rows of the table of rounds; of more, some are left out evenly.
const ROWS: usize = 30;
/// Rows of the table of failures.
const FAILURES: usize = 50;

/// Writes `dir/report/report.md`, the same as one page of HTML and as LaTeX, and its figures (PNG
/// and SVG); returns the path of the first.
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
    let charts = catalogue::of_training(rounds, &about.robustness);
    files::write(&folder, &charts)?;
    let sections = [
        verdict(rounds),
        Some(overview(about, rounds)),
        Some(reached(rounds)),
        robustness(about),
        Some(table(rounds)),
        Some(Section::figures(&charts, Vec::new(), "Nothing has been measured yet.")),
        failures(rounds),
        notes(about),
    ];
    let sections = sections.into_iter().flatten().collect();
    let report = Report { title: about.title.clone(), sections, details: Vec::new() };
    let path = folder.join("report.md");
    write_whole(&path, markdown::render(&report).as_bytes())?;
    write_whole(&folder.join("report.tex"), latex::render(&report).as_bytes())?;
    let page = html::training_page(&report, &folder);
    write_whole(&folder.join("report.html"), page.as_bytes())?;
    Ok(path)
}

/// What was reached, in one sentence, beside what needs no model.
fn verdict(rounds: &[RoundRecord]) -> Option<Section> {
    let last = rounds.iter().rev().find(|r| r.metrics.contains_key("accuracy"))?;
    let done = match last.round {
        0 => "Before any training".into(),
        1 => "After one round".into(),
        n => format!("After {n} rounds"),
    };
    let examples = constant(rounds, "examples").map_or(String::new(), |n| format!(" {n}"));
    let accuracy = significant(*last.metrics.get("accuracy")?);
    let trivial = constant(rounds, "majority").map_or(String::new(), |share| {
        format!("; always giving the most frequent answer is right for {}", significant(share))
    });
    let spent = last.epsilon.map_or(String::new(), |_| {
        spent(last).map_or(String::new(), |words| format!(" Privacy spent: {words}."))
    });
    let sentence = format!(
        "{done} the accuracy on{examples} held-out examples is {accuracy}{trivial}.{spent}"
    );
    Some(Section::default().paragraph(sentence))
}

fn overview(about: &TrainingInfo, rounds: &[RoundRecord]) -> Section {
    let mut table = Table::new(["", ""]);
    about.facts.iter().for_each(|(what, value)| table.push(row![what.as_str(), value.as_str()]));
    if !about.command.is_empty() {
        table.push(row!["run again", Text::code(&about.command)]);
    }
    let totals = Totals::from_rounds(rounds);
    let done = rounds.iter().map(|r| r.round).max().unwrap_or(0);
    table.push(row!["rounds", done]);
    table.push(row!["bytes sent, all clients", bytes(totals.up)]);
    table.push(row!["bytes received, all clients", bytes(totals.down)]);
    table.push(row!["seconds", format!("{:.1}", totals.seconds)]);
    if let Some(spent) = rounds.iter().rev().find_map(spent) {
        table.push(row!["privacy spent", spent]);
    }
    Section::new("Training").table(table, "")
}

fn spent(round: &RoundRecord) -> Option<String> {
    let delta = round.delta.map_or(String::new(), |d| format!(" at delta {}", significant(d)));
    Some(format!("epsilon {}{delta}", significant(round.epsilon?)))
}

/// The last and the best value of each metric.
fn reached(rounds: &[RoundRecord]) -> Section {
    let mut table = Table::new(["metric", "last", "round", "best", "round"]);
    for name in metric_names(rounds) {
        let Some(((last, value), best)) = last_and_best(rounds, &name) else { continue };
        let value = Cell::Number(significant(value));
        let (top, best) = best.map_or((Cell::None, Cell::None), |(round, top)| {
            (Cell::Number(significant(top)), round.round.into())
        });
        table.push(row![title(&name), value, last.round, top, best]);
    }
    let lead = "On held-out examples. The best round was picked by looking at these examples: \
        quote the last.";
    Section::new("Reached").paragraph(lead).table(table, "No round has been evaluated yet.")
}

fn robustness(about: &TrainingInfo) -> Option<Section> {
    let mut table = Table::new(["corruption", "strength", "accuracy", "relative to clean"]);
    for (corruption, strength, accuracy, relative) in &about.robustness {
        table.push(row![
            corruption.as_str(),
            Cell::Number(significant(*strength)),
            Cell::Number(format!("{accuracy:.4}")),
            Cell::Number(format!("{relative:.4}")),
        ]);
    }
    (!about.robustness.is_empty()).then(|| Section::new("Robustness").table(table, ""))
}

fn table(rounds: &[RoundRecord]) -> Section {
    let metrics = metric_names(rounds);
    let fixed = ["round", "survivors", "training loss"].map(String::from).into_iter();
    let rest = ["lr", "bytes up", "bytes down", "seconds", "epsilon"].map(String::from);
    let mut table = Table::new(fixed.chain(metrics.iter().map(|m| title(m))).chain(rest));
    let shown = thinned(rounds);
    for round in &shown {
        table.push(values(round, &metrics));
    }
    let part = if shown.len() < rounds.len() {
        format!("{} of {} rounds; all are in ", shown.len(), rounds.len())
    } else {
        "Also in ".into()
    };
    let lead = Text(vec![
        Span::Words(format!("Bytes are those of all clients of the round. {part}")),
        Span::Link("records.csv".into(), "../records.csv".into()),
        Span::Words(".".into()),
    ]);
    Section::new("Rounds").paragraph(lead).table(table.without_empty_columns(), "No round yet.")
}

fn values(round: &RoundRecord, metrics: &[String]) -> Vec<Cell> {
    let number = |v: Option<f64>| Cell::number(v.map(significant));
    let survivors = match round.clients {
        0 => Cell::None,
        clients => format!("{} of {clients}", round.survivors).into(),
    };
    let head = row![round.round, survivors, number(round.train_loss)];
    let scores = metrics.iter().map(|m| number(round.metrics.get(m).copied()));
    let rest = [
        number(Some(round.lr)),
        Cell::Number(bytes(round.bytes_up)),
        Cell::Number(bytes(round.bytes_down)),
        Cell::Number(format!("{:.2}", round.seconds)),
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
    let distinguishing = |at: usize| at == last || !rounds[at].metrics.is_empty();
    let places: Vec<usize> = (0..rounds.len()).filter(|at| distinguishing(*at)).collect();
    let each = places.len().div_ceil(ROWS);
    let kept = places.iter().rev().step_by(each);
    let mut kept: Vec<&RoundRecord> = kept.map(|at| &rounds[*at]).collect();
    kept.reverse();
    kept
}

/// What went wrong, with the rounds in which it did.
fn failures(rounds: &[RoundRecord]) -> Option<Section> {
    let (mut by_text, mut index) = (Vec::<(&str, Vec<usize>)>::new(), HashMap::new());
    for (round, text) in rounds.iter().flat_map(|r| r.failures.iter().map(|text| (r.round, text))) {
        let slot = *index.entry(text).or_insert(by_text.len());
        match by_text.get_mut(slot) {
            Some((_, at)) => at.push(round),
            None => by_text.push((text, vec![round])),
        }
    }
    let left = by_text.len().saturating_sub(FAILURES);
    let mut table = Table::new(["rounds", "failure"]);
    by_text.iter().take(FAILURES).for_each(|(text, at)| table.push(row![ranges(at), *text]));
    let more =
        if left > 0 { format!("{left} more kinds are in records.csv.") } else { String::new() };
    (!by_text.is_empty()).then(|| Section::new("Failures").table(table, "").paragraph(more))
}

fn notes(about: &TrainingInfo) -> Option<Section> {
    let notes: Vec<Text> = about.notes.iter().map(|note| note.as_str().into()).collect();
    (!notes.is_empty()).then(|| Section::new("Notes").list(notes))
}
