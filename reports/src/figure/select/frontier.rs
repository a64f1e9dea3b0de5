//! What the task is worth with each defense against what the strongest attack on it got.

use super::Work;
use super::groups;
use crate::figure::chart::{Body, Facet, Mark, Scale, Scatter, Series};
use crate::figure::columns::Setting;
use crate::figure::data::{Sheet, listed, shown};
use crate::figure::estimate::Estimate;
use crate::figure::filter::Picked;
use crate::figure::measure::Measure;
use crate::frontier::{Judge, Pareto, Point, Try};
use record::markdown::significant;
use record::utility;
use suites::SpecError;

/// One defense in one series.
struct Placed {
    series: String,
    defense: String,
    point: Point,
    worth: Estimate,
    /// Of the whole training, and of one round for whoever is known to take part in it.
    epsilon: [Option<f64>; 2],
}

impl Placed {
    fn place(&self) -> Option<(f64, f64)> {
        Some((self.point.leak.value?, self.worth.value?))
    }
}

const HEAD: [&str; 16] = [
    "plot",
    "series",
    "defense",
    "adversary",
    "strongest attack",
    "x",
    "x_low",
    "x_high",
    "x_values",
    "y",
    "y_low",
    "y_high",
    "y_values",
    "optimal",
    "epsilon",
    "epsilon_certain",
];

pub(super) fn frontier(work: &mut Work) -> Result<(Body, Sheet), SpecError> {
    let leak = work.measure("x", "psnr")?;
    if !leak.leaks() {
        let remedy = "name a score of images, such as `psnr` or `success.psnr-25`";
        let error =
            SpecError::value("x", format!("{} says nothing of what leaked", leak.title()), remedy);
        return Err(work.spec.place.blame("x", error));
    }
    if let Measure::Metric(metric) | Measure::Null(_, metric) = &leak {
        work.sign("x", metric)?;
    }
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
                let defense = Setting::Defenses.spoken(&key);
                points.push(placed(work, (&leak, &worth), (series.clone(), defense), &cells));
            }
        }
        let floor = floor(work, &leak, &picked)?;
        let marks = marks(work, (&leak, &worth), floor, &points);
        points.iter().zip(&marks).for_each(|(p, mark)| sheet.push(row(&title, p, *mark)));
        facets.push(Facet { title, plot: plot(work, &leak, &worth, &points, &marks) });
    }
    let drawn = facets.iter().flat_map(|f| &f.plot.series).any(|s| !s.marks.is_empty());
    work.remark(
        "what leaked is what the strongest attack on each defense got, over all adversaries; its \
         interval holds for the strongest of the k attacks tried (each at 1 - 0.05/k)"
            .into(),
    );
    Ok((Body::Scatter(facets), if drawn { sheet } else { Sheet::default() }))
}

/// The point of one defense, with what must be said of it.
fn placed(
    work: &mut Work,
    (leak, worth): (&Measure, &Measure),
    (series, defense): (String, String),
    cells: &[Picked],
) -> Placed {
    let kept = work.judged(leak, cells);
    let (unknown, kept): (Vec<Picked>, Vec<Picked>) =
        kept.into_iter().partition(|c| work.run.doubt(c.at).is_some());
    let cells = kept.as_slice();
    let point = Point::new(work.run, leak, cells);
    worst_case(work, &point.tries);
    for own in &point.tries {
        if let Some(found) = &own.leak {
            work.count(leak, found);
            continue;
        }
        work.used.extend(own.cells.iter().map(|c| c.at));
        let by = match own.adversary.as_str() {
            "" => String::new(),
            adversary => format!(" ({adversary})"),
        };
        work.remark(format!(
            "{}{by} on {defense} has no image with a score and enters nothing",
            own.attack
        ));
    }
    let worth_of = point.worth(work.run, worth, cells);
    work.count(worth, &worth_of);
    if cells.is_empty() {
        let why = if unknown.is_empty() { "is not measurable" } else { "has no undefended twin" };
        work.remark(format!("no point for {defense}: it {why}"));
    } else if point.leak.value.is_none() {
        work.remark(format!("no point for {defense}: no attack on it was scored"));
    } else if worth_of.value.is_none() {
        work.remark(format!("no point for {defense}: {} was not measured", worth.title()));
    }
    let epsilon = epsilons(work, &defense, cells);
    Placed { series, defense, point, worth: worth_of, epsilon }
}

