//! Transformations of values where they are, in PIL's arithmetic.

use super::image::Image;

/// `from + factor (to - from)`, cut off below a whole number as PIL's blend does.
fn blend(from: u8, to: u8, factor: f64) -> u8 {
    let (from, to) = (f32::from(from), f32::from(to));
    // A float cast saturates at 0 and 255.
    (from + factor as f32 * (to - from)) as u8
}

/// Blends every plane with the same plane of what the image loses.
fn blend_planes(image: &Image, loss: impl Fn(usize) -> u8, factor: f64) -> Image {
    image.with(image.data.iter().enumerate().map(|(i, &v)| blend(loss(i), v, factor)).collect())
}

/// Towards (below 1) or away from (above 1) the grey image.
pub fn saturation(image: &Image, factor: f64) -> Image {
    let grey = image.grey();
    blend_planes(image, |i| grey[i % grey.len()], factor)
}

/// Towards or away from the mean brightness.
pub fn contrast(image: &Image, factor: f64) -> Image {
    let grey = image.grey();
    let sum: u64 = grey.iter().map(|&v| u64::from(v)).sum();
    let mean = (sum as f64 / grey.len() as f64 + 0.5) as u8;
    blend_planes(image, |_| mean, factor)
}

/// Towards or away from black.
pub fn brightness(image: &Image, factor: f64) -> Image {
    blend_planes(image, |_| 0, factor)
}

/// Towards or away from the image smoothed by (1 1 1, 1 5 1, 1 1 1)/13; the border stays.
pub fn sharpness(image: &Image, factor: f64) -> Image {
    let (h, w) = (image.height, image.width);
    let smooth = image.by_plane(|plane| {
        let mut out = plane.to_vec();
        for y in 1..h.saturating_sub(1) {
            for x in 1..w.saturating_sub(1) {
                let around = (y - 1..=y + 1).flat_map(|v| (x - 1..=x + 1).map(move |u| v * w + u));
                let sum: u32 = around.map(|i| u32::from(plane[i])).sum::<u32>()
                    + 4 * u32::from(plane[y * w + x]);
                out[y * w + x] = (f64::from(sum) / 13.0 + 0.5) as u8;
            }
        }
        out
    });
    blend_planes(image, |i| smooth.data[i], factor)
}

/// Keeps the highest `bits` of each value.
pub fn posterise(image: &Image, bits: u32) -> Image {
    let mask = (0xff00u32 >> bits) as u8;
    image.by_plane(|plane| plane.iter().map(|v| v & mask).collect())
}

/// Inverts values of at least `threshold`.
pub fn solarise(image: &Image, threshold: f64) -> Image {
    image.by_plane(|plane| {
        plane.iter().map(|&v| if f64::from(v) < threshold { v } else { 255 - v }).collect()
    })
}

/// The negative.
pub fn invert(image: &Image) -> Image {
    image.by_plane(|plane| plane.iter().map(|v| 255 - v).collect())
}

/// Stretches each plane from its extremes to 0 and 255.
pub fn autocontrast(image: &Image) -> Image {
    image.by_plane(|plane| {
        let (low, high) =
            (plane.iter().min().copied().unwrap_or(0), plane.iter().max().copied().unwrap_or(0));
        if high <= low {
            return plane.to_vec();
        }
        let scale = 255.0 / f64::from(high - low);
        let offset = -f64::from(low) * scale;
        plane.iter().map(|&v| (f64::from(v) * scale + offset) as u8).collect()
    })
}

/// Makes each plane's histogram even: a value goes to the share of pixels below it.
pub fn equalise(image: &Image) -> Image {
    image.by_plane(|plane| {
        let mut histogram = [0usize; 256];
        plane.iter().for_each(|&v| histogram[usize::from(v)] += 1);
        let brightest = histogram.iter().rev().find(|&&n| n > 0).copied().unwrap_or(0);
        let step = (plane.len() - brightest) / 255;
        if step == 0 {
            return plane.to_vec();
        }
        let mut below = step / 2;
        let table: Vec<u8> = histogram
            .iter()
            .map(|n| {
                let value = (below / step).min(255) as u8;
                below += n;
                value
            })
            .collect();
        plane.iter().map(|&v| table[usize::from(v)]).collect()
    })
}
