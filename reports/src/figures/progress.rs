//! Curves against the rounds of a training.

use super::axis::Axis;
use super::canvas::{Canvas, Stroke};
use super::palette;
use super::panel::{FOOT, Legend, Panel, TITLE_ROOM, title};

const PLOT: f64 = 120.0;
/// Above so many points a curve has no markers.
const MARKED: usize = 25;
/// From this ratio of the largest to the smallest value on, a scale that may be logarithmic is.
const WIDE: f64 = 50.0;

/// One curve.
pub(super) struct Progress {
    pub name: String,
    /// Series for colour, dash and marker.
    pub series: usize,
    /// (round, value), ascending; values that are not finite break nothing and are not drawn.
    pub points: Vec<(f64, f64)>,
}

/// How the value axis is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ends {
    /// Around the values.
    Values,
    /// From 0.
    Zero,
    /// Around the values, logarithmic where these are positive and span much.
    MaybeLog,
}

/// Draws the curves; one that has a single point is a marker.
pub(super) fn draw(heading: &str, axis: &str, ends: Ends, curves: &[Progress]) -> Canvas {
    let legend = Legend::of(&curves.iter().map(|c| c.name.clone()).collect::<Vec<_>>());
    let mut canvas = Canvas::new(TITLE_ROOM + PLOT + FOOT + legend.height());
    let panel = Panel::with_axes(rounds(curves), values(axis, ends, curves), TITLE_ROOM, PLOT);
    title(&mut canvas, heading);
    panel.grid(&mut canvas);
    curves.iter().for_each(|curve| one(&mut canvas, &panel, curve));
    panel.frame(&mut canvas);
    legend.draw(&mut canvas, TITLE_ROOM + PLOT + FOOT, |canvas, at, (x, y)| {
        canvas.line(&[(x - 6.5, y), (x + 6.5, y)], stroke(&curves[at]));
        if curves[at].points.len() <= MARKED {
            palette::marker(canvas, curves[at].series, (x, y), 1.9);
        }
    });
    canvas
}

/// Whole rounds from the first to the last.
fn rounds(curves: &[Progress]) -> Axis {
    let at = || curves.iter().flat_map(|c| c.points.iter().map(|p| p.0));
    let (low, high) = at().fold((f64::INFINITY, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
    // A step below 1 would put ticks between rounds.
    let (low, high) = if high > low { (low, high) } else { (low.min(0.0), low.max(0.0) + 1.0) };
    Axis::linear("round", low, high, ((high - low) as usize).clamp(1, 6))
}

fn values(name: &str, ends: Ends, curves: &[Progress]) -> Axis {
    let all = || curves.iter().flat_map(|c| c.points.iter().map(|p| p.1)).filter(|v| v.is_finite());
    let (low, high) =
        all().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    match ends {
        Ends::MaybeLog if low > 0.0 && high / low > WIDE => Axis::log(name, low, high),
        Ends::Zero => Axis::linear(name, 0.0, if high > 0.0 { high } else { 1.0 }, 5),
        _ if low > high => Axis::linear(name, 0.0, 1.0, 5),
        _ => Axis::linear(name, low, high, 5),
    }
}

fn one(canvas: &mut Canvas, panel: &Panel, curve: &Progress) {
    let finite = curve.points.iter().filter(|p| p.1.is_finite());
    let places: Vec<_> = finite.map(|p| panel.place(p.0, p.1)).collect();
    canvas.line(&places, stroke(curve));
    if places.len() <= MARKED {
        places.iter().for_each(|place| palette::marker(canvas, curve.series, *place, 1.9));
    }
}

fn stroke(curve: &Progress) -> Stroke {
    Stroke { colour: palette::colour(curve.series), width: 1.2, dash: palette::dash(curve.series) }
}
