//! Structural similarity with the Gaussian window.

use crate::images::pixels;
use crate::{Metric, MetricEntry, MetricError};
use record::MetricInfo;
use tch::Tensor;

/// The registry's entry.
pub static ENTRY: MetricEntry = MetricEntry {
    name: "ssim",
    summary: "structural similarity, 11x11 Gaussian window, sigma 1.5, per channel",
    info: || MetricInfo {
        range: [Some(-1.0), Some(1.0)],
        thresholds: vec![0.9],
        reference: "Wang, Bovik, Sheikh and Simoncelli 2004, Image quality assessment".into(),
        ..MetricInfo::higher(ENTRY.name, "SSIM")
    },
    build: |_| Ok(Box::new(Ssim)),
};

const RADIUS: usize = 5;
const WINDOW: usize = 2 * RADIUS + 1;
const SIGMA: f64 = 1.5;
const C1: f64 = 0.01 * 0.01;
const C2: f64 = 0.03 * 0.03;

struct Ssim;

impl Metric for Ssim {
    fn score(&self, guess: &Tensor, truth: &Tensor) -> Result<Vec<f64>, MetricError> {
        ssim(guess, truth)
    }
}

/// Structural similarity of each image: the mean over the positions where the whole window lies
/// inside the image, then over channels (K1 = 0.01, K2 = 0.03, data range 1, population
/// covariance).
///
/// # Errors
/// [`MetricError::Unsuited`] for images smaller than the window, else as
/// [`prepare`](super::images::prepare).
pub fn ssim(guess: &Tensor, truth: &Tensor) -> Result<Vec<f64>, MetricError> {
    let (guess, truth) = pixels(guess, truth)?;
    let [_, channels, height, width] = guess.shape;
    if height < WINDOW || width < WINDOW {
        return Err(MetricError::Unsuited {
            metric: ENTRY.name,
            channels: channels as i64,
            height: height as i64,
            width: width as i64,
            why: format!("the window needs {WINDOW}x{WINDOW} pixels"),
        });
    }
    let window = gaussian();
    let image = |(g, t): (&[f64], &[f64])| {
        let planes = g.chunks_exact(height * width).zip(t.chunks_exact(height * width));
        planes.map(|(g, t)| plane(g, t, width, &window)).sum::<f64>() / channels as f64
    };
    Ok(guess.images().zip(truth.images()).map(image).collect())
}

fn gaussian() -> [f64; WINDOW] {
    let mut w: [f64; WINDOW] = std::array::from_fn(|i| {
        let d = i as f64 - RADIUS as f64;
        (-d * d / (2.0 * SIGMA * SIGMA)).exp()
    });
    let sum: f64 = w.iter().sum();
    w.iter_mut().for_each(|v| *v /= sum);
    w
}

/// Mean structural similarity of one channel.
fn plane(x: &[f64], y: &[f64], width: usize, window: &[f64; WINDOW]) -> f64 {
    let product =
        |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a * b).collect() };
    let blur = |v: &[f64]| filter(v, width, window);
    let (mx, my) = (blur(x), blur(y));
    let (xx, yy, xy) = (blur(&product(x, x)), blur(&product(y, y)), blur(&product(x, y)));
    let local = |i: usize| {
        let (a, b) = (mx[i], my[i]);
        let (va, vb, cov) = (xx[i] - a * a, yy[i] - b * b, xy[i] - a * b);
        (2.0 * a * b + C1) * (2.0 * cov + C2) / ((a * a + b * b + C1) * (va + vb + C2))
    };
    (0..mx.len()).map(local).sum::<f64>() / mx.len() as f64
}

/// Separable filter over the positions where the window fits: `[H, W]` to `[H - 10, W - 10]`.
fn filter(v: &[f64], width: usize, window: &[f64; WINDOW]) -> Vec<f64> {
    let rows = v.len() / width;
    let narrow = width - 2 * RADIUS;
    let mut across = vec![0.0; rows * narrow];
    for (out, row) in across.chunks_exact_mut(narrow).zip(v.chunks_exact(width)) {
        for (k, &weight) in window.iter().enumerate() {
            out.iter_mut().zip(&row[k..]).for_each(|(o, x)| *o += weight * x);
        }
    }
    let mut down = vec![0.0; (rows - 2 * RADIUS) * narrow];
    for (r, out) in down.chunks_exact_mut(narrow).enumerate() {
        for (k, &weight) in window.iter().enumerate() {
            let row = &across[(r + k) * narrow..(r + k + 1) * narrow];
            out.iter_mut().zip(row).for_each(|(o, x)| *o += weight * x);
        }
    }
    down
}
