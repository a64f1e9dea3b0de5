//! Shorter side to a size, then the centre square: what torchvision's `Resize(size)` and
//! `CenterCrop(size)` do to an 8-bit image.
//!
//! The filter is the antialiased bilinear (triangle) one in 22-bit fixed point, horizontal pass
//! first, rounded to bytes between the passes, so that the result is that of Pillow to the bit.
//! Only what the crop keeps is computed.

/// An 8-bit image, `[height, width, channels]` interleaved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    /// Colour channels.
    pub channels: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// `height * width * channels` bytes.
    pub data: Vec<u8>,
}

const BITS: u32 = 22;

/// Scales the shorter side to `size` and keeps the centre `size` x `size`. Sides and `size` must be
/// at least 1.
pub fn square(image: &Pixels, size: usize) -> Pixels {
    let (h, w) = (image.height, image.width);
    let (new_h, new_w) = if w <= h { (size * h / w, size) } else { (size, size * w / h) };
    let columns = taps(w, new_w, centre(new_w, size), size);
    let rows = taps(h, new_h, centre(new_h, size), size);
    let first = rows.iter().map(|t| t.start).min().unwrap_or(0);
    let last = rows.iter().map(|t| t.start + t.weights.len()).max().unwrap_or(0);
    let narrow = horizontal(image, &columns, first, last);
    vertical(&narrow, &rows, first)
}

/// Offset of a centre crop; halves are rounded to even, as Python's `round` does.
fn centre(from: usize, size: usize) -> usize {
    let spare = from - size;
    let half = spare / 2;
    if spare % 2 == 1 && half % 2 == 1 { half + 1 } else { half }
}

/// The source pixels of one output pixel and their fixed-point weights.
struct Taps {
    start: usize,
    weights: Vec<i64>,
}

/// Taps of the outputs `offset..offset + count` when `from` pixels become `to`.
fn taps(from: usize, to: usize, offset: usize, count: usize) -> Vec<Taps> {
    if from == to {
        let unit = |x| Taps { start: x, weights: vec![1 << BITS] };
        return (offset..offset + count).map(unit).collect();
    }
    let scale = from as f64 / to as f64;
    let support = scale.max(1.0);
    (offset..offset + count).map(|x| tap(from, (x as f64 + 0.5) * scale, support)).collect()
}

fn tap(from: usize, centre: f64, support: f64) -> Taps {
    let start = (centre - support + 0.5).max(0.0) as usize;
    let end = ((centre + support + 0.5) as usize).min(from);
    let triangle = |x: usize| (1.0 - ((x as f64 - centre + 0.5) / support).abs()).max(0.0);
    let raw: Vec<f64> = (start..end).map(triangle).collect();
    let total: f64 = raw.iter().sum();
    let fixed = |w: &f64| (0.5 + w / total * f64::from(1u32 << BITS)) as i64;
    Taps { start, weights: raw.iter().map(fixed).collect() }
}

fn blend(taps: &Taps, pixel: impl Fn(usize) -> u8) -> u8 {
    let half = 1i64 << (BITS - 1);
    let pairs = taps.weights.iter().enumerate();
    let sum = pairs.fold(half, |sum, (i, w)| sum + w * i64::from(pixel(taps.start + i)));
    (sum >> BITS).clamp(0, 255) as u8
}

fn horizontal(image: &Pixels, columns: &[Taps], first: usize, last: usize) -> Pixels {
    let c = image.channels;
    let mut data = Vec::with_capacity((last - first) * columns.len() * c);
    for row in image.data.chunks_exact(image.width * c).take(last).skip(first) {
        for taps in columns {
            data.extend((0..c).map(|k| blend(taps, |x| row[x * c + k])));
        }
    }
    Pixels { channels: c, height: last - first, width: columns.len(), data }
}

fn vertical(image: &Pixels, rows: &[Taps], first: usize) -> Pixels {
    let stride = image.width * image.channels;
    let mut data = Vec::with_capacity(rows.len() * stride);
    for taps in rows {
        data.extend((0..stride).map(|i| blend(taps, |y| image.data[(y - first) * stride + i])));
    }
    Pixels { channels: image.channels, height: rows.len(), width: image.width, data }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noise(height: usize, width: usize, channels: usize) -> Pixels {
        let data = (0..height * width * channels).map(|i| (i * 7919 % 251) as u8).collect();
        Pixels { channels, height, width, data }
    }

    #[test]
    fn own_size_is_left_alone() {
        let image = noise(9, 9, 3);
        assert_eq!(square(&image, 9), image);
    }

    #[test]
    fn crop_halves_round_to_even() {
        assert_eq!([centre(65, 64), centre(67, 64), centre(78, 64)], [0, 2, 7]);
    }

    proptest! {
        #[test]
        fn a_flat_image_stays_flat(h in 1usize..40, w in 1usize..40, size in 1usize..50, v: u8) {
            let flat = Pixels { channels: 1, height: h, width: w, data: vec![v; h * w] };
            let out = square(&flat, size);
            prop_assert_eq!((out.height, out.width), (size, size));
            prop_assert!(out.data.iter().all(|&p| p == v));
        }

        #[test]
        fn values_stay_within_the_range_of_the_source(
            h in 1usize..30,
            w in 1usize..30,
            size in 1usize..40,
        ) {
            let image = noise(h, w, 3);
            let out = square(&image, size);
            prop_assert_eq!(out.data.len(), size * size * 3);
            let (low, high) = (image.data.iter().min(), image.data.iter().max());
            prop_assert!(out.data.iter().min() >= low && out.data.iter().max() <= high);
        }
    }
}
