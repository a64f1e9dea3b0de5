//! What undoes each transformation of the published library, as far as it can be undone.

use learning::transform::{Operation, Transformation, geometry};

use super::partial::Partial;

/// Steps of the iteration that undoes a blur or its opposite, and their size: the eigenvalues of
/// both lie in 0.5 to 1.6.
const STEPS: usize = 60;
const STEP: f64 = 0.8;

/// Sweeps over the values that a solarised image leaves open.
const SWEEPS: usize = 10;

/// The image before `what` was done in direction `sign`; what went out of the frame is not known
/// in it. `offset` is added to the mean brightness that a contrast is about: values beyond black
/// and white moved it. Stretched and evened histograms stay as they are, for their law went with
/// the image.
pub fn inverse(what: Transformation, sign: f64, offset: f64, image: &Partial) -> Partial {
    let m = what.magnitude();
    let factor = 1.0 + sign * m;
    let size = [image.width, image.height];
    let [w, h] = size.map(|n| n as f64);
    match what.operation {
        Operation::TranslateX => put_back(image, &geometry::translated(size, sign * m * w, 0.0)),
        Operation::TranslateY => put_back(image, &geometry::translated(size, 0.0, sign * m * h)),
        Operation::Rotate => put_back(image, &geometry::rotated(size, m)),
        Operation::ShearY => slanted_back(image, sign * m),
        Operation::Colour => {
            let grey = image.grey();
            image.map(|i, v| grey[i] + (v - grey[i]) / factor)
        }
        Operation::Contrast => {
            let mean = image.mean(&image.grey()) + offset;
            image.map(|_, v| mean + (v - mean) / factor)
        }
        Operation::Brightness => image.map(|_, v| v / factor),
        Operation::Sharpness => unblended(image, factor),
        // The middle of the values that share their highest bits.
        Operation::Posterise => {
            let half = (2f64.powi(8 - m.round() as i32) - 1.0) / 2.0;
            image.map(|_, v| v + half)
        }
        Operation::Solarise => unsolarised(image, m),
        Operation::Invert => image.map(|_, v| 255.0 - v),
        Operation::AutoContrast | Operation::Equalise => image.clone(),
    }
}

/// Each pixel back at the place that it was taken from.
fn put_back(image: &Partial, places: &[Option<usize>]) -> Partial {
    let n = image.plane();
    let mut out =
        Partial { values: vec![0.0; image.values.len()], known: vec![false; n], ..*image };
    for (at, from) in places.iter().enumerate() {
        if let Some(from) = from.filter(|_| image.known[at]) {
            out.known[from] = true;
            (0..image.channels).for_each(|c| out.values[c * n + from] = image.values[c * n + at]);
        }
    }
    out
}

/// The column at `x` moved back by `slope x`, linear between rows.
fn slanted_back(image: &Partial, slope: f64) -> Partial {
    let (n, w) = (image.plane(), image.width);
    let mut out =
        Partial { values: vec![0.0; image.values.len()], known: vec![false; n], ..*image };
    for i in 0..n {
        let at = (i / w) as f64 - slope * ((i % w) as f64 + 0.5);
        let most = (image.height - 1) as f64;
        if at < -0.5 || at > most + 0.5 {
            continue;
        }
        let (above, share) = (at.clamp(0.0, most).floor(), at.clamp(0.0, most).fract());
        let below = (above + 1.0).min(most);
        let [a, b] = [above, below].map(|row| row as usize * w + i % w);
        out.known[i] = image.known[a] && image.known[b];
        for from in (0..image.channels).map(|c| c * n) {
            out.values[from + i] =
                image.values[from + a] * (1.0 - share) + image.values[from + b] * share;
        }
    }
    out
}

/// The image whose blend with its smoothed self is this one (Richardson's iteration).
fn unblended(image: &Partial, factor: f64) -> Partial {
    let mut out = image.clone();
    for _ in 0..STEPS {
        let smooth = smoothed(&out);
        for ((v, s), y) in out.values.iter_mut().zip(&smooth).zip(&image.values) {
            *v += STEP * (y - (s + factor * (*v - s)));
        }
    }
    out
}

/// Smoothed by (1 1 1, 1 5 1, 1 1 1)/13; the border stays.
fn smoothed(image: &Partial) -> Vec<f64> {
    let (n, w, h) = (image.plane(), image.width, image.height);
    let mut out = image.values.clone();
    for (from, y, x) in (0..image.channels).flat_map(|c| {
        let rows = 1..h.saturating_sub(1);
        rows.flat_map(move |y| (1..w.saturating_sub(1)).map(move |x| (c * n, y, x)))
    }) {
        let around = (y - 1..=y + 1).flat_map(|v| (x - 1..=x + 1).map(move |u| v * w + u));
        let sum: f64 = around.map(|i| image.values[from + i]).sum();
        out[from + y * w + x] = (sum + 4.0 * image.values[from + y * w + x]) / 13.0;
    }
    out
}

/// A value came from itself below the threshold, or from its negative at or above it. Where both
/// can be, the one that is nearer to its neighbours.
fn unsolarised(image: &Partial, threshold: f64) -> Partial {
    if threshold > 255.0 {
        return image.clone();
    }
    let n = image.plane();
    let (own, turned) = (|v: f64| v < threshold - 0.5, |v: f64| 255.0 - v >= threshold - 0.5);
    let mut out = image.map(|_, v| if own(v) { v } else { 255.0 - v });
    for _ in 0..SWEEPS {
        for i in 0..image.values.len() {
            let (at, from, v) = (i % n, i - i % n, image.values[i]);
            if !(own(v) && turned(v)) {
                continue;
            }
            let near =
                |v: f64| image.beside(at).map(|j| (out.values[from + j] - v).abs()).sum::<f64>();
            out.values[i] = if near(255.0 - v) < near(v) { 255.0 - v } else { v };
        }
    }
    out
}
