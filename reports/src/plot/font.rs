//! The embedded face: widths, wrapping, and letters for PNGs.

use super::canvas::{Align, Colour, Text};
use super::raster::put;
use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use image::RgbImage;
use std::sync::LazyLock;

/// Size of an exponent against its base.
pub(crate) const RAISED: f64 = 0.72;
/// How far an exponent is raised, against the size of its base.
pub(crate) const RAISE: f64 = 0.38;

/// Bench Sans; its licence lies beside it.
pub(super) static FILE: &[u8] = include_bytes!("../../assets/bench-sans.ttf");

static FACE: LazyLock<Option<FontRef<'static>>> =
    LazyLock::new(|| FontRef::try_from_slice(FILE).ok());

/// The scale at which one em has `size` units.
fn em(font: &FontRef, size: f64) -> PxScale {
    let units = font.units_per_em().unwrap_or(1000.0);
    PxScale::from(size as f32 * font.height_unscaled() / units)
}

/// Width of `text` at `size`, both in points.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    advance(text, size)
}

fn advance(text: &str, size: f64) -> f64 {
    let Some(font) = FACE.as_ref() else { return 0.0 };
    let scaled = font.as_scaled(em(font, size));
    text.chars().map(|c| f64::from(scaled.h_advance(font.glyph_id(c)))).sum()
}

/// Glyph number and width of each letter, in em.
pub(super) fn glyphs(text: &str) -> Vec<(u16, f64)> {
    let Some(font) = FACE.as_ref() else { return Vec::new() };
    let scaled = font.as_scaled(em(font, 1.0));
    let one = |c| (font.glyph_id(c).0, f64::from(scaled.h_advance(font.glyph_id(c))));
    text.chars().map(one).collect()
}

/// Where the run of letters starts, along the line from its anchor.
pub(super) fn start(text: &Text) -> f64 {
    let length = width(&text.text, text.size) + width(&text.raised, text.size * RAISED);
    match text.align {
        Align::Start => 0.0,
        Align::Middle => -length / 2.0,
        Align::End => -length,
    }
}

/// The box (left, top, right, bottom) that a text fills: from its baseline up to the capitals, and
/// down to the descenders.
#[cfg(test)]
pub(crate) fn bounds(text: &Text) -> (f64, f64, f64, f64) {
    let from = start(text);
    let to = from + width(&text.text, text.size) + width(&text.raised, text.size * RAISED);
    let raised = if text.raised.is_empty() { 0.0 } else { 0.12 };
    let (up, down) = (text.size * (0.73 + raised), text.size * 0.21);
    let (x, y) = text.at;
    if text.upwards {
        (x - up, y - to, x + down, y - from)
    } else {
        (x + from, y - up, x + to, y + down)
    }
}

/// Draws `text` on samples of which `scale` make a point.
pub(crate) fn draw(samples: &mut RgbImage, text: &Text, scale: f64) {
    let size = text.size * scale;
    let whole = advance(&text.text, size);
    let length = whole + advance(&text.raised, size * RAISED);
    let start = match text.align {
        Align::Start => 0.0,
        Align::Middle => -length / 2.0,
        Align::End => -length,
    };
    run(samples, text, (start, 0.0), &text.text, size, scale);
    run(samples, text, (start + whole, -size * RAISE), &text.raised, size * RAISED, scale);
}

/// Draws one run of letters, `shift` samples along and below the anchor.
fn run(
    samples: &mut RgbImage,
    text: &Text,
    shift: (f64, f64),
    letters: &str,
    size: f64,
    scale: f64,
) {
    let Some(font) = FACE.as_ref() else { return };
    let scaled = font.as_scaled(em(font, size));
    let anchor = ((text.at.0 * scale).round() as i64, (text.at.1 * scale).round() as i64);
    let mut pen = shift.0 as f32;
    for letter in letters.chars() {
        let id = font.glyph_id(letter);
        let glyph = id.with_scale_and_position(scaled.scale(), point(pen, shift.1 as f32));
        pen += scaled.h_advance(id);
        let Some(outline) = font.outline_glyph(glyph) else { continue };
        let bounds = outline.px_bounds();
        outline.draw(|x, y, cover| {
            let (along, below) =
                (bounds.min.x as i64 + i64::from(x), bounds.min.y as i64 + i64::from(y));
            let (dx, dy) = if text.upwards { (below, -along) } else { (along, below) };
            put(samples, anchor.0 + dx, anchor.1 + dy, |pixel| blend(pixel, text.colour, cover));
        });
    }
}

