//! What the task is worth with each defence against what the strongest attack on it got.

use super::Work;
use super::groups;
use crate::metrics::Metric;
use crate::paper::chart::{Body, Facet, Mark, Scale, Scatter, Series};
use crate::paper::columns::{Key, Setting};
use crate::paper::data::{Sheet, shown};
use crate::paper::filter::Picked;
use crate::paper::measure::Measure;
use crate::paper::pool::{Estimate, estimate, estimate_at};
use crate::stats::CONFIDENCE;
use suites::SpecError;

/// One defence.
struct Point {
    series: String,
    defence: String,
    attack: String,
    leak: Estimate,
    worth: Estimate,
}

impl Point {
    fn place(&self) -> Option<(f64, f64)> {
        Some((self.leak.value?, self.worth.value?))
    }
}

const HEAD: [&str; 11] = [
    "plot",
    "series",
    "defence",
    "strongest attack",
    "x",
    "x_low",
    "x_high",
    "y",
    "y_low",
    "y_high",
    "optimal",
];

pub(super) fn frontier(work: &mut Work) -> Result<(Body, Sheet), SpecError> {
    let leak = work.measure("x", "psnr")?;
    if !leak.leaks() {
        let remedy = "name a score of images, such as `psnr` or `success.psnr-25`";
        let error = SpecError::value("x", format!("{} says nothing of what leaked", leak.title()), remedy);
        return Err(work.spec.place.blame("x", error));
    }
    let trained = work.run.records.iter().any(|r| r.task.contains_key("trained_accuracy"));
    let worth = work.measure("y", if trained { "task.trained_accuracy" } else { "task.accuracy" })?;
    let colour = work.setting("colour", None)?;
    let mut sheet = Sheet::new(HEAD);
    let mut facets = Vec::new();
    for (title, picked) in work.plots()? {
        let mut points = Vec::new();
        for (series, cells) in work.series(colour.as_ref(), &picked)? {
            for (key, cells) in groups::part(work.run, &Setting::Defenses, &cells) {
                points.push(point(work, &leak, &worth, series.clone(), &key, &cells));
            }
        }
        let optimal = optimal(&points, &leak, floor(work, &leak, &picked)?);
        points.iter().zip(&optimal).for_each(|(p, best)| sheet.push(row(&title, p, *best)));
        facets.push(Facet { title, plot: plot(work, &leak, &worth, &points, &optimal) });
    }
    let drawn = facets.iter().flat_map(|f| &f.plot.series).any(|s| !s.marks.is_empty());
    work.remark(
        "what leaked is the mean of the strongest attack on each defence; its interval holds for the strongest of the k attacks tried (each at 1 - 0.05/k)".into(),
    );
    Ok((Body::Scatter(facets), if drawn { sheet } else { Sheet::default() }))
}

/// The strongest attack on one defence. The interval is that of the largest of all means (Bonferroni), since it was chosen for being so.
fn point(
    work: &mut Work,
    leak: &Measure,
    worth: &Measure,
    series: String,
    key: &Key,
    cells: &[Picked],
) -> Point {
    let attacks = groups::part(work.run, &Setting::Attack, cells);
    let level = 1.0 - (1.0 - CONFIDENCE) / attacks.len().max(1) as f64;
    let sign = if leak.higher_is_better() { 1.0 } else { -1.0 };
    let mut all: Vec<(String, Estimate)> = Vec::new();
    for (attack, cells) in &attacks {
        let e = estimate_at(work.run, leak, cells, level);
        work.count(leak, &e);
        all.push((attack.label(), e));
    }
    let scored = || all.iter().filter(|(_, e)| e.value.is_some());
    // Without an interval of each there is none of the largest.
    let ends: Option<Vec<(f64, f64)>> = scored().map(|(_, e)| e.interval).collect();
    let larger = |a: (f64, f64), b: (f64, f64)| match sign > 0.0 {
        true => (a.0.max(b.0), a.1.max(b.1)),
        false => (a.0.min(b.0), a.1.min(b.1)),
    };
    let interval = ends.and_then(|ends| ends.into_iter().reduce(larger));
    let value = |e: &Estimate| sign * e.value.unwrap_or(f64::NEG_INFINITY);
    let strongest = scored().rev().max_by(|a, b| value(&a.1).total_cmp(&value(&b.1)));
    let (attack, leaked) = match strongest {
        Some((attack, e)) => (attack.clone(), Estimate { interval, ..e.clone() }),
        None => (String::new(), Estimate::default()),
    };
    let worth_of = estimate(work.run, worth, cells);
    work.count(worth, &worth_of);
    let defence = Setting::Defenses.spoken(key);
    if leaked.value.is_none() || worth_of.value.is_none() {
        work.remark(format!("no point for {defence}: one of the two was not measured"));
    }
    Point { series, defence, attack, leak: leaked, worth: worth_of }
}

