//! Horizontal box plots with the values themselves on top.

use super::axis::{Axis, TICK};
use super::canvas::{Align, COLUMN, Canvas, Stroke};
use super::font;
use super::palette::{self, INK};
use super::panel::{FOOT, Panel, TITLE_ROOM, title};
use record::stats::{quantile_sorted, sorted};

const ROW: f64 = 13.0;
const LINE: f64 = 8.2;
/// Above so many values only the box and the outliers are drawn.
const SHOW_VALUES: usize = 40;

/// One box.
pub(super) struct Row {
    pub name: String,
    pub values: Vec<f64>,
    /// Values too large to be placed.
    pub beyond: usize,
}

/// Draws boxes: quartiles, whiskers to the last value within 1.5 interquartile ranges (Tukey), and
/// the values.
pub(super) fn draw(heading: &str, axis: &str, rows: &[Row]) -> Canvas {
    let names: Vec<_> = rows.iter().map(|r| font::wrap(&r.name, TICK, COLUMN * 0.36, 3)).collect();
    let heights: Vec<f64> =
        names.iter().map(|lines| ROW.max(LINE * lines.len() as f64 + 4.0)).collect();
    let plot: f64 = heights.iter().sum::<f64>() + 4.0;
    let mut canvas = Canvas::new(TITLE_ROOM + plot + FOOT + 3.0);
    let left = names.iter().flatten().map(|l| font::width(l, TICK)).fold(0.0, f64::max) + 11.0;
    let all = rows.iter().flat_map(|r| r.values.iter().copied());
    let (low, high) =
        all.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    let x = Axis::linear(axis, low, high, 4);
    let panel =
        Panel { left, top: TITLE_ROOM, width: COLUMN - left - 10.0, height: plot, x, y: None };
    title(&mut canvas, heading);
    panel.grid(&mut canvas);
    let mut y = TITLE_ROOM + 2.0;
    for ((row, lines), height) in rows.iter().zip(&names).zip(heights) {
        let centre = y + height / 2.0;
        for (at, line) in lines.iter().enumerate() {
            let base = centre + LINE * (at as f64 - (lines.len() as f64 - 1.0) / 2.0) + TICK * 0.35;
            canvas.text((left - 4.0, base), TICK, Align::End, line.clone());
        }
        one(&mut canvas, &panel, &row.values, centre);
        if row.beyond > 0 {
            let tip = panel.left + panel.width + 4.0;
            canvas.fill(
                &[(tip - 4.0, centre - 2.6), (tip, centre), (tip - 4.0, centre + 2.6)],
                palette::colour(0),
            );
        }
        y += height;
    }
    panel.frame(&mut canvas);
    canvas
}

fn one(canvas: &mut Canvas, panel: &Panel, values: &[f64], y: f64) {
    let values = sorted(values);
    let quartile = |q| quantile_sorted(&values, q);
    let (Some(q1), Some(q2), Some(q3)) = (quartile(0.25), quartile(0.5), quartile(0.75)) else {
        return;
    };
    let reach = 1.5 * (q3 - q1);
    let inside = || values.iter().copied().filter(|v| (q1 - reach..=q3 + reach).contains(v));
    let (first, last) = (inside().fold(q1, f64::min), inside().fold(q3, f64::max));
    let (half, ink) = (3.8, Stroke::solid(INK, 0.7));
    let [x1, x2, x3, from, to] = [q1, q2, q3, first, last].map(|v| panel.across(v));
    if values.len() > 1 {
        canvas.fill(
            &[(x1, y - half), (x3, y - half), (x3, y + half), (x1, y + half)],
            palette::colour(0).fade(0.28),
        );
        canvas.line(
            &[(x1, y - half), (x3, y - half), (x3, y + half), (x1, y + half), (x1, y - half)],
            ink,
        );
        canvas.line(&[(from, y), (x1, y)], ink);
        canvas.line(&[(x3, y), (to, y)], ink);
        for end in [from, to] {
            canvas.line(&[(end, y - 2.0), (end, y + 2.0)], ink);
        }
        canvas.line(&[(x2, y - half), (x2, y + half)], Stroke::solid(palette::colour(5), 1.4));
    }
    let shown = |v: &f64| values.len() <= SHOW_VALUES || *v < first || *v > last;
    for (at, value) in values.iter().enumerate().filter(|(_, v)| shown(v)) {
        // A fixed zigzag parts equal values without any randomness.
        let shift = [0.0, -1.6, 1.6][at % 3];
        canvas.disc((panel.across(*value), y + shift), 1.0, INK.fade(0.65));
    }
}
