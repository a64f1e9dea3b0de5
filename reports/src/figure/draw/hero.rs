//! The same pictures row by row: names left, pictures in the middle, numbers right.

use super::grid::{DOTS, GAP, Pictures, pixels, side, snap};
use super::legend::MARK;
use super::panel::plain;
use super::side::LEADING;
use crate::figure::chart::{Hero, HeroPicture, HeroRow, HeroShown};
use crate::figure::style::Style;
use crate::plot::canvas::{Align, Canvas, Colour, Point, Stroke, Text};
use crate::plot::font;
use crate::plot::palette::{FAINT, INK};
use image::RgbImage;

/// Share of the width that names take at most, and that numbers do.
const NAMES: f64 = 0.21;
const NUMBERS: f64 = 0.16;
/// Between the pictures and what stands beside them, in points.
const BESIDE: f64 = 7.0;
/// Largest side of a picture, in points.
const LARGEST: f64 = 60.0;
/// Share of its room that a picture may leave so that its pixels are whole dots.
const WHOLE: f64 = 0.9;
/// Lines that no text here reaches: nothing is cut.
const LINES: usize = 40;

/// Where everything stands, in points.
struct Sheet {
    names: f64,
    left: f64,
    side: f64,
    /// Right edge of the pictures, and where the numbers begin.
    right: f64,
    numbers: f64,
    width: f64,
}

/// Lines of text with their size and colour.
type Lines = Vec<(String, f64, Colour)>;

/// Draws the figure at this width; a column is too narrow for it.
pub(super) fn draw(hero: &Hero, style: &Style, width: f64) -> Canvas {
    let read = |row: &[HeroPicture]| row.iter().map(|p| pixels(&p.picture)).collect::<Vec<_>>();
    let truths = read(&hero.truths);
    let guesses = hero.rows.iter().map(|row| match &row.shown {
        HeroShown::Pictures(all) => read(all),
        HeroShown::Words(_) => Vec::new(),
    });
    let guesses: Pictures = guesses.collect();
    let sheet = Sheet::new(hero, &truths, style, width);
    let mut canvas = Canvas::sized(width, 20.0);
    let truth = wrapped("Truth", style.label, INK, sheet.names);
    write(&mut canvas, &truth, (0.0, (sheet.side - height(&truth)) / 2.0));
    sheet.pictures(&mut canvas, style, &hero.truths, &truths, 0.0);
    let mut y = snap(sheet.side + GAP);
    for (row, pictures) in hero.rows.iter().zip(&guesses) {
        canvas.line(&[(0.0, y), (width, y)], Stroke::solid(FAINT, 0.5));
        y = snap(y + GAP);
        y = snap(y + sheet.row(&mut canvas, style, row, pictures, y) + GAP);
    }
    canvas.set_height(y);
    canvas
}

impl Sheet {
    fn new(hero: &Hero, truths: &[Option<RgbImage>], style: &Style, width: f64) -> Self {
        let longest = |of: fn(&HeroRow, &Style) -> Lines, share: f64| {
            let lines = hero.rows.iter().flat_map(|row| of(row, style));
            let own = lines.map(|(text, size, _)| font::width(&text, size) + 0.5);
            own.fold(0.0, f64::max).min(width * share)
        };
        let names = longest(names, NAMES).max(font::width("Truth", style.label) + 0.5);
        let numbers = longest(numbers, NUMBERS);
        let count = hero.truths.len().max(1) as f64;
        let free = width - names - numbers - 2.0 * BESIDE - GAP * (count - 1.0);
        let side = whole_dots(truths, (free / count).min(LARGEST));
        let left = snap(names + BESIDE);
        let right = left + count * (side + GAP) - GAP;
        Sheet { names, left, side, right, numbers: right + BESIDE, width }
    }

    fn x(&self, column: usize) -> f64 {
        self.left + column as f64 * (self.side + GAP)
    }

