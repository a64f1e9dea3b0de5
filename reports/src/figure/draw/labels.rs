//! Names beside the points of a cloud, each at the free place nearest to its point.

use super::panel::Panel;
use crate::figure::chart::{Mark, Series};
use crate::figure::style::Style;
use crate::plot::canvas::{Align, Canvas, Point, Stroke};
use crate::plot::font;
use crate::plot::palette::GREY;

/// Widest label, in points.
const WIDEST: f64 = 105.0;

/// Writes the labels of all series.
pub(super) fn write(canvas: &mut Canvas, panel: &Panel, series: &[Series], style: &Style) {
    let named: Vec<(&Mark, &String)> =
        series.iter().flat_map(|s| s.marks.iter().zip(&s.labels)).collect();
    let place = |m: &Mark| panel.place(m.x, m.y);
    let mut taken: Vec<Rect> =
        named.iter().map(|(m, _)| Rect::around(place(m), style.marker + 1.0)).collect();
    let bars: Vec<Rect> = named.iter().flat_map(|(m, _)| bars(panel, m)).collect();
    for (mark, label) in named {
        one(canvas, panel, (&mut taken, &bars), label, place(mark), style);
    }
}

/// Where the error bars of a point are: letters there are hard to read, but better than far away.
fn bars(panel: &Panel, mark: &Mark) -> Vec<Rect> {
    let (x, y) = panel.place(mark.x, mark.y);
    let across = mark
        .x_interval
        .map(|(low, high)| (panel.place(low, mark.y).0, y, panel.place(high, mark.y).0, y));
    let up = mark
        .y_interval
        .map(|(low, high)| (x, panel.place(mark.x, high).1, x, panel.place(mark.x, low).1));
    let rect = |(left, top, right, bottom): (f64, f64, f64, f64)| Rect {
        left: left - 0.5,
        top: top - 0.5,
        right: right + 0.5,
        bottom: bottom + 0.5,
    };
    across.into_iter().chain(up).map(rect).collect()
}

#[derive(Clone, Copy)]
struct Rect {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Rect {
    fn around((x, y): Point, r: f64) -> Self {
        Rect { left: x - r, top: y - r, right: x + r, bottom: y + r }
    }

    /// Shared area.
    fn overlap(&self, other: &Rect) -> f64 {
        let wide = self.right.min(other.right) - self.left.max(other.left);
        let high = self.bottom.min(other.bottom) - self.top.max(other.top);
        wide.max(0.0) * high.max(0.0)
    }
}

/// A label, with a line to its point where it is not beside that.
fn one(
    canvas: &mut Canvas,
    panel: &Panel,
    (taken, bars): (&mut Vec<Rect>, &[Rect]),
    text: &str,
    place: Point,
    style: &Style,
) {
    if !(place.0.is_finite() && place.1.is_finite()) {
        return;
    }
    let text = font::fit(text, style.tick, WIDEST);
    let wide = font::width(&text, style.tick);
    let inside = Rect {
        left: panel.left + 1.0,
        top: panel.top,
        right: canvas.size().0 - 1.0,
        bottom: panel.bottom() - 1.0,
    };
    let cost = |(at, rect): &(usize, Rect)| {
        let whole = (rect.right - rect.left) * (rect.bottom - rect.top);
        let outside = whole - rect.overlap(&inside);
        let clash: f64 = taken.iter().map(|t| t.overlap(rect)).sum();
        let crossed: f64 = bars.iter().map(|b| b.overlap(rect)).sum();
        // Nearer places come first; hiding anything weighs more than any distance, lying on error
        // bars less.
        100.0 * (clash + outside) + 0.4 * crossed + *at as f64
    };
    let all = candidates(place, wide, style).into_iter().enumerate();
    let Some((_, rect)) = all.min_by(|a, b| cost(a).total_cmp(&cost(b))) else { return };
    let near = (place.0.clamp(rect.left, rect.right), place.1.clamp(rect.top, rect.bottom));
    if (near.0 - place.0).hypot(near.1 - place.1) > style.marker + 4.0 {
        canvas.line(&[place, near], Stroke::solid(GREY, 0.4));
    }
    canvas.text((rect.left, rect.bottom - 1.6), style.tick, Align::Start, text);
    taken.push(rect);
}

/// Places around a point, the nearest first: right, left, above, below, and the corners.
fn candidates((x, y): Point, wide: f64, style: &Style) -> Vec<Rect> {
    let (high, beside) = (style.tick + 0.8, style.marker + 3.0);
    let mut out = Vec::new();
    for step in 0..14 {
        let gap = style.marker + 2.6 + 3.5 * f64::from(step);
        let (level, above, below) = (y - high / 2.0, y - gap - high, y + gap);
        let corners = [
            (x + gap, level),
            (x - gap - wide, level),
            (x - wide / 2.0, above),
            (x - wide / 2.0, below),
            (x + beside, above),
            (x + beside, below),
            (x - beside - wide, above),
            (x - beside - wide, below),
        ];
        let rect =
            |(left, top): (f64, f64)| Rect { left, top, right: left + wide, bottom: top + high };
        out.extend(corners.map(rect));
    }
    out
}
