//! Groups of bars or boxes: one slot a category, upright where the names find room below, else
//! lying.

use super::panel::Panel;
use super::side::{Want, whole};
use crate::figure::chart::Scale;
use crate::figure::style::Style;
use crate::plot::canvas::{Canvas, Point, Stroke};
use crate::plot::palette::{INK, PAPER};

/// Share of a slot that its bars fill.
const FILLED: f64 = 0.78;
/// Least width of an upright bar, in points.
const SLIM: f64 = 4.5;
/// Greatest thickness of a bar, in points.
const STOUT: f64 = 24.0;
/// Thickness of a lying bar, in points.
const LYING: f64 = 6.5;

/// Which way bars run, and how many share a slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    pub categories: usize,
    pub series: usize,
    pub lying: bool,
}

impl Slots {
    /// Those of each facet, given by its names and the number of its series: upright where every
    /// facet's names find room below panels of `width` points.
    pub fn for_plots(plots: &[(&[String], usize)], style: &Style, width: f64) -> Vec<Self> {
        let many = plots.len() > 1;
        let lies = |(names, series): &(&[String], usize)| {
            let slot = (width / if many { 2.0 } else { 1.0 } - 34.0) / names.len().max(1) as f64;
            let room = names.iter().all(|name| whole(name, style.tick, slot - 3.0).is_some());
            !room || slot * FILLED / (*series).max(1) as f64 <= SLIM
        };
        let lying = plots.iter().any(lies);
        let slots = |(names, series): &(&[String], usize)| Slots {
            categories: names.len(),
            series: *series,
            lying,
        };
        plots.iter().map(slots).collect()
    }

    /// Sides below and beside: the value on one, the names on the other.
    pub fn sides(
        &self,
        scale: &Scale,
        values: Vec<f64>,
        names: &[String],
        grounded: bool,
    ) -> (Want, Want) {
        let (value, names) = (Want::numbers(scale, values, grounded), Want::names(names));
        if self.lying { (value, names) } else { (names, value) }
    }

    /// Height of a panel of this width.
    pub fn height(&self, width: f64, names: &[String]) -> f64 {
        if !self.lying {
            return (width * 0.55).clamp(85.0, 130.0);
        }
        let longest = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
        let lines = match longest {
            0..=16 => 10.0,
            17..=36 => 17.5,
            37..=54 => 25.5,
            _ => 33.7,
        };
        let slot = (self.series as f64 * LYING / FILLED).max(lines).max(11.0);
        slot * self.categories as f64
    }

    /// Where bar `series` of slot `category` lies: its two edges on the names' side, from 0 on in
    /// slots.
    pub fn edges(&self, panel: &Panel, category: usize, series: usize) -> (f64, f64) {
        let length = if self.lying { panel.height } else { panel.width };
        let slot = length / self.categories.max(1) as f64;
        let each = (FILLED / self.series.max(1) as f64).min(STOUT / slot);
        let from = category as f64 + each * (series as f64 - self.series as f64 / 2.0);
        (from, from + each)
    }

    /// The point at `slot` along the names and `value`.
    pub fn place(&self, panel: &Panel, slot: f64, value: f64) -> Point {
        if self.lying { panel.place(value, slot) } else { panel.place(slot, value) }
    }

    /// The left top corner and the size of the area between two corners.
    pub fn area(
        &self,
        panel: &Panel,
        edges: (f64, f64),
        values: (f64, f64),
    ) -> (Point, (f64, f64)) {
        let (a, b) = (self.place(panel, edges.0, values.0), self.place(panel, edges.1, values.1));
        ((a.0.min(b.0), a.1.min(b.1)), ((a.0 - b.0).abs(), (a.1 - b.1).abs()))
    }

    /// An error bar at `slot`, edged in white so that it shows on dark areas.
    pub fn whisker(
        &self,
        canvas: &mut Canvas,
        panel: &Panel,
        slot: f64,
        (low, high): (f64, f64),
        thin: f64,
    ) {
        let (a, b) = (self.place(panel, slot, low), self.place(panel, slot, high));
        for stroke in [Stroke::solid(PAPER, thin + 1.0), Stroke::solid(INK, thin + 0.1)] {
            super::lines::bar(canvas, a, b, stroke);
        }
    }

    /// A line across the bars of one slot at a value, reaching a little beyond them.
    pub fn across_one(
        &self,
        canvas: &mut Canvas,
        panel: &Panel,
        category: usize,
        value: f64,
        stroke: Stroke,
    ) {
        let last = self.series.saturating_sub(1);
        let (from, to) = (self.edges(panel, category, 0).0, self.edges(panel, category, last).1);
        let ends = [from - 0.05, to + 0.05].map(|slot| self.place(panel, slot, value));
        canvas.line(&ends, stroke);
    }

    /// A line across all slots at a value.
    pub fn across(&self, canvas: &mut Canvas, panel: &Panel, value: f64, stroke: Stroke) {
        let ends = [-0.5, self.categories as f64 - 0.5].map(|slot| self.place(panel, slot, value));
        canvas.line(&ends, stroke);
    }
}
