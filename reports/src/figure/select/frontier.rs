//! What the task is worth with each defense against what the strongest attack on it got.

use super::Work;
use super::groups;
use crate::figure::chart::{Body, Facet, Mark, Scale, Scatter, Series};
use crate::figure::columns::{Key, Setting};
use crate::figure::data::{Sheet, shown};
use crate::figure::estimate::{Estimate, estimate, estimate_at};
use crate::figure::filter::Picked;
use crate::figure::measure::Measure;
use record::run::{Run, group};
use record::stats::CONFIDENCE;
use suites::{CellSpec, SpecError};

/// One defense.
struct Point {
    series: String,
    defense: String,
    adversary: String,
    attack: String,
    leak: Estimate,
    worth: Estimate,
}

/// One attack by one adversary on one defense, at any seed.
struct Try {
    adversary: String,
    attack: String,
    leak: Estimate,
    /// A cell of it.
    at: usize,
}

impl Point {
    fn place(&self) -> Option<(f64, f64)> {
        Some((self.leak.value?, self.worth.value?))
    }
}

const HEAD: [&str; 12] = [
    "plot",
    "series",
    "defense",
    "adversary",
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
        let error =
            SpecError::value("x", format!("{} says nothing of what leaked", leak.title()), remedy);
        return Err(work.spec.place.blame("x", error));
    }
    let sign = match &leak {
        Measure::Metric(metric) | Measure::Null(_, metric) => work.sign("x", metric)?,
        _ => 1.0,
    };
    let trained = work.run.records.iter().any(|r| r.task.contains_key("trained_accuracy"));
    let worth =
        work.measure("y", if trained { "task.trained_accuracy" } else { "task.accuracy" })?;
    let colour = work.setting("colour", None)?;
    let mut sheet = Sheet::new(HEAD);
    let mut facets = Vec::new();
    for (title, picked) in work.plots()? {
        let mut points = Vec::new();
        for (series, cells) in work.series(colour.as_ref(), &picked)? {
            for (key, cells) in groups::part(work.run, &Setting::Defenses, &cells) {
                points.push(point(work, (&leak, sign), &worth, series.clone(), &key, &cells));
            }
        }
        let optimal = optimal(&points, sign, floor(work, &leak, &picked)?);
        points.iter().zip(&optimal).for_each(|(p, best)| sheet.push(row(&title, p, *best)));
        facets.push(Facet { title, plot: plot(work, &leak, &worth, &points, &optimal) });
    }
    let drawn = facets.iter().flat_map(|f| &f.plot.series).any(|s| !s.marks.is_empty());
    work.remark(
        "what leaked is what the strongest attack on each defense got, over all adversaries; its \
         interval holds for the strongest of the k attacks tried (each at 1 - 0.05/k)"
            .into(),
    );
    Ok((Body::Scatter(facets), if drawn { sheet } else { Sheet::default() }))
}

