//! ResNet-18 with torchvision's names, ImageNet or CIFAR stem.

use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};
use tch::Tensor;

use super::{Architecture, Model, Norm, Shape, image_shape};
use crate::params::InitRule;
use crate::tape::{Conv, Tape, global_avg_pool};

/// Registry entry.
pub static ENTRY: Entry<dyn Architecture> = Entry {
    name: "resnet18",
    summary: "ResNet-18 (`stem = \"imagenet\"`: 7x7 stride 2 and max pool, or `\"cifar\"`: 3x3 \
        stride 1; `norm = \"group\"`)",
    reference: "He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016",
    build: |map| Ok(Box::new(suites::params::<ResnetParams>("resnet18", map)?)),
};

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Stem {
    #[default]
    Imagenet,
    Cifar,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct ResnetParams {
    stem: Stem,
    /// `"batch"`, or `"group"` for training on single examples' gradients.
    norm: Norm,
}

struct Resnet {
    input: [i64; 3],
    classes: i64,
    stem: Stem,
    norm: Norm,
}

impl Architecture for ResnetParams {
    fn build(&self, shape: &Shape) -> Result<Box<dyn Model>, SpecError> {
        let least = if self.stem == Stem::Imagenet { 32 } else { 8 };
        let input = image_shape("resnet18", shape, 1, least)?;
        Ok(Box::new(Resnet { input, classes: shape.classes, stem: self.stem, norm: self.norm }))
    }
}

/// torchvision draws ResNet kernels from N(0, 2 / fan_out).
fn conv(tape: &mut Tape, name: &str, x: &Tensor, conv: Conv) -> Tensor {
    let fan_out = (conv.output * conv.kernel * conv.kernel) as f64;
    tape.conv_init(
        name,
        x,
        conv,
        [InitRule::Normal { std: (2.0 / fan_out).sqrt() }, InitRule::Constant(0.0)],
    )
}

fn basic_block(
    tape: &mut Tape,
    norm: Norm,
    name: &str,
    x: &Tensor,
    output: i64,
    stride: i64,
) -> Tensor {
    let input = x.size()[2];
    let three = |input, stride| Conv {
        input,
        output,
        kernel: 3,
        stride,
        padding: 1,
        bias: false,
        groups: 1,
    };
    let y = conv(tape, &format!("{name}.conv1"), x, three(input, stride));
    let y = norm.layer(tape, &format!("{name}.bn1"), &y);
    let y = tape.relu(&y);
    let y = conv(tape, &format!("{name}.conv2"), &y, three(output, 1));
    let y = norm.layer(tape, &format!("{name}.bn2"), &y);
    if stride == 1 && input == output {
        return tape.relu(&(y + x));
    }
    let one = Conv { input, output, kernel: 1, stride, padding: 0, bias: false, groups: 1 };
    let short = conv(tape, &format!("{name}.downsample.0"), x, one);
    let short = norm.layer(tape, &format!("{name}.downsample.1"), &short);
    tape.relu(&(y + short))
}

impl Model for Resnet {
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
        let (kernel, stride) = if self.stem == Stem::Imagenet { (7, 2) } else { (3, 1) };
        let stem = Conv {
            input: self.input[0],
            output: 64,
            kernel,
            stride,
            padding: kernel / 2,
            bias: false,
            groups: 1,
        };
        let x = conv(tape, "conv1", x, stem);
        let x = self.norm.layer(tape, "bn1", &x);
        let mut x = tape.relu(&x);
        if self.stem == Stem::Imagenet {
            x = tape.max_pool(&x, 3, 2, 1);
        }
        for (stage, channels) in [64, 128, 256, 512].into_iter().enumerate() {
            let stride = if stage == 0 { 1 } else { 2 };
            x = basic_block(
                tape,
                self.norm,
                &format!("layer{}.0", stage + 1),
                &x,
                channels,
                stride,
            );
            x = basic_block(tape, self.norm, &format!("layer{}.1", stage + 1), &x, channels, 1);
        }
        tape.linear("fc", &global_avg_pool(&x), self.classes)
    }
}
