//! Matrices of values: a shade and the number in every field, one bar of shades below.

use super::colours;
use super::legend::MARK;
use super::panel::{below, block, plain};
use super::ruler::Ruler;
use super::side::{LEADING, Side, Want};
use crate::figure::chart::{Facet, HeatMap, Notation};
use crate::figure::style::Style;
use crate::plot::canvas::{Align, Canvas, Colour, Point, Stroke, Text};
use crate::plot::font;
use crate::plot::palette::{FAINT, INK};

/// Between two maps.
const BETWEEN: f64 = 10.0;
/// Widest field, in points.
const FIELD: f64 = 46.0;
/// Thickness of the bar of shades.
const BAR: f64 = 5.0;
/// Steps of the bar of shades.
const SHADES: usize = 96;

/// How numbers stand in their fields.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Written {
    Across,
    Upwards,
    /// Fields narrower than letters are high.
    Nowhere,
}

/// Sizes that all maps have in common.
struct Sheet {
    columns: usize,
    label: f64,
    field: (f64, f64),
    written: Written,
    same_rows: bool,
    head: f64,
    foot: f64,
}

/// Draws the facets in a figure of this width.
pub(super) fn draw(facets: &[Facet<HeatMap>], style: &Style, width: f64) -> Canvas {
    let sheet = Sheet::new(facets, style, width);
    let rulers = rulers(facets);
    let together = facets.iter().all(|f| f.plot.value.title == facets[0].plot.value.title);
    let bar_room = BAR + 7.0 + style.tick + LEADING * style.label + 3.0;
    let mut canvas = Canvas::sized(width, 20.0);
    let (mut top, per_row) = (0.0, sheet.columns);
    for (row, facets_here) in facets.chunks(per_row).enumerate() {
        let most = facets_here.iter().map(|f| f.plot.rows.len()).max().unwrap_or(0) as f64;
        let mut left = sheet.left(facets_here, width);
        for (column, facet) in facets_here.iter().enumerate() {
            let labelled = column == 0 || !sheet.same_rows;
            left += if labelled { sheet.label } else { 0.0 };
            let ruler = &rulers[row * per_row + column];
            sheet.map(&mut canvas, style, facet, ruler, (left, top + sheet.head), labelled);
            let wide = sheet.field.0 * facet.plot.columns.len() as f64;
            if !together {
                let y = top + sheet.head + most * sheet.field.1 + sheet.foot;
                bar(&mut canvas, style, &facet.plot, ruler, (left, y), wide);
            }
            left += wide + BETWEEN;
        }
        top +=
            sheet.head + most * sheet.field.1 + sheet.foot + if together { 4.0 } else { bar_room };
    }
    if let (true, Some(first)) = (together, facets.first()) {
        let long = (width * 0.5).min(150.0);
        bar(&mut canvas, style, &first.plot, &rulers[0], ((width - long) / 2.0, top), long);
        top += bar_room;
    }
    canvas.set_height(top.max(20.0));
    canvas
}

/// A scale for each map; the same for all that show the same.
fn rulers(facets: &[Facet<HeatMap>]) -> Vec<Ruler> {
    let of = |facet: &Facet<HeatMap>| {
        let title = &facet.plot.value.title;
        let alike = facets.iter().filter(|f| f.plot.value.title == *title);
        let values = alike.flat_map(|f| f.plot.values.iter().flatten().copied().flatten());
        Ruler::new(&facet.plot.value, &values.collect::<Vec<f64>>(), false, 4)
    };
    facets.iter().map(of).collect()
}

/// The number in a field.
fn number(map: &HeatMap, value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "∞".into() } else { "−∞".into() };
    }
    let text = match map.notation {
        Notation::Decimals(decimals) => format!("{value:.decimals$}"),
        Notation::Powers if value == 0.0 => "0".into(),
        Notation::Powers => format!("{value:.1e}"),
    };
    let zero = text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.');
    if zero { text.trim_start_matches('-').to_owned() } else { text.replace('-', "−") }
}

