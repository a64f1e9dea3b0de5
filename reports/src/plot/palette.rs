//! Colours that colour-blind readers tell apart (Okabe and Ito, 2008), each with a marker, a
//! hatching and a dash of its own, so that a grey print can be read too.

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

/// Draws the marker of series `at` around `(x, y)` with radius `r`; the next seven series have the
/// same colours with other markers.
pub(crate) fn marker(canvas: &mut Canvas, at: usize, (x, y): (f64, f64), r: f64) {
    let colour = colour(at);
    let line = Stroke::solid(colour, r * 0.55);
    match (at + at / SERIES) % SERIES {
        0 => canvas.disc((x, y), r, colour),
        1 => canvas.fill(
            &polygon((x, y), r * 0.92, &[(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]),
            colour,
        ),
        2 => {
            canvas.fill(&polygon((x, y), r * 1.2, &[(0.0, -1.0), (0.9, 0.7), (-0.9, 0.7)]), colour)
        }
        3 => canvas.fill(
            &polygon((x, y), r * 1.25, &[(0.0, -1.0), (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)]),
            colour,
        ),
        4 => {
            canvas.fill(&polygon((x, y), r * 1.2, &[(0.0, 1.0), (0.9, -0.7), (-0.9, -0.7)]), colour)
        }
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

/// Fills a box with the colour and hatching of series `at`; `None` is the plain grey of null
/// baselines.
pub(crate) fn filled(
    canvas: &mut Canvas,
    at: Option<usize>,
    (x, y): (f64, f64),
    (w, h): (f64, f64),
) {
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
        5 => multiples(h, step * 0.75)
            .for_each(|d| canvas.line(&[(x, y + d), (x + w, y + d)], stroke)),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Machado, Oliveira and Fernandes (2009), severity 1, on linear light: protanopia and
    /// deuteranopia.
    const BLIND: [[[f64; 3]; 3]; 2] = [
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
    ];

    fn linear(c: Colour) -> [f64; 3] {
        let decode = |v: u8| {
            let v = f64::from(v) / 255.0;
            if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        };
        [c.0, c.1, c.2].map(decode)
    }

    fn times(m: &[[f64; 3]; 3], v: [f64; 3]) -> [f64; 3] {
        m.map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum::<f64>().clamp(0.0, 1.0))
    }

    /// CIELAB under D65.
    fn lab([r, g, b]: [f64; 3]) -> [f64; 3] {
        let xyz = [
            (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505,
            0.2126 * r + 0.7152 * g + 0.0722 * b,
            (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089,
        ];
        let f = |t: f64| if t > 0.008856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
        let [x, y, z] = xyz.map(f);
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
        lab(a).iter().zip(lab(b)).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    }

    fn pairs() -> impl Iterator<Item = (usize, usize)> {
        (0..SERIES).flat_map(|a| (0..a).map(move |b| (a, b)))
    }

    #[test]
    fn colour_blind_readers_tell_every_pair_apart() {
        for (a, b) in pairs() {
            for blind in &BLIND {
                let [a, b] = [a, b].map(|at| times(blind, linear(colour(at))));
                assert!(distance(a, b) > 9.0, "{a:?} {b:?}: {}", distance(a, b));
            }
        }
    }

    /// What a marker is made of, without its colour.
    fn shape(at: usize) -> String {
        let mut canvas = Canvas::sized(10.0, 10.0);
        marker(&mut canvas, at, (5.0, 5.0), 2.0);
        let svg = canvas.svg().unwrap();
        let Colour(r, g, b, _) = colour(at);
        svg.replace(&format!("#{r:02X}{g:02X}{b:02X}"), "")
    }

    #[test]
    fn grey_prints_tell_curves_markers_and_areas_apart() {
        let light = |at: usize| lab(linear(colour(at)))[0];
        for (a, b) in pairs() {
            assert_ne!(shape(a), shape(b), "markers {a} and {b}");
            // Four dashes for seven curves: those that share one differ in lightness.
            assert!(dash(a) != dash(b) || (light(a) - light(b)).abs() > 12.0, "curves {a} and {b}");
        }
        // Seven more have the colours again, with other markers.
        for at in 0..SERIES {
            assert_eq!(colour(at), colour(at + SERIES));
            assert_ne!(shape(at), shape(at + SERIES));
        }
    }
}
