//! Transformations that move pixels: each output pixel's centre is mapped back into the input.

use super::image::Image;

/// What rotation brings in from outside; shifts and shears bring in black.
const GREY: u8 = 128;

/// The output pixel at `(x, y)` of each plane is what `source` finds in the plane, or `fill`.
fn remapped(image: &Image, fill: u8, source: impl Fn(&[u8], usize, usize) -> Option<u8>) -> Image {
    let w = image.width;
    image.by_plane(|plane| {
        (0..plane.len()).map(|i| source(plane, i % w, i / w).unwrap_or(fill)).collect()
    })
}

/// The pixel that holds a coordinate, where the image has one.
fn pixel(at: f64, size: usize) -> Option<usize> {
    (at >= 0.0 && at < size as f64).then_some(at as usize)
}

/// Shows at `(x, y)` the pixel that holds `(x + dx, y + dy)`.
pub fn translate(image: &Image, dx: f64, dy: f64) -> Image {
    moved(image, 0, &translated([image.width, image.height], dx, dy))
}

/// Turns counter-clockwise by `degrees` about the centre, nearest pixel, in PIL's fixed point of 16
/// bits.
pub fn rotate(image: &Image, degrees: f64) -> Image {
    moved(image, GREY, &rotated([image.width, image.height], degrees))
}

fn moved(image: &Image, fill: u8, places: &[Option<usize>]) -> Image {
    let w = image.width;
    remapped(image, fill, |plane, x, y| places[y * w + x].map(|from| plane[from]))
}

/// The place in a plane of `[width, height]` that each pixel of a shifted plane shows; `None` where
/// black comes in.
pub fn translated([w, h]: [usize; 2], dx: f64, dy: f64) -> Vec<Option<usize>> {
    let from = |x: usize, y: usize| {
        let (x, y) = (pixel(x as f64 + 0.5 + dx, w)?, pixel(y as f64 + 0.5 + dy, h)?);
        Some(y * w + x)
    };
    (0..w * h).map(|i| from(i % w, i / w)).collect()
}

/// The same of a turned plane; `None` where grey comes in.
pub fn rotated([width, height]: [usize; 2], degrees: f64) -> Vec<Option<usize>> {
    let (w, h) = (width as f64, height as f64);
    let (sin, cos) = (-degrees.to_radians()).sin_cos();
    let (cx, cy) = (w / 2.0, h / 2.0);
    // Input of the output's centre is the centre: x' = cos x + sin y + c, y' = -sin x + cos y + f.
    let (c, f) = (cx - cos * cx - sin * cy, cy + sin * cx - cos * cy);
    let fix = |v: f64| (v * 65536.0 + 0.5).floor() as i64;
    let (a, b, d, e) = (fix(cos), fix(sin), fix(-sin), fix(cos));
    let (x0, y0) = (fix(c + cos * 0.5 + sin * 0.5), fix(f - sin * 0.5 + cos * 0.5));
    let from = |x: usize, y: usize| {
        let (x, y) = (x as i64, y as i64);
        let u = usize::try_from((x0 + a * x + b * y) >> 16).ok().filter(|&u| u < width)?;
        let v = usize::try_from((y0 + d * x + e * y) >> 16).ok().filter(|&v| v < height)?;
        Some(v * width + u)
    };
    (0..width * height).map(|i| from(i % width, i / width)).collect()
}

/// Shows at `(x, y)` what is at `(x, y + slope x)`, by cubic interpolation.
pub fn shear_y(image: &Image, slope: f64) -> Image {
    let (w, h) = (image.width, image.height);
    remapped(image, 0, |plane, x, y| {
        let (x, y) = (x as f64 + 0.5, y as f64 + 0.5);
        let v = slope * x + y;
        (v >= 0.0 && v < h as f64).then(|| bicubic(plane, w, h, x - 0.5, v - 0.5))
    })
}

/// Interpolates between four rows of four pixels; beyond the border a row or column repeats.
fn bicubic(plane: &[u8], w: usize, h: usize, x: f64, y: f64) -> u8 {
    let (left, top) = (x.floor(), y.floor());
    let within = |i: f64, size: usize| (i.max(0.0) as usize).min(size - 1);
    let row = |j: f64| {
        let at = within(top + j, h) * w;
        let v = [-1.0, 0.0, 1.0, 2.0].map(|i| f64::from(plane[at + within(left + i, w)]));
        cubic(v, x - left)
    };
    // A float cast saturates at 0 and 255.
    cubic([-1.0, 0.0, 1.0, 2.0].map(row), y - top) as u8
}

/// Keys' cubic with a = -1, through `v[1]` at 0 and `v[2]` at 1.
fn cubic(v: [f64; 4], d: f64) -> f64 {
    let p3 = 2.0 * (v[0] - v[1]) + v[2] - v[3];
    let p4 = -v[0] + v[1] - v[2] + v[3];
    v[1] + d * (v[2] - v[0] + d * (p3 + d * p4))
}
