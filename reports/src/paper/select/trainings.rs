//! Curves along trainings, from the folders that `bench train` wrote.

use super::Work;
use super::groups::{SERIES, logarithmic};
use crate::paper::chart::{Body, Facet, Lines, Mark, Scale, Series};
use crate::paper::data::{Sheet, shown};
use crate::training::ROUNDS;
use crate::{RoundRecord, read_rounds};
use std::collections::BTreeSet;
use std::path::Path;
use suites::SpecError;

pub(super) fn curves(work: &mut Work) -> Result<(Body, Sheet), SpecError> {
    let blame = |key: &str, error| work.spec.place.blame(key, error);
    if let Some((key, _)) = work.spec.named_columns().find(|(key, _)| !["x", "y"].contains(key)) {
        let remedy = "drop it: each folder is a curve of its own";
        return Err(blame(key, SpecError::value(key, "rounds of a training have no such columns", remedy)));
    }
    if work.spec.from.len() > SERIES {
        let problem =
            format!("{} folders, more than the {SERIES} curves that can be told apart", work.spec.from.len());
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
        let rounds = read_rounds(&work.run.dir.join(from).join(ROUNDS))
            .map_err(|e| blame("from", SpecError::form(from, e.to_string())))?;
        known.extend(rounds.iter().flat_map(columns));
        let marks: Vec<Mark> = rounds.iter().filter_map(|r| mark(r, &y)).collect();
        let name = Path::new(from).file_name().map_or(from.clone(), |n| n.to_string_lossy().into_owned());
        marks.iter().for_each(|m| sheet.push([name.clone(), m.x.to_string(), shown(Some(m.y))]));
        series.push(Series { name, marks, level: None, steps: false });
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
    let y = Scale { title: y.replace('_', " "), log, range: share.then_some((0.0, 1.0)), words: Vec::new() };
    Lines { x, y, series, diagonal: false, joined: true }
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
    Some(Mark { x: round.round as f64, y, x_interval: None, y_interval: None })
}
