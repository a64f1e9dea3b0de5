//! Fresh parameters.

use std::sync::Arc;

use rand_chacha::ChaCha12Rng;
use suites::Init;
use tch::{Kind, Tensor};

use crate::noise;
use crate::params::{InitRule, Layout, ParamSpec, Params};

/// Draws fresh parameters (one lane, f32, CPU): PyTorch's defaults, or DLG's uniform on `[-0.5,
/// 0.5)` for every trainable one.
pub fn fresh(layout: &Arc<Layout>, init: Init, rng: &mut ChaCha12Rng) -> Params {
    let tensors = layout.specs().iter().map(|spec| draw(spec, init, rng).unsqueeze(0)).collect();
    Params::new(layout.clone(), tensors).expect("drawn by the layout's own shapes")
}

fn draw(spec: &ParamSpec, init: Init, rng: &mut ChaCha12Rng) -> Tensor {
    if init == Init::DlgUniform && spec.trainable {
        return noise::uniform(rng, &spec.shape, -0.5, 0.5);
    }
    match &spec.init {
        InitRule::Uniform { bound } => {
            noise::uniform(rng, &spec.shape, -bound as f32, *bound as f32)
        }
        InitRule::Normal { std } => noise::normal(rng, &spec.shape) * *std,
        InitRule::Stored(values) => values.tensor(&spec.shape),
        InitRule::Constant(value) => {
            Tensor::full(&spec.shape, *value, (Kind::Float, tch::Device::Cpu))
        }
    }
}