/// What the strongest null baseline gets: a reconstruction worse than that leaks no less than it.
fn floor(work: &Work, leak: &Measure, picked: &[Picked]) -> Result<Option<f64>, SpecError> {
    match leak {
        Measure::Metric(_) => Ok(work.references(leak, picked)?.first().map(|(_, v)| *v)),
        _ => Ok(None),
    }
}

/// Which points no other beats in one without losing in the other.
fn optimal(points: &[Point], leak: &Measure, floor: Option<f64>) -> Vec<bool> {
    let sign = if leak.higher_is_better() { 1.0 } else { -1.0 };
    let place = |p: &Point| {
        let (x, y) = p.place()?;
        Some((floor.map_or(sign * x, |f| (sign * x).max(sign * f)), y))
    };
    let places: Vec<Option<(f64, f64)>> = points.iter().map(place).collect();
    let beats = |a: (f64, f64), b: (f64, f64)| a.0 <= b.0 && a.1 >= b.1 && (a.0 < b.0 || a.1 > b.1);
    let best =
        |own: &Option<(f64, f64)>| own.is_some_and(|own| !places.iter().flatten().any(|p| beats(*p, own)));
    places.iter().map(best).collect()
}

fn row(title: &str, p: &Point, best: bool) -> Vec<String> {
    let ends = |e: &Estimate| [shown(e.interval.map(|i| i.0)), shown(e.interval.map(|i| i.1))];
    let words = [title.to_owned(), p.series.clone(), p.defence.clone(), p.attack.clone()];
    let across = [shown(p.leak.value)].into_iter().chain(ends(&p.leak));
    let up = [shown(p.worth.value)].into_iter().chain(ends(&p.worth));
    words.into_iter().chain(across).chain(up).chain([best.to_string()]).collect()
}

fn plot(work: &Work, leak: &Measure, worth: &Measure, points: &[Point], optimal: &[bool]) -> Scatter {
    let mut series: Vec<Series> = Vec::new();
    for p in points {
        let Some((x, y)) = p.place() else { continue };
        let mark = Mark { x, y, x_interval: p.leak.interval, y_interval: p.worth.interval };
        match series.iter_mut().find(|s| s.name == p.series) {
            Some(own) => own.marks.push(mark),
            None => {
                series.push(Series { name: p.series.clone(), marks: vec![mark], level: None, steps: false })
            }
        }
    }
    let best = points.iter().zip(optimal).filter(|(_, best)| **best).filter_map(|(p, _)| p.place());
    let mut frontier: Vec<(f64, f64)> = best.collect();
    frontier.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let title = match leak {
        Measure::Metric(Metric { .. }) => format!("{} of the strongest attack", leak.title()),
        other => other.title(),
    };
    let x = Scale { title, ..work.scale(leak, &[], Some(false)) };
    Scatter { x, y: work.scale(worth, &[], Some(false)), series, frontier }
}
