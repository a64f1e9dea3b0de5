//! Tensors drawn from ChaCha streams, so that the same seed gives the same bits on any machine and
//! device, and whole numbers drawn exactly, for differential privacy.

pub mod discrete;
mod exp;

use rand::Rng;
use rand_chacha::ChaCha12Rng;
use rand_distr::{Distribution, StandardNormal};
use tch::Tensor;

/// The largest power of two that is at most `x`, a finite number above 0: the step of a grid.
pub fn power_of_two(x: f64) -> f64 {
    libm::ldexp(1.0, libm::ilogb(x))
}

/// Standard normal values of that shape (f32, CPU).
pub fn normal(rng: &mut ChaCha12Rng, shape: &[i64]) -> Tensor {
    draw(shape, || StandardNormal.sample(rng))
}

/// Uniform values on `[low, high)` (f32, CPU).
pub fn uniform(rng: &mut ChaCha12Rng, shape: &[i64], low: f32, high: f32) -> Tensor {
    draw(shape, || low + (high - low) * rng.random::<f32>())
}

fn draw(shape: &[i64], mut value: impl FnMut() -> f32) -> Tensor {
    let n = shape.iter().product::<i64>() as usize;
    let values: Vec<f32> = (0..n).map(|_| value()).collect();
    Tensor::from_slice(&values).reshape(shape)
}
