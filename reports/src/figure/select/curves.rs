//! A measure against a setting, along a training, and success against budget.

use super::Work;
use super::groups::{self, Part, logarithmic};
use crate::figure::chart::{Body, Facet, Lines, Mark, Rule, Scale, Series};
use crate::figure::columns::{self, Column, Key, Setting};
use crate::figure::data::{ESTIMATE, Sheet, ids, of_estimate};
use crate::figure::estimate::{Estimate, estimate};
use crate::figure::filter::Picked;
use crate::figure::measure::Measure;
use record::axes::acting;
use record::markdown::counted;
use record::run::Run;
use std::collections::BTreeSet;
use suites::SpecError;
use suites::figure::FigureKind;

/// What is along the horizontal axis.
enum Across {
    Setting(Setting),
    /// Something measured once a cell, such as what the attack cost.
    Measure(Measure),
}

impl Across {
    fn from_work(work: &Work) -> Result<Self, SpecError> {
        let default = match work.spec.kind {
            FigureKind::SuccessVsBudget => "cost.gradient_evaluations",
            _ => "capture.round",
        };
        let blame = |error| work.spec.place.blame("x", error);
        match columns::column(work.run, work.named("x").unwrap_or(default)).map_err(blame)? {
            Column::Setting(setting) => Ok(Across::Setting(setting)),
            Column::Measure(m) if !m.leaks() => Ok(Across::Measure(m)),
            Column::Measure(m) => Err(blame(SpecError::value(
                "x",
                format!("{} is measured per image", m.title()),
                "name a setting or a measure of cells; two measures of images make a scatter plot",
            ))),
        }
    }

    fn title(&self) -> String {
        match self {
            Across::Setting(setting) => setting.title(),
            Across::Measure(measure) => measure.title(),
        }
    }

    fn of_defense(&self) -> bool {
        match self {
            Across::Setting(setting) => setting.of_defense(),
            Across::Measure(measure) => matches!(measure, Measure::Defense(_)),
        }
    }

    fn part(&self, run: &Run, picked: &[Picked]) -> Vec<(Key, Vec<Picked>)> {
        match self {
            Across::Setting(setting) => groups::part(run, setting, picked),
            Across::Measure(measure) => {
                let value = |cell: &Picked| {
                    measure.of_cell(&run.records[cell.at]).filter(|v| v.is_finite())
                };
                let mut parts: Vec<(Key, Vec<Picked>)> = Vec::new();
                for cell in picked {
                    let key = value(cell).map_or(Key::None, Key::Number);
                    match parts.iter_mut().find(|(k, _)| *k == key) {
                        Some((_, list)) => list.push(cell.clone()),
                        None => parts.push((key, vec![cell.clone()])),
                    }
                }
                parts
            }
        }
    }
}

/// A point before the scale is known.
struct Point {
    key: Key,
    estimate: Estimate,
}

struct Curve {
    name: String,
    points: Vec<Point>,
    level: Option<Estimate>,
}

pub(super) fn curves(work: &mut Work) -> Result<(Body, Sheet), SpecError> {
    let across = Across::from_work(work)?;
    let measure = vertical(work)?;
    let colour = work.setting("colour", None)?;
    let mut plots = Vec::new();
    for (title, picked) in work.plots()? {
        let mut curves = Vec::new();
        for part in work.series(colour.as_ref(), &picked)? {
            curves.push(curve(work, (&across, &measure), colour.as_ref(), &picked, part)?);
        }
        // A plot of the undefended alone has its level in all other plots.
        if curves.iter().any(|c| !c.points.is_empty()) {
            plots.push((title, curves));
        }
    }
    let mut sheet =
        Sheet::new(["plot", "series", "what", "x"].into_iter().chain(ESTIMATE).chain(["cells"]));
    for (title, curve) in plots.iter().flat_map(|(t, curves)| curves.iter().map(move |c| (t, c))) {
        let mut row = |what: &str, x: String, e: &Estimate| {
            let head = [title.clone(), curve.name.clone(), what.to_owned(), x];
            sheet.push(head.into_iter().chain(of_estimate(e)).chain([ids(work.run, &e.cells)]));
        };
        curve.points.iter().for_each(|p| row("point", p.key.label(), &p.estimate));
        curve.level.iter().for_each(|e| row("undefended", String::new(), e));
    }
    let mut facets = drawn(work, &across, &measure, plots);
    if !work.spec.null.is_empty() {
        let all = work.references(&measure, &work.picked)?.into_iter();
        let rules: Vec<Rule> =
            all.map(|(name, value)| Rule { name, at: vec![value], upright: false }).collect();
        facets.iter_mut().for_each(|f| f.plot.rules.clone_from(&rules));
    }
    Ok((Body::Lines(facets), sheet))
}

