//! Horizontal bars with error bars: long names stay readable at column width.

use super::axis::{Axis, TICK};
use super::canvas::{Align, COLUMN, Canvas, Stroke};
use super::font;
use super::palette::{self, INK};
use super::panel::{FOOT, Legend, Panel, TITLE_ROOM, title};

const BAR: f64 = 7.5;
const BETWEEN: f64 = 1.5;
const GROUP_GAP: f64 = 6.0;
const LINE: f64 = 8.2;
/// Room for a bar's value right of the plot.
const VALUE_ROOM: f64 = 25.0;

/// One bar.
pub(super) struct Bar {
    /// Bars with equal, neighbouring names share one name.
    pub name: String,
    /// Series for colour and hatching; `None` for null baselines.
    pub series: Option<usize>,
    /// `None` where there is nothing to show but the remark.
    pub value: Option<f64>,
    pub interval: Option<(f64, f64)>,
    /// The value in words, right of the bar.
    pub shown: String,
}

/// Draws bars; `series` names them for the legend.
pub(super) fn draw(heading: &str, axis: &str, bars: &[Bar], series: &[String]) -> Canvas {
    let groups = groups(bars);
    let limit = COLUMN * 0.36;
    let names: Vec<Vec<String>> =
        groups.iter().map(|g| font::wrap(&bars[g.start].name, TICK, limit, 3)).collect();
    let heights: Vec<f64> =
        groups.iter().zip(&names).map(|(g, lines)| group_height(g.len(), lines.len())).collect();
    let plot: f64 = heights.iter().sum::<f64>() + 4.0;
    let legend = Legend::of(series);
    let mut canvas = Canvas::new(TITLE_ROOM + plot + FOOT + legend.height());
    let widest = names.iter().flatten().map(|line| font::width(line, TICK)).fold(0.0, f64::max);
    let left = widest + 11.0;
    let panel = Panel {
        left,
        top: TITLE_ROOM,
        width: COLUMN - left - VALUE_ROOM,
        height: plot,
        x: x_axis(axis, bars),
        y: None,
    };
    title(&mut canvas, heading);
    panel.grid(&mut canvas);
    let mut y = TITLE_ROOM + 2.0;
    for ((group, lines), height) in groups.into_iter().zip(&names).zip(heights) {
        let centre = y + height / 2.0;
        for (at, line) in lines.iter().enumerate() {
            let base = centre + LINE * (at as f64 - (lines.len() as f64 - 1.0) / 2.0) + TICK * 0.35;
            canvas.text((left - 4.0, base), TICK, Align::End, line.clone());
        }
        let stack = stack_height(group.len());
        for (at, bar) in bars[group].iter().enumerate() {
            one(&mut canvas, &panel, bar, centre - stack / 2.0 + at as f64 * (BAR + BETWEEN));
        }
        y += height;
    }
    panel.frame(&mut canvas);
    legend.draw(&mut canvas, TITLE_ROOM + plot + FOOT, |canvas, at, (x, y)| {
        palette::filled(canvas, Some(at), (x - 5.0, y - 3.0), (10.0, 6.0));
    });
    canvas
}

fn groups(bars: &[Bar]) -> Vec<std::ops::Range<usize>> {
    let mut out: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, bar) in bars.iter().enumerate() {
        match out.last_mut() {
            Some(group) if bars[group.start].name == bar.name => group.end = at + 1,
            _ => out.push(at..at + 1),
        }
    }
    out
}

fn stack_height(bars: usize) -> f64 {
    bars as f64 * (BAR + BETWEEN) - BETWEEN
}

fn group_height(bars: usize, lines: usize) -> f64 {
    stack_height(bars).max(LINE * lines as f64) + GROUP_GAP
}

fn x_axis(axis: &str, bars: &[Bar]) -> Axis {
    let ends = bars
        .iter()
        .flat_map(|b| b.interval.map(|(l, h)| [l, h]).into_iter().flatten().chain(b.value));
    let (low, high) =
        ends.filter(|v| v.is_finite()).fold((0.0f64, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
    Axis::linear(axis, low, if high > low { high } else { low + 1.0 }, 4)
}

fn one(canvas: &mut Canvas, panel: &Panel, bar: &Bar, top: f64) {
    let middle = top + BAR / 2.0;
    let zero = panel.across(0.0);
    let mut end = zero;
    if let Some(value) = bar.value.filter(|v| v.is_finite()) {
        let x = panel.across(value);
        end = x.max(zero);
        palette::filled(canvas, bar.series, (x.min(zero), top), ((x - zero).abs(), BAR));
    }
    if let Some((low, high)) = bar.interval {
        let (from, to) = (panel.across(low), panel.across(high));
        whisker(canvas, (from, to), middle);
        end = end.max(to);
    }
    canvas.text((end + 3.0, middle + 2.3), 6.4, Align::Start, bar.shown.clone());
}

/// An error bar, edged in white so that it shows on dark bars.
fn whisker(canvas: &mut Canvas, (from, to): (f64, f64), y: f64) {
    for stroke in [Stroke::solid(palette::PAPER, 2.0), Stroke::solid(INK, 0.8)] {
        canvas.line(&[(from, y), (to, y)], stroke);
        for end in [from, to] {
            canvas.line(&[(end, y - 2.0), (end, y + 2.0)], stroke);
        }
    }
}
