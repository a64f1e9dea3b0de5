//! Pictures in rows and columns, each pixel a square of whole dots, with scores below.

use super::legend::MARK;
use super::panel::{block, plain};
use super::side::{LEADING, upward, whole};
use crate::figure::chart::{Grid, GridCell, GridRow, Picture};
use crate::figure::style::Style;
use crate::plot::canvas::{Align, Canvas, Point, Stroke, Text};
use crate::plot::font;
use crate::plot::palette::FAINT;
use image::{ImageReader, Limits, RgbImage};
use std::path::Path;
use suites::foreign::{self, limits};

/// Dots of a PNG in a point: pictures stand on whole dots.
pub(super) const DOTS: f64 = 300.0 / 72.0;
/// Between two pictures, in points: 12 dots.
pub(super) const GAP: f64 = 12.0 / DOTS;
/// Largest side of a picture, in points.
const LARGEST: f64 = 72.0;
/// Side below which columns are put in another band, in points.
const SMALLEST: f64 = 25.0;
/// Largest side of a picture that is read, in pixels.
const PIXELS: u32 = 4096;
/// A difference of this share of the range or more is black.
pub(crate) const BLACK_AT: f64 = 0.25;
/// Lines that a caption may take: no caption is cut for want of them.
const CAPTION: usize = 24;
/// Share of the width that labels left of the rows take at most.
const LABELS: f64 = 0.2;

/// Where everything stands.
struct Sheet {
    left: f64,
    side: f64,
    label: f64,
    /// Lines of captions of each row.
    captions: Vec<usize>,
    pictures: Pictures,
}

/// By row, then column; none where there is nothing to read.
pub(super) type Pictures = Vec<Vec<Option<RgbImage>>>;

/// Draws the grid in a figure of this width, in several bands where its columns would be too
/// narrow.
pub(super) fn draw(grid: &Grid, style: &Style, width: f64) -> Canvas {
    let columns =
        grid.heads.len().max(grid.rows.iter().map(|r| r.cells.len()).max().unwrap_or(0)).max(1);
    let load = |cell: &Option<GridCell>| pixels(&cell.as_ref()?.picture);
    let pictures: Pictures = grid.rows.iter().map(|r| r.cells.iter().map(load).collect()).collect();
    let part = |from: usize, each: usize| -> Pictures {
        pictures.iter().map(|row| row.iter().skip(from).take(each).cloned().collect()).collect()
    };
    let splits = (1..=columns).map(|bands| columns.div_ceil(bands));
    let wide = |each: &usize| {
        Sheet::new(&cut(grid, 0, *each), part(0, *each), style, width, *each).side >= SMALLEST
    };
    let each = splits.into_iter().find(wide).unwrap_or(columns);
    let mut canvas = Canvas::sized(width, 20.0);
    let mut top = 0.0;
    for from in (0..columns).step_by(each) {
        let band = band(&cut(grid, from, each), part(from, each), style, width, each);
        let height = band.size().1;
        canvas.append(band, top);
        top = snap(top + height + GAP);
    }
    canvas.set_height((top - GAP).max(20.0));
    canvas
}

/// `each` columns from `from` on.
fn cut(grid: &Grid, from: usize, each: usize) -> Grid {
    let row = |row: &GridRow| GridRow {
        label: row.label.clone(),
        cells: row.cells.iter().skip(from).take(each).cloned().collect(),
    };
    Grid {
        heads: grid.heads.iter().skip(from).take(each).cloned().collect(),
        rows: grid.rows.iter().map(row).collect(),
    }
}

/// Room for the labels left of the rows.
fn label(grid: &Grid, style: &Style, width: f64) -> f64 {
    let longest = grid.rows.iter().map(|r| font::width(&r.label, style.tick)).fold(0.0, f64::max);
    if longest > 0.0 { longest.min(width * LABELS) + 5.0 } else { 0.0 }
}