/// The epsilon of these cells beside that of whoever is known to take part, which is said.
fn epsilons(work: &mut Work, defense: &str, cells: &[Picked]) -> [Option<f64>; 2] {
    let records = || cells.iter().map(|c| &work.run.records[c.at]);
    let amplified = records().find_map(utility::epsilon);
    let certain = records().find_map(utility::certain_epsilon);
    if let (Some(amplified), Some(certain)) = (amplified, certain) {
        work.remark(format!(
            "{defense}: epsilon {} of the training counts on sampling; whoever is known to take \
             part in a round faces epsilon {} in it",
            significant(amplified),
            significant(certain)
        ));
    }
    [amplified, certain]
}

/// Says between what the worst case was taken.
fn worst_case(work: &mut Work, all: &[Try]) {
    let firsts: Vec<usize> = all.iter().filter_map(|t| Some(t.cells.first()?.at)).collect();
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

/// What the strongest null baseline that needs no truth gets: a reconstruction worse than that
/// leaks no less than it.
fn floor(work: &Work, leak: &Measure, picked: &[Picked]) -> Result<Option<f64>, SpecError> {
    match leak {
        Measure::Metric(_) => work.floor(leak, picked),
        _ => Ok(None),
    }
}

/// The marks of the points, with what must be said of those that have none.
fn marks<'p>(
    work: &mut Work,
    (leak, worth): (&Measure, &Measure),
    floor: Option<f64>,
    points: &'p [Placed],
) -> Vec<Option<Pareto>> {
    let place = |p: &'p Placed| p.place().map(|_| (&p.point, &p.worth));
    let places: Vec<_> = points.iter().map(place).collect();
    let marks = Judge { run: work.run, leak, worth, floor }.marks(&places);
    for (mark, what) in [
        (Pareto::Open, "the intervals leave open whether it is on the frontier"),
        (Pareto::TooFew, "no mark, for fewer than 8 independent images or 5 trainings"),
    ] {
        let of = |(p, m): (&Placed, &Option<Pareto>)| (*m == Some(mark)).then(|| p.defense.clone());
        let names: Vec<String> = points.iter().zip(&marks).filter_map(of).collect();
        if !names.is_empty() {
            work.remark(format!("{what}: {}", names.join("; ")));
        }
    }
    marks
}

fn row(title: &str, p: &Placed, mark: Option<Pareto>) -> Vec<String> {
    let numbers = |e: &Estimate| {
        let ends = [e.value, e.interval.map(|i| i.0), e.interval.map(|i| i.1)].map(shown);
        ends.into_iter().chain([listed(&e.values)])
    };
    let (adversary, attack) =
        p.point.strongest().map(|t| (t.adversary.clone(), t.attack.clone())).unwrap_or_default();
    let words = [title.to_owned(), p.series.clone(), p.defense.clone(), adversary, attack];
    let numbers = numbers(&p.point.leak).chain(numbers(&p.worth));
    words
        .into_iter()
        .chain(numbers)
        .chain([mark.map_or(String::new(), |m| m.word().into())])
        .chain(p.epsilon.map(shown))
        .collect()
}

fn plot(
    work: &Work,
    leak: &Measure,
    worth: &Measure,
    points: &[Placed],
    marks: &[Option<Pareto>],
) -> Scatter {
    let mut series: Vec<Series> = Vec::new();
    for p in points {
        let Some((x, y)) = p.place() else { continue };
        let (leaked, worth) = (&p.point.leak, &p.worth);
        let mark = Mark {
            x,
            y,
            x_interval: leaked.interval,
            y_interval: worth.interval,
            x_values: leaked.values.clone(),
            y_values: worth.values.clone(),
        };
        let at = series.iter().position(|s| s.name == p.series).unwrap_or(series.len());
        if at == series.len() {
            series.push(Series::new(&p.series, Vec::new()));
        }
        series[at].marks.push(mark);
        series[at].labels.extend(work.spec.labels.then(|| p.defense.clone()));
    }
    let on = points.iter().zip(marks).filter(|(_, mark)| **mark == Some(Pareto::On));
    let mut frontier: Vec<(f64, f64)> = on.filter_map(|(p, _)| p.place()).collect();
    frontier.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let title = match leak {
        Measure::Metric(_) => format!("{} of the strongest attack", leak.title()),
        other => other.title(),
    };
    let x = Scale { title, ..work.scale(leak, &[], Some(false)) };
    Scatter { x, y: work.scale(worth, &[], Some(false)), series, frontier }
}
