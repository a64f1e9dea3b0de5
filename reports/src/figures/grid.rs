//! Pictures side by side: truth, reconstruction, difference, with scores below.

use super::axis::TICK;
use super::canvas::{Align, COLUMN, Canvas, Point, Stroke};
use super::font;
use super::palette::GREY;
use super::panel::{TITLE_ROOM, title};
use image::{Rgb, RgbImage};

/// Least and most room for the names of the rows.
const NAMES: (f64, f64) = (46.0, 72.0);
/// Room between pictures.
const GAP: f64 = 3.0;
/// Largest side of a picture.
const LARGEST: f64 = 60.0;
const SCORE: f64 = 6.2;
const SCORE_LINE: f64 = 7.4;
/// A difference of this or more is black.
pub(super) const BLACK_AT: f64 = 0.25;

/// A picture, or what to say in its place, with lines below it.
pub(super) struct Tile {
    pub picture: Option<RgbImage>,
    pub below: Vec<String>,
}

/// A named row of tiles.
pub(super) struct Strip {
    pub name: String,
    pub tiles: Vec<Tile>,
    /// Names of the lines below the tiles; may be none.
    pub below: Vec<String>,
}

/// Draws strips below each other; every `bands` element is a block of strips of its own.
pub(super) fn draw(heading: &str, bands: &[Vec<Strip>]) -> Canvas {
    let columns = bands.iter().flatten().map(|s| s.tiles.len()).max().unwrap_or(1).max(1);
    let names = names_width(bands);
    let side = ((COLUMN - names - 6.0) / columns as f64 - GAP).min(LARGEST);
    let band_height =
        |band: &Vec<Strip>| band.iter().map(|s| strip_height(s, side)).sum::<f64>() + 5.0;
    let mut canvas = Canvas::new(TITLE_ROOM + bands.iter().map(band_height).sum::<f64>());
    title(&mut canvas, heading);
    let mut y = TITLE_ROOM;
    for band in bands {
        for strip in band {
            draw_strip(&mut canvas, strip, (names, y), side);
            y += strip_height(strip, side);
        }
        y += 5.0;
    }
    canvas
}

/// Room for the longest word of the names.
fn names_width(bands: &[Vec<Strip>]) -> f64 {
    let names = bands.iter().flatten().flat_map(|s| s.below.iter().chain([&s.name]));
    let words = names.flat_map(|name| name.split([' ', '\u{a0}']));
    let widest = words.map(|word| font::width(word, TICK)).fold(0.0, f64::max);
    (widest + 9.0).clamp(NAMES.0, NAMES.1)
}

fn strip_height(strip: &Strip, side: f64) -> f64 {
    let lines = strip.tiles.iter().map(|t| t.below.len()).max().unwrap_or(0);
    side + GAP + if lines > 0 { lines as f64 * SCORE_LINE + 2.0 } else { 0.0 }
}

fn draw_strip(canvas: &mut Canvas, strip: &Strip, (left, top): Point, side: f64) {
    let name = font::wrap(&strip.name, TICK, left - 8.0, 4);
    for (at, line) in name.iter().enumerate() {
        let base =
            top + side / 2.0 + 8.0 * (at as f64 - (name.len() as f64 - 1.0) / 2.0) + TICK * 0.35;
        canvas.text((left - 4.0, base), TICK, Align::End, line.clone());
    }
    let score_base = |row: usize| top + side + 7.0 + SCORE_LINE * row as f64;
    for (row, name) in strip.below.iter().enumerate() {
        canvas.text(
            (left - 4.0, score_base(row)),
            SCORE,
            Align::End,
            font::fit(name, SCORE, left - 8.0),
        );
    }
    for (at, tile) in strip.tiles.iter().enumerate() {
        let x = left + at as f64 * (side + GAP);
        match &tile.picture {
            Some(picture) => {
                let (w, h) = fitted(picture, side);
                let at = (x + (side - w) / 2.0, top + (side - h) / 2.0);
                frame(canvas, at, (w, h));
                canvas.picture(at, (w, h), picture.clone());
            }
            None => canvas.text(
                (x + side / 2.0, top + side / 2.0 + 2.0),
                SCORE,
                Align::Middle,
                "no picture",
            ),
        }
        for (row, line) in tile.below.iter().enumerate() {
            let base = top + side + 7.0 + SCORE_LINE * row as f64;
            canvas.text(
                (x + side / 2.0, base),
                SCORE,
                Align::Middle,
                font::fit(line, SCORE, side + GAP - 0.5),
            );
        }
    }
}

/// A hair line around a picture, so that a white one has its place.
fn frame(canvas: &mut Canvas, (x, y): Point, (w, h): (f64, f64)) {
    let corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y)];
    canvas.line(&corners, Stroke::solid(GREY, 0.6));
}

/// The size of a picture within a square, its shape kept.
fn fitted(picture: &RgbImage, side: f64) -> (f64, f64) {
    let (w, h) = (f64::from(picture.width().max(1)), f64::from(picture.height().max(1)));
    let scale = side / w.max(h);
    (w * scale, h * scale)
}

/// The absolute difference, mean over colours: white is none, black is [`BLACK_AT`] of the range or
/// more.
pub(super) fn difference(a: &RgbImage, b: &RgbImage) -> Option<RgbImage> {
    (a.dimensions() == b.dimensions()).then(|| {
        RgbImage::from_fn(a.width(), a.height(), |x, y| {
            let (p, q) = (a.get_pixel(x, y).0, b.get_pixel(x, y).0);
            let sum: f64 = p.iter().zip(q).map(|(p, q)| f64::from(p.abs_diff(q))).sum();
            let share = (sum / 3.0 / 255.0 / BLACK_AT).min(1.0);
            Rgb([(255.0 * (1.0 - share)).round() as u8; 3])
        })
    })
}
