//! Operations on images and signals, `[L, B, C, ...]`, that have no parameters.

use tch::Tensor;

use super::Op;
use super::Op::One;
use crate::graph::value::{Arg, Call, afford};
use crate::tape::{images, unfold_lanes};

pub(super) static TABLE: &[(&str, Op)] = &[
    ("max_pool2d", One(|c| max_pool(c, 2))),
    ("max_pool1d", One(|c| max_pool(c, 1))),
    ("avg_pool2d", One(avg_pool2d)),
    ("avg_pool1d", One(avg_pool1d)),
    ("adaptive_avg_pool2d", One(|c| adaptive(c, |x, n| x.adaptive_avg_pool2d(n)))),
    ("adaptive_avg_pool1d", One(|c| adaptive(c, |x, n| x.adaptive_avg_pool1d(n)))),
    ("adaptive_max_pool2d", One(adaptive_max_pool2d)),
    ("pad", One(pad)),
    ("constant_pad_nd", One(pad)),
    ("upsample_nearest2d", One(nearest)),
    ("upsample_bilinear2d", One(bilinear)),
    ("pixel_shuffle", One(|c| flat(c, |x| x.pixel_shuffle(c.int("upscale_factor", 1))))),
];

/// `f` of the images of all lanes, one behind the other.
fn flat(c: &Call, f: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
    let x = c.maybe("self").unwrap_or_else(|| c.tensor("input"));
    assert!(x.dim() > 3, "a pool or a change of size of what is no batch of images or signals");
    unfold_lanes(&f(&images(&x)), x.size()[0])
}

fn max_pool(c: &Call, n: usize) -> Tensor {
    let kernel = c.each("kernel_size", n, 1);
    let stride = if c.ints("stride").is_empty() { kernel.clone() } else { c.each("stride", n, 1) };
    let (padding, dilation) = (c.each("padding", n, 0), c.each("dilation", n, 1));
    let ceil = c.flag("ceil_mode", false);
    let (k, s, p, d) = (&kernel[..], &stride[..], &padding[..], &dilation[..]);
    flat(c, |x| match n {
        1 => c.kinks.pick(
            x,
            || x.max_pool1d(k, s, p, d, ceil),
            || x.max_pool1d_with_indices(k, s, p, d, ceil),
        ),
        _ => c.kinks.pick(
            x,
            || x.max_pool2d(k, s, p, d, ceil),
            || x.max_pool2d_with_indices(k, s, p, d, ceil),
        ),
    })
}

fn adaptive_max_pool2d(c: &Call) -> Tensor {
    let size = c.ints("output_size");
    flat(c, |x| {
        let pool = || x.adaptive_max_pool2d(&size[..]);
        c.kinks.pick(x, || pool().0, pool)
    })
}

fn avg_pool2d(c: &Call) -> Tensor {
    let kernel = c.each("kernel_size", 2, 1);
    let stride = if c.ints("stride").is_empty() { kernel.clone() } else { c.each("stride", 2, 1) };
    let (ceil, count) = (c.flag("ceil_mode", false), c.flag("count_include_pad", true));
    let divisor = c.maybe_int("divisor_override");
    flat(c, |x| {
        x.avg_pool2d(&kernel[..], &stride[..], c.each("padding", 2, 0), ceil, count, divisor)
    })
}

fn avg_pool1d(c: &Call) -> Tensor {
    let kernel = c.each("kernel_size", 1, 1);
    let stride = if c.ints("stride").is_empty() { kernel.clone() } else { c.each("stride", 1, 1) };
    let (ceil, count) = (c.flag("ceil_mode", false), c.flag("count_include_pad", true));
    flat(c, |x| x.avg_pool1d(&kernel[..], &stride[..], c.each("padding", 1, 0), ceil, count))
}

fn adaptive(c: &Call, f: impl Fn(&Tensor, Vec<i64>) -> Tensor) -> Tensor {
    flat(c, |x| f(x, c.ints("output_size")))
}

fn pad(c: &Call) -> Tensor {
    let (x, by) = (c.tensor("self"), c.ints("pad"));
    let sides = by.chunks(2).map(|p| p.iter().sum::<i64>());
    let large: Vec<i64> =
        x.size().iter().rev().zip(sides.chain(std::iter::repeat(0))).map(|(n, p)| n + p).collect();
    afford(&large);
    match c.text("mode") {
        None | Some("constant") => x.pad(by, "constant", c.float("value", 0.0)),
        Some(mode) => flat(c, |x| x.pad(by, mode, None)),
    }
}

/// Height and width after a change of size.
fn target(c: &Call, x: &Tensor) -> [i64; 2] {
    let size = x.size();
    let target = sides(c, &size);
    afford(&[size[0], size[1], target[0], target[1]]);
    target
}

fn sides(c: &Call, size: &[i64]) -> [i64; 2] {
    match (&c.ints("output_size")[..], c.arg("scale_factors")) {
        ([h, w], _) => [*h, *w],
        (_, Some(Arg::Floats(f))) if f.len() == 2 => {
            [0, 1].map(|i| (size[i + 2] as f64 * f[i]).floor() as i64)
        }
        _ => panic!("a change of size without a size"),
    }
}

/// The factors as they are given, which a size alone would round.
fn factors(c: &Call) -> [Option<f64>; 2] {
    match c.arg("scale_factors") {
        Some(Arg::Floats(f)) if f.len() == 2 => [Some(f[0]), Some(f[1])],
        _ => ["scales_h", "scales_w"].map(|name| c.number(name).map(|n| n.float())),
    }
}

fn nearest(c: &Call) -> Tensor {
    let [h, w] = factors(c);
    flat(c, |x| x.upsample_nearest2d(target(c, x), h, w))
}

fn bilinear(c: &Call) -> Tensor {
    let ([h, w], corners) = (factors(c), c.flag("align_corners", false));
    flat(c, |x| x.upsample_bilinear2d(target(c, x), corners, h, w))
}