fn blend(pixel: &mut [u8; 3], colour: Colour, cover: f32) {
    let share = cover.clamp(0.0, 1.0) * colour.3 as f32;
    for (under, over) in pixel.iter_mut().zip([colour.0, colour.1, colour.2]) {
        *under = (f32::from(*under) * (1.0 - share) + f32::from(over) * share).round() as u8;
    }
}

/// `text` cut with an ellipsis so that it is at most `limit` points wide.
pub(crate) fn fit(text: &str, size: f64, limit: f64) -> String {
    if width(text, size) <= limit {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().collect();
    while kept.pop().is_some() {
        let cut = format!("{}…", kept.iter().collect::<String>().trim_end());
        if width(&cut, size) <= limit {
            return cut;
        }
    }
    String::new()
}

/// `text` in at most `lines` lines of `limit` points, broken at spaces, and within words where one
/// is too long; the dots between settings go where a line ends.
pub(crate) fn wrap(text: &str, size: f64, limit: f64, lines: usize) -> Vec<String> {
    let mut out = vec![String::new()];
    for word in pieces(text, size, limit) {
        let last = out.last_mut().map(std::mem::take).unwrap_or_default();
        let joined = format!("{last}{word}");
        if last.is_empty() || width(bare(&joined), size) <= limit {
            if let Some(slot) = out.last_mut() {
                *slot = joined;
            }
        } else {
            if let Some(slot) = out.last_mut() {
                *slot = last;
            }
            out.push(word.trim_start().to_owned());
        }
    }
    if out.len() > lines {
        let rest = out.split_off(lines - 1).concat();
        out.push(fit(&rest, size, limit));
    }
    out.iter().map(|line| bare(line).to_owned()).collect()
}

/// A line without what separates it from the next: the break does that.
fn bare(line: &str) -> &str {
    line.trim_matches([' ', '\u{a0}', '·'])
}

/// Words with the space after them; one that is too long is cut at the first of these that helps:
/// bound spaces, dashes, anywhere.
fn pieces(text: &str, size: f64, limit: f64) -> Vec<String> {
    let fits = |piece: &str| width(bare(piece), size) <= limit;
    let cut = |pieces: Vec<String>, at: &[char]| -> Vec<String> {
        let parts = |piece: String| {
            if fits(&piece) {
                vec![piece]
            } else {
                piece.split_inclusive(at).map(str::to_owned).collect()
            }
        };
        pieces.into_iter().flat_map(parts).collect()
    };
    let words = text.split_inclusive(' ').map(str::to_owned).collect();
    let dashed = cut(cut(words, &['\u{a0}']), &['-', '_', '/']);
    dashed
        .into_iter()
        .flat_map(|piece| if fits(&piece) { vec![piece] } else { letters(&piece, size, limit) })
        .collect()
}

/// A piece cut wherever it must be.
fn letters(piece: &str, size: f64, limit: f64) -> Vec<String> {
    let mut out = vec![String::new()];
    for letter in piece.chars() {
        let last = out.last().map_or("", String::as_str);
        if !last.is_empty() && width(format!("{last}{letter}").trim_end(), size) > limit {
            out.push(String::new());
        }
        if let Some(last) = out.last_mut() {
            last.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_face_has_what_labels_need() {
        let font = FACE.as_ref().expect("the embedded face is readable");
        for letter in "aZ09 ±×≥≤εδσµΔ·–…−→↑↓²³|°".chars() {
            assert_ne!(font.glyph_id(letter).0, 0, "no glyph for {letter}");
        }
        // Arial's widths: a digit is 0.556 em.
        assert!((width("0", 100.0) - 55.6).abs() < 0.1);
    }

    #[test]
    fn wrapped_lines_fit() {
        let text =
            "inverting-gradients (tv_weight = 0.0001) · one_step_update · averyveryverylongword";
        for limit in [30.0, 60.0, 90.0] {
            let lines = wrap(text, 7.0, limit, 20);
            assert!(lines.iter().all(|l| width(l, 7.0) <= limit + 1e-6), "{lines:?}");
            let letters =
                |s: &str| s.chars().filter(|c| !c.is_whitespace() && *c != '·').collect::<String>();
            assert_eq!(letters(&lines.concat()), letters(text));
        }
        assert_eq!(
            wrap("dp-gaussian\u{a0}(ε\u{a0}=\u{a0}1)", 7.0, 45.0, 3),
            ["dp-gaussian", "(ε\u{a0}=\u{a0}1)"]
        );
        let two = wrap(text, 7.0, 60.0, 2);
        assert_eq!(two.len(), 2);
        assert!(two[1].ends_with('…'));
    }
}