/// One band of a grid, with room for `columns`.
fn band(grid: &Grid, pictures: Pictures, style: &Style, width: f64, columns: usize) -> Canvas {
    let sheet = Sheet::new(grid, pictures, style, width, columns);
    let (heads, upwards) = sheet.heads(grid, style);
    let top = sheet.head_room(&heads, upwards, style);
    let mut canvas = Canvas::sized(width, 20.0);
    for (column, lines) in heads.iter().enumerate() {
        sheet.head(&mut canvas, style, lines, (column, top), upwards);
    }
    let mut y = top;
    for (at, row) in grid.rows.iter().enumerate() {
        sheet.draw_row(&mut canvas, style, row, at, y);
        y += sheet.row(at, style);
    }
    canvas.set_height(y.max(20.0));
    canvas
}

/// The nearest whole dot.
pub(super) fn snap(length: f64) -> f64 {
    (length * DOTS).round() / DOTS
}

impl Sheet {
    fn new(grid: &Grid, pictures: Pictures, style: &Style, width: f64, columns: usize) -> Self {
        let label = label(grid, style, width);
        let free = (width - label - GAP * (columns as f64 - 1.0)) / columns as f64;
        let side = side(&pictures, free.min(LARGEST));
        let all = label + columns as f64 * (side + GAP) - GAP;
        let left = snap(((width - all) / 2.0).max(0.0) + label);
        let most = |row: &GridRow| {
            row.cells
                .iter()
                .flatten()
                .map(|c| caption(&c.caption, style, side).len())
                .max()
                .unwrap_or(0)
        };
        Sheet { left, side, label, captions: grid.rows.iter().map(most).collect(), pictures }
    }

    fn x(&self, column: usize) -> f64 {
        self.left + column as f64 * (self.side + GAP)
    }

    /// Height of row `at` with its captions.
    fn row(&self, at: usize, style: &Style) -> f64 {
        let captions = match self.captions.get(at) {
            None | Some(0) => 0.0,
            Some(lines) => *lines as f64 * LEADING * style.tick + 1.5,
        };
        snap(self.side + captions + GAP)
    }

    /// Heads in lines; reading upwards where one of them has no room otherwise.
    fn heads(&self, grid: &Grid, style: &Style) -> (Vec<Vec<String>>, bool) {
        let room = self.side + GAP - 2.0;
        let lines = |head: &String| {
            if head.is_empty() { Some(Vec::new()) } else { whole(head, style.tick, room) }
        };
        match grid.heads.iter().map(lines).collect() {
            Some(heads) => (heads, false),
            None => (upward(&grid.heads, style.tick, self.side + GAP), true),
        }
    }

    fn head_room(&self, heads: &[Vec<String>], upwards: bool, style: &Style) -> f64 {
        let lines = heads.iter().map(Vec::len).max().unwrap_or(0) as f64;
        let longest =
            heads.iter().flatten().map(|l| font::width(l, style.tick)).fold(0.0, f64::max);
        match (lines > 0.0, upwards) {
            (false, _) => 0.0,
            (true, true) => snap(longest + 4.0),
            (true, false) => snap(lines * LEADING * style.tick + 3.5),
        }
    }

    fn head(
        &self,
        canvas: &mut Canvas,
        style: &Style,
        lines: &[String],
        (column, top): (usize, f64),
        upwards: bool,
    ) {
        let (x, size, last) =
            (self.x(column) + self.side / 2.0, style.tick, lines.len() as f64 - 1.0);
        for (row, line) in lines.iter().enumerate() {
            let text = if upwards {
                plain(
                    (x + size * (0.35 + LEADING * (row as f64 - last / 2.0)), top - 3.0),
                    size,
                    Align::Start,
                    line,
                )
            } else {
                plain(
                    (x, top - 3.5 - (last - row as f64) * LEADING * size),
                    size,
                    Align::Middle,
                    line,
                )
            };
            canvas.write(Text { upwards, ..text });
        }
    }