/// The measure; success has its threshold apart.
fn vertical(work: &Work) -> Result<Measure, SpecError> {
    if work.spec.kind != FigureKind::SuccessVsBudget {
        let default =
            if work.spec.kind == FigureKind::LearningCurve { "task.accuracy" } else { "psnr" };
        return work.measure("y", default);
    }
    match (work.measure("y", "psnr")?, work.spec.threshold) {
        (Measure::Metric(metric), Some(bound)) => Ok(Measure::Success(metric, bound)),
        (Measure::Metric(metric), None)
            if metric.name == "psnr" && !metric.thresholds.is_empty() =>
        {
            let easiest = metric.thresholds[0];
            Ok(Measure::Success(metric, easiest))
        }
        (own @ Measure::Success(..), None) => Ok(own),
        (other, _) => {
            let problem = format!("{} and this threshold make no success rate", other.title());
            let remedy = "write y = \"psnr\" (or another score of images) and its threshold";
            Err(work.spec.place.blame("y", SpecError::value("y", problem, remedy)))
        }
    }
}

fn curve(
    work: &mut Work,
    (across, measure): (&Across, &Measure),
    colour: Option<&Setting>,
    plot: &[Picked],
    (name, picked): Part,
) -> Result<Curve, SpecError> {
    let mut points = Vec::new();
    let mut placeless = 0;
    for (key, cells) in across.part(work.run, &picked) {
        // Without a defense there is no place along its parameter: that is the level.
        let bare = |p: &Picked| {
            across.of_defense() && acting(&work.run.records[p.at].spec).next().is_none()
        };
        let cells: Vec<Picked> = cells.into_iter().filter(|p| !bare(p)).collect();
        if key == Key::None || cells.is_empty() {
            placeless += cells.len();
            continue;
        }
        let estimate = estimate(work.run, measure, &cells);
        work.count(measure, &estimate);
        match estimate.value {
            Some(_) => points.push(Point { key, estimate }),
            None => work.remark(format!("no value at {} = {}", across.title(), key.label())),
        }
    }
    if placeless > 0 {
        work.remark(format!("{} left out: no {}", counted(placeless, "cell"), across.title()));
    }
    let level = if across.of_defense() {
        level(work, (across, measure), colour, plot, &picked)?
    } else {
        None
    };
    Ok(Curve { name, points, level })
}

/// The value without a defense: of the cells that differ from those of the points in the defense
/// alone, cut to images as the series is. Of series that are defenses only that of none has it,
/// from what the points of its plot differ from.
fn level(
    work: &mut Work,
    (across, measure): (&Across, &Measure),
    colour: Option<&Setting>,
    plot: &[Picked],
    picked: &[Picked],
) -> Result<Option<Estimate>, SpecError> {
    let run = work.run;
    let bare = |p: &&Picked| acting(&run.records[p.at].spec).next().is_none();
    let by_defense = colour.is_some_and(Setting::of_defense);
    let twins = twins(run, across, if by_defense { plot } else { picked });
    let twin = |p: &&Picked| twins.contains(&p.at);
    let cells: Vec<Picked> = if by_defense {
        picked.iter().filter(bare).filter(twin).cloned().collect()
    } else {
        cut(work, work.picked.iter().filter(twin).cloned().collect(), picked)?
    };
    let alone: BTreeSet<usize> =
        picked.iter().filter(bare).filter(|p| !twin(p)).map(|p| p.at).collect();
    if !alone.is_empty() {
        let cells = counted(alone.len(), "cell");
        work.remark(format!(
            "{cells} without defense left out: no point differs from such a cell in the defense \
             alone"
        ));
    }
    if cells.is_empty() {
        return Ok(None);
    }
    let value = estimate(run, measure, &cells);
    work.count(measure, &value);
    Ok(value.value.is_some().then_some(value))
}

