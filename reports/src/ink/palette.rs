//! Colours that colour-blind readers tell apart (Okabe and Ito, 2008), each with a marker, a hatching and a dash of its own,
//! so that a grey print can be read too.

use super::canvas::{Canvas, Colour, Stroke};

/// Text and frames.
pub(crate) const INK: Colour = Colour(0x22, 0x22, 0x22, 1.0);
/// Null baselines and reference lines.
pub(crate) const GREY: Colour = Colour(0x99, 0x99, 0x99, 1.0);
/// Grid lines.
pub(crate) const FAINT: Colour = Colour(0xdd, 0xdd, 0xdd, 1.0);
/// The ground.
pub(crate) const PAPER: Colour = Colour(0xff, 0xff, 0xff, 1.0);

/// Series that one figure can tell apart.
pub(crate) const SERIES: usize = 7;

const COLOURS: [Colour; SERIES] = [
    Colour(0x00, 0x72, 0xb2, 1.0),
    Colour(0xe6, 0x9f, 0x00, 1.0),
    Colour(0x00, 0x9e, 0x73, 1.0),
    Colour(0xcc, 0x79, 0xa7, 1.0),
    Colour(0x56, 0xb4, 0xe9, 1.0),
    Colour(0xd5, 0x5e, 0x00, 1.0),
    Colour(0x00, 0x00, 0x00, 1.0),
];

/// Colour of series `at`.
pub(crate) fn colour(at: usize) -> Colour {
    COLOURS[at % SERIES]
}

/// Dash of series `at` as (ink, gap) in points; `None` is solid.
pub(crate) fn dash(at: usize) -> Option<(f64, f64)> {
    [None, Some((4.0, 1.6)), Some((1.4, 1.4)), Some((7.0, 2.0))][(at + at / SERIES) % 4]
}

/// Draws the marker of series `at` around `(x, y)` with radius `r`; the next seven series have the same colours with other markers.
pub(crate) fn marker(canvas: &mut Canvas, at: usize, (x, y): (f64, f64), r: f64) {
    let colour = colour(at);
    let line = Stroke::solid(colour, r * 0.55);
    match (at + at / SERIES) % SERIES {
        0 => canvas.disc((x, y), r, colour),
        1 => canvas
            .fill(&polygon((x, y), r * 0.92, &[(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]), colour),
        2 => canvas.fill(&polygon((x, y), r * 1.2, &[(0.0, -1.0), (0.9, 0.7), (-0.9, 0.7)]), colour),
        3 => canvas
            .fill(&polygon((x, y), r * 1.25, &[(0.0, -1.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)]), colour),
        4 => canvas.fill(&polygon((x, y), r * 1.2, &[(0.0, 1.0), (0.9, -0.7), (-0.9, -0.7)]), colour),
        5 => {
            canvas.line(&[(x - r, y - r), (x + r, y + r)], line);
            canvas.line(&[(x - r, y + r), (x + r, y - r)], line);
        }
        _ => {
            canvas.line(&[(x - 1.2 * r, y), (x + 1.2 * r, y)], line);
            canvas.line(&[(x, y - 1.2 * r), (x, y + 1.2 * r)], line);
        }
    }
}

fn polygon((x, y): (f64, f64), r: f64, corners: &[(f64, f64)]) -> Vec<(f64, f64)> {
    corners.iter().map(|(dx, dy)| (x + r * dx, y + r * dy)).collect()
}

/// Fills a box with the colour and hatching of series `at`; `None` is the plain grey of null baselines.
pub(crate) fn filled(canvas: &mut Canvas, at: Option<usize>, (x, y): (f64, f64), (w, h): (f64, f64)) {
    let Some(at) = at else {
        canvas.fill(&corners(x, y, w, h), GREY.fade(0.75));
        return;
    };
    canvas.fill(&corners(x, y, w, h), colour(at));
    let stroke = Stroke::solid(PAPER, 0.55);
    let step = 3.2;
    match (at + at / SERIES) % SERIES {
        1 => slanted(canvas, (x, y), (w, h), step, false, stroke),
        2 => slanted(canvas, (x, y), (w, h), step, true, stroke),
        3 => {
            slanted(canvas, (x, y), (w, h), step * 1.3, false, stroke);
            slanted(canvas, (x, y), (w, h), step * 1.3, true, stroke);
        }
        4 => multiples(w, step).for_each(|d| canvas.line(&[(x + d, y), (x + d, y + h)], stroke)),
        5 => multiples(h, step * 0.75).for_each(|d| canvas.line(&[(x, y + d), (x + w, y + d)], stroke)),
        6 => multiples(w, step).for_each(|d| canvas.disc((x + d, y + h / 2.0), 0.6, PAPER)),
        _ => {}
    }
}

fn corners(x: f64, y: f64, w: f64, h: f64) -> [(f64, f64); 4] {
    [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
}

fn multiples(length: f64, step: f64) -> impl Iterator<Item = f64> {
    (1..=(length / step) as usize).map(move |i| i as f64 * step).filter(move |d| *d < length - 0.3)
}

/// Lines at 45 degrees, cut at the box.
fn slanted(
    canvas: &mut Canvas,
    (x, y): (f64, f64),
    (w, h): (f64, f64),
    step: f64,
    mirrored: bool,
    stroke: Stroke,
) {
    for d in multiples(w + h, step) {
        // Along the line, u runs across and v down the box, and u + v = d.
        let (from, to) = ((d - h).max(0.0), d.min(w));
        let place = |u: f64| (x + if mirrored { w - u } else { u }, y + d - u);
        canvas.line(&[place(from), place(to)], stroke);
    }
}