impl Sheet {
    fn new(facets: &[Facet<HeatMap>], style: &Style, width: f64) -> Self {
        let same_rows = facets.windows(2).all(|pair| pair[0].plot.rows == pair[1].plot.rows);
        let values = |f: &Facet<HeatMap>| -> f64 {
            let shown = f.plot.values.iter().flatten().flatten();
            shown.map(|v| font::width(&number(&f.plot, *v), style.tick)).fold(0.0, f64::max)
        };
        let widest = facets.iter().map(values).fold(6.0, f64::max);
        let labels = facets.iter().flat_map(|f| &f.plot.rows);
        let longest = labels.map(|l| font::width(l, style.tick)).fold(0.0, f64::max);
        let label = longest.min(width * 0.3) + 6.0;
        let most = facets.iter().map(|f| f.plot.columns.len()).max().unwrap_or(1).max(1) as f64;
        let field = |columns: usize| {
            let labels = if same_rows { label } else { label * columns as f64 };
            let free = width - labels - BETWEEN * (columns as f64 - 1.0) - 2.0;
            (free / (columns as f64 * most)).min(FIELD)
        };
        let beside =
            (1..=facets.len().max(1)).rev().find(|n| field(*n) >= widest + 4.0).unwrap_or(1);
        let columns = facets.len().max(1).div_ceil(facets.len().max(1).div_ceil(beside));
        let wide = field(columns).max(2.0);
        let written = match wide {
            w if w >= widest + 2.0 => Written::Across,
            w if w >= style.tick + 1.5 => Written::Upwards,
            _ => Written::Nowhere,
        };
        let lines = facets.iter().flat_map(|f| &f.plot.rows);
        let lines =
            lines.map(|l| font::wrap(l, style.tick, label - 5.0, 3).len()).max().unwrap_or(1)
                as f64;
        let high = match written {
            Written::Across => (wide * 0.6).clamp(12.0, 18.0),
            Written::Upwards => widest + 4.0,
            Written::Nowhere => wide.max(style.tick + 1.0),
        };
        let high = high.max(lines * LEADING * style.tick + 1.5);
        let mut sheet =
            Sheet { columns, label, field: (wide, high), written, same_rows, head: 0.0, foot: 0.0 };
        let heads = facets.iter().map(|f| sheet.title(f, style).len()).max().unwrap_or(0) as f64;
        sheet.head = if heads > 0.0 { heads * LEADING * style.title + 4.0 } else { 1.0 };
        sheet.foot = facets
            .iter()
            .map(|f| sheet.below(&f.plot, style).reach(style, true))
            .fold(0.0, f64::max)
            + 4.0;
        sheet
    }

    fn title(&self, facet: &Facet<HeatMap>, style: &Style) -> Vec<String> {
        let wide = self.field.0 * facet.plot.columns.len() as f64;
        if facet.title.is_empty() {
            return Vec::new();
        }
        font::wrap(&facet.title, style.title, wide.max(60.0), 2)
    }

    fn below(&self, map: &HeatMap, style: &Style) -> Side {
        Side::below(&Want::names(&map.columns), style, self.field.0 * map.columns.len() as f64)
    }

    /// Where the labels of the first map begin, so that the row of maps is centred.
    fn left(&self, facets: &[Facet<HeatMap>], width: f64) -> f64 {
        let labels = if self.same_rows { 1 } else { facets.len() } as f64 * self.label;
        let fields: f64 = facets.iter().map(|f| f.plot.columns.len() as f64 * self.field.0).sum();
        let all = labels + fields + BETWEEN * (facets.len() as f64 - 1.0);
        ((width - all) / 2.0).max(0.0)
    }

    fn map(
        &self,
        canvas: &mut Canvas,
        style: &Style,
        facet: &Facet<HeatMap>,
        ruler: &Ruler,
        (left, top): Point,
        labelled: bool,
    ) {
        let (map, (wide, high)) = (&facet.plot, self.field);
        for (row, values) in map.values.iter().enumerate() {
            let y = top + row as f64 * high;
            for (column, value) in values.iter().enumerate() {
                self.field(canvas, style, map, ruler, (left + column as f64 * wide, y), *value);
            }
        }
        let across = wide * map.columns.len() as f64;
        for (row, line) in self.title(facet, style).iter().rev().enumerate() {
            let base = top - 5.0 - row as f64 * LEADING * style.title;
            canvas.text((left + across / 2.0, base), style.title, Align::Middle, line.clone());
        }
        if labelled {
            for (row, name) in map.rows.iter().enumerate() {
                let lines = font::wrap(name, style.tick, self.label - 5.0, 3);
                let y = top + (row as f64 + 0.5) * high;
                block(canvas, &lines, style.tick, (left - 4.0, y), Align::End);
            }
        }
        self.heads(canvas, style, map, (left, top + high * map.rows.len() as f64));
    }

