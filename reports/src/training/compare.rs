//! Several trainings side by side: what each reached and spent, their curves overlaid.

use super::{Totals, last_and_best, metric_names, title};
use crate::ReportError;
use crate::figure::{catalogue, files};
use crate::report::markdown;
use crate::report::model::{Cell, Report, Section, Table, row};
use record::markdown::{bytes, significant};
use record::rounds::ROUNDS;
use record::write_whole;
use record::{RoundRecord, read_rounds};
use std::path::{Path, PathBuf};

/// Writes `out/comparison.md` on the trainings in `runs`, given as (label, folder), with figures
/// that overlay them, and returns its path.
///
/// The labels name rows and curves; equal ones get a number.
///
/// # Errors
/// [`ReportError::NothingToCompare`]; [`ReportError::NotATraining`] for a folder without
/// `records.csv`; [`record::RecordError::Malformed`] where that file is no record of rounds;
/// [`record::RecordError::Io`].
pub fn compare_trainings(runs: &[(String, PathBuf)], out: &Path) -> Result<PathBuf, ReportError> {
    if runs.is_empty() {
        return Err(ReportError::NothingToCompare);
    }
    let read: Result<Vec<_>, _> = runs.iter().map(|(_, dir)| rounds(dir)).collect();
    let (read, labels) = (read?, labels(runs));
    let named: Vec<(&str, &[RoundRecord])> =
        labels.iter().map(String::as_str).zip(read.iter().map(Vec::as_slice)).collect();
    let charts = catalogue::of_trainings(&named);
    files::write(out, &charts)?;
    let nothing = "None of the trainings has measured anything yet.";
    let sections = vec![table(&named), Section::figures(&charts, Vec::new(), nothing)];
    let report = Report { title: "Trainings compared".into(), sections, details: Vec::new() };
    let path = out.join("comparison.md");
    write_whole(&path, markdown::render(&report).as_bytes())?;
    Ok(path)
}

fn rounds(dir: &Path) -> Result<Vec<RoundRecord>, ReportError> {
    let path = dir.join(ROUNDS);
    if path.exists() { Ok(read_rounds(&path)?) } else { Err(ReportError::NotATraining(dir.into())) }
}

fn labels(runs: &[(String, PathBuf)]) -> Vec<String> {
    let label = |(at, (label, _)): (usize, &(String, PathBuf))| {
        let before = runs[..at].iter().filter(|(other, _)| other == label).count();
        if before == 0 { label.clone() } else { format!("{label} ({})", before + 1) }
    };
    runs.iter().enumerate().map(label).collect()
}

fn table(runs: &[(&str, &[RoundRecord])]) -> Section {
    let metrics = metric_names(runs.iter().flat_map(|r| r.1));
    let fixed = ["training", "rounds"].map(String::from).into_iter();
    let rest =
        ["bytes up", "bytes down", "bytes a round", "seconds a round", "epsilon", "failures"]
            .map(String::from);
    let mut table = Table::new(fixed.chain(metrics.iter().map(|m| title(m))).chain(rest));
    for (label, rounds) in runs {
        table.push(totals(label, rounds, &metrics));
    }
    let lead = "Scores are those of the last round that has them; bytes are those of all clients.";
    Section::default().paragraph(lead).table(table.without_empty_columns(), "")
}

fn totals(label: &str, rounds: &[RoundRecord], metrics: &[String]) -> Vec<Cell> {
    let (totals, done) =
        (Totals::from_rounds(rounds), rounds.iter().map(|r| r.round).max().unwrap_or(0));
    let last = |name: &String| {
        Cell::number(last_and_best(rounds, name).map(|(last, _)| significant(last.1)))
    };
    let each = done.max(1) as u64;
    let epsilon = rounds.iter().rev().find_map(|r| r.epsilon);
    let failures: usize = rounds.iter().map(|r| r.failures.len()).sum();
    let rest = [
        Cell::Number(bytes(totals.up)),
        Cell::Number(bytes(totals.down)),
        Cell::Number(bytes(totals.up.saturating_add(totals.down) / each)),
        Cell::Number(significant(totals.seconds / each as f64)),
        Cell::number(epsilon.map(significant)),
        Cell::number((failures > 0).then(|| failures.to_string())),
    ];
    row![label, done].into_iter().chain(metrics.iter().map(last)).chain(rest).collect()
}