    /// One defense from `top` on; returns its height.
    fn row(
        &self,
        canvas: &mut Canvas,
        style: &Style,
        row: &HeroRow,
        pictures: &[Option<RgbImage>],
        top: f64,
    ) -> f64 {
        let name = broken(names(row, style), self.names);
        let values = broken(numbers(row, style), self.width - self.numbers);
        let words = match &row.shown {
            HeroShown::Words(text) => wrapped(text, style.label, INK, self.right - self.left),
            HeroShown::Pictures(_) => Vec::new(),
        };
        let pictured = if words.is_empty() { self.side } else { 0.0 };
        let whole = [&name, &values, &words].map(height).into_iter().fold(pictured, f64::max);
        for (lines, left) in [(&name, 0.0), (&words, self.left), (&values, self.numbers)] {
            write(canvas, lines, (left, top + (whole - height(lines)) / 2.0));
        }
        if let HeroShown::Pictures(all) = &row.shown {
            self.pictures(canvas, style, all, pictures, snap(top + (whole - self.side) / 2.0));
        }
        whole
    }

    fn pictures(
        &self,
        canvas: &mut Canvas,
        style: &Style,
        all: &[HeroPicture],
        pixels: &[Option<RgbImage>],
        top: f64,
    ) {
        for (column, (own, pixels)) in all.iter().zip(pixels).enumerate() {
            let at = (self.x(column), top);
            match pixels {
                Some(pixels) => canvas.picture(at, (self.side, self.side), pixels.clone()),
                None => self.blank(canvas, style, &own.word, at),
            }
        }
    }

    /// A frame with a word: there is no picture to show.
    fn blank(&self, canvas: &mut Canvas, style: &Style, word: &str, (x, y): Point) {
        let (right, foot) = (x + self.side, y + self.side);
        let corners = [(x, y), (right, y), (right, foot), (x, foot), (x, y)];
        canvas.line(&corners, Stroke::solid(FAINT, 0.7));
        let lines = font::wrap(word, style.tick, self.side - 1.0, LINES);
        let tall = style.tick * LEADING;
        let top = y + (self.side - tall * lines.len() as f64) / 2.0;
        for (at, line) in lines.iter().enumerate() {
            let base = (x + self.side / 2.0, top + tall * at as f64 + style.tick * 0.93);
            let text = plain(base, style.tick, Align::Middle, line);
            canvas.write(Text { colour: MARK, ..text });
        }
    }
}

/// The largest side up to `most` in whole dots; smaller where little is lost so that each pixel of
/// a picture has a whole number of dots.
fn whole_dots(pictures: &[Option<RgbImage>], most: f64) -> f64 {
    let most = (most * DOTS).floor().max(1.0) / DOTS;
    let even = side(&[pictures.to_vec()], most);
    if even >= WHOLE * most { even } else { most }
}

/// The name and, in grey, the notes of a row, before they are broken into lines.
fn names(row: &HeroRow, style: &Style) -> Lines {
    let notes = row.notes.iter().map(|note| (note.clone(), style.tick, MARK));
    std::iter::once((row.name.clone(), style.label, INK)).chain(notes).collect()
}

/// The numbers of a row and, in grey, what they are held against.
fn numbers(row: &HeroRow, style: &Style) -> Lines {
    let line =
        |(at, text): (usize, &String)| (text.clone(), style.tick, if at == 0 { INK } else { MARK });
    row.values.iter().flat_map(|value| value.iter().enumerate().map(line)).collect()
}

fn broken(lines: Lines, width: f64) -> Lines {
    lines.into_iter().flat_map(|(text, size, colour)| wrapped(&text, size, colour, width)).collect()
}

fn wrapped(text: &str, size: f64, colour: Colour, width: f64) -> Lines {
    font::wrap(text, size, width, LINES).into_iter().map(|line| (line, size, colour)).collect()
}

fn height(lines: &Lines) -> f64 {
    lines.iter().map(|(_, size, _)| size * LEADING).sum()
}

/// Lines from a height downwards.
fn write(canvas: &mut Canvas, lines: &Lines, (x, top): Point) {
    let mut y = top;
    for (text, size, colour) in lines {
        let line = plain((x, y + size * 0.93), *size, Align::Start, text);
        canvas.write(Text { colour: *colour, ..line });
        y += size * LEADING;
    }
}
