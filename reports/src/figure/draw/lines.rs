//! Curves: a metric against a parameter, learning curves, ROC, success against budget.

use super::bars::{REFERENCES, few};
use super::layout::{Names, Plot};
use super::legend::{Key, MARK, Sign};
use super::panel::Panel;
use super::side::Want;
use crate::figure::chart::{Lines, Mark, Rule, Series};
use crate::figure::style::Style;
use crate::plot::canvas::{Canvas, Colour, Point, Stroke};
use crate::plot::palette;

/// Curves of more points have a band for their intervals, and markers only here and there.
const DENSE: usize = 14;
/// Markers of such a curve.
const MARKERS: usize = 6;
/// Between the error bars of curves that have the same x, in points.
const DODGE: f64 = 1.6;
/// Largest side of a ROC plot, which is square, in points.
const SQUARE: f64 = 165.0;
/// Dash of the diagonal and of levels without a defense.
pub(super) const LEVEL: (f64, f64) = (2.2, 1.6);
const CHANCE: (f64, f64) = (1.0, 1.4);

impl Plot for Lines {
    fn sides(&self) -> (Want, Want) {
        let marks = || self.series.iter().flat_map(|s| &s.marks);
        let rules =
            |upright| self.rules.iter().filter(move |r| r.upright == upright).flat_map(|r| &r.at);
        let levels = self.series.iter().filter_map(|s| s.level).chain(rules(false).copied());
        let ys = marks().flat_map(Mark::ys).chain(levels).collect();
        let xs = marks().map(|m| m.x).chain(rules(true).copied()).collect();
        (Want::numbers(&self.x, xs, false), Want::numbers(&self.y, ys, false))
    }

    fn series(&self) -> Vec<String> {
        self.series.iter().map(|s| s.name.clone()).collect()
    }

    fn keys(&self, names: &Names) -> Vec<Key> {
        let sign = |s: &Series| {
            if self.joined {
                Sign::Curve(names.at(&s.name), !s.steps)
            } else {
                Sign::Marker(names.at(&s.name))
            }
        };
        let curve = |s: &Series| Key { name: s.name.clone(), sign: sign(s) };
        // A series of nothing but a level is the dashed line.
        let drawn = self.series.iter().filter(|s| !s.marks.is_empty() || s.level.is_none());
        let mut keys: Vec<Key> = drawn.map(curve).collect();
        if self.series.iter().any(|s| s.level.is_some()) {
            keys.push(Key { name: "without defense".into(), sign: Sign::Dashed(LEVEL.0, LEVEL.1) });
        }
        keys.extend(self.rules.iter().enumerate().map(|(at, rule)| {
            let (ink, gap) = REFERENCES[at % REFERENCES.len()];
            Key { name: rule.name.clone(), sign: Sign::Dashed(ink, gap) }
        }));
        if self.diagonal {
            keys.push(Key { name: "chance".into(), sign: Sign::Dashed(CHANCE.0, CHANCE.1) });
        }
        keys
    }

    fn height(&self, width: f64) -> f64 {
        if self.diagonal { width.min(SQUARE) } else { (width * 0.66).clamp(82.0, 165.0) }
    }

    fn most(&self) -> f64 {
        if self.diagonal { SQUARE } else { f64::INFINITY }
    }

    fn paint(&self, canvas: &mut Canvas, panel: &Panel, names: &Names, style: &Style) {
        panel.lattice(canvas, self.diagonal);
        if self.diagonal {
            let stroke = dashed(style, MARK, CHANCE);
            canvas.line(&[panel.place(0.0, 0.0), panel.place(1.0, 1.0)], stroke);
        }
        for (at, rule) in self.rules.iter().enumerate() {
            across(canvas, panel, rule, dashed(style, MARK, REFERENCES[at % REFERENCES.len()]));
        }
        for series in &self.series {
            let alone = series.marks.is_empty();
            let colour = if alone { MARK } else { palette::colour(names.at(&series.name)) };
            level(canvas, panel, series.level, colour, style);
        }
        let dense = |s: &Series| self.joined && s.marks.len() > DENSE;
        for series in self.series.iter().filter(|s| dense(s)) {
            band(canvas, panel, series, palette::colour(names.at(&series.name)));
        }
        let several = self.series.len() as f64 - 1.0;
        let barred =
            |s: &Series| !s.steps && !dense(s) && s.marks.iter().any(|m| m.y_interval.is_some());
        for (at, series) in self.series.iter().enumerate() {
            let dodge = if barred(series) { DODGE * (at as f64 - several / 2.0) } else { 0.0 };
            curve(canvas, panel, (series, self.joined), names.at(&series.name), dodge, style);
        }
        panel.frame(canvas, style);
    }
}

