//! EfficientNet-B2 with torchvision's names, for images of any size and number of channels.

use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};
use tch::Tensor;

use super::{Architecture, Model, Norm, Shape, check_rate, image_shape, redraw};
use crate::params::{InitRule, Params};
use crate::tape::{Conv, Tape, global_avg_pool};

/// Registry entry.
pub static ENTRY: Entry<dyn Architecture> = Entry {
    name: "efficientnet-b2",
    summary: "EfficientNet-B2 (`norm = \"group\"`, `dropout = 0.3`, `stochastic_depth = 0.2`; \
        9.11 M parameters at 1000 classes)",
    reference: "Tan, Le: EfficientNet: Rethinking Model Scaling for Convolutional Neural \
        Networks, ICML 2019",
    build: |map| {
        let params: EfficientNetParams = suites::params("efficientnet-b2", map)?;
        check_rate("model.dropout", params.dropout)?;
        check_rate("model.stochastic_depth", params.stochastic_depth)?;
        Ok(Box::new(params))
    },
};

/// Expansion, kernel, stride of the first block, output channels and blocks of each stage: B0's by
/// 1.1 in width and 1.2 in depth, channels rounded to multiples of 8.
const STAGES: [(i64, i64, i64, i64, usize); 7] = [
    (1, 3, 1, 16, 2),
    (6, 3, 2, 24, 3),
    (6, 5, 2, 48, 3),
    (6, 3, 2, 88, 4),
    (6, 5, 1, 120, 4),
    (6, 5, 2, 208, 5),
    (6, 3, 1, 352, 2),
];
const BLOCKS: usize = 23;
const STEM: i64 = 32;
const LAST: i64 = 1408;
/// A block's input channels by this are the channels that its excitation is squeezed to.
const SQUEEZE: i64 = 4;

#[derive(Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct EfficientNetParams {
    /// `"batch"`, or `"group"` for training on single examples' gradients.
    norm: Norm,
    /// Share of the pooled features that training drops.
    dropout: f64,
    /// Probability with which training skips the last block; earlier ones in proportion to their
    /// depth.
    stochastic_depth: f64,
}

impl Default for EfficientNetParams {
    fn default() -> Self {
        EfficientNetParams { norm: Norm::Batch, dropout: 0.3, stochastic_depth: 0.2 }
    }
}

impl Architecture for EfficientNetParams {
    fn build(&self, shape: &Shape) -> Result<Box<dyn Model>, SpecError> {
        let input = image_shape("efficientnet-b2", shape, 1, 8)?;
        Ok(Box::new(EfficientNet { input, classes: shape.classes, params: self.clone() }))
    }
}

struct EfficientNet {
    input: [i64; 3],
    classes: i64,
    params: EfficientNetParams,
}

/// An inverted residual block.
struct Block {
    expansion: i64,
    kernel: i64,
    stride: i64,
    output: i64,
    /// Probability with which training skips it.
    skipped: f64,
}

fn pointwise(input: i64, output: i64, bias: bool) -> Conv {
    Conv { input, output, kernel: 1, stride: 1, padding: 0, bias, groups: 1 }
}

/// A convolution as torchvision draws it: the kernel from N(0, 2 / (out k^2)), no bias or zero.
fn conv(tape: &mut Tape, name: &str, x: &Tensor, conv: Conv) -> Tensor {
    let fan_out = (conv.output * conv.kernel * conv.kernel) as f64;
    let kernel = InitRule::Normal { std: (2.0 / fan_out).sqrt() };
    tape.conv_init(name, x, conv, [kernel, InitRule::Constant(0.0)])
}

/// Squeeze and excitation (Hu et al. 2018): each channel times a factor from all channels' means.
fn excite(tape: &mut Tape, name: &str, x: &Tensor, squeezed: i64) -> Tensor {
    let channels = x.size()[2];
    let means = x.mean_dim(&[3i64, 4][..], true, None);
    let z = conv(tape, &format!("{name}.fc1"), &means, pointwise(channels, squeezed, true)).silu();
    x * conv(tape, &format!("{name}.fc2"), &z, pointwise(squeezed, channels, true)).sigmoid()
}

impl EfficientNet {
    /// Convolution and normalisation, named as a module of two.
    fn linear(&self, tape: &mut Tape, name: &str, x: &Tensor, shape: Conv) -> Tensor {
        let z = conv(tape, &format!("{name}.0"), x, shape);
        self.params.norm.layer(tape, &format!("{name}.1"), &z)
    }

    /// Expansion, depthwise convolution, excitation, projection; with a short cut where the shape
    /// stays.
    fn block(&self, tape: &mut Tape, name: &str, x: &Tensor, block: &Block) -> Tensor {
        let input = x.size()[2];
        let wide = input * block.expansion;
        let first = usize::from(block.expansion > 1);
        let part = |i: usize| format!("{name}.block.{i}");
        let mut z = x.shallow_clone();
        if first == 1 {
            z = self.linear(tape, &part(0), &z, pointwise(input, wide, false)).silu();
        }
        let depthwise = Conv {
            input: wide,
            output: wide,
            kernel: block.kernel,
            stride: block.stride,
            padding: block.kernel / 2,
            bias: false,
            groups: wide,
        };
        z = self.linear(tape, &part(first), &z, depthwise).silu();
        z = excite(tape, &part(first + 1), &z, (input / SQUEEZE).max(1));
        z = self.linear(tape, &part(first + 2), &z, pointwise(wide, block.output, false));
        if block.stride == 1 && input == block.output {
            return tape.stochastic_depth(&z, block.skipped) + x;
        }
        z
    }
}

impl Model for EfficientNet {
    fn input(&self) -> Vec<i64> {
        self.input.to_vec()
    }

    fn classes(&self) -> i64 {
        self.classes
    }

    fn unfrozen(&self) -> Option<String> {
        None
    }

    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Tensor {
        let stem = Conv {
            input: self.input[0],
            output: STEM,
            kernel: 3,
            stride: 2,
            padding: 1,
            bias: false,
            groups: 1,
        };
        let mut x = self.linear(tape, "features.0", x, stem).silu();
        let mut depth = 0;
        for (stage, (expansion, kernel, stride, output, blocks)) in STAGES.into_iter().enumerate() {
            for i in 0..blocks {
                let skipped = self.params.stochastic_depth * depth as f64 / BLOCKS as f64;
                let stride = if i == 0 { stride } else { 1 };
                let block = Block { expansion, kernel, stride, output, skipped };
                x = self.block(tape, &format!("features.{}.{i}", stage + 1), &x, &block);
                depth += 1;
            }
        }
        let last = pointwise(x.size()[2], LAST, false);
        let x = self.linear(tape, "features.8", &x, last).silu();
        let x = tape.dropout(&global_avg_pool(&x), self.params.dropout);
        let weight = InitRule::Uniform { bound: 1.0 / (self.classes as f64).sqrt() };
        tape.linear_init("classifier.1", &x, self.classes, [weight, InitRule::Constant(0.0)])
    }

    fn refresh(&self, params: Params, rngs: &mut [ChaCha12Rng]) -> Params {
        if self.params.dropout > 0.0 || self.params.stochastic_depth > 0.0 {
            redraw(params, rngs)
        } else {
            params
        }
    }
}
