//! A colour map from light to dark: lightness falls evenly, so the order survives grey print and
//! colour blindness.
//!
//! Colours are laid in OKLab (Ottosson, 2020): from a pale yellow over green and blue to a dark
//! violet, each hue as strong as sRGB allows at its lightness.

use crate::plot::canvas::Colour;
use crate::plot::palette::{INK, PAPER};

/// Lightness in OKLab at both ends.
const LIGHTNESS: (f64, f64) = (0.97, 0.27);
/// Hue in degrees at both ends: yellow, violet blue.
const HUE: (f64, f64) = (105.0, 280.0);
/// Chroma at the ends and in the middle.
const CHROMA: (f64, f64) = (0.045, 0.12);

/// The colour at `place`, from 0 (light) to 1 (dark).
pub(super) fn colour(place: f64) -> Colour {
    let t = place.clamp(0.0, 1.0);
    let mix = |(from, to): (f64, f64)| from + (to - from) * t;
    let chroma = CHROMA.0 + (CHROMA.1 - CHROMA.0) * (4.0 * t * (1.0 - t)).sqrt();
    let hue = mix(HUE).to_radians();
    let (l, a, b) = (mix(LIGHTNESS), chroma * hue.cos(), chroma * hue.sin());
    // Less chroma until sRGB has the colour.
    let tries = (0..=20).map(|less| 1.0 - f64::from(less) / 20.0);
    let mut fitting = tries.map(|share| linear(l, a * share, b * share));
    let rgb = fitting
        .find(|rgb| rgb.iter().all(|v| (-1e-4..=1.0 + 1e-4).contains(v)))
        .unwrap_or([0.0; 3]);
    let [r, g, b] = rgb.map(|v| (encode(v.clamp(0.0, 1.0)) * 255.0).round() as u8);
    Colour(r, g, b, 1.0)
}

/// Dark or white letters, whichever stand out more on `ground`.
pub(super) fn letters(ground: Colour) -> Colour {
    if contrast(ground, INK) >= contrast(ground, PAPER) { INK } else { PAPER }
}

/// Contrast of two colours, from 1 to 21 (WCAG 2.2).
pub(super) fn contrast(a: Colour, b: Colour) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// Relative luminance from 0 to 1 (WCAG 2.2).
pub(super) fn luminance(Colour(r, g, b, _): Colour) -> f64 {
    let [r, g, b] = [r, g, b].map(|v| decode(f64::from(v) / 255.0));
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

/// Linear sRGB of a colour in OKLab.
fn linear(l: f64, a: f64, b: f64) -> [f64; 3] {
    let long = (l + 0.3963377774 * a + 0.2158037573 * b).powi(3);
    let middle = (l - 0.1055613458 * a - 0.0638541728 * b).powi(3);
    let short = (l - 0.0894841775 * a - 1.2914855480 * b).powi(3);
    [
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    ]
}

fn encode(v: f64) -> f64 {
    if v <= 0.0031308 { 12.92 * v } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 }
}

/// Linear light of an sRGB value from 0 to 1.
pub(super) fn decode(v: f64) -> f64 {
    if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lightness_falls_evenly_and_numbers_stay_readable() {
        let shades: Vec<Colour> = (0..=100).map(|i| colour(f64::from(i) / 100.0)).collect();
        // CIE lightness L*, from luminance.
        let light: Vec<f64> = shades.iter().map(|c| 116.0 * luminance(*c).cbrt() - 16.0).collect();
        for pair in light.windows(2) {
            assert!(pair[0] > pair[1] && pair[0] - pair[1] < 2.0, "{pair:?}");
        }
        assert!(light[0] > 94.0 && light[100] < 22.0, "{} {}", light[0], light[100]);
        for shade in shades {
            assert!(contrast(shade, letters(shade)) >= 4.0, "{shade:?}");
        }
    }
}
