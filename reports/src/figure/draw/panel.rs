//! A plot's rectangle with its two sides.

use super::side::{LEADING, Side};
use crate::figure::style::Style;
use crate::plot::axis::Tick;
use crate::plot::canvas::{Align, Canvas, Point, Stroke, Text};
use crate::plot::palette::{FAINT, INK, PAPER};

/// A plot's rectangle, in points, with its sides.
pub(super) struct Panel {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
    pub x: Side,
    pub y: Side,
    /// Whether the labels left of it are drawn; panels that share them have them once.
    pub labelled: bool,
}

impl Panel {
    /// Place of a pair of values. Names beside a panel run from the top, numbers from the foot.
    pub fn place(&self, x: f64, y: f64) -> Point {
        let up = self.y.place(y);
        let down = if matches!(self.y, Side::Names { .. }) { up } else { 1.0 - up };
        (self.left + self.width * self.x.place(x), self.top + self.height * down)
    }

    /// The foot of the panel.
    pub fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// The right edge of the panel.
    pub fn right(&self) -> f64 {
        self.left + self.width
    }

    /// Faint lines at the ticks of the sides that count; drawn before the data.
    pub fn lattice(&self, canvas: &mut Canvas, upright: bool) {
        let faint = Stroke::solid(FAINT, 0.4);
        if let Side::Numbers(ruler) = &self.y {
            for tick in ruler.ticks() {
                let y = self.bottom() - self.height * ruler.place(tick.value);
                canvas.line(&[(self.left, y), (self.right(), y)], faint);
            }
        }
        if let (Side::Numbers(ruler), true) = (&self.x, upright) {
            for tick in ruler.ticks() {
                let x = self.left + self.width * ruler.place(tick.value);
                canvas.line(&[(x, self.top), (x, self.bottom())], faint);
            }
        }
    }

    /// Axes with ticks and labels; drawn after the data.
    pub fn frame(&self, canvas: &mut Canvas, style: &Style) {
        let ink = Stroke::solid(INK, style.thin);
        let corner = (self.left, self.bottom());
        canvas.line(&[(self.left, self.top), corner, (self.right(), self.bottom())], ink);
        match &self.x {
            Side::Numbers(_) => self.numbers_below(canvas, style),
            Side::Names { lines, upwards } => self.names_below(canvas, style, lines, *upwards),
        }
        match &self.y {
            Side::Numbers(_) => self.numbers_beside(canvas, style),
            Side::Names { lines, .. } if self.labelled => self.names_beside(canvas, style, lines),
            Side::Names { .. } => {}
        }
    }

    /// Tick marks everywhere, labels only where they do not touch the one before.
    fn numbers_below(&self, canvas: &mut Canvas, style: &Style) {
        let Side::Numbers(ruler) = &self.x else { return };
        let (bottom, ink) = (self.bottom(), Stroke::solid(INK, style.thin));
        let mut free = f64::NEG_INFINITY;
        for tick in ruler.ticks() {
            let x = self.left + self.width * ruler.place(tick.value);
            canvas.line(&[(x, bottom), (x, bottom + 2.5)], ink);
            let half = tick.width() / 2.0;
            if x - half >= free + 3.0 {
                canvas.write(label(&tick, style, (x, bottom + 3.5 + style.tick), Align::Middle));
                free = x + half;
            }
        }
        for place in ruler.between() {
            let x = self.left + self.width * place;
            canvas.line(&[(x, bottom), (x, bottom + 1.3)], Stroke::solid(INK, 0.4));
        }
        if let Some(place) = ruler.break_at() {
            gap(canvas, style, (self.left + self.width * place, bottom), false);
        }
    }

    fn numbers_beside(&self, canvas: &mut Canvas, style: &Style) {
        let Side::Numbers(ruler) = &self.y else { return };
        let ink = Stroke::solid(INK, style.thin);
        let level = |place: f64| self.bottom() - self.height * place;
        for tick in ruler.ticks() {
            let y = level(ruler.place(tick.value));
            canvas.line(&[(self.left - 2.5, y), (self.left, y)], ink);
            if self.labelled {
                canvas.write(label(
                    &tick,
                    style,
                    (self.left - 4.0, y + style.tick * 0.35),
                    Align::End,
                ));
            }
        }
        for place in ruler.between() {
            let y = level(place);
            canvas.line(&[(self.left - 1.3, y), (self.left, y)], Stroke::solid(INK, 0.4));
        }
        if let Some(place) = ruler.break_at() {
            gap(canvas, style, (self.left, level(place)), true);
        }
    }

    fn names_below(
        &self,
        canvas: &mut Canvas,
        style: &Style,
        names: &[Vec<String>],
        upwards: bool,
    ) {
        for (at, lines) in names.iter().enumerate() {
            let x = self.left + self.width * self.x.place(at as f64);
            below(canvas, style, lines, (x, self.bottom() + 3.5), upwards);
        }
    }

    fn names_beside(&self, canvas: &mut Canvas, style: &Style, names: &[Vec<String>]) {
        for (at, lines) in names.iter().enumerate() {
            let y = self.top + self.height * self.y.place(at as f64);
            block(canvas, lines, style.tick, (self.left - 4.0, y), Align::End);
        }
    }
}

/// Two strokes across an axis where it is broken.
fn gap(canvas: &mut Canvas, style: &Style, (x, y): Point, upright: bool) {
    let turned = |(dx, dy): Point| if upright { (x + dy, y + dx) } else { (x + dx, y + dy) };
    canvas.line(&[turned((-1.2, 0.0)), turned((1.2, 0.0))], Stroke::solid(PAPER, 2.0));
    for shift in [-1.2, 1.2] {
        let ends = [(shift - 0.8, 2.0), (shift + 0.8, -2.0)].map(turned);
        canvas.line(&ends, Stroke::solid(INK, style.thin));
    }
}

fn label(tick: &Tick, style: &Style, at: Point, align: Align) -> Text {
    Text { raised: tick.raised.clone(), ..plain(at, style.tick, align, &tick.label) }
}

/// A line of plain text.
pub(super) fn plain(at: Point, size: f64, align: Align, text: &str) -> Text {
    Text { at, size, align, colour: INK, upwards: false, text: text.into(), raised: String::new() }
}

/// A name in lines that begin at a height, centred or reading upwards to it.
pub(super) fn below(
    canvas: &mut Canvas,
    style: &Style,
    lines: &[String],
    (x, y): Point,
    upwards: bool,
) {
    let size = style.tick;
    for (row, line) in lines.iter().enumerate() {
        let text = if upwards {
            let shift = row as f64 - (lines.len() as f64 - 1.0) / 2.0;
            plain((x + size * (0.35 + LEADING * shift), y), size, Align::End, line)
        } else {
            plain((x, y + size * (1.0 + LEADING * row as f64)), size, Align::Middle, line)
        };
        canvas.write(Text { upwards, ..text });
    }
}

/// Lines of text, centred around a height.
pub(super) fn block(canvas: &mut Canvas, lines: &[String], size: f64, (x, y): Point, align: Align) {
    for (row, line) in lines.iter().enumerate() {
        let shift = row as f64 - (lines.len() as f64 - 1.0) / 2.0;
        canvas.text((x, y + shift * LEADING * size + size * 0.35), size, align, line.clone());
    }
}
