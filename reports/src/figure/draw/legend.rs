//! Signs and names below the panels.

use super::side::LEADING;
use crate::figure::style::Style;
use crate::plot::canvas::{Align, Canvas, Colour, Point, Stroke};
use crate::plot::{font, palette};

/// Width of a sign with the room behind it.
const SIGN: f64 = 17.0;
const GAP: f64 = 10.0;

/// Dashed lines that mark a value.
pub(super) const MARK: Colour = Colour(0x66, 0x66, 0x66, 1.0);

/// An entry of the legend.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    pub name: String,
    pub sign: Sign,
}

/// What stands before a name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sign {
    /// A curve of series `0`, with its marker or without.
    Curve(usize, bool),
    Marker(usize),
    /// A small grey dot.
    Faint,
    Area(usize),
    /// A thin line of this dash.
    Dashed(f64, f64),
}

/// The legend laid out for a width.
pub(super) struct Legend {
    keys: Vec<(Key, Vec<String>)>,
    columns: Vec<f64>,
    rows: Vec<f64>,
}

impl Legend {
    /// As many columns as fit; a single series needs no legend, and one without a name has no
    /// entry.
    pub fn new(keys: Vec<Key>, style: &Style, width: f64) -> Self {
        let keys: Vec<Key> = keys.into_iter().filter(|key| !key.name.is_empty()).collect();
        let marks = keys.iter().any(|key| matches!(key.sign, Sign::Dashed(..)));
        if keys.len() < 2 && !marks {
            return Legend { keys: Vec::new(), columns: Vec::new(), rows: Vec::new() };
        }
        let limit = width - SIGN - 2.0;
        let wrapped = |key: Key| {
            let lines = font::wrap(&key.name, style.tick, limit, 3);
            (key, lines)
        };
        let keys: Vec<(Key, Vec<String>)> = keys.into_iter().map(wrapped).collect();
        let fits = |columns: &Vec<f64>| total(columns) <= width - 2.0;
        let best = (1..=keys.len()).rev().map(|n| columns(&keys, n, style)).find(fits);
        let columns = best.unwrap_or_else(|| columns(&keys, 1, style));
        // As many rows as before, but filled evenly.
        let high = |row: &[(Key, Vec<String>)]| {
            let lines = row.iter().map(|(_, lines)| lines.len()).max().unwrap_or(1);
            lines as f64 * LEADING * style.tick + 1.5
        };
        let rows = keys.chunks(columns.len()).map(high).collect();
        Legend { keys, columns, rows }
    }

    /// Height in points.
    pub fn height(&self) -> f64 {
        if self.rows.is_empty() { 0.0 } else { 4.0 + self.rows.iter().sum::<f64>() }
    }

    /// Draws it between `left` and `left + width`, centred.
    pub fn draw(&self, canvas: &mut Canvas, style: &Style, (left, top): Point, width: f64) {
        let start = left + ((width - total(&self.columns)) / 2.0).max(0.0);
        let mut y = top + 4.0;
        for (row, high) in self.keys.chunks(self.columns.len().max(1)).zip(&self.rows) {
            let mut x = start;
            for ((key, lines), wide) in row.iter().zip(&self.columns) {
                sign(canvas, style, key.sign, (x + SIGN / 2.0 - 2.0, y + style.tick * 0.5));
                for (at, line) in lines.iter().enumerate() {
                    let base = y + style.tick * (0.85 + LEADING * at as f64);
                    canvas.text((x + SIGN, base), style.tick, Align::Start, line.clone());
                }
                x += wide + GAP;
            }
            y += high;
        }
    }
}

fn total(columns: &[f64]) -> f64 {
    columns.iter().sum::<f64>() + GAP * (columns.len() as f64 - 1.0)
}

fn columns(keys: &[(Key, Vec<String>)], columns: usize, style: &Style) -> Vec<f64> {
    let mut wide = vec![0.0f64; columns];
    for (at, (_, lines)) in keys.iter().enumerate() {
        let widest = lines.iter().map(|l| font::width(l, style.tick)).fold(0.0, f64::max);
        wide[at % columns] = wide[at % columns].max(SIGN + widest);
    }
    wide
}

fn sign(canvas: &mut Canvas, style: &Style, sign: Sign, (x, y): Point) {
    match sign {
        Sign::Curve(at, marked) => {
            let stroke =
                Stroke { colour: palette::colour(at), width: style.line, dash: palette::dash(at) };
            canvas.line(&[(x - 6.5, y), (x + 6.5, y)], stroke);
            if marked {
                palette::marker(canvas, at, (x, y), style.marker);
            }
        }
        Sign::Marker(at) => palette::marker(canvas, at, (x, y), style.marker),
        Sign::Faint => canvas.disc((x, y), 1.4, palette::GREY),
        Sign::Area(at) => palette::filled(canvas, Some(at), (x - 5.0, y - 2.8), (10.0, 5.6)),
        Sign::Dashed(ink, gap) => {
            let stroke = Stroke { colour: MARK, width: style.thin + 0.2, dash: Some((ink, gap)) };
            canvas.line(&[(x - 6.5, y), (x + 6.5, y)], stroke);
        }
    }
}
