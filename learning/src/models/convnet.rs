//! The ConvNet of Geiping et al. 2020: eight 3x3 convolutions with BatchNorm and ReLU, two max
//! pools, one linear layer.

use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};
use tch::Tensor;

use super::{Architecture, Model, Norm, Shape, image_shape};
use crate::tape::{Conv, Tape};

/// Registry entry.
pub static ENTRY: Entry<dyn Architecture> = Entry {
    name: "convnet64",
    summary: "Geiping's ConvNet: eight 3x3 convolutions of 64 to 256 channels with BatchNorm (or \
        `norm = \"group\"`), two max pools",
    reference: "Geiping, Bauermeister, Dröge, Moeller: Inverting Gradients, NeurIPS 2020",
    build: |map| {
        let params: ConvnetParams = suites::params("convnet64", map)?;
        if params.width < 1 {
            return Err(SpecError::value(
                "model.width",
                "is below 1",
                "write a positive number of channels, e.g. 64",
            ));
        }
        Ok(Box::new(params))
    },
};

#[derive(Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct ConvnetParams {
    /// Channels of the first convolution.
    width: i64,
    /// `"batch"`, or `"group"` for training on single examples' gradients.
    norm: Norm,
}

impl Default for ConvnetParams {
    fn default() -> Self {
        ConvnetParams { width: 64, norm: Norm::Batch }
    }
}

struct Convnet {
    input: [i64; 3],
    classes: i64,
    width: i64,
    norm: Norm,
}

impl Architecture for ConvnetParams {
    fn build(&self, shape: &Shape) -> Result<Box<dyn Model>, SpecError> {
        let input = image_shape("convnet64", shape, 1, 9)?;
        Ok(Box::new(Convnet { input, classes: shape.classes, width: self.width, norm: self.norm }))
    }
}

/// Output channels of the convolutions, in units of the width.
const CHANNELS: [i64; 8] = [1, 2, 2, 4, 4, 4, 4, 4];

impl Model for Convnet {
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
        let mut x = x.shallow_clone();
        let mut input = self.input[0];
        for (i, channels) in CHANNELS.iter().enumerate() {
            let output = channels * self.width;
            let conv =
                Conv { input, output, kernel: 3, stride: 1, padding: 1, bias: true, groups: 1 };
            let z = tape.conv(&format!("model.conv{i}"), &x, conv);
            let z = self.norm.layer(tape, &format!("model.bn{i}"), &z);
            x = tape.relu(&z);
            if i == 5 || i == 7 {
                x = tape.max_pool(&x, 3, 3, 0);
            }
            input = output;
        }
        tape.linear("model.linear", &x.flatten(2, -1), self.classes)
    }
}
