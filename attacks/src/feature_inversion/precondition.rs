//! A change of variables for images: natural spectra fall like 1/f, so low frequencies get the
//! larger steps.

use tch::{Device, Kind, Tensor};

/// The filters `(1 + r/4)^-power`, with `r` the radial frequency in cycles per image.
pub struct Precondition {
    /// `1 + r/4` on the half plane of a real transform, `[H, W/2 + 1]`.
    ramp: Tensor,
    size: [i64; 2],
}

impl Precondition {
    /// For images `[..., H, W]`.
    pub fn new(height: i64, width: i64, kind: Kind, device: Device) -> Precondition {
        let options = (kind, device);
        let fy = Tensor::fft_fftfreq(height, 1.0 / height as f64, options).unsqueeze(1);
        let fx = Tensor::fft_rfftfreq(width, 1.0 / width as f64, options).unsqueeze(0);
        Precondition { ramp: (fy.square() + fx.square()).sqrt() / 4.0 + 1.0, size: [height, width] }
    }

    /// `C v`. `C` is symmetric, so it is its own adjoint.
    pub fn apply(&self, v: &Tensor, power: f64) -> Tensor {
        let filter = self.ramp.to_kind(v.kind()).pow_tensor_scalar(-power);
        let spectrum = v.fft_rfft2(None::<&[i64]>, [-2, -1], "backward") * filter;
        spectrum.fft_irfft2(&self.size[..], [-2, -1], "backward")
    }
}
