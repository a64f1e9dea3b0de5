//! Gaussian blur and unsharp masking of images.

use tch::{Kind, Tensor};

/// Standard deviation, in pixels, of the blur that unsharp masking takes the difference from.
const MASK_SIGMA: f64 = 1.0;

/// Convolves each channel of `[N, C, H, W]` with a Gaussian of that standard deviation in pixels;
/// the border repeats its last pixel. A sigma of 0 (or below) changes nothing.
pub fn blur(images: &Tensor, sigma: f64) -> Tensor {
    if sigma <= 0.0 {
        return images.shallow_clone();
    }
    let size = images.size();
    let kernel = gaussian(sigma, images);
    let radius = kernel.size()[0] / 2;
    let planes = images.reshape([-1, 1, size[2], size[3]]).replication_pad2d([radius; 4]);
    let across =
        planes.conv2d(&kernel.reshape([1, 1, 1, -1]), None::<Tensor>, [1, 1], [0, 0], [1, 1], 1);
    let both =
        across.conv2d(&kernel.reshape([1, 1, -1, 1]), None::<Tensor>, [1, 1], [0, 0], [1, 1], 1);
    both.reshape(size)
}

/// Unsharp masking of `[N, C, H, W]`: adds `amount` times what a blur of one pixel takes away.
pub fn sharpen(images: &Tensor, amount: f64) -> Tensor {
    if amount <= 0.0 {
        return images.shallow_clone();
    }
    images + (images - blur(images, MASK_SIGMA)) * amount
}

/// Samples of a Gaussian out to three standard deviations, with sum 1: `[2 r + 1]`.
fn gaussian(sigma: f64, like: &Tensor) -> Tensor {
    let radius = (3.0 * sigma).ceil() as i64;
    let at = Tensor::arange_start(-radius, radius + 1, (Kind::Double, like.device()));
    let weights = (at.square() / (-2.0 * sigma * sigma)).exp();
    (&weights / weights.sum(Kind::Double)).to_kind(like.kind())
}
