//! Curves: a metric against epsilon, and the objective against the iteration.

use super::axis::Axis;
use super::canvas::{Canvas, Point, Stroke};
use super::palette;
use super::panel::{FOOT, Legend, Panel, TITLE_ROOM, title};

const PLOT: f64 = 130.0;

/// A point with its error bar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub x: f64,
    pub y: f64,
    pub interval: Option<(f64, f64)>,
}

/// One curve of a metric against epsilon.
pub(super) struct Curve {
    pub name: String,
    /// Ascending in x.
    pub marks: Vec<Mark>,
    /// The value without the defence.
    pub level: Option<f64>,
}

/// A metric against epsilon (logarithmic); dashed lines are the levels without defence.
pub(super) fn against_epsilon(heading: &str, x: &str, y: &str, curves: &[Curve]) -> Canvas {
    let mut names: Vec<String> = curves.iter().map(|c| c.name.clone()).collect();
    let levels = curves.iter().any(|c| c.level.is_some());
    if levels {
        names.push("no defence (dashed)".into());
    }
    let legend = Legend::of(&names);
    let mut canvas = Canvas::new(TITLE_ROOM + PLOT + FOOT + legend.height());
    let marks = || curves.iter().flat_map(|c| &c.marks);
    let mut at: Vec<f64> = marks().map(|m| m.x).collect();
    at.sort_by(f64::total_cmp);
    at.dedup();
    let ends = marks()
        .flat_map(|m| [m.y, m.interval.map_or(m.y, |i| i.0), m.interval.map_or(m.y, |i| i.1)]);
    let ends = ends.chain(curves.iter().filter_map(|c| c.level));
    let (low, high) =
        ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    let panel =
        Panel::with_axes(Axis::log_at(x, &at), Axis::linear(y, low, high, 5), TITLE_ROOM, PLOT);
    title(&mut canvas, heading);
    panel.grid(&mut canvas);
    for (at, curve) in curves.iter().enumerate() {
        epsilon_curve(&mut canvas, &panel, at, curve, curves.len());
    }
    panel.frame(&mut canvas);
    legend.draw(&mut canvas, TITLE_ROOM + PLOT + FOOT, |canvas, at, (x, y)| {
        let level = at == curves.len();
        let colour = if level { palette::GREY } else { palette::colour(at) };
        let dash = level.then_some((2.6, 1.6));
        canvas.line(&[(x - 6.0, y), (x + 6.0, y)], Stroke { colour, width: 1.1, dash });
        if !level {
            palette::marker(canvas, at, (x, y), 2.2);
        }
    });
    canvas
}

fn epsilon_curve(canvas: &mut Canvas, panel: &Panel, at: usize, curve: &Curve, curves: usize) {
    let colour = palette::colour(at);
    if let Some(level) = curve.level {
        let (_, y) = panel.place(panel.x.high, level);
        let stroke = Stroke { colour: colour.fade(0.8), width: 0.9, dash: Some((2.6, 1.6)) };
        canvas.line(&[(panel.left, y), (panel.left + panel.width, y)], stroke);
    }
    // Error bars of several curves at one epsilon stand side by side.
    let aside = 2.0 * (at as f64 - (curves as f64 - 1.0) / 2.0);
    let place = |x: f64, y: f64| {
        let (x, y) = panel.place(x, y);
        (x + aside, y)
    };
    with_bars(canvas, at, curve, place);
}

/// A curve with markers and error bars in the colour of series `at`.
pub(super) fn with_bars(
    canvas: &mut Canvas,
    at: usize,
    curve: &Curve,
    place: impl Fn(f64, f64) -> Point,
) {
    let colour = palette::colour(at);
    let line: Vec<_> = curve.marks.iter().map(|m| place(m.x, m.y)).collect();
    canvas.line(&line, Stroke::solid(colour, 1.1));
    for mark in &curve.marks {
        if let Some((low, high)) = mark.interval {
            let ((x, from), (_, to)) = (place(mark.x, low), place(mark.x, high));
            canvas.line(&[(x, from), (x, to)], Stroke::solid(colour, 0.8));
            for y in [from, to] {
                canvas.line(&[(x - 1.8, y), (x + 1.8, y)], Stroke::solid(colour, 0.8));
            }
        }
        palette::marker(canvas, at, place(mark.x, mark.y), 2.2);
    }
}

/// One curve of the objective.
pub(super) struct Trace {
    pub name: String,
    /// Iteration, then lower quartile, median and upper quartile over trials; all above 0.
    pub points: Vec<(f64, [f64; 3])>,
}

/// The objective against the iteration, logarithmic: medians as lines, quartiles as bands.
pub(super) fn against_iteration(heading: &str, traces: &[Trace]) -> Canvas {
    let legend = Legend::of(&traces.iter().map(|t| t.name.clone()).collect::<Vec<_>>());
    let mut canvas = Canvas::new(TITLE_ROOM + PLOT + FOOT + legend.height());
    let points = || traces.iter().flat_map(|t| &t.points);
    let most = points().map(|p| p.0).fold(0.0, f64::max);
    let values = points().flat_map(|p| p.1);
    let (low, high) = values.fold((f64::INFINITY, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
    let y = Axis::log("objective (best restart)", low, high);
    let panel = Panel::with_axes(Axis::linear("iteration", 0.0, most, 5), y, TITLE_ROOM, PLOT);
    title(&mut canvas, heading);
    panel.grid(&mut canvas);
    for (at, trace) in traces.iter().enumerate() {
        let lower = trace.points.iter().map(|p| panel.place(p.0, p.1[0]));
        let upper = trace.points.iter().rev().map(|p| panel.place(p.0, p.1[2]));
        let band: Vec<_> = lower.chain(upper).collect();
        canvas.fill(&band, palette::colour(at).fade(0.18));
    }
    for (at, trace) in traces.iter().enumerate() {
        let line: Vec<_> = trace.points.iter().map(|p| panel.place(p.0, p.1[1])).collect();
        canvas.line(
            &line,
            Stroke { colour: palette::colour(at), width: 1.2, dash: palette::dash(at) },
        );
    }
    panel.frame(&mut canvas);
    legend.draw(&mut canvas, TITLE_ROOM + PLOT + FOOT, |canvas, at, (x, y)| {
        let stroke = Stroke { colour: palette::colour(at), width: 1.3, dash: palette::dash(at) };
        canvas.line(&[(x - 6.5, y), (x + 6.5, y)], stroke);
    });
    canvas
}
