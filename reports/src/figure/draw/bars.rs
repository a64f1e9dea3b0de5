//! Groups of bars with intervals and dashed references.

use super::layout::{self, Names, Plot};
use super::legend::{Key, MARK, Sign};
use super::lines::dashed;
use super::panel::{Panel, plain};
use super::side::Want;
use super::slots::Slots;
use crate::figure::chart::{BarSeries, Bars, Facet, Height, Reference, covered};
use crate::figure::style::Style;
use crate::plot::canvas::{Align, Canvas, Colour, Point, Stroke, Text};
use crate::plot::palette::{self, INK, PAPER};

/// Dashes of references, in their order.
pub(super) const REFERENCES: [(f64, f64); 3] = [(3.2, 1.8), (1.0, 1.2), (6.0, 1.6)];

struct Plotted<'a> {
    bars: &'a Bars,
    slots: Slots,
}

/// Draws the facets in a figure of this width.
pub(super) fn draw(facets: &[Facet<Bars>], style: &Style, width: f64) -> Canvas {
    let sizes = facets.iter().map(|f| (f.plot.categories.as_slice(), f.plot.series.len()));
    let slots = Slots::for_plots(&sizes.collect::<Vec<_>>(), style, width);
    let facets: Vec<Facet<Plotted>> = facets
        .iter()
        .zip(slots)
        .map(|(f, slots)| Facet { title: f.title.clone(), plot: Plotted { bars: &f.plot, slots } })
        .collect();
    layout::draw(&facets, style, width)
}

impl Plot for Plotted<'_> {
    fn sides(&self) -> (Want, Want) {
        let heights = self.bars.series.iter().flat_map(|s| s.values.iter().flatten());
        let ends = |h: &Height| covered(h.value, h.interval, &h.values);
        let references =
            self.bars.references.iter().flat_map(Reference::values).map(|(_, value)| value);
        let values = heights.flat_map(ends).chain(references).collect();
        self.slots.sides(&self.bars.value, values, &self.bars.categories, true)
    }

    fn series(&self) -> Vec<String> {
        self.bars.series.iter().map(|s| s.name.clone()).collect()
    }

    fn keys(&self, names: &Names) -> Vec<Key> {
        let area =
            |s: &BarSeries| Key { name: s.name.clone(), sign: Sign::Area(names.at(&s.name)) };
        self.bars.series.iter().map(area).chain(references(&self.bars.references)).collect()
    }

    fn height(&self, width: f64) -> f64 {
        self.slots.height(width, &self.bars.categories)
    }

    fn paint(&self, canvas: &mut Canvas, panel: &Panel, names: &Names, style: &Style) {
        panel.lattice(canvas, self.slots.lying);
        for (at, series) in self.bars.series.iter().enumerate() {
            let colour = names.at(&series.name);
            for (category, height) in series.values.iter().enumerate() {
                let edges = self.slots.edges(panel, category, at);
                one(canvas, panel, &self.slots, (edges, colour), height.as_ref(), style);
            }
        }
        mark_references(canvas, panel, &self.slots, &self.bars.references, style);
        self.slots.across(canvas, panel, 0.0, Stroke::solid(INK, style.thin));
        panel.frame(canvas, style);
    }
}

fn one(
    canvas: &mut Canvas,
    panel: &Panel,
    slots: &Slots,
    (edges, colour): ((f64, f64), usize),
    height: Option<&Height>,
    style: &Style,
) {
    let middle = (edges.0 + edges.1) / 2.0;
    let Some(height) = height.filter(|h| h.value.is_finite()) else {
        // A bar of no height would read as zero.
        let (x, y) = slots.place(panel, middle, 0.0);
        let place = if slots.lying { (x + 2.5, y + style.tick * 0.35) } else { (x, y - 2.5) };
        let align = if slots.lying { Align::Start } else { Align::Middle };
        canvas.write(Text { colour: MARK, ..plain(place, style.tick, align, "–") });
        return;
    };
    let (corner, size) = slots.area(panel, edges, (0.0, height.value));
    palette::filled(canvas, Some(colour), corner, size);
    if let Some(interval) = height.interval {
        slots.whisker(canvas, panel, middle, interval, style.thin);
    }
    let dots = height.values.iter().map(|v| slots.place(panel, middle, *v));
    few(canvas, dots, INK);
}

/// Radius of a value that is drawn itself.
const FEW: f64 = 0.9;

/// The values behind a mean where they are too few for an interval.
pub(super) fn few(canvas: &mut Canvas, places: impl Iterator<Item = Point>, colour: Colour) {
    let seen = |(x, y): &Point| x.is_finite() && y.is_finite();
    places.filter(seen).for_each(|place| {
        canvas.disc(place, FEW + 0.4, PAPER);
        canvas.disc(place, FEW, colour);
    });
}

/// Entries of the legend for references.
pub(super) fn references(references: &[Reference]) -> impl Iterator<Item = Key> {
    references.iter().enumerate().map(|(at, reference)| {
        let (ink, gap) = REFERENCES[at % REFERENCES.len()];
        Key { name: reference.name.clone(), sign: Sign::Dashed(ink, gap) }
    })
}

/// References: lines across all categories, or a tick across the bars of each.
pub(super) fn mark_references(
    canvas: &mut Canvas,
    panel: &Panel,
    slots: &Slots,
    references: &[Reference],
    style: &Style,
) {
    for (at, reference) in references.iter().enumerate() {
        let stroke = dashed(style, MARK, REFERENCES[at % REFERENCES.len()]);
        for (category, value) in reference.values() {
            match category {
                None => slots.across(canvas, panel, value, stroke),
                Some(category) => slots.across_one(canvas, panel, category, value, stroke),
            }
        }
    }
}