/// The strongest attack on one defense. The interval is that of the largest of all means
/// (Bonferroni), since it was chosen for being so.
fn point(
    work: &mut Work,
    (leak, sign): (&Measure, f64),
    worth: &Measure,
    series: String,
    key: &Key,
    cells: &[Picked],
) -> Point {
    let defense = Setting::Defenses.spoken(key);
    let scored = tries(work, leak, &defense, cells);
    // Without an interval of each there is none of the largest.
    let ends: Option<Vec<(f64, f64)>> = scored.iter().map(|t| t.leak.interval).collect();
    let larger = |a: (f64, f64), b: (f64, f64)| {
        if sign > 0.0 { (a.0.max(b.0), a.1.max(b.1)) } else { (a.0.min(b.0), a.1.min(b.1)) }
    };
    let interval = ends.and_then(|ends| ends.into_iter().reduce(larger));
    let value = |t: &Try| sign * t.leak.value.unwrap_or(f64::NEG_INFINITY);
    // The first of equals, as the suite lists them.
    let strongest = scored.into_iter().rev().max_by(|a, b| value(a).total_cmp(&value(b)));
    let own = strongest.as_ref().map(|t| federation(work.run, t.at));
    let (adversary, attack, leaked) = match strongest {
        Some(t) => (t.adversary, t.attack, Estimate { interval, ..t.leak }),
        None => Default::default(),
    };
    // What leaked is a round of one federation, and the worth is that federation's.
    let same = |c: &&Picked| own.as_ref().is_none_or(|own| *own == federation(work.run, c.at));
    let trained: Vec<Picked> = cells.iter().filter(same).cloned().collect();
    let worth_of = estimate(work.run, worth, &trained);
    work.count(worth, &worth_of);
    if leaked.value.is_none() {
        work.remark(format!("no point for {defense}: no attack on it was scored"));
    } else if worth_of.value.is_none() {
        work.remark(format!("no point for {defense}: {} was not measured", worth.title()));
    }
    Point { series, defense, adversary, attack, leak: leaked, worth: worth_of }
}

/// What tells the federation of a cell from others behind one defense; seeds are repetitions.
fn federation(run: &Run, at: usize) -> String {
    let spec = &run.records[at].spec;
    format!("{:?} {:?} {:?} {}", spec.task, spec.model, spec.federation, spec.source)
}

/// The attacks on one defense that were scored: a crash says nothing of what the defense holds
/// back.
fn tries(work: &mut Work, leak: &Measure, defense: &str, cells: &[Picked]) -> Vec<Try> {
    let adversaries = adversaries(work.run, cells);
    let all: Vec<(String, String, Vec<Picked>)> = adversaries
        .into_iter()
        .flat_map(|(name, cells)| {
            let attacks = groups::part(work.run, &Setting::Attack, &cells).into_iter();
            attacks.map(move |(attack, cells)| (name.clone(), attack.label(), cells))
        })
        .collect();
    worst_case(work, &all);
    let level = 1.0 - (1.0 - CONFIDENCE) / all.len().max(1) as f64;
    let mut scored = Vec::new();
    for (adversary, attack, cells) in all {
        let found = estimate_at(work.run, leak, &cells, level);
        if found.value.is_some() && has_scores(work.run, leak, &cells) {
            work.count(leak, &found);
            scored.push(Try { adversary, attack, leak: found, at: cells[0].at });
        } else {
            work.used.extend(&found.cells);
            let by = if adversary.is_empty() { adversary } else { format!(" ({adversary})") };
            work.remark(format!(
                "{attack}{by} on {defense} has no image with a score and enters nothing"
            ));
        }
    }
    scored
}

/// Says between what the worst case was taken.
fn worst_case(work: &mut Work, all: &[(String, String, Vec<Picked>)]) {
    let firsts: Vec<usize> = all.iter().filter_map(|(.., cells)| Some(cells.first()?.at)).collect();
    let of_adversary = |path: &String| {
        !path.starts_with("attack") && path != "seed" && !path.starts_with("defenses")
    };
    let differ: Vec<String> =
        groups::differing(work.run, &firsts).into_iter().filter(of_adversary).collect();
    if !differ.is_empty() {
        work.remark(format!(
            "a point is the worst case over adversaries or settings that differ in {}, no mean \
             over them",
            differ.join(", ")
        ));
    }
}

/// Cells by what the adversary faces, sees and knows, with what tells these apart: one that sees
/// more is another threat. Seeds are repetitions.
fn adversaries(run: &Run, cells: &[Picked]) -> Vec<(String, Vec<Picked>)> {
    let key = |at: usize| {
        let spec = &run.records[at].spec;
        let mut facts = spec.facts.clone();
        facts.sort_unstable();
        let world = CellSpec { seed: 0, ..spec.clone() }.world_key();
        format!("{world} {} {facts:?}", spec.vantage)
    };
    let all = group((0..cells.len()).collect(), |i| key(cells[i].at));
    let firsts: Vec<usize> = all.iter().map(|g| cells[g[0]].at).collect();
    let distinguishing = run.axes.distinguishing(&firsts, &["attack", "defenses", "seed"]);
    let name = |at: usize| run.axes.label(at, &distinguishing, &[]);
    let of =
        |g: Vec<usize>| (name(cells[g[0]].at), g.into_iter().map(|i| cells[i].clone()).collect());
    all.into_iter().map(of).collect()
}

