//! A plot's frame with its axes, and the legend below it.

use super::axis::{Axis, TICK};
use super::canvas::{Align, COLUMN, Canvas, Point, Stroke, Text};
use super::font;
use super::palette::{FAINT, INK};

/// Letters of axis titles.
pub(super) const LABEL: f64 = 7.5;
/// Letters of figure titles.
pub(super) const TITLE: f64 = 8.5;
/// Room for the title above a plot.
pub(super) const TITLE_ROOM: f64 = 20.0;
/// Room for tick labels and title below a plot.
pub(super) const FOOT: f64 = 25.0;
const LEGEND_ROW: f64 = 10.0;
const LEGEND_KEY: f64 = 15.0;

/// A plot's rectangle with its axes.
pub(super) struct Panel {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
    pub x: Axis,
    /// `None` where rows have names instead.
    pub y: Option<Axis>,
}

impl Panel {
    /// A panel with numbers on both axes, as wide as the column allows.
    pub fn with_axes(x: Axis, y: Axis, top: f64, height: f64) -> Self {
        let left = 6.0 + LABEL + 5.0 + y.label_width() + 3.0;
        let right = 11.0;
        Panel { left, top, width: COLUMN - left - right, height, x, y: Some(y) }
    }

    /// Place of a value on the x axis.
    pub fn across(&self, value: f64) -> f64 {
        self.left + self.width * self.x.place(value)
    }

    /// Place of a pair of values; not finite where there is no y axis.
    pub fn place(&self, x: f64, y: f64) -> Point {
        let up = self.y.as_ref().map_or(f64::NAN, |axis| axis.place(y));
        (self.across(x), self.top + self.height * (1.0 - up))
    }

    /// Grid lines; to be drawn before the data.
    pub fn grid(&self, canvas: &mut Canvas) {
        let faint = Stroke::solid(FAINT, 0.5);
        let bottom = self.top + self.height;
        if let Some(y) = &self.y {
            for tick in &y.ticks {
                let level = bottom - self.height * y.place(tick.value);
                canvas.line(&[(self.left, level), (self.left + self.width, level)], faint);
            }
        } else {
            for tick in &self.x.ticks {
                let x = self.across(tick.value);
                canvas.line(&[(x, self.top), (x, bottom)], faint);
            }
        }
    }

    /// Spines, ticks, labels and titles; to be drawn after the data.
    pub fn frame(&self, canvas: &mut Canvas) {
        let ink = Stroke::solid(INK, 0.7);
        let (bottom, right) = (self.top + self.height, self.left + self.width);
        canvas.line(&[(self.left, self.top), (self.left, bottom)], ink);
        canvas.line(&[(self.left, bottom), (right, bottom)], ink);
        self.x_ticks(canvas, bottom);
        canvas.text(
            (self.left + self.width / 2.0, bottom + 21.5),
            LABEL,
            Align::Middle,
            self.x.title.clone(),
        );
        if let Some(y) = &self.y {
            self.y_ticks(canvas, y);
        }
    }

    /// Tick marks everywhere, labels only where they do not touch the one before.
    fn x_ticks(&self, canvas: &mut Canvas, bottom: f64) {
        let mut free = f64::NEG_INFINITY;
        let mut ticks: Vec<_> = self.x.ticks.iter().collect();
        ticks.sort_by(|a, b| a.value.total_cmp(&b.value));
        for tick in ticks {
            let x = self.across(tick.value);
            canvas.line(&[(x, bottom), (x, bottom + 2.5)], Stroke::solid(INK, 0.7));
            let half = tick.width() / 2.0;
            if x - half >= free + 3.0 {
                canvas.write(label(tick, (x, bottom + 10.5), Align::Middle));
                free = x + half;
            }
        }
    }

    fn y_ticks(&self, canvas: &mut Canvas, y: &Axis) {
        let bottom = self.top + self.height;
        for tick in &y.ticks {
            let level = bottom - self.height * y.place(tick.value);
            canvas.line(&[(self.left - 2.5, level), (self.left, level)], Stroke::solid(INK, 0.7));
            canvas.write(label(tick, (self.left - 4.5, level + TICK * 0.35), Align::End));
        }
        canvas.write(Text {
            at: (6.0 + LABEL * 0.7, self.top + self.height / 2.0),
            size: LABEL,
            align: Align::Middle,
            colour: INK,
            upwards: true,
            text: font::fit(&y.title, LABEL, self.height + 40.0),
            raised: String::new(),
        });
    }
}

fn label(tick: &super::axis::Tick, at: Point, align: Align) -> Text {
    let (text, raised) = (tick.label.clone(), tick.raised.clone());
    Text { at, size: TICK, align, colour: INK, upwards: false, text, raised }
}

/// The title at the top left.
pub(super) fn title(canvas: &mut Canvas, text: &str) {
    canvas.text((6.0, 11.0), TITLE, Align::Start, font::fit(text, TITLE, COLUMN - 10.0));
}

/// A legend laid out below a plot.
pub(super) struct Legend {
    /// Label and its (row, x).
    entries: Vec<(String, usize, f64)>,
    rows: usize,
}

impl Legend {
    /// Lays out `labels` in as few rows as they fit; a single label needs no legend.
    pub fn of(labels: &[String]) -> Self {
        let (mut row, mut x, mut entries) = (0, 8.0, Vec::new());
        if labels.len() < 2 {
            return Legend { entries, rows: 0 };
        }
        for label in labels {
            let label = font::fit(label, TICK, COLUMN - 20.0 - LEGEND_KEY);
            let wide = LEGEND_KEY + font::width(&label, TICK);
            if x > 8.0 && x + wide > COLUMN - 6.0 {
                (row, x) = (row + 1, 8.0);
            }
            entries.push((label, row, x));
            x += wide + 10.0;
        }
        Legend { entries, rows: row + 1 }
    }

    /// Room that the legend takes, in points.
    pub fn height(&self) -> f64 {
        if self.rows == 0 { 3.0 } else { 5.0 + LEGEND_ROW * self.rows as f64 }
    }

    /// Draws it from `top` on; `key` draws the sign of entry `i` centred at a place.
    pub fn draw(
        &self,
        canvas: &mut Canvas,
        top: f64,
        mut key: impl FnMut(&mut Canvas, usize, Point),
    ) {
        for (at, (label, row, x)) in self.entries.iter().enumerate() {
            let y = top + 6.0 + LEGEND_ROW * *row as f64;
            key(canvas, at, (x + LEGEND_KEY / 2.0 - 1.5, y));
            canvas.text((x + LEGEND_KEY, y + TICK * 0.35), TICK, Align::Start, label.clone());
        }
    }
}
