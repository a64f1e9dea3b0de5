//! A headline metric from run to run, with the runs that regressed marked.

use super::axis::{Axis, Scale, Tick};
use super::canvas::{Canvas, Colour, Stroke};
use super::palette::{self, SERIES};
use super::panel::{FOOT, Legend, Panel, TITLE_ROOM, title};
use super::{Figure, page, page_slug, save_all, slug};
use record::RecordError;
use std::path::Path;

const PLOT: f64 = 110.0;
const MARK: Colour = Colour(0xcc, 0x22, 0x22, 0.8);

/// One series.
pub(crate) struct Curve {
    pub name: String,
    /// Number of the run, from 1, and the value.
    pub points: Vec<(usize, f64)>,
}

/// What one figure shows; more series than colours go on further pages.
pub(crate) struct Plot {
    pub name: String,
    pub heading: String,
    pub axis: String,
    pub caption: String,
    /// Runs on the axis.
    pub runs: usize,
    /// Numbers of the runs that regressed.
    pub marked: Vec<usize>,
    pub curves: Vec<Curve>,
}

/// Writes the plots below `dir/figures/` and returns the page's section.
pub(crate) fn write(dir: &Path, plots: Vec<Plot>) -> Result<String, RecordError> {
    save_all(dir, plots.iter().flat_map(pages).collect(), "Nothing has been measured yet.")
}

fn pages(plot: &Plot) -> Vec<Figure> {
    let pages: Vec<&[Curve]> = plot.curves.chunks(SERIES).collect();
    let figure = |(at, curves): (usize, &&[Curve])| {
        let name = format!("{}{}", slug(&plot.name), page_slug(at));
        let marks =
            if plot.marked.is_empty() { "" } else { " Vertical lines: runs that regressed." };
        Figure::new(
            name,
            format!("{}{}{marks}", plot.caption, page(at, pages.len())),
            draw(plot, curves),
        )
    };
    pages.iter().enumerate().map(figure).collect()
}

fn draw(plot: &Plot, curves: &[Curve]) -> Canvas {
    let mut names: Vec<String> = curves.iter().map(|c| c.name.clone()).collect();
    if !plot.marked.is_empty() {
        names.push("regressed".into());
    }
    let legend = Legend::of(&names);
    let mut canvas = Canvas::new(TITLE_ROOM + PLOT + FOOT + legend.height());
    let values = curves.iter().flat_map(|c| &c.points).map(|(_, y)| *y);
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    let panel = Panel::with_axes(
        numbers(plot.runs),
        Axis::linear(&plot.axis, low, high, 4),
        TITLE_ROOM,
        PLOT,
    );
    title(&mut canvas, &plot.heading);
    panel.grid(&mut canvas);
    let mark = Stroke { colour: MARK, width: 0.9, dash: Some((2.4, 1.4)) };
    for run in &plot.marked {
        let x = panel.across(*run as f64);
        canvas.line(&[(x, panel.top), (x, panel.top + panel.height)], mark);
    }
    for (at, curve) in curves.iter().enumerate() {
        let line: Vec<_> =
            curve.points.iter().map(|(run, y)| panel.place(*run as f64, *y)).collect();
        canvas.line(&line, Stroke::solid(palette::colour(at), 1.1));
        line.iter().for_each(|place| palette::marker(&mut canvas, at, *place, 1.9));
    }
    panel.frame(&mut canvas);
    legend.draw(&mut canvas, TITLE_ROOM + PLOT + FOOT, |canvas, at, (x, y)| {
        if at == curves.len() {
            return canvas.line(&[(x, y - 4.0), (x, y + 4.0)], mark);
        }
        canvas.line(&[(x - 6.0, y), (x + 6.0, y)], Stroke::solid(palette::colour(at), 1.1));
        palette::marker(canvas, at, (x, y), 2.0);
    });
    canvas
}

/// An axis of whole numbers of runs, with at most twelve ticks.
fn numbers(runs: usize) -> Axis {
    let step = runs.div_ceil(12).max(1);
    let tick = |value: usize| Tick {
        value: value as f64,
        label: value.to_string(),
        raised: String::new(),
    };
    Axis {
        title: "run (oldest first)".into(),
        scale: Scale::Linear,
        low: 0.6,
        high: runs.max(1) as f64 + 0.4,
        ticks: (1..=runs).step_by(step).map(tick).collect(),
    }
}
