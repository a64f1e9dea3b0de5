//! Bar charts: which measures, which bars, in which colours.

use super::bars::{Bar, draw};
use super::{Figure, cell_name, page, page_slug, palette, slug};
use record::axes::Distinguishing;
use record::markdown::significant;
use record::metrics::{Metric, THRESHOLDS, in_order};
use record::run::Run;
use record::stats::{Interval, Rate, Summary};
use record::summary::CellSummary;
use record::utility;
use std::collections::BTreeSet;

/// Bars of one figure; more go on further pages.
const BARS: usize = 24;

/// A value with its interval.
type Value = Option<(f64, Option<Interval>)>;

/// The value of a cell's null baseline of some name.
type OfNull = dyn Fn(&CellSummary, &str) -> Value;

/// Something that has one value per cell and perhaps per null baseline.
struct Measure<'a> {
    heading: String,
    axis: String,
    caption: String,
    slug: String,
    /// Whether it is a matter of the round, the same for every attack on it.
    once: bool,
    cell: Box<dyn Fn(usize) -> Value + 'a>,
    null: Box<OfNull>,
    show: Box<dyn Fn(f64) -> String>,
}

/// Every bar chart of the run.
pub(super) fn bars(run: &Run) -> Vec<Figure> {
    let names = in_order(run.cells.iter().flat_map(|c| c.metrics.keys().cloned()));
    let scores =
        names.into_iter().filter(|n| n != "label_match" && n != "mse").map(|n| score(run, n));
    let psnr = Metric::of("psnr");
    let success = THRESHOLDS.iter().filter(|t| t.metric == "psnr" && t.bound == 25.0);
    let success = success.map(|t| rates(run, t.label(&psnr)));
    let all = scores.chain(success).chain([labels(run), accuracy(run)]);
    all.flat_map(|measure| figures(run, &measure)).collect()
}

fn of_summary(summary: Option<&Summary>) -> Value {
    summary.and_then(|s| Some((s.mean?, s.ci)))
}

fn of_rate(rate: Option<&Rate>) -> Value {
    rate.map(|r| {
        (100.0 * r.rate, Some(Interval { low: 100.0 * r.ci.low, high: 100.0 * r.ci.high }))
    })
}

fn percent(value: f64) -> String {
    format!("{value:.0} %")
}

fn score(run: &Run, name: String) -> Measure<'_> {
    let metric = Metric::of(&name);
    let better =
        if metric.higher_is_better { "more is a better attack" } else { "less is a better attack" };
    let (cell_name, null_name, shown) = (name.clone(), name.clone(), metric.clone());
    Measure {
        heading: metric.title.clone(),
        axis: metric.label(),
        caption: format!(
            "Mean {} with 95 % bootstrap intervals; {better}. Grey: null baselines; where \
             settings differ, the strongest of each.",
            metric.title
        ),
        slug: slug(&name),
        once: false,
        cell: Box::new(move |at| of_summary(run.cells[at].metrics.get(&cell_name))),
        null: Box::new(move |cell, null| of_summary(cell.baselines.get(null)?.get(&null_name))),
        show: Box::new(move |v| match shown.decimals {
            0..=2 => format!("{v:.1}"),
            _ => format!("{v:.2}"),
        }),
    }
}

fn rates(run: &Run, label: String) -> Measure<'_> {
    let (cell, null) = (label.clone(), label.clone());
    Measure {
        heading: format!("Success: {label}"),
        axis: "images (%)".into(),
        caption: format!(
            "Share of images with {label}, with 95 % Wilson intervals. Grey: null baselines; \
             where settings differ, the strongest of each."
        ),
        slug: format!("success-{}", slug(&label)),
        once: false,
        cell: Box::new(move |at| of_rate(run.cells[at].success.get(&cell))),
        null: Box::new(move |cell, name| of_rate(cell.baseline_success.get(name)?.get(&null))),
        show: Box::new(percent),
    }
}

fn labels(run: &Run) -> Measure<'_> {
    Measure {
        heading: "Label accuracy".into(),
        axis: "labels guessed (%)".into(),
        caption: "Share of labels that the attack found by itself, with 95 % Wilson intervals."
            .into(),
        slug: "label-accuracy".into(),
        once: false,
        cell: Box::new(|at| of_rate(run.cells[at].label_accuracy.as_ref())),
        null: Box::new(|_, _| None),
        show: Box::new(percent),
    }
}

fn accuracy(run: &Run) -> Measure<'_> {
    Measure {
        heading: "Task accuracy".into(),
        axis: "test accuracy (%)".into(),
        caption: "Accuracy on the test split: after the utility rounds, trained with the defence \
            in the loop, where there are any; else of the attacked model. 95 % Wilson \
            intervals."
            .into(),
        slug: "task-accuracy".into(),
        once: true,
        cell: Box::new(|at| {
            let (share, ci) = utility::accuracy(&run.records[at])?;
            Some((
                100.0 * share,
                ci.map(|ci| Interval { low: 100.0 * ci.low, high: 100.0 * ci.high }),
            ))
        }),
        null: Box::new(|_, _| None),
        show: Box::new(|v| format!("{} %", significant((v * 10.0).round() / 10.0))),
    }
}

