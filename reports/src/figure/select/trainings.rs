//! Curves along trainings, from the folders that `bench train` wrote.

use super::Work;
use super::groups::{SERIES, logarithmic};
use crate::figure::chart::{Body, Facet, Lines, Mark, Scale, Series};
use crate::figure::data::{Sheet, shown};
use record::RecordError;
use record::rounds::ROUNDS;
use record::safe_path;
use record::{RoundRecord, read_rounds};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use suites::SpecError;
use suites::figure::{FigureKind, FigureSpec};

/// A file that a figure was drawn from: its path in the run folder, and the BLAKE3 hash of its
/// bytes.
pub(crate) type Source = (String, String);

/// Refuses keys that choose among the run's cells in a figure that is drawn from files.
///
/// # Errors
/// One line with file and line.
pub(super) fn alone(spec: &FigureSpec) -> Result<(), SpecError> {
    let of_training = spec.kind == FigureKind::LearningCurve;
    let columns = spec
        .named_columns()
        .map(|(key, _)| key)
        .filter(|key| !of_training || !["x", "y"].contains(key));
    let others = [
        ("filter", !spec.filter.is_empty()),
        ("null", !spec.null.is_empty()),
        ("log", spec.log.is_some()),
    ];
    let given = others.into_iter().filter_map(|(key, given)| given.then_some(key));
    let Some(key) = columns.chain(given).next() else { return Ok(()) };
    let problem =
        "chooses among the run's cells, and this figure is drawn from the files that `from` names";
    Err(spec.place.blame(key, SpecError::value(key, problem, format!("drop `{key}`, or `from`"))))
}

impl Work<'_> {
    /// The path of `file` in the folder `from`, or of `from` itself where `file` is empty; takes
    /// its hash for the manifest.
    ///
    /// # Errors
    /// One line with file and line where `from` leads out of the run folder.
    pub(super) fn source(&mut self, from: &str, file: &str) -> Result<PathBuf, SpecError> {
        if from.is_empty() || !safe_path(Path::new(from)) {
            let remedy = "copy it into the run folder and name it relative to that";
            let error = SpecError::value(from, "does not lie inside the run folder", remedy);
            return Err(self.spec.place.blame("from", error));
        }
        let below = if file.is_empty() { PathBuf::from(from) } else { Path::new(from).join(file) };
        let path = self.run.dir.join(&below);
        // What cannot be read is told by whoever reads it.
        if let Ok(bytes) = suites::foreign::read(&path, &suites::foreign::limits::RUN) {
            self.sources
                .push((below.display().to_string(), blake3::hash(&bytes).to_hex().to_string()));
        }
        Ok(path)
    }
}

pub(super) fn curves(work: &mut Work) -> Result<(Body, Sheet), SpecError> {
    let blame = |key: &str, error| work.spec.place.blame(key, error);
    if work.spec.from.len() > SERIES {
        let problem = format!(
            "{} folders, more than the {SERIES} curves that can be told apart",
            work.spec.from.len()
        );
        return Err(blame("from", SpecError::value("from", problem, "name fewer")));
    }
    if let Some(x) = work.spec.x.as_deref().filter(|x| *x != "round") {
        return Err(blame("x", SpecError::unknown_name("column of a training", x, ["round"])));
    }
    let y = work.spec.y.clone().unwrap_or("accuracy".into());
    let mut series = Vec::new();
    let mut sheet = Sheet::new(["series", "round", "value"]);
    let mut known: BTreeSet<String> = BTreeSet::new();
    for from in &work.spec.from {
        let path = work.source(from, ROUNDS)?;
        // The run folder may lie anywhere, and what is written must not tell where.
        let bare = |e: RecordError| e.to_string().replace(&path.display().to_string(), ROUNDS);
        let rounds =
            read_rounds(&path).map_err(|e| blame("from", SpecError::form(from, bare(e))))?;
        known.extend(rounds.iter().flat_map(columns));
        let marks: Vec<Mark> = rounds.iter().filter_map(|r| mark(r, &y)).collect();
        let name =
            Path::new(from).file_name().map_or(from.clone(), |n| n.to_string_lossy().into_owned());
        marks.iter().for_each(|m| sheet.push([name.clone(), m.x.to_string(), shown(Some(m.y))]));
        series.push(Series::new(name, marks));
    }
    if sheet.is_empty() {
        return Err(blame("y", SpecError::unknown_name("column of a training", y, known)));
    }
    if let Some(empty) = series.iter().find(|s| s.marks.is_empty()) {
        let remark = format!("{} has no {y}", empty.name);
        work.remark(remark);
    }
    let plot = plot(work, &y, series);
    Ok((Body::Lines(vec![Facet { title: String::new(), plot }]), sheet))
}

fn plot(work: &Work, y: &str, series: Vec<Series>) -> Lines {
    let values: Vec<f64> = series.iter().flat_map(|s| &s.marks).map(|m| m.y).collect();
    let share = ["accuracy", "macro_f1", "auc"].contains(&y);
    let x = Scale { title: "round".into(), ..Scale::default() };
    let log = !share && logarithmic(&values, work.spec.log_y);
    let y = Scale {
        title: y.replace('_', " "),
        log,
        range: share.then_some((0.0, 1.0)),
        words: Vec::new(),
    };
    Lines { x, y, series, joined: true, ..Lines::default() }
}

/// The columns of a round that can be drawn.
fn columns(round: &RoundRecord) -> impl Iterator<Item = String> {
    let own = ["train_loss", "lr", "seconds", "epsilon"].map(String::from);
    round.metrics.keys().cloned().chain(own)
}

fn mark(round: &RoundRecord, name: &str) -> Option<Mark> {
    let value = match name {
        "train_loss" => round.train_loss,
        "lr" => Some(round.lr),
        "seconds" => Some(round.seconds),
        "epsilon" => round.epsilon,
        metric => round.metrics.get(metric).copied(),
    };
    let y = value.filter(|v| v.is_finite())?;
    Some(Mark::at(round.round as f64, y))
}
