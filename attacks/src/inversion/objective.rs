//! What the attacker minimises: how little the model takes the images for their classes, and how
//! little they look like pictures.

use learning::loss::task_loss;
use learning::tape::Tape;
use learning::{Mode, Network, Params};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::params::ModelInversion;
use crate::matching::config::Tv;
use crate::matching::prior;
use crate::optim;

/// How far the model is from answering with the class.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// `-log p_c`: pulls hard as long as the model is unsure.
    #[default]
    CrossEntropy,
    /// `1 - p_c`, Fredrikson et al.'s cost: flat where the model is sure of another class.
    Confidence,
}

impl Loss {
    /// The loss of logits `[T, B, K]`, a mean over the batch: `[T]`. Labels are i64 `[T, B]`, or
    /// f32 `[T, B, K]` of zeros and ones for tasks with several labels an image, where `p` is each
    /// label's own probability.
    pub fn value(self, logits: &Tensor, labels: &Tensor) -> Tensor {
        match (self, labels.kind()) {
            (Loss::CrossEntropy, _) => task_loss(logits, labels),
            (Loss::Confidence, Kind::Int64) => {
                let p = logits.softmax(-1, None::<Kind>).gather(2, &labels.unsqueeze(2), false);
                mean(&(p.neg() + 1.0))
            }
            (Loss::Confidence, _) => {
                mean(&(logits.sigmoid() - labels.to_kind(logits.kind())).abs())
            }
        }
    }
}

/// What the norm of an image is measured from.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum L2 {
    /// The data's mean colour, which the normalisation names: 0 in normalised pixels.
    Mean,
    /// Black: for drawings on a dark ground.
    #[default]
    Black,
}

/// The objective of `T` lanes of `B` images; variables are `[T, B * pixels]` in normalised pixel
/// space.
pub(super) struct Problem<'a> {
    pub setting: &'a ModelInversion,
    pub net: &'a Network,
    /// On the device, f32, `[1, ...]`.
    pub weights: &'a Params,
    /// i64 `[T, B]` or f32 `[T, B, K]`, on the device.
    pub labels: Tensor,
    /// `[B, ...]`.
    pub shape: Vec<i64>,
    /// Black and white as values of every variable, `[1, V]`.
    pub bounds: (Tensor, Tensor),
}

impl Problem<'_> {
    /// Variables as images `[T, B, ...]`.
    pub fn images(&self, x: &Tensor) -> Tensor {
        x.reshape([&[x.size()[0]], &self.shape[..]].concat())
    }

    /// Whether there is anything to smooth: pictures of at least two pixels a side.
    pub fn has_neighbours(&self) -> bool {
        self.shape.len() == 4 && self.shape[2] > 1 && self.shape[3] > 1
    }

    /// `x` put back into its box, where pixels are kept there.
    pub fn project(&self, x: Tensor) -> Tensor {
        let (black, white) = &self.bounds;
        if self.setting.boxed { x.maximum(black).minimum(white) } else { x }
    }

    fn value(&self, x: &Tensor) -> Tensor {
        let setting = self.setting;
        let images = self.images(x);
        let statistics = setting.bn_weight > 0.0;
        // The running statistics are part of the model: it is asked as it is used, in eval mode.
        let mut tape = if statistics {
            Tape::per_example(self.weights, Mode::Eval)
        } else {
            Tape::new(self.weights, Mode::Eval)
        };
        let logits = self.net.forward_normalised(&mut tape, &images);
        let mut value = setting.loss.value(&logits, &self.labels);
        if setting.tv_weight > 0.0 && self.has_neighbours() {
            let tv = match setting.tv {
                Tv::Anisotropic => prior::tv_anisotropic(&images),
                Tv::Isotropic => prior::tv_isotropic(&images),
                Tv::Squared => prior::tv_squared(&images),
                Tv::DoubleOpponent => prior::tv_double_opponent(&images),
            };
            value += tv * setting.tv_weight;
        }
        if setting.l2_weight > 0.0 {
            let from = match setting.l2 {
                L2::Mean => prior::l2(&images),
                L2::Black => prior::l2(&(x - &self.bounds.0)),
            };
            value += from * setting.l2_weight;
        }
        if let Some(distance) = statistics.then(|| running_statistics(&tape)).flatten() {
            value += distance * setting.bn_weight;
        }
        value
    }
}

impl optim::Objective for Problem<'_> {
    fn evaluate(&mut self, x: &Tensor) -> (Tensor, Tensor) {
        let x = x.detach().set_requires_grad(true);
        let value = self.value(&x);
        let gradient =
            Tensor::run_backward(&[value.sum(value.kind())], &[&x], false, false).remove(0);
        (value.detach(), gradient)
    }
}

/// How far the images' activations are from BatchNorm's running statistics, `[T]`: the sum over
/// layers of the mean over channels of `m^2 + (v - 1)^2`, where `m` and `v` are mean and variance
/// over a lane's images after the layer's own normalisation (Yin et al. take the distance before
/// it, where a layer counts the more the larger its activations are). `None` without BatchNorm.
pub(super) fn running_statistics(tape: &Tape) -> Option<Tensor> {
    let layers =
        tape.taps.iter().filter_map(|tap| tap.fixed.as_ref().map(|fixed| (&tap.input, fixed)));
    let distances = layers.map(|(input, [scale, shift])| {
        let over = &[1i64, 3, 4][..];
        let mean = input.mean_dim(over, true, None);
        let var = (input - &mean).square().mean_dim(over, false, None);
        let m = mean.flatten(1, -1) * scale + shift;
        let v = var * scale.square() - 1.0;
        (m.square() + v.square()).mean_dim(1, false, None)
    });
    distances.reduce(|a, b| a + b)
}

/// Mean over everything but the lanes: `[T, ...]` to `[T]`.
fn mean(t: &Tensor) -> Tensor {
    t.flatten(1, -1).mean_dim(1, false, None)
}
