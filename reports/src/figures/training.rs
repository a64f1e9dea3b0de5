//! The figures of trainings: scores, losses, bytes and privacy against rounds, one training or
//! several overlaid.

use super::bars::{self, Bar};
use super::progress::{self, Ends, Progress};
use super::{Figure, page, page_slug, palette, save_all, slug};
use crate::training::{lower_is_better, metric_names, title};
use record::RecordError;
use record::RoundRecord;
use record::markdown::significant;
use std::path::Path;

/// Points of one curve; more are thinned evenly.
const POINTS: usize = 600;

/// A training with the name it has in legends.
pub(crate) type Named<'a> = (&'a str, &'a [RoundRecord]);

/// What one figure shows.
struct Plot {
    slug: String,
    heading: String,
    axis: String,
    caption: String,
    ends: Ends,
    curves: Vec<Progress>,
}

/// Writes the figures of one training below `dir/figures/` and returns the report's section.
pub(crate) fn write(
    dir: &Path,
    rounds: &[RoundRecord],
    robustness: &[(String, f64, f64, f64)],
) -> Result<String, RecordError> {
    let one = [("", rounds)];
    let scores: Vec<Progress> =
        scores(&one).flat_map(|name| measured(&one, &name, &title(&name))).collect();
    let losses =
        losses(&one).flat_map(|name| measured(&one, &name, &format!("test {}", title(&name))));
    let train = curve("training loss", rounds, |r| r.train_loss);
    let mut plots = vec![Plot {
        slug: "scores".into(),
        heading: "Scores on held-out examples".into(),
        axis: "score".into(),
        caption: "Scores on held-out examples after each round.".into(),
        ends: Ends::Values,
        curves: scores,
    }];
    plots.push(Plot {
        slug: "loss".into(),
        heading: "Loss".into(),
        axis: "loss".into(),
        caption: "Loss after each round: of the local steps (mean over clients) and on held-out \
            examples."
            .into(),
        ends: Ends::MaybeLog,
        curves: train.into_iter().chain(losses).collect(),
    });
    plots.push(traffic(rounds));
    plots.extend(epsilon(&[("epsilon so far", rounds)]));
    for plot in &mut plots {
        plot.curves.iter_mut().enumerate().for_each(|(at, curve)| curve.series = at);
    }
    let bars = robust(robustness);
    save_all(
        dir,
        plots.into_iter().flat_map(figures).chain(bars).collect(),
        "Nothing has been measured yet.",
    )
}

/// Writes the figures that overlay several trainings, one for each score, and returns the report's
/// section.
pub(crate) fn overlay(dir: &Path, runs: &[Named]) -> Result<String, RecordError> {
    let score = |name: String| {
        let curves = runs.iter().flat_map(|run| measured(&[*run], &name, run.0)).collect();
        let ends = if lower_is_better(&name) { Ends::MaybeLog } else { Ends::Values };
        plot(&format!("score-{name}"), &title(&name), ends, curves)
    };
    let names = metric_names(runs.iter().flat_map(|r| r.1));
    let mut plots: Vec<Plot> = names.into_iter().map(score).collect();
    let train = runs.iter().filter_map(|run| curve(run.0, run.1, |r| r.train_loss)).collect();
    plots.push(plot("training-loss", "training loss", Ends::MaybeLog, train));
    plots.push(both_ways(runs));
    plots.extend(epsilon(runs));
    plots.iter_mut().for_each(|plot| own_colours(plot, runs));
    save_all(
        dir,
        plots.into_iter().flat_map(figures).collect(),
        "None of the trainings has measured anything yet.",
    )
}

/// A training keeps its colour in every figure, also in those that some trainings have nothing for.
fn own_colours(plot: &mut Plot, runs: &[Named]) {
    for curve in &mut plot.curves {
        curve.series = runs.iter().position(|(name, _)| *name == curve.name).unwrap_or(0);
    }
    if let ([only], true) = (plot.curves.as_slice(), runs.len() > 1) {
        plot.heading = format!("{}: {}", plot.heading, only.name);
    }
}

fn plot(slug: &str, what: &str, ends: Ends, curves: Vec<Progress>) -> Plot {
    let mut letters = what.chars();
    let heading: String =
        letters.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(letters).collect();
    let caption = format!("{heading} after each round.");
    Plot { slug: slug.into(), heading, axis: what.into(), caption, ends, curves }
}

fn scores(runs: &[Named]) -> impl Iterator<Item = String> {
    metric_names(runs.iter().flat_map(|r| r.1)).into_iter().filter(|n| !lower_is_better(n))
}

