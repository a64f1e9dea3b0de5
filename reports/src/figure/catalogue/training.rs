//! The figures of trainings: scores, losses, bytes and privacy against rounds, one training or
//! several overlaid.

use super::{curves, slug};
use crate::figure::chart::{
    BarSeries, Bars, Body, Chart, Facet, Height, Lines, Mark, Rule, Scale, Series, Width,
};
use crate::figure::select::spans;
use crate::training::{constant, is_error, metric_names, title};
use record::RoundRecord;
use record::markdown::significant;
use record::utility::higher_is_better;

/// Points of one curve; more are thinned evenly.
const POINTS: usize = 600;

/// A training with the name it has in legends.
pub(crate) type Named<'a> = (&'a str, &'a [RoundRecord]);

/// What one figure shows; more series than colours go on further pages.
struct Plot {
    slug: String,
    axis: String,
    caption: String,
    ends: Ends,
    curves: Vec<Series>,
    /// A level to read the curves against, with its name.
    level: Option<(&'static str, f64)>,
}

/// How the value axis is chosen.
#[derive(Clone, Copy, PartialEq)]
enum Ends {
    /// Around the values.
    Values,
    /// From 0.
    Zero,
    /// Around the values, logarithmic where these are positive and span much.
    MaybeLog,
}

/// The figures of one training; `robustness` as in [`record::TrainingInfo`].
pub(crate) fn of_training(
    rounds: &[RoundRecord],
    robustness: &[(String, f64, f64, f64)],
) -> Vec<Chart> {
    let names = metric_names(rounds);
    let of = |name: &String, label: &str| curve(label, rounds, |r| r.metrics.get(name).copied());
    let scores = names.iter().filter(|n| higher_is_better(n) == Some(true));
    let scores: Vec<Series> = scores.filter_map(|name| of(name, &title(name))).collect();
    let errors = names.iter().filter(|n| is_error(n));
    let errors = errors.filter_map(|name| of(name, &format!("test {}", title(name))));
    let train = curve("training loss", rounds, |r| r.train_loss);
    let mut plots = vec![
        Plot {
            slug: "scores".into(),
            axis: "score".into(),
            caption: "Scores on held-out examples after each round.".into(),
            ends: Ends::Values,
            curves: scores,
            level: constant(rounds, "majority").map(|share| ("most frequent answer", share)),
        },
        Plot {
            slug: "loss".into(),
            axis: "loss".into(),
            caption: "Loss after each round: of the local steps (mean over clients) and on \
                held-out examples."
                .into(),
            ends: Ends::MaybeLog,
            curves: train.into_iter().chain(errors).collect(),
            level: None,
        },
    ];
    // What is neither has an axis of its own.
    let others = names.iter().filter(|n| higher_is_better(n).is_none());
    plots.extend(others.map(|name| {
        let curves = of(name, &title(name)).into_iter().collect();
        overlaid(&format!("metric-{name}"), &title(name), Ends::Values, curves)
    }));
    let (size, unit) = unit(&[("", rounds)]);
    let up = running("sent by clients", rounds, size, |r| r.bytes_up);
    let down = running("received by clients", rounds, size, |r| r.bytes_down);
    plots.push(Plot {
        caption: "Bytes that all clients sent and received up to each round.".into(),
        ..bytes(unit, up.into_iter().chain(down).collect())
    });
    plots.extend(epsilon(&[("epsilon so far", rounds)]));
    let clean = constant(rounds, "accuracy");
    plots.into_iter().flat_map(pages).chain(robust(robustness, clean)).collect()
}

/// The figures that overlay several trainings, one for each score.
pub(crate) fn of_trainings(runs: &[Named]) -> Vec<Chart> {
    let score = |name: String| {
        let one = |run: &Named| curve(run.0, run.1, |r| r.metrics.get(&name).copied());
        let ends = if is_error(&name) { Ends::MaybeLog } else { Ends::Values };
        let curves = runs.iter().filter_map(one).collect();
        overlaid(&format!("score-{name}"), &title(&name), ends, curves)
    };
    let mut plots: Vec<Plot> =
        metric_names(runs.iter().flat_map(|r| r.1)).into_iter().map(score).collect();
    let train = runs.iter().filter_map(|run| curve(run.0, run.1, |r| r.train_loss)).collect();
    plots.push(overlaid("training-loss", "training loss", Ends::MaybeLog, train));
    let (size, unit) = unit(runs);
    let sum =
        |run: &Named| running(run.0, run.1, size, |r| r.bytes_up.saturating_add(r.bytes_down));
    plots.push(Plot {
        caption: "Bytes that all clients sent and received up to each round, both together.".into(),
        ..bytes(unit, runs.iter().filter_map(sum).collect())
    });
    plots.extend(epsilon(runs));
    // A training keeps its colour in every figure, also in those that it has nothing for.
    for plot in plots.iter_mut().filter(|p| !p.curves.is_empty()) {
        let own = |(name, _): &Named| {
            let at = plot.curves.iter().position(|c| c.name == *name);
            at.map_or_else(|| Series::new(*name, Vec::new()), |at| plot.curves[at].clone())
        };
        plot.curves = runs.iter().map(own).collect();
    }
    plots.into_iter().flat_map(pages).collect()
}

fn overlaid(slug: &str, what: &str, ends: Ends, curves: Vec<Series>) -> Plot {
    let mut letters = what.chars();
    let heading: String =
        letters.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(letters).collect();
    let caption = format!("{heading} after each round.");
    Plot { slug: slug.into(), axis: what.into(), caption, ends, curves, level: None }
}

fn bytes(unit: &str, curves: Vec<Series>) -> Plot {
    let (slug, axis) = ("bytes".into(), format!("{unit}, all clients"));
    Plot { slug, axis, caption: String::new(), ends: Ends::Zero, curves, level: None }
}

/// The rounds that have a finite value, thinned; `None` where no round has.
fn curve(
    name: &str,
    rounds: &[RoundRecord],
    value: impl Fn(&RoundRecord) -> Option<f64>,
) -> Option<Series> {
    let mark =
        |r: &RoundRecord| Some(Mark::at(r.round as f64, value(r).filter(|v| v.is_finite())?));
    let all: Vec<Mark> = rounds.iter().filter_map(mark).collect();
    let (each, last) = (all.len().div_ceil(POINTS).max(1), all.len().saturating_sub(1));
    let kept = all.into_iter().enumerate().filter(|(at, _)| at % each == 0 || *at == last);
    let marks: Vec<Mark> = kept.map(|(_, mark)| mark).collect();
    (!marks.is_empty()).then(|| Series::new(name, marks))
}

/// The sum of `bytes` up to each round; `None` where nothing was sent.
fn running(
    name: &str,
    rounds: &[RoundRecord],
    size: f64,
    bytes: impl Fn(&RoundRecord) -> u64,
) -> Option<Series> {
    let sums: Vec<f64> = rounds
        .iter()
        .scan(0u64, |sum, r| {
            *sum = sum.saturating_add(bytes(r));
            Some(*sum as f64 / size)
        })
        .collect();
    let sent = sums.last().is_some_and(|s| *s > 0.0);
    let place: std::collections::BTreeMap<usize, f64> =
        rounds.iter().map(|r| r.round).zip(sums).collect();
    curve(name, rounds, |r| place.get(&r.round).copied()).filter(|_| sent)
}

/// The unit in which the larger of the totals reads best.
fn unit(runs: &[Named]) -> (f64, &'static str) {
    let total =
        |run: &Named| run.1.iter().map(|r| r.bytes_up as f64 + r.bytes_down as f64).sum::<f64>();
    let most = runs.iter().map(total).fold(0.0, f64::max);
    let units = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    units.into_iter().find(|(size, _)| most >= *size).unwrap_or((1.0, "bytes"))
}

fn epsilon(runs: &[Named]) -> Option<Plot> {
    let curves: Vec<Series> =
        runs.iter().filter_map(|(name, rounds)| curve(name, rounds, |r| r.epsilon)).collect();
    (!curves.is_empty()).then(|| Plot {
        slug: "epsilon".into(),
        axis: "ε".into(),
        caption: "Epsilon composed over the rounds so far; less is more private.".into(),
        ends: Ends::Zero,
        curves,
        level: None,
    })
}

/// The pages of a plot; none without a curve.
fn pages(plot: Plot) -> Vec<Chart> {
    let scales = |curves: &[Series]| {
        let values: Vec<f64> = curves.iter().flat_map(|c| &c.marks).map(|m| m.y).collect();
        let high = values.iter().copied().fold(0.0, f64::max);
        let y = Scale {
            title: plot.axis.clone(),
            log: plot.ends == Ends::MaybeLog && spans(&values),
            range: (plot.ends == Ends::Zero && high > 0.0).then_some((0.0, high)),
            ..Scale::default()
        };
        let x = Scale { title: "round".into(), ..Scale::default() };
        let rule =
            |(name, at): (&str, f64)| Rule { name: name.into(), at: vec![at], upright: false };
        Lines { x, y, rules: plot.level.map(rule).into_iter().collect(), ..Lines::default() }
    };
    curves(&format!("rounds-{}", slug(&plot.slug)), &plot.caption, &plot.curves, scales)
}

/// One bar for clean examples, and one for each corruption and strength.
fn robust(rows: &[(String, f64, f64, f64)], clean: Option<f64>) -> Option<Chart> {
    let height = |accuracy: f64| {
        let bar = Height { value: accuracy, interval: None, values: Vec::new() };
        accuracy.is_finite().then_some(bar)
    };
    let name = |(corruption, strength, ..): &(String, f64, f64, f64)| {
        format!("{corruption} {}", significant(*strength))
    };
    let plot = Bars {
        value: Scale { title: "test accuracy".into(), range: Some((0.0, 1.0)), ..Scale::default() },
        categories: clean.iter().map(|_| "clean".into()).chain(rows.iter().map(name)).collect(),
        series: vec![BarSeries {
            name: String::new(),
            values: clean.into_iter().chain(rows.iter().map(|row| row.2)).map(height).collect(),
        }],
        references: Vec::new(),
    };
    (!rows.is_empty()).then(|| Chart {
        name: "robustness".into(),
        caption:
            "Accuracy on clean and on spoilt test examples; the table has the latter relative \
            to the former."
                .into(),
        width: Width::Column,
        body: Body::Bars(vec![Facet { title: String::new(), plot }]),
        remarks: Vec::new(),
    })
}
