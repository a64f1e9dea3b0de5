//! Image priors added to the matching objective, each one value a lane.

use tch::{Kind, Tensor};

/// Anisotropic total variation of `[T, B, C, H, W]`: mean |horizontal| plus mean |vertical|
/// difference, `[T]` (Rudin et al. 1992; the scaling of Geiping et al. 2020).
pub fn tv_anisotropic(x: &Tensor) -> Tensor {
    let (dx, dy) = differences(x);
    mean_lanes(&dx.abs()) + mean_lanes(&dy.abs())
}

/// Isotropic total variation: mean of `sqrt(dx^2 + dy^2)`, smoothed at zero, `[T]`.
pub fn tv_isotropic(x: &Tensor) -> Tensor {
    let (dx, dy) = differences(x);
    let (h, w) = (x.size()[3] - 1, x.size()[4] - 1);
    let squared = dx.narrow(3, 0, h).square() + dy.narrow(4, 0, w).square();
    mean_lanes(&(squared + 1e-12).sqrt())
}

/// Squared total variation: mean squared horizontal plus mean squared vertical difference, `[T]`.
pub fn tv_squared(x: &Tensor) -> Tensor {
    let (dx, dy) = differences(x);
    mean_lanes(&dx.square()) + mean_lanes(&dy.square())
}

/// [`tv_isotropic`] of the channels and of their three differences, `[T]`: edges of colour count
/// beside those of brightness. Pictures without three channels have no such differences.
pub fn tv_double_opponent(x: &Tensor) -> Tensor {
    if x.size()[2] != 3 {
        return tv_isotropic(x);
    }
    let channel = |c: i64| x.narrow(2, c, 1);
    let opponents = [(0, 1), (0, 2), (1, 2)].map(|(a, b)| channel(a) - channel(b));
    let [a, b, c] = &opponents;
    tv_isotropic(&Tensor::cat(&[x, a, b, c], 2))
}

/// Mean squared value, `[T]`.
pub fn l2(x: &Tensor) -> Tensor {
    mean_lanes(&x.square())
}

/// Horizontal and vertical differences of neighbours. Sides are at least 2 pixels: there is nothing
/// to average else.
fn differences(x: &Tensor) -> (Tensor, Tensor) {
    let (h, w) = (x.size()[3], x.size()[4]);
    let dx = x.narrow(4, 1, w - 1) - x.narrow(4, 0, w - 1);
    let dy = x.narrow(3, 1, h - 1) - x.narrow(3, 0, h - 1);
    (dx, dy)
}

fn mean_lanes(t: &Tensor) -> Tensor {
    t.flatten(1, -1).mean_dim(1, false, None::<Kind>)
}