    fn heads(&self, canvas: &mut Canvas, style: &Style, map: &HeatMap, (left, bottom): Point) {
        let Side::Names { lines, upwards } = self.below(map, style) else { return };
        for (column, lines) in lines.iter().enumerate() {
            let x = left + (column as f64 + 0.5) * self.field.0;
            below(canvas, style, lines, (x, bottom + 3.0), upwards);
        }
    }

    fn field(
        &self,
        canvas: &mut Canvas,
        style: &Style,
        map: &HeatMap,
        ruler: &Ruler,
        (x, y): Point,
        value: Option<f64>,
    ) {
        let (wide, high) = self.field;
        let corners = [(x, y), (x + wide, y), (x + wide, y + high), (x, y + high)];
        let middle = (x + wide / 2.0, y + high / 2.0);
        let Some(value) = value.filter(|v| !v.is_nan()) else {
            canvas.line(
                &[corners[0], corners[1], corners[2], corners[3], corners[0]],
                Stroke::solid(FAINT, 0.5),
            );
            self.write(canvas, style, middle, "–".into(), MARK);
            return;
        };
        let ground = shade(map, ruler, value);
        canvas.fill(&corners, ground);
        canvas.line(
            &[corners[0], corners[1], corners[2], corners[3], corners[0]],
            Stroke::solid(Colour(255, 255, 255, 1.0), 0.5),
        );
        self.write(canvas, style, middle, number(map, value), colours::letters(ground));
    }

    fn write(
        &self,
        canvas: &mut Canvas,
        style: &Style,
        (x, y): Point,
        text: String,
        colour: Colour,
    ) {
        let upwards = self.written == Written::Upwards;
        let at = if upwards { (x + style.tick * 0.35, y) } else { (x, y + style.tick * 0.35) };
        if self.written != Written::Nowhere {
            canvas.write(Text { colour, upwards, ..plain(at, style.tick, Align::Middle, &text) });
        }
    }
}

/// Dark is always much leaked.
fn shade(map: &HeatMap, ruler: &Ruler, value: f64) -> Colour {
    let place = ruler.place(value);
    colours::colour(if map.high_is_leak { place } else { 1.0 - place })
}

/// The bar of shades with its ticks and title.
fn bar(
    canvas: &mut Canvas,
    style: &Style,
    map: &HeatMap,
    ruler: &Ruler,
    (x, y): Point,
    length: f64,
) {
    // Each shade reaches to the end and is painted over, so that no seam shows between two.
    for step in 0..SHADES {
        let from = x + length * step as f64 / SHADES as f64;
        let place = (step as f64 + 0.5) / SHADES as f64;
        let shade = colours::colour(if map.high_is_leak { place } else { 1.0 - place });
        canvas.fill(&[(from, y), (x + length, y), (x + length, y + BAR), (from, y + BAR)], shade);
    }
    let ink = Stroke::solid(INK, style.thin);
    let mut free = f64::NEG_INFINITY;
    for tick in ruler.ticks() {
        let at = x + length * ruler.place(tick.value);
        canvas.line(&[(at, y + BAR), (at, y + BAR + 2.0)], ink);
        let half = tick.width() / 2.0;
        if at - half >= free + 3.0 {
            let below = (at, y + BAR + 3.0 + style.tick);
            canvas.write(Text {
                raised: tick.raised.clone(),
                ..plain(below, style.tick, Align::Middle, &tick.label)
            });
            free = at + half;
        }
    }
    let base = y + BAR + 4.5 + style.tick + style.label;
    let title = font::fit(&map.value.title, style.label, (length * 1.9).max(60.0));
    canvas.text((x + length / 2.0, base), style.label, Align::Middle, title);
}