/// The undefended cells that differ in the defense alone from cells that have a place along the
/// axis.
fn twins(run: &Run, across: &Across, picked: &[Picked]) -> BTreeSet<usize> {
    let placed = across.part(run, picked).into_iter().filter(|(key, _)| *key != Key::None);
    let cells: BTreeSet<usize> = placed.flat_map(|(_, cells)| cells).map(|p| p.at).collect();
    cells.into_iter().filter(|at| run.defended(*at)).filter_map(|at| run.undefended(at)).collect()
}

/// Of `cells` the images that plots and series by client, image or trial leave to `series`.
fn cut(work: &Work, mut cells: Vec<Picked>, series: &[Picked]) -> Result<Vec<Picked>, SpecError> {
    for key in ["rows", "columns", "colour"] {
        let Some(setting) = work.setting(key, None)?.filter(Setting::of_image) else { continue };
        let own = groups::part(work.run, &setting, series).into_iter().next().map(|(key, _)| key);
        let parts = groups::part(work.run, &setting, &cells).into_iter();
        cells = parts
            .filter(|(key, _)| Some(key) == own.as_ref())
            .flat_map(|(_, cells)| cells)
            .collect();
    }
    Ok(cells)
}

/// Points on their scales.
fn drawn(
    work: &Work,
    across: &Across,
    measure: &Measure,
    plots: Vec<(String, Vec<Curve>)>,
) -> Vec<Facet<Lines>> {
    let all = || plots.iter().flat_map(|(_, curves)| curves);
    let mut keys: Vec<Key> = Vec::new();
    for key in all().flat_map(|c| &c.points).map(|p| &p.key) {
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }
    let numeric = keys.iter().all(|k| matches!(k, Key::Number(_)));
    let xs: Vec<f64> =
        keys.iter().filter_map(|k| if let Key::Number(v) = k { Some(*v) } else { None }).collect();
    if !numeric {
        keys = in_suite_order(work, across, keys);
    }
    let x = Scale {
        title: across.title(),
        log: numeric && logarithmic(&xs, work.spec.log),
        range: None,
        words: if numeric { Vec::new() } else { keys.iter().map(Key::label).collect() },
    };
    let ys: Vec<f64> = all().flat_map(|c| &c.points).filter_map(|p| p.estimate.value).collect();
    let y = work.scale(measure, &ys, work.spec.log_y);
    // Numbers of images and clients are names.
    let joined = numeric && !matches!(across, Across::Setting(setting) if setting.of_image());
    let place = |key: &Key| match key {
        Key::Number(v) if numeric => *v,
        other => keys.iter().position(|k| k == other).unwrap_or(0) as f64,
    };
    let mark = |p: &Point| {
        let y = p.estimate.value?;
        let (y_interval, y_values) = (p.estimate.interval, p.estimate.values.clone());
        Some(Mark { y_interval, y_values, ..Mark::at(place(&p.key), y) })
    };
    let series = |c: &Curve| {
        let mut marks: Vec<Mark> = c.points.iter().filter_map(mark).collect();
        marks.sort_by(|a, b| a.x.total_cmp(&b.x));
        let level = c.level.as_ref().and_then(|e| e.value);
        Series { level, ..Series::new(&c.name, marks) }
    };
    let plot = |(title, curves): &(String, Vec<Curve>)| Facet {
        title: title.clone(),
        plot: Lines {
            x: x.clone(),
            y: y.clone(),
            series: curves.iter().map(series).collect(),
            joined,
            ..Lines::default()
        },
    };
    plots.iter().map(plot).collect()
}

/// Words stand as the whole figure's cells bring them, whatever a single series lacks.
fn in_suite_order(work: &Work, across: &Across, keys: Vec<Key>) -> Vec<Key> {
    let all = across.part(work.run, &work.picked);
    all.into_iter().map(|(key, _)| key).filter(|key| keys.contains(key)).collect()
}
