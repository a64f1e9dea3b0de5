//! A digit network after Keras' MNIST convnet: three convolutions, two max pools, dropout, two
//! linear layers.

use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};
use tch::Tensor;

use super::{Architecture, Model, Shape, check_rate, image_shape, redraw};
use crate::params::Params;
use crate::tape::{Conv, Tape};

/// Registry entry.
pub static ENTRY: Entry<dyn Architecture> = Entry {
    name: "mnist-cnn",
    summary: "conv 32-64-128 (3x3, ReLU) with two max pools, `dropout = 0.5`, FC 128-K (241,546 \
        parameters on MNIST); `padding = 1` for small images",
    reference: "Chollet: Deep Learning with Python, Manning 2021 (chapter 8: the MNIST convnet)",
    build: |map| {
        let params: MnistCnnParams = suites::params("mnist-cnn", map)?;
        if !(0..=1).contains(&params.padding) {
            return Err(SpecError::value(
                "model.padding",
                format!("is {}", params.padding),
                "write 0 (as Keras' default), or 1 to keep the sides",
            ));
        }
        check_rate("model.dropout", params.dropout)?;
        Ok(Box::new(params))
    },
};

#[derive(Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct MnistCnnParams {
    /// Zeros around each convolution's input: 0 or 1.
    padding: i64,
    /// Share of the flattened features that training drops.
    dropout: f64,
}

impl Default for MnistCnnParams {
    fn default() -> Self {
        MnistCnnParams { padding: 0, dropout: 0.5 }
    }
}

struct MnistCnn {
    input: [i64; 3],
    classes: i64,
    params: MnistCnnParams,
}

impl Architecture for MnistCnnParams {
    fn build(&self, shape: &Shape) -> Result<Box<dyn Model>, SpecError> {
        // Without padding a side loses 2, halves, loses 2, halves, loses 2.
        let input = match (self.padding, &shape.input[..]) {
            (0, &[_, h, w]) if (4..18).contains(&h.min(w)) => {
                return Err(SpecError::value(
                    "model.padding",
                    format!(
                        "is 0, which needs images of at least 18x18, but the task gives {:?}",
                        shape.input
                    ),
                    "write `padding = 1`, or set `task.size`",
                ));
            }
            _ => image_shape("mnist-cnn", shape, 1, 4)?,
        };
        Ok(Box::new(MnistCnn { input, classes: shape.classes, params: self.clone() }))
    }
}

impl Model for MnistCnn {
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
        let padding = self.params.padding;
        let conv = |input, output| Conv {
            input,
            output,
            kernel: 3,
            stride: 1,
            padding,
            bias: true,
            groups: 1,
        };
        // ReLU behind the pool is the same, with a quarter of the work.
        let mut block = |name: &str, x: &Tensor, conv: Conv| {
            let z = tape.conv(name, x, conv);
            tape.relu(&tape.max_pool(&z, 2, 2, 0))
        };
        let x = block("conv1", x, conv(self.input[0], 32));
        let x = block("conv2", &x, conv(32, 64));
        let x = tape.conv("conv3", &x, conv(64, 128));
        let x = tape.relu(&x);
        let x = tape.dropout(&x.flatten(2, -1), self.params.dropout);
        let x = tape.linear("fc1", &x, 128);
        let x = tape.relu(&x);
        tape.linear("fc2", &x, self.classes)
    }

    fn refresh(&self, params: Params, rngs: &mut [ChaCha12Rng]) -> Params {
        if self.params.dropout > 0.0 { redraw(params, rngs) } else { params }
    }
}
