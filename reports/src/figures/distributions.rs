//! Box plots per cell, client and trial, and the scatter of PSNR against LPIPS.

use super::boxes::{self, Row};
use super::points::{self, Cloud};
use super::{Figure, cell_name, page, page_slug};
use record::metrics::{Metric, PSNR_CAP_DB, in_order};
use record::run::{Run, group};
use record::{CellRecord, ImageScore, Scores};
use std::collections::BTreeSet;

/// Rows of one figure.
const ROWS: usize = 20;
/// What the arrow heads at the right edge are.
const EXACT: &str = " Arrow heads at the right edge: images beyond the cap of the mean, such as \
    exact reconstructions.";
/// Cells that get box plots of their own.
const CELLS: usize = 12;

/// All distribution figures of the run.
pub(super) fn all(run: &Run) -> Vec<Figure> {
    let mut out = by_cell(run);
    out.extend(within_cells(run));
    out.extend(scatter(run));
    out
}

/// A row of the PSNR of `images`; values at the cap or above it are counted, not placed.
fn row<'a>(name: String, images: impl Iterator<Item = &'a ImageScore>) -> Row {
    let metric = Metric::of("psnr");
    let all: Vec<f64> = images.filter_map(|i| value(&i.scores, &metric)).collect();
    let beyond = |v: &f64| metric.cap.is_some_and(|cap| *v >= cap);
    let beyond_count = all.iter().filter(|v| beyond(v)).count();
    Row { name, values: all.into_iter().filter(|v| !beyond(v)).collect(), beyond: beyond_count }
}

/// A score as figures show it: capped, and only if it is a number.
fn value(scores: &Scores, metric: &Metric) -> Option<f64> {
    let raw = scores.get(&metric.name).copied().flatten()?;
    let capped = metric.cap.map_or(raw, |cap| raw.min(cap));
    capped.is_finite().then_some(capped)
}

/// One box per cell with at least three images.
fn by_cell(run: &Run) -> Vec<Figure> {
    let all = run.attacked();
    let cell = |at: &usize| {
        row(cell_name(run, *at, &run.distinguishing, &[]), run.records[*at].images.iter())
    };
    let rows: Vec<Row> = all.iter().map(cell).filter(|r| r.values.len() > 2).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let mut rows = rows.into_iter();
    let mut pages: Vec<Vec<Row>> = Vec::new();
    while rows.len() > 0 {
        pages.push(rows.by_ref().take(ROWS).collect());
    }
    let count = pages.len();
    let caption = format!(
        "PSNR of every image (dots): quartiles, median (red) and whiskers to 1.5 interquartile \
         ranges.{EXACT}"
    );
    let draw = |(at, rows): (usize, Vec<Row>)| {
        let heading = format!("PSNR by cell{}", page(at, count));
        Figure::new(
            format!("boxes-cells{}", page_slug(at)),
            caption.clone(),
            boxes::draw(&heading, "PSNR (dB)", &rows),
        )
    };
    pages.into_iter().enumerate().map(draw).collect()
}

/// One box per client where a cell attacked several, else per trial where trials have several
/// images.
fn within_cells(run: &Run) -> Vec<Figure> {
    let figure = |at: usize| {
        let record = &run.records[at];
        let clients = places(record, |i| i.client);
        let trials = places(record, |i| i.trial);
        let (what, rows) = if clients.len() > 1 {
            ("client", rows(record, &clients, "client", |i| i.client))
        } else if trials.len() > 1 && record.images.len() > trials.len() {
            ("trial", rows(record, &trials, "trial", |i| i.trial))
        } else {
            return None;
        };
        let heading = format!("PSNR by {what}, cell {}", at + 1);
        let caption = format!(
            "Cell {}, {}: PSNR of the images of each {what}.{EXACT}",
            at + 1,
            cell_name(run, at, &run.distinguishing, &[])
        );
        let rows: Vec<Row> = rows.into_iter().filter(|r| !r.values.is_empty()).take(ROWS).collect();
        (!rows.is_empty()).then(|| {
            Figure::new(
                format!("boxes-{what}-{}", record.id),
                caption,
                boxes::draw(&heading, "PSNR (dB)", &rows),
            )
        })
    };
    run.attacked().into_iter().filter_map(figure).take(CELLS).collect()
}

