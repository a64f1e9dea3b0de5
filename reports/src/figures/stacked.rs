//! Panes with one axis of rounds, one below the other.

use super::axis::{Axis, Scale, Tick};
use super::canvas::{Canvas, Stroke};
use super::lines::{self, Curve};
use super::palette::{self, GREY};
use super::panel::{FOOT, Legend, Panel, TITLE_ROOM, title};

const PLOT: f64 = 88.0;
/// Room between panes, where the tick labels of the upper one are.
const BETWEEN: f64 = 10.0;

/// One pane.
pub(super) struct Pane {
    pub axis: String,
    pub curves: Vec<Curve>,
    /// A dashed level.
    pub level: Option<f64>,
}

/// Draws the panes that have curves; `x` of their marks is a number of rounds, placed by log(1 +
/// x).
pub(super) fn against_rounds(heading: &str, panes: &[Pane]) -> Canvas {
    let panes: Vec<&Pane> = panes.iter().filter(|p| !p.curves.is_empty()).collect();
    let x = rounds(&panes);
    let mut names: Vec<String> =
        panes.iter().flat_map(|p| p.curves.iter().map(|c| c.name.clone())).collect();
    let (curves, level) = (names.len(), panes.iter().any(|p| p.level.is_some()));
    if level {
        names.push("best null baseline".into());
    }
    let legend = Legend::of(&names);
    let each = PLOT + FOOT - 6.0 + BETWEEN;
    let foot = TITLE_ROOM + each * panes.len() as f64 - BETWEEN + 6.0;
    let mut canvas = Canvas::new(foot + legend.height());
    title(&mut canvas, heading);
    let mut panels: Vec<Panel> =
        panes.iter().map(|p| Panel::with_axes(x.clone(), values(p), 0.0, PLOT)).collect();
    let left = panels.iter().map(|p| p.left).fold(0.0, f64::max);
    let mut first = 0;
    for (at, (panel, pane)) in panels.iter_mut().zip(&panes).enumerate() {
        (panel.width, panel.left) = (panel.width + panel.left - left, left);
        panel.top = TITLE_ROOM + each * at as f64;
        one(&mut canvas, panel, pane, first);
        first += pane.curves.len();
    }
    legend.draw(&mut canvas, foot, |canvas, at, (x, y)| {
        let (colour, dash) = if at < curves { (palette::colour(at), None) } else { (GREY, DASH) };
        canvas.line(&[(x - 6.0, y), (x + 6.0, y)], Stroke { colour, width: 1.1, dash });
        if at < curves {
            palette::marker(canvas, at, (x, y), 2.2);
        }
    });
    canvas
}

const DASH: Option<(f64, f64)> = Some((2.6, 1.6));

/// The place of a number of rounds.
fn place(rounds: f64) -> f64 {
    rounds.max(0.0).ln_1p()
}

/// Ticks at the rounds that there are.
fn rounds(panes: &[&Pane]) -> Axis {
    let marks = panes.iter().flat_map(|p| &p.curves).flat_map(|c| &c.marks);
    let mut at: Vec<f64> = marks.map(|m| m.x).collect();
    at.sort_by(f64::total_cmp);
    at.dedup();
    let (low, high) = (at.first().map_or(0.0, |v| place(*v)), at.last().map_or(1.0, |v| place(*v)));
    let room = 0.05 * (high - low).max(0.5);
    let tick = |v: &f64| Tick { value: place(*v), label: format!("{v:.0}"), raised: String::new() };
    Axis {
        title: "rounds trained before the capture".into(),
        scale: Scale::Linear,
        low: low - room,
        high: high + room,
        ticks: at.iter().map(tick).collect(),
    }
}

fn values(pane: &Pane) -> Axis {
    let marks = pane.curves.iter().flat_map(|c| &c.marks);
    let ends =
        marks.flat_map(|m| [m.y, m.interval.map_or(m.y, |i| i.0), m.interval.map_or(m.y, |i| i.1)]);
    let (low, high) = ends
        .chain(pane.level)
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    Axis::linear(&pane.axis, low, high, 4)
}

fn one(canvas: &mut Canvas, panel: &Panel, pane: &Pane, first: usize) {
    panel.grid(canvas);
    if let Some(level) = pane.level {
        let (_, y) = panel.place(panel.x.low, level);
        let stroke = Stroke { colour: GREY, width: 0.9, dash: DASH };
        canvas.line(&[(panel.left, y), (panel.left + panel.width, y)], stroke);
    }
    for (at, curve) in pane.curves.iter().enumerate() {
        // Error bars at one number of rounds stand side by side.
        let aside = 2.0 * (at as f64 - (pane.curves.len() as f64 - 1.0) / 2.0);
        lines::with_bars(canvas, first + at, curve, |x, y| {
            let (x, y) = panel.place(place(x), y);
            (x + aside, y)
        });
    }
    panel.frame(canvas);
}
