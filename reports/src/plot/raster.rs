//! A figure as PNG: shapes by plotters' backend, pictures and letters on top, sampled at three
//! times the resolution.

use super::canvas::{Canvas, Picture};
use super::{font, shapes};
use image::RgbImage;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use plotters::backend::BitMapBackend;
use std::io::Cursor;

/// Dots per inch of a figure.
pub(crate) const DPI: f64 = 300.0;
/// Samples per dot and direction, against jagged edges.
const SAMPLES: usize = 3;

/// The figure with [`DPI`] dots per inch.
pub(super) fn png(canvas: &Canvas) -> Result<Vec<u8>, String> {
    let per_point = DPI / 72.0;
    let scale = per_point * SAMPLES as f64;
    let dots = |length: f64| (length * per_point).round().max(1.0) as u32;
    let (width, height) =
        (dots(canvas.width) * SAMPLES as u32, dots(canvas.height) * SAMPLES as u32);
    let mut samples = vec![255u8; width as usize * height as usize * 3];
    {
        let mut backend = BitMapBackend::with_buffer(&mut samples, (width, height));
        shapes::draw(canvas, &mut backend, scale)?;
    }
    let mut samples =
        RgbImage::from_raw(width, height, samples).ok_or("buffer and size disagree")?;
    canvas.pictures.iter().for_each(|picture| paste(&mut samples, picture, scale));
    canvas.texts.iter().for_each(|text| font::draw(&mut samples, text, scale));
    let mut file = Cursor::new(Vec::new());
    let encoder =
        PngEncoder::new_with_quality(&mut file, CompressionType::Default, FilterType::Adaptive);
    average(&samples).write_with_encoder(encoder).map_err(|e| e.to_string())?;
    Ok(file.into_inner())
}

/// Lays a picture on the samples, each sample taking the pixel it lies in.
fn paste(samples: &mut RgbImage, picture: &Picture, scale: f64) {
    let (w, h) = ((picture.size.0 * scale).round() as u32, (picture.size.1 * scale).round() as u32);
    let (left, top) =
        ((picture.at.0 * scale).round() as i64, (picture.at.1 * scale).round() as i64);
    let pixels = &picture.pixels;
    for y in 0..h {
        for x in 0..w {
            let (px, py) = (
                u64::from(x) * u64::from(pixels.width()),
                u64::from(y) * u64::from(pixels.height()),
            );
            let colour = *pixels.get_pixel((px / u64::from(w)) as u32, (py / u64::from(h)) as u32);
            put(samples, left + i64::from(x), top + i64::from(y), |sample| *sample = colour.0);
        }
    }
}

/// Changes one sample, if it lies within the figure.
pub(crate) fn put(samples: &mut RgbImage, x: i64, y: i64, change: impl FnOnce(&mut [u8; 3])) {
    if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y))
        && let Some(pixel) = samples.get_pixel_mut_checked(x, y)
    {
        change(&mut pixel.0);
    }
}

/// Averages the samples of each dot.
fn average(samples: &RgbImage) -> RgbImage {
    let (width, height) = (samples.width() as usize / SAMPLES, samples.height() as usize / SAMPLES);
    let line = samples.width() as usize * 3;
    let count = (SAMPLES * SAMPLES) as u32;
    let mut out = RgbImage::new(width as u32, height as u32);
    let mut sums = vec![0u32; width * 3];
    let bands = samples.as_raw().chunks_exact(line.max(1) * SAMPLES);
    for (dots, band) in out.chunks_exact_mut(width.max(1) * 3).zip(bands) {
        sums.fill(0);
        for (sum, dot) in
            band.chunks_exact(line).flat_map(|line| (0..width).zip(line.chunks_exact(3 * SAMPLES)))
        {
            for pixel in dot.chunks_exact(3) {
                (0..3).for_each(|c| sums[3 * sum + c] += u32::from(pixel[c]));
            }
        }
        dots.iter_mut().zip(&sums).for_each(|(dot, sum)| *dot = ((sum + count / 2) / count) as u8);
    }
    out
}