fn losses(runs: &[Named]) -> impl Iterator<Item = String> {
    metric_names(runs.iter().flat_map(|r| r.1)).into_iter().filter(|n| lower_is_better(n))
}

/// The curve of a metric, called `label`.
fn measured(runs: &[Named], name: &str, label: &str) -> Option<Progress> {
    runs.iter().find_map(|(_, rounds)| curve(label, rounds, |r| r.metrics.get(name).copied()))
}

/// The rounds that have a finite value, thinned; `None` where no round has.
fn curve(
    name: &str,
    rounds: &[RoundRecord],
    value: impl Fn(&RoundRecord) -> Option<f64>,
) -> Option<Progress> {
    let point = |r: &RoundRecord| Some((r.round as f64, value(r).filter(|v| v.is_finite())?));
    let all: Vec<_> = rounds.iter().filter_map(point).collect();
    let (each, last) = (all.len().div_ceil(POINTS).max(1), all.len().saturating_sub(1));
    let kept = all.into_iter().enumerate().filter(|(at, _)| at % each == 0 || *at == last);
    let points: Vec<_> = kept.map(|(_, p)| p).collect();
    (!points.is_empty()).then(|| Progress { name: name.into(), series: 0, points })
}

/// The sum of `bytes` up to each round; `None` where nothing was sent.
fn running(
    name: &str,
    rounds: &[RoundRecord],
    size: f64,
    bytes: impl Fn(&RoundRecord) -> u64,
) -> Option<Progress> {
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

fn traffic(rounds: &[RoundRecord]) -> Plot {
    let (size, unit) = unit(&[("", rounds)]);
    let up = running("sent by clients", rounds, size, |r| r.bytes_up);
    let down = running("received by clients", rounds, size, |r| r.bytes_down);
    Plot {
        slug: "bytes".into(),
        heading: "Communication so far".into(),
        axis: format!("{unit}, all clients"),
        caption: "Bytes that all clients sent and received up to each round.".into(),
        ends: Ends::Zero,
        curves: up.into_iter().chain(down).collect(),
    }
}

fn both_ways(runs: &[Named]) -> Plot {
    let (size, unit) = unit(runs);
    let sum =
        |run: &Named| running(run.0, run.1, size, |r| r.bytes_up.saturating_add(r.bytes_down));
    Plot {
        slug: "bytes".into(),
        heading: "Communication so far".into(),
        axis: format!("{unit}, all clients"),
        caption: "Bytes that all clients sent and received up to each round, both together.".into(),
        ends: Ends::Zero,
        curves: runs.iter().filter_map(sum).collect(),
    }
}

fn epsilon(runs: &[Named]) -> Option<Plot> {
    let curves: Vec<_> =
        runs.iter().filter_map(|(name, rounds)| curve(name, rounds, |r| r.epsilon)).collect();
    (!curves.is_empty()).then(|| Plot {
        slug: "epsilon".into(),
        heading: "Privacy spent so far".into(),
        axis: "ε".into(),
        caption: "Epsilon composed over the rounds so far; less is more private.".into(),
        ends: Ends::Zero,
        curves,
    })
}

/// The pages of a plot; none without a curve.
fn figures(plot: Plot) -> Vec<Figure> {
    let count = plot.curves.len().div_ceil(palette::SERIES);
    let draw = |(at, curves): (usize, &[Progress])| {
        let heading = format!("{}{}", plot.heading, page(at, count));
        let canvas = progress::draw(&heading, &plot.axis, plot.ends, curves);
        Figure::new(
            format!("rounds-{}{}", slug(&plot.slug), page_slug(at)),
            plot.caption.clone(),
            canvas,
        )
    };
    plot.curves.chunks(palette::SERIES).enumerate().map(draw).collect()
}

/// One bar for each corruption and strength.
fn robust(rows: &[(String, f64, f64, f64)]) -> Option<Figure> {
    let bar = |(corruption, strength, accuracy, _): &(String, f64, f64, f64)| Bar {
        name: super::unbroken(&format!("{corruption} {}", significant(*strength))),
        series: Some(0),
        value: Some(100.0 * accuracy).filter(|v| v.is_finite()),
        interval: None,
        shown: format!("{:.1} %", 100.0 * accuracy),
    };
    let bars: Vec<Bar> = rows.iter().map(bar).collect();
    let caption =
        "Accuracy on spoilt test examples; the table has it relative to that on clean ones.";
    let draw = || bars::draw("Robustness", "test accuracy (%)", &bars, &[]);
    (!bars.is_empty()).then(|| Figure::new("robustness", caption, draw()))
}