    fn draw_row(&self, canvas: &mut Canvas, style: &Style, row: &GridRow, at: usize, top: f64) {
        if !row.label.is_empty() {
            let most = ((self.side + 2.0) / (LEADING * style.tick)).floor().max(1.0) as usize;
            let lines = font::wrap(&row.label, style.tick, self.label - 4.0, most);
            block(canvas, &lines, style.tick, (self.left - 4.0, top + self.side / 2.0), Align::End);
        }
        for (column, cell) in row.cells.iter().enumerate() {
            let Some(cell) = cell else { continue };
            let place = (self.x(column), top);
            match self.pictures.get(at).and_then(|r| r.get(column)).and_then(Option::as_ref) {
                Some(pixels) => canvas.picture(place, (self.side, self.side), pixels.clone()),
                None => missing(canvas, style, place, self.side),
            }
            for (line, text) in caption(&cell.caption, style, self.side).iter().enumerate() {
                let base = top + self.side + 1.0 + style.tick * (0.9 + LEADING * line as f64);
                canvas.text(
                    (place.0 + self.side / 2.0, base),
                    style.tick,
                    Align::Middle,
                    text.clone(),
                );
            }
        }
    }
}

/// The pixels of a picture; none where it cannot be read.
pub(super) fn pixels(picture: &Picture) -> Option<RgbImage> {
    match picture {
        Picture::File(file) => load(file),
        Picture::Difference(a, b) => difference(&load(a)?, &load(b)?),
        Picture::Gone => None,
    }
}

/// The absolute difference, mean over colours: white is none, black is [`BLACK_AT`] of the range or
/// more.
fn difference(a: &RgbImage, b: &RgbImage) -> Option<RgbImage> {
    (a.dimensions() == b.dimensions()).then(|| {
        RgbImage::from_fn(a.width(), a.height(), |x, y| {
            let (p, q) = (a.get_pixel(x, y).0, b.get_pixel(x, y).0);
            let sum: f64 = p.iter().zip(q).map(|(p, q)| f64::from(p.abs_diff(q))).sum();
            let share = (sum / 3.0 / 255.0 / BLACK_AT).min(1.0);
            image::Rgb([(255.0 * (1.0 - share)).round() as u8; 3])
        })
    })
}

/// A readable picture of bounded size, or none.
fn load(file: &Path) -> Option<RgbImage> {
    let (opened, _) = foreign::open(file, &limits::PICTURE).ok()?;
    let mut reader =
        ImageReader::new(std::io::BufReader::new(opened)).with_guessed_format().ok()?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(PIXELS), Some(PIXELS));
    reader.limits(limits);
    Some(reader.decode().ok()?.to_rgb8())
}

fn caption(caption: &str, style: &Style, side: f64) -> Vec<String> {
    if caption.is_empty() {
        Vec::new()
    } else {
        font::wrap(caption, style.tick, side + GAP - 1.0, CAPTION)
    }
}

/// The largest side up to `most` points at which a pixel of the most frequent picture has a whole
/// number of dots; where pixels are smaller than dots, a whole number of dots.
pub(super) fn side(pictures: &[Vec<Option<RgbImage>>], most: f64) -> f64 {
    let mut sizes: Vec<u32> =
        pictures.iter().flatten().flatten().map(|p| p.width().max(p.height())).collect();
    sizes.sort_unstable();
    let dots = (most * DOTS).floor().max(1.0);
    let Some(pixels) = sizes.get(sizes.len() / 2).map(|n| f64::from(*n)) else {
        return dots / DOTS;
    };
    if dots >= pixels { (dots / pixels).floor() * pixels / DOTS } else { dots / DOTS }
}

/// A frame with a dash: there should be a picture.
fn missing(canvas: &mut Canvas, style: &Style, (x, y): Point, side: f64) {
    let corners = [(x, y), (x + side, y), (x + side, y + side), (x, y + side), (x, y)];
    canvas.line(&corners, Stroke::solid(FAINT, 0.7));
    let text =
        plain((x + side / 2.0, y + side / 2.0 + style.tick * 0.35), style.tick, Align::Middle, "–");
    canvas.write(Text { colour: MARK, ..text });
}
