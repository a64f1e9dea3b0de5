//! Where an optimisation starts.

use learning::noise;
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Starting point in normalised pixel space.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Standard normal.
    #[default]
    Normal,
    /// Uniform on `[-1, 1)`.
    Uniform,
    /// All zero: the data set's mean colour.
    Grey,
    /// Noise with the 1/f amplitude spectrum of natural images (Field 1987), mean square 1 (tables:
    /// standard normal).
    Fft,
    /// A standard normal tile of 4x4 pixels, repeated (tables: standard normal).
    Patterned,
}

/// Side of a pattern's tile.
const TILE: i64 = 4;

/// Draws one start of that shape (`[B, C, H, W]` or `[B, F]`; f32, CPU).
pub fn draw(start: Start, shape: &[i64], rng: &mut ChaCha12Rng) -> Tensor {
    match start {
        Start::Normal => noise::normal(rng, shape),
        Start::Uniform => noise::uniform(rng, shape, -1.0, 1.0),
        Start::Grey => Tensor::zeros(shape, (Kind::Float, tch::Device::Cpu)),
        Start::Fft if shape.len() == 4 => pink(&noise::normal(rng, shape)),
        Start::Patterned if shape.len() == 4 => patterned(shape, rng),
        Start::Fft | Start::Patterned => noise::normal(rng, shape),
    }
}

/// One tile an image, repeated from its upper left corner.
fn patterned(shape: &[i64], rng: &mut ChaCha12Rng) -> Tensor {
    let tile = noise::normal(rng, &[shape[0], shape[1], TILE, TILE]);
    let times = |side: i64| (side + TILE - 1) / TILE;
    let whole = tile.repeat([1, 1, times(shape[2]), times(shape[3])]);
    whole.narrow(2, 0, shape[2]).narrow(3, 0, shape[3]).contiguous()
}

/// Divides white noise's spectrum by the frequency's magnitude (the mean's by the lowest) and
/// scales each image to mean square 1.
fn pink(white: &Tensor) -> Tensor {
    let size = white.size();
    let (h, w) = (size[2], size[3]);
    let options = (Kind::Float, tch::Device::Cpu);
    let fy = Tensor::fft_fftfreq(h, 1.0, options).unsqueeze(1);
    let fx = Tensor::fft_rfftfreq(w, 1.0, options).unsqueeze(0);
    let magnitude = (fy.square() + fx.square()).sqrt().clamp_min(1.0 / h.max(w) as f64);
    let spectrum = white.fft_rfft2(None::<&[i64]>, [-2, -1], "backward") / magnitude;
    let image = spectrum.fft_irfft2(&[h, w][..], [-2, -1], "backward");
    let spread = image.square().mean_dim(&[1i64, 2, 3][..], true, None).sqrt().clamp_min(1e-12);
    image / spread
}
