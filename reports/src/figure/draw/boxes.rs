//! Groups of boxes: quartiles, whiskers to the last value within 1.5 interquartile ranges (Tukey,
//! 1977), values beyond as dots.

use super::bars::{mark_references, references};
use super::layout::{self, Names, Plot};
use super::legend::{Key, Sign};
use super::panel::Panel;
use super::side::Want;
use super::slots::Slots;
use crate::figure::chart::{Boxes, Facet, Reference};
use crate::figure::style::Style;
use crate::plot::canvas::{Canvas, Stroke};
use crate::plot::palette::{self, INK, PAPER};
use record::stats::{quantile_sorted, sorted};

/// So few values are drawn themselves: quartiles of them say nothing.
const FEW: usize = 5;
/// Radius of a value's dot, in points.
const DOT: f64 = 1.1;

struct Plotted<'a> {
    boxes: &'a Boxes,
    slots: Slots,
}

/// Draws the facets in a figure of this width.
pub(super) fn draw(facets: &[Facet<Boxes>], style: &Style, width: f64) -> Canvas {
    let sizes = facets.iter().map(|f| (f.plot.categories.as_slice(), f.plot.series.len()));
    let slots = Slots::for_plots(&sizes.collect::<Vec<_>>(), style, width);
    let facets: Vec<Facet<Plotted>> = facets
        .iter()
        .zip(slots)
        .map(|(f, slots)| Facet { title: f.title.clone(), plot: Plotted { boxes: &f.plot, slots } })
        .collect();
    layout::draw(&facets, style, width)
}

impl Plot for Plotted<'_> {
    fn sides(&self) -> (Want, Want) {
        let values =
            self.boxes.series.iter().flat_map(|(_, groups)| groups.iter().flatten().copied());
        let references =
            self.boxes.references.iter().flat_map(Reference::values).map(|(_, value)| value);
        let values = values.chain(references).collect();
        self.slots.sides(&self.boxes.value, values, &self.boxes.categories, false)
    }

    fn series(&self) -> Vec<String> {
        self.boxes.series.iter().map(|(name, _)| name.clone()).collect()
    }

    fn keys(&self, names: &Names) -> Vec<Key> {
        let area =
            |(name, _): &(String, _)| Key { name: name.clone(), sign: Sign::Area(names.at(name)) };
        self.boxes.series.iter().map(area).chain(references(&self.boxes.references)).collect()
    }

    fn height(&self, width: f64) -> f64 {
        self.slots.height(width, &self.boxes.categories)
    }

    fn paint(&self, canvas: &mut Canvas, panel: &Panel, names: &Names, style: &Style) {
        panel.lattice(canvas, self.slots.lying);
        mark_references(canvas, panel, &self.slots, &self.boxes.references, style);
        for (at, (name, groups)) in self.boxes.series.iter().enumerate() {
            for (category, values) in groups.iter().enumerate() {
                let place = Place {
                    slots: &self.slots,
                    edges: self.slots.edges(panel, category, at),
                    panel,
                };
                one(canvas, &place, values, names.at(name), style);
            }
        }
        panel.frame(canvas, style);
    }
}

/// Where a box stands.
struct Place<'a> {
    slots: &'a Slots,
    edges: (f64, f64),
    panel: &'a Panel,
}

fn one(canvas: &mut Canvas, place: &Place, values: &[f64], colour: usize, style: &Style) {
    let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let values = sorted(&finite);
    let middle = (place.edges.0 + place.edges.1) / 2.0;
    let dot = |canvas: &mut Canvas, value: &f64| {
        let at = place.slots.place(place.panel, middle, *value);
        canvas.disc(at, DOT + 0.4, PAPER);
        canvas.disc(at, DOT, palette::colour(colour));
    };
    if values.len() < FEW {
        values.iter().for_each(|v| dot(canvas, v));
        return;
    }
    let quartile = |q| quantile_sorted(&values, q);
    let (Some(q1), Some(q2), Some(q3)) = (quartile(0.25), quartile(0.5), quartile(0.75)) else {
        return;
    };
    let reach = 1.5 * (q3 - q1);
    let inside = |v: &&f64| **v >= q1 - reach && **v <= q3 + reach;
    let low = values.iter().find(inside).copied().unwrap_or(q1);
    let high = values.iter().rev().find(inside).copied().unwrap_or(q3);
    place.slots.whisker(canvas, place.panel, middle, (low, high), style.thin);
    let pad = (place.edges.1 - place.edges.0) * 0.1;
    let edges = (place.edges.0 + pad, place.edges.1 - pad);
    let (corner, size) = place.slots.area(place.panel, edges, (q1, q3));
    palette::filled(canvas, Some(colour), corner, size);
    let ends = [edges.0, edges.1].map(|slot| place.slots.place(place.panel, slot, q2));
    canvas.line(&ends, Stroke::solid(PAPER, 2.4));
    canvas.line(&ends, Stroke::solid(INK, 1.1));
    values.iter().filter(|v| !inside(v)).for_each(|v| dot(canvas, v));
}