fn places(record: &CellRecord, of: fn(&ImageScore) -> usize) -> BTreeSet<usize> {
    record.images.iter().map(of).collect()
}

fn rows(
    record: &CellRecord,
    places: &BTreeSet<usize>,
    what: &str,
    of: fn(&ImageScore) -> usize,
) -> Vec<Row> {
    let named = |place: &usize| {
        row(format!("{what} {place}"), record.images.iter().filter(|i| of(i) == *place))
    };
    places.iter().map(named).collect()
}

/// PSNR against LPIPS, or against SSIM where no LPIPS was measured.
fn scatter(run: &Run) -> Option<Figure> {
    let measured = |name: &String| {
        let metric = Metric::of(name);
        run.records.iter().flat_map(|r| &r.images).any(|i| value(&i.scores, &metric).is_some())
    };
    let names = in_order(run.cells.iter().flat_map(|c| c.metrics.keys().cloned()));
    let lpips = names.iter().filter(|n| n.starts_with("lpips-")).find(|n| measured(n));
    let other = Metric::of(lpips.map_or("ssim", String::as_str));
    let clouds = clouds(run, &other);
    if clouds.iter().filter(|c| c.series.is_some()).map(|c| c.points.len()).sum::<usize>() < 2 {
        return None;
    }
    let instead = if lpips.is_none() {
        " LPIPS was not measured (see the notes), so SSIM stands in its place."
    } else {
        ""
    };
    let caption = format!(
        "PSNR against {} of every image, but for those above {PSNR_CAP_DB} dB.{instead}",
        other.title
    );
    let heading = format!("PSNR against {}", other.title);
    Some(Figure::new(
        "scatter",
        caption,
        points::draw(&heading, "PSNR (dB)", &other.label(), &clouds),
    ))
}

fn clouds(run: &Run, other: &Metric) -> Vec<Cloud> {
    let psnr = Metric::of("psnr");
    let placed = |v: f64| psnr.cap.is_none_or(|cap| v < cap);
    let pair = |scores: &Scores| {
        Some((value(scores, &psnr).filter(|v| placed(*v))?, value(scores, other)?))
    };
    let attacked = run.attacked();
    let nulls = run.worlds().into_iter().filter_map(|world| {
        world.iter().map(|at| &run.records[*at].baselines).find(|b| !b.is_empty())
    });
    let null_points: Vec<_> = nulls.flat_map(|b| b.values().flatten()).filter_map(pair).collect();
    let mut out = Vec::new();
    if !null_points.is_empty() {
        out.push(Cloud { name: "null baselines".into(), series: None, points: null_points });
    }
    let by_attack = group(attacked, |at| run.axes.attacks[at].clone());
    let few = by_attack.len() <= super::palette::SERIES;
    for (at, cells) in by_attack.iter().enumerate() {
        let points = cells
            .iter()
            .flat_map(|c| &run.records[*c].images)
            .filter_map(|i| pair(&i.scores))
            .collect();
        let name = if few { run.axes.attacks[cells[0]].clone() } else { "attacks".into() };
        out.push(Cloud { name, series: Some(if few { at } else { 0 }), points });
    }
    if !few {
        // More attacks than signs: one cloud says less, but nothing wrong.
        let points =
            out.iter().filter(|c| c.series.is_some()).flat_map(|c| c.points.clone()).collect();
        out.retain(|c| c.series.is_none());
        out.push(Cloud { name: "all attacks".into(), series: Some(0), points });
    }
    out
}
