//! The sigmoid LeNet of Zhu et al. 2019 (DLG): smooth everywhere, so gradients can be matched to
//! second order.

use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};
use tch::Tensor;

use super::{Architecture, Model, Shape, image_shape};
use crate::tape::{Conv, Tape};

/// Registry entry.
pub static ENTRY: Entry<dyn Architecture> = Entry {
    name: "lenet-zhu",
    summary: "sigmoid LeNet of DLG: three 5x5 convolutions of 12 channels and one linear layer",
    reference: "Zhu, Liu, Han: Deep Leakage from Gradients, NeurIPS 2019",
    build: |map| Ok(Box::new(suites::params::<LenetParams>("lenet-zhu", map)?)),
};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LenetParams {}

struct Lenet {
    input: [i64; 3],
    classes: i64,
}

impl Architecture for LenetParams {
    fn build(&self, shape: &Shape) -> Result<Box<dyn Model>, SpecError> {
        Ok(Box::new(Lenet {
            input: image_shape("lenet-zhu", shape, 1, 4)?,
            classes: shape.classes,
        }))
    }
}

impl Model for Lenet {
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
        let conv = |input, stride| Conv {
            input,
            output: 12,
            kernel: 5,
            stride,
            padding: 2,
            bias: true,
            groups: 1,
        };
        let x = tape.conv("body.0", x, conv(self.input[0], 2)).sigmoid();
        let x = tape.conv("body.2", &x, conv(12, 2)).sigmoid();
        let x = tape.conv("body.4", &x, conv(12, 1)).sigmoid();
        tape.linear("fc.0", &x.flatten(2, -1), self.classes)
    }
}
