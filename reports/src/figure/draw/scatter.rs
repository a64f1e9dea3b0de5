//! Clouds of points with their intervals, and the line that nothing beats.

use super::bars::few;
use super::labels;
use super::layout::{Names, Plot};
use super::legend::{Key, MARK, Sign};
use super::lines::{bar, dashed};
use super::panel::Panel;
use super::side::Want;
use crate::figure::chart::{Mark, Scale, Scatter, Series};
use crate::figure::style::Style;
use crate::plot::canvas::{Canvas, Point, Stroke};
use crate::plot::palette;

/// Dash of the frontier.
const FRONTIER: (f64, f64) = (3.0, 1.6);
/// Clouds of more points are drawn small and without rings.
const MANY: usize = 60;
/// Radius of what is drawn faintly.
const FAINT: f64 = 1.1;

impl Plot for Scatter {
    fn sides(&self) -> (Want, Want) {
        let marks = || self.series.iter().flat_map(|s| &s.marks);
        let (fx, fy): (Vec<f64>, Vec<f64>) = self.frontier.iter().copied().unzip();
        let xs = marks().flat_map(Mark::xs).chain(fx).collect();
        let ys = marks().flat_map(Mark::ys).chain(fy).collect();
        (Want::numbers(&near(&self.x), xs, false), Want::numbers(&near(&self.y), ys, false))
    }

    fn series(&self) -> Vec<String> {
        self.series.iter().map(|s| s.name.clone()).collect()
    }

    fn keys(&self, names: &Names) -> Vec<Key> {
        let cloud = |s: &Series| Key {
            name: s.name.clone(),
            sign: if s.faint { Sign::Faint } else { Sign::Marker(names.at(&s.name)) },
        };
        let mut keys: Vec<Key> = self.series.iter().map(cloud).collect();
        if self.frontier.len() > 1 {
            keys.push(Key {
                name: "Pareto frontier".into(),
                sign: Sign::Dashed(FRONTIER.0, FRONTIER.1),
            });
        }
        keys
    }

    fn height(&self, width: f64) -> f64 {
        (width * 0.72).clamp(90.0, 185.0)
    }

    fn paint(&self, canvas: &mut Canvas, panel: &Panel, names: &Names, style: &Style) {
        panel.lattice(canvas, true);
        frontier(canvas, panel, &self.frontier, style);
        let points = self.series.iter().map(|s| s.marks.len()).sum::<usize>();
        let radius = if points > MANY { style.marker * 0.6 } else { style.marker };
        for mark in self.series.iter().filter(|s| s.faint).flat_map(|s| &s.marks) {
            canvas.disc(panel.place(mark.x, mark.y), FAINT, palette::GREY);
        }
        let bold = || self.series.iter().filter(|s| !s.faint);
        for series in bold() {
            let colour = palette::colour(names.at(&series.name)).fade(0.55);
            series
                .marks
                .iter()
                .for_each(|m| cross(canvas, panel, m, Stroke::solid(colour, style.thin)));
        }
        for series in bold() {
            for mark in series.marks.iter().filter(|m| m.x.is_finite() && m.y.is_finite()) {
                palette::marker(
                    canvas,
                    names.at(&series.name),
                    panel.place(mark.x, mark.y),
                    radius,
                );
            }
        }
        panel.frame(canvas, style);
        labels::write(canvas, panel, &self.series, style);
    }
}

/// A scale that ends near its values: from 0 to 1 the accuracies of a frontier would lie on one
/// line.
fn near(scale: &Scale) -> Scale {
    Scale { range: None, ..scale.clone() }
}

/// Stairs between the points: what lies on their better side is not attained.
fn frontier(canvas: &mut Canvas, panel: &Panel, points: &[(f64, f64)], style: &Style) {
    let mut line: Vec<Point> = Vec::new();
    for (x, y) in points {
        let (across, up) = panel.place(*x, *y);
        line.extend(line.last().map(|before: &Point| (across, before.1)));
        line.push((across, up));
    }
    canvas.line(&line, dashed(style, MARK, FRONTIER));
}

fn cross(canvas: &mut Canvas, panel: &Panel, mark: &Mark, stroke: Stroke) {
    let (x, y) = panel.place(mark.x, mark.y);
    if !x.is_finite() || !y.is_finite() {
        return;
    }
    if let Some((low, high)) = mark.x_interval {
        bar(canvas, (panel.place(low, mark.y).0, y), (panel.place(high, mark.y).0, y), stroke);
    }
    if let Some((low, high)) = mark.y_interval {
        bar(canvas, (x, panel.place(mark.x, low).1), (x, panel.place(mark.x, high).1), stroke);
    }
    let across = mark.x_values.iter().map(|v| (panel.place(*v, mark.y).0, y));
    let up = mark.y_values.iter().map(|v| (x, panel.place(mark.x, *v).1));
    few(canvas, across.chain(up), stroke.colour);
}
