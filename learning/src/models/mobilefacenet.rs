//! MobileFaceNet: a face embedding of a million parameters, with a linear, ArcFace or CosFace
//! classifier.
//!
//! Names follow the common PyTorch port (`conv1`, `dw_conv1`, `blocks.N.conv.0..7`, `conv2`,
//! `linear7`, `linear1`); the classifier is `head`.

use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};
use tch::Tensor;

use super::{Architecture, Model, Norm, Shape, image_shape};
use crate::loss::Margin;
use crate::tape::{Conv, Tape};

/// Registry entry.
pub static ENTRY: Entry<dyn Architecture> = Entry {
    name: "mobilefacenet",
    summary: "MobileFaceNet (`embedding = 512`, `head = \"linear\"`, `\"arcface\"` or \
        `\"cosface\"` with `scale`, `margin`; `norm = \"group\"`)",
    reference: "Chen, Liu, Gao, Han: MobileFaceNets: Efficient CNNs for Accurate Real-Time Face \
        Verification on Mobile Devices, CCBR 2018",
    build: |map| {
        let params: MobileFaceNetParams = suites::params("mobilefacenet", map)?;
        params.check()?;
        Ok(Box::new(params.settled()))
    },
};

/// Expansion, output channels, repeats and stride of the first repeat: table 1 of the paper.
const BOTTLENECKS: [(i64, i64, usize, i64); 5] =
    [(2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1)];
