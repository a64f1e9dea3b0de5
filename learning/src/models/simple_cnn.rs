//! The face-attribute network of the fl-attack sandbox: three convolutions with average pools, two
//! linear layers.

use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};
use tch::Tensor;

use super::{Architecture, Model, Shape, image_shape};
use crate::tape::{Conv, Tape, avg_pool};

/// Registry entry.
pub static ENTRY: Entry<dyn Architecture> = Entry {
    name: "simple-cnn",
    summary: "conv 3-64-128-256 with ReLU and average pools, FC 16384-512-K at 64x64 (8.76 M \
        parameters)",
    reference: "fl-attack sandbox (gradient inversion on CelebA with DP and HE), fl_system.py",
    build: |map| Ok(Box::new(suites::params::<SimpleCnnParams>("simple-cnn", map)?)),
};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SimpleCnnParams {}

struct SimpleCnn {
    input: [i64; 3],
    classes: i64,
}

impl Architecture for SimpleCnnParams {
    fn build(&self, shape: &Shape) -> Result<Box<dyn Model>, SpecError> {
        Ok(Box::new(SimpleCnn {
            input: image_shape("simple-cnn", shape, 8, 8)?,
            classes: shape.classes,
        }))
    }
}

impl Model for SimpleCnn {
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
        let conv = |input, output| Conv {
            input,
            output,
            kernel: 3,
            stride: 1,
            padding: 1,
            bias: true,
            groups: 1,
        };
        let mut block = |name: &str, x: &Tensor, conv: Conv| {
            let z = tape.conv(name, x, conv);
            avg_pool(&tape.relu(&z), 2)
        };
        let x = block("conv1", x, conv(self.input[0], 64));
        let x = block("conv2", &x, conv(64, 128));
        let x = block("conv3", &x, conv(128, 256));
        let x = tape.linear("fc1", &x.flatten(2, -1), 512);
        let x = tape.relu(&x);
        tape.linear("fc2", &x, self.classes)
    }
}