/// The pages of one measure; none where no cell has a value.
fn figures(run: &Run, measure: &Measure) -> Vec<Figure> {
    let series = if measure.once { Vec::new() } else { series(run) };
    let bars = collect(run, measure, &series);
    if !bars.iter().any(|bar| bar.series.is_some() && bar.value.is_some()) {
        return Vec::new();
    }
    let pages = pages(bars);
    let count = pages.len();
    let draw = |(at, bars): (usize, Vec<Bar>)| {
        let heading = format!("{}{}", measure.heading, page(at, count));
        let name = format!("bars-{}{}", measure.slug, page_slug(at));
        Figure::new(name, measure.caption.clone(), draw(&heading, &measure.axis, &bars, &series))
    };
    pages.into_iter().enumerate().map(draw).collect()
}

/// The attacks, where they have colours of their own: a few of them, and something else varies too.
fn series(run: &Run) -> Vec<String> {
    let mut attacks: Vec<String> = Vec::new();
    for at in run.attacked() {
        if !attacks.contains(&run.axes.attacks[at]) {
            attacks.push(run.axes.attacks[at].clone());
        }
    }
    let others = run.axes.paths.iter().any(|p| p != "attack");
    if others && (2..=palette::SERIES).contains(&attacks.len()) { attacks } else { Vec::new() }
}

fn collect(run: &Run, measure: &Measure, series: &[String]) -> Vec<Bar> {
    let worlds = run.worlds();
    let mut seen = BTreeSet::new();
    let all: Vec<usize> = run
        .attacked()
        .into_iter()
        .filter(|at| !measure.once || seen.insert(run.round_key(*at)))
        .collect();
    let distinguishing =
        run.axes.distinguishing(&all, if measure.once { &["attack"] } else { &[] });
    let mut out = Vec::new();
    for world in &worlds {
        let mut own: Vec<Bar> = Vec::new();
        for &at in world.iter().filter(|at| all.contains(at)) {
            let bar = cell_bar(run, measure, series, at, &distinguishing);
            // Beside the last bar of the same name, so that the attacks on one setting stand
            // together.
            let place = own.iter().rposition(|b| b.name == bar.name).map_or(own.len(), |p| p + 1);
            own.insert(place, bar);
        }
        out.extend(own);
        out.extend(null_bars(run, measure, world, worlds.len() > 1));
    }
    out
}

fn cell_bar(
    run: &Run,
    measure: &Measure,
    series: &[String],
    at: usize,
    distinguishing: &Distinguishing,
) -> Bar {
    let except: &[&str] = if series.is_empty() && !measure.once { &[] } else { &["attack"] };
    let value = (measure.cell)(at);
    let shown = match value {
        Some((v, _)) => (measure.show)(v),
        None if run.cells[at].outcome == "failed" => "failed".into(),
        None if measure.slug == "label-accuracy" && run.cells[at].labels_known => "was told".into(),
        None => "not measured".into(),
    };
    Bar {
        name: cell_name(run, at, distinguishing, except),
        series: Some(series.iter().position(|s| *s == run.axes.attacks[at]).unwrap_or(0)),
        value: value.map(|v| v.0),
        interval: value.and_then(|v| v.1).map(|ci| (ci.low, ci.high)),
        shown,
    }
}

/// All null baselines of the only world; of several worlds, the strongest of each.
fn null_bars(run: &Run, measure: &Measure, world: &[usize], several: bool) -> Vec<Bar> {
    let Some(cell) = world.iter().map(|at| &run.cells[*at]).find(|c| !c.baselines.is_empty())
    else {
        return Vec::new();
    };
    let psnr = |name: &str| {
        cell.baselines.get(name).and_then(|b| b.get("psnr")?.mean).unwrap_or(f64::NEG_INFINITY)
    };
    let mut names: Vec<&String> = cell.baselines.keys().collect();
    names.sort_by(|a, b| psnr(b).total_cmp(&psnr(a)).then(a.cmp(b)));
    names.truncate(if several { 1 } else { names.len() });
    let bar = |name: &String| {
        let value = (measure.null)(cell, name)?;
        let setting = if several { world_name(run, world) } else { String::new() };
        Some(Bar {
            name: if setting.is_empty() {
                format!("null: {name}")
            } else {
                super::unbroken(&format!("null: {name} · {setting}"))
            },
            series: None,
            value: Some(value.0),
            interval: value.1.map(|ci| (ci.low, ci.high)),
            shown: (measure.show)(value.0),
        })
    };
    names.into_iter().filter_map(bar).collect()
}

/// What tells a world from the others: the settings of its first cell that are not its attack's or
/// defences'.
fn world_name(run: &Run, world: &[usize]) -> String {
    let firsts: Vec<usize> = run.worlds().iter().map(|w| w[0]).collect();
    run.axes.label(world[0], &run.axes.distinguishing(&firsts, &["attack", "defenses"]), &[])
}

/// Cuts bars into pages without parting bars of one name.
fn pages(bars: Vec<Bar>) -> Vec<Vec<Bar>> {
    let mut pages: Vec<Vec<Bar>> = vec![Vec::new()];
    let ends: Vec<usize> = (1..=bars.len())
        .filter(|at| *at == bars.len() || bars[*at].name != bars[at - 1].name)
        .collect();
    let (mut start, mut bars) = (0, bars.into_iter());
    for end in ends {
        let group: Vec<Bar> = bars.by_ref().take(end - start).collect();
        start = end;
        match pages.last_mut() {
            Some(page) if page.len() + group.len() <= BARS || page.is_empty() => page.extend(group),
            _ => pages.push(group),
        }
    }
    pages
}