/// The last feature map is an image's side divided by this.
const SHRINKAGE: i64 = 16;

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Head {
    #[default]
    Linear,
    ArcFace,
    CosFace,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct MobileFaceNetParams {
    /// Dimensions of the embedding; the paper has 128.
    embedding: i64,
    /// `"batch"`, or `"group"` for training on single examples' gradients.
    norm: Norm,
    /// What classifies the embedding.
    head: Head,
    /// Factor of the cosines in the logits; a linear head has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    scale: Option<f64>,
    /// The margin, in radians (ArcFace) or as a cosine (CosFace); a linear head has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    margin: Option<f64>,
}

impl Default for MobileFaceNetParams {
    fn default() -> Self {
        MobileFaceNetParams {
            embedding: 512,
            norm: Norm::Batch,
            head: Head::Linear,
            scale: None,
            margin: None,
        }
    }
}

impl MobileFaceNetParams {
    fn scale(&self) -> f64 {
        self.scale.unwrap_or(64.0)
    }

    fn margin(&self) -> Option<Margin> {
        let scale = self.scale();
        match self.head {
            Head::Linear => None,
            Head::ArcFace => Some(Margin::Angle { scale, margin: self.margin.unwrap_or(0.5) }),
            Head::CosFace => Some(Margin::Cosine { scale, margin: self.margin.unwrap_or(0.35) }),
        }
    }

    /// With the scale and the margin that a head without them takes.
    fn settled(self) -> MobileFaceNetParams {
        match self.margin() {
            None => self,
            Some(Margin::Angle { scale, margin } | Margin::Cosine { scale, margin }) => {
                MobileFaceNetParams { scale: Some(scale), margin: Some(margin), ..self }
            }
        }
    }

    fn check(&self) -> Result<(), SpecError> {
        let refuse =
            |path: &str, problem: &str, remedy: &str| Err(SpecError::value(path, problem, remedy));
        if self.embedding < 1 {
            return refuse(
                "model.embedding",
                "is below 1",
                "write a positive number of dimensions, e.g. 512",
            );
        }
        if self.head == Head::Linear && (self.scale.is_some() || self.margin.is_some()) {
            return refuse(
                "model.head",
                "is linear, which has neither scale nor margin",
                "write `head = \"arcface\"` or `head = \"cosface\"`, or leave them out",
            );
        }
        if !(self.scale() > 0.0 && self.scale().is_finite()) {
            return refuse("model.scale", "is not a positive number", "write e.g. 64");
        }
        match self.margin() {
            Some(Margin::Angle { margin, .. })
                if !(0.0..std::f64::consts::PI).contains(&margin) =>
            {
                refuse("model.margin", "is not an angle in [0, pi)", "write radians, e.g. 0.5")
            }
            Some(Margin::Cosine { margin, .. }) if !(0.0..2.0).contains(&margin) => refuse(
                "model.margin",
                "is not a difference of cosines in [0, 2)",
                "write e.g. 0.35",
            ),
            _ => Ok(()),
        }
    }
}

impl Architecture for MobileFaceNetParams {
    fn build(&self, shape: &Shape) -> Result<Box<dyn Model>, SpecError> {
        let input = image_shape("mobilefacenet", shape, SHRINKAGE, SHRINKAGE)?;
        if input[1] != input[2] {
            return Err(SpecError::value(
                "model.name",
                format!(
                    "`mobilefacenet` needs square images, but the task gives {:?}",
                    shape.input
                ),
                "set `task.size`, or choose another model",
            ));
        }
        Ok(Box::new(MobileFaceNet { input, classes: shape.classes, params: self.clone() }))
    }
}

struct MobileFaceNet {
    input: [i64; 3],
    classes: i64,
    params: MobileFaceNetParams,
}

fn pointwise(input: i64, output: i64) -> Conv {
    Conv { input, output, kernel: 1, stride: 1, padding: 0, bias: false, groups: 1 }
}

fn depthwise(channels: i64, kernel: i64, stride: i64, padding: i64) -> Conv {
    Conv {
        input: channels,
        output: channels,
        kernel,
        stride,
        padding,
        bias: false,
        groups: channels,
    }
}

impl MobileFaceNet {
    /// Convolution and normalisation.
    fn linear(&self, tape: &mut Tape, [conv, norm]: [&str; 2], x: &Tensor, shape: Conv) -> Tensor {
        let z = tape.conv(conv, x, shape);
        self.params.norm.layer(tape, norm, &z)
    }

    /// Convolution, normalisation and PReLU, named as a module of three.
    fn block(&self, tape: &mut Tape, name: &str, x: &Tensor, shape: Conv) -> Tensor {
        let z = self.linear(tape, [&format!("{name}.conv"), &format!("{name}.bn")], x, shape);
        tape.prelu(&format!("{name}.prelu"), &z)
    }

    /// Expansion to `wide` channels, depthwise convolution, linear projection; with a short cut
    /// where the shape stays.
    fn bottleneck(
        &self,
        tape: &mut Tape,
        name: &str,
        x: &Tensor,
        wide: i64,
        output: i64,
        stride: i64,
    ) -> Tensor {
        let input = x.size()[2];
        let part = |i: usize| format!("{name}.conv.{i}");
        let z = self.linear(tape, [&part(0), &part(1)], x, pointwise(input, wide));
        let z = tape.prelu(&part(2), &z);
        let z = self.linear(tape, [&part(3), &part(4)], &z, depthwise(wide, 3, stride, 1));
        let z = tape.prelu(&part(5), &z);
        let z = self.linear(tape, [&part(6), &part(7)], &z, pointwise(wide, output));
        if stride == 1 && input == output { z + x } else { z }
    }
}

impl Model for MobileFaceNet {
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
            output: 64,
            kernel: 3,
            stride: 2,
            padding: 1,
            bias: false,
            groups: 1,
        };
        let x = self.block(tape, "conv1", x, stem);
        let mut x = self.block(tape, "dw_conv1", &x, depthwise(64, 3, 1, 1));
        let mut block = 0;
        for (expansion, output, repeats, stride) in BOTTLENECKS {
            for i in 0..repeats {
                let (wide, stride) = (expansion * x.size()[2], if i == 0 { stride } else { 1 });
                x = self.bottleneck(tape, &format!("blocks.{block}"), &x, wide, output, stride);
                block += 1;
            }
        }
        let x = self.block(tape, "conv2", &x, pointwise(128, 512));
        let global = depthwise(512, self.input[1] / SHRINKAGE, 1, 0);
        let x = self.linear(tape, ["linear7.conv", "linear7.bn"], &x, global);
        let embedding = pointwise(512, self.params.embedding);
        let x = self.linear(tape, ["linear1.conv", "linear1.bn"], &x, embedding).flatten(2, -1);
        match self.params.head {
            Head::Linear => tape.linear("head", &x, self.classes),
            _ => tape.cosine("head", &x, self.classes, self.params.scale()),
        }
    }

    fn margin(&self) -> Option<Margin> {
        self.params.margin()
    }
}