/// Whether any image has a score of what `leak` is about.
fn has_scores(run: &Run, leak: &Measure, cells: &[Picked]) -> bool {
    let metric = match leak {
        Measure::Metric(metric) | Measure::Success(metric, _) => metric,
        _ => return true,
    };
    let any = |cell: &Picked| {
        let scores = run.records[cell.at].scores(&metric.name);
        cell.images.iter().any(|i| scores[*i].is_some())
    };
    cells.iter().any(any)
}

/// What the strongest null baseline gets: a reconstruction worse than that leaks no less than it.
fn floor(work: &Work, leak: &Measure, picked: &[Picked]) -> Result<Option<f64>, SpecError> {
    match leak {
        Measure::Metric(_) => Ok(work.references(leak, picked)?.first().map(|(_, v)| *v)),
        _ => Ok(None),
    }
}

/// Which points no other beats in one without losing in the other.
fn optimal(points: &[Point], sign: f64, floor: Option<f64>) -> Vec<bool> {
    let place = |p: &Point| {
        let (x, y) = p.place()?;
        Some((floor.map_or(sign * x, |f| (sign * x).max(sign * f)), y))
    };
    let places: Vec<Option<(f64, f64)>> = points.iter().map(place).collect();
    let beats = |a: (f64, f64), b: (f64, f64)| a.0 <= b.0 && a.1 >= b.1 && (a.0 < b.0 || a.1 > b.1);
    let best = |own: &Option<(f64, f64)>| {
        own.is_some_and(|own| !places.iter().flatten().any(|p| beats(*p, own)))
    };
    places.iter().map(best).collect()
}

fn row(title: &str, p: &Point, best: bool) -> Vec<String> {
    let ends = |e: &Estimate| [shown(e.interval.map(|i| i.0)), shown(e.interval.map(|i| i.1))];
    let words = [
        title.to_owned(),
        p.series.clone(),
        p.defense.clone(),
        p.adversary.clone(),
        p.attack.clone(),
    ];
    let across = [shown(p.leak.value)].into_iter().chain(ends(&p.leak));
    let up = [shown(p.worth.value)].into_iter().chain(ends(&p.worth));
    words.into_iter().chain(across).chain(up).chain([best.to_string()]).collect()
}

fn plot(
    work: &Work,
    leak: &Measure,
    worth: &Measure,
    points: &[Point],
    optimal: &[bool],
) -> Scatter {
    let mut series: Vec<Series> = Vec::new();
    for p in points {
        let Some((x, y)) = p.place() else { continue };
        let mark = Mark { x, y, x_interval: p.leak.interval, y_interval: p.worth.interval };
        let at = series.iter().position(|s| s.name == p.series).unwrap_or(series.len());
        if at == series.len() {
            series.push(Series::new(&p.series, Vec::new()));
        }
        series[at].marks.push(mark);
        series[at].labels.extend(work.spec.labels.then(|| p.defense.clone()));
    }
    let best = points.iter().zip(optimal).filter(|(_, best)| **best).filter_map(|(p, _)| p.place());
    let mut frontier: Vec<(f64, f64)> = best.collect();
    frontier.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let title = match leak {
        Measure::Metric(_) => format!("{} of the strongest attack", leak.title()),
        other => other.title(),
    };
    let x = Scale { title, ..work.scale(leak, &[], Some(false)) };
    Scatter { x, y: work.scale(worth, &[], Some(false)), series, frontier }
}