/// A thin dashed line.
pub(super) fn dashed(style: &Style, colour: Colour, dash: (f64, f64)) -> Stroke {
    Stroke { colour, width: style.thin + 0.2, dash: Some(dash) }
}

/// Lines across the panel at the values of a rule.
fn across(canvas: &mut Canvas, panel: &Panel, rule: &Rule, stroke: Stroke) {
    for value in rule.at.iter().filter(|v| v.is_finite()) {
        if rule.upright {
            let x = panel.place(*value, 0.0).0;
            canvas.line(&[(x, panel.top), (x, panel.bottom())], stroke);
        } else {
            let y = panel.place(0.0, *value).1;
            canvas.line(&[(panel.left, y), (panel.right(), y)], stroke);
        }
    }
}

fn level(canvas: &mut Canvas, panel: &Panel, level: Option<f64>, colour: Colour, style: &Style) {
    if let Some(value) = level.filter(|v| v.is_finite()) {
        let y = panel.place(0.0, value).1;
        canvas.line(&[(panel.left, y), (panel.right(), y)], dashed(style, colour, LEVEL));
    }
}

fn band(canvas: &mut Canvas, panel: &Panel, series: &Series, colour: Colour) {
    let with = series.marks.iter().filter_map(|m| m.y_interval.map(|i| (m.x, i)));
    let with: Vec<(f64, (f64, f64))> = with.collect();
    let high = with.iter().map(|(x, (_, high))| panel.place(*x, *high));
    let low = with.iter().rev().map(|(x, (low, _))| panel.place(*x, *low));
    canvas.fill(&high.chain(low).collect::<Vec<Point>>(), colour.fade(0.18));
}

fn curve(
    canvas: &mut Canvas,
    panel: &Panel,
    (series, joined): (&Series, bool),
    at: usize,
    dodge: f64,
    style: &Style,
) {
    let finite: Vec<&Mark> =
        series.marks.iter().filter(|m| m.x.is_finite() && m.y.is_finite()).collect();
    let place = |m: &&Mark| {
        let (x, y) = panel.place(m.x, m.y);
        (x + dodge, y)
    };
    let points: Vec<Point> = finite.iter().map(place).collect();
    let colour = palette::colour(at);
    if joined {
        // Straight also along a ROC curve: a slope is a tie, and the area below it counts it half.
        canvas.line(&points, Stroke { colour, width: style.line, dash: palette::dash(at) });
    }
    let dense = joined && points.len() > DENSE;
    if !dense {
        for (mark, point) in finite.iter().zip(&points) {
            if let Some(interval) = mark.y_interval {
                let ends = [interval.0, interval.1].map(|v| panel.place(mark.x, v).1);
                bar(
                    canvas,
                    (point.0, ends[0]),
                    (point.0, ends[1]),
                    Stroke::solid(colour, style.thin),
                );
            }
            let place = |v: &f64| (point.0, panel.place(mark.x, *v).1);
            few(canvas, mark.y_values.iter().map(place), colour);
        }
    }
    if !series.steps {
        let each = if dense { points.len().div_ceil(MARKERS) } else { 1 };
        let marked = points.iter().enumerate().filter(|(i, _)| i % each == each / 2);
        marked.for_each(|(_, point)| palette::marker(canvas, at, *point, style.marker));
    }
}

/// An error bar with its caps.
pub(super) fn bar(canvas: &mut Canvas, from: Point, to: Point, stroke: Stroke) {
    canvas.line(&[from, to], stroke);
    let (dx, dy) = if (from.0 - to.0).abs() < 1e-9 { (1.5, 0.0) } else { (0.0, 1.5) };
    for (x, y) in [from, to] {
        canvas.line(&[(x - dx, y - dy), (x + dx, y + dy)], stroke);
    }
}
