//! Image priors added to the matching objective, each one value a trial.

use tch::{Kind, Tensor};

/// Anisotropic total variation of `[T, B, C, H, W]`: mean |horizontal| plus mean |vertical|
/// difference, `[T]` (Rudin et al. 1992; the scaling of Geiping et al. 2020).
pub fn tv_anisotropic(x: &Tensor) -> Tensor {
    let (dx, dy) = differences(x);
    mean_trials(&dx.abs()) + mean_trials(&dy.abs())
}

/// Isotropic total variation: mean of `sqrt(dx^2 + dy^2)`, smoothed at zero, `[T]`.
pub fn tv_isotropic(x: &Tensor) -> Tensor {
    let (dx, dy) = differences(x);
    let (h, w) = (x.size()[3] - 1, x.size()[4] - 1);
    let squared = dx.narrow(3, 0, h).square() + dy.narrow(4, 0, w).square();
    mean_trials(&(squared + 1e-12).sqrt())
}

/// Mean squared value, `[T]`.
pub fn l2(x: &Tensor) -> Tensor {
    mean_trials(&x.square())
}

/// Horizontal and vertical differences of neighbours. Sides are at least 2 pixels: there is nothing
/// to average else.
fn differences(x: &Tensor) -> (Tensor, Tensor) {
    let (h, w) = (x.size()[3], x.size()[4]);
    let dx = x.narrow(4, 1, w - 1) - x.narrow(4, 0, w - 1);
    let dy = x.narrow(3, 1, h - 1) - x.narrow(3, 0, h - 1);
    (dx, dy)
}

fn mean_trials(t: &Tensor) -> Tensor {
    t.flatten(1, -1).mean_dim(1, false, None::<Kind>)
}
