//! Architectures as pure functions of their parameters. A new one is one file here and one line in
//! [`ENTRIES`].

use rand::Rng;
use rand_chacha::ChaCha12Rng;
use suites::{Entry, Parameters, Registry, SpecError};
use tch::Tensor;

use crate::loss::Margin;
use crate::params::Params;
use crate::tape::Tape;

mod bottleneck;
mod convnet;
mod efficientnet;
pub mod file;
mod layers;
mod lenet;
mod mlp;
mod mnist_cnn;
mod mobilefacenet;
mod norm;
mod resnet;
mod simple_cnn;

pub use bottleneck::{Bottleneck, Bottlenecked, has_bottleneck, head};

/// An architecture for one input shape and class count.
pub trait Model: Send + Sync {
    /// Shape of one example: `[C, H, W]`, or `[F]` for tables.
    fn input(&self) -> Vec<i64>;

    /// Number of outputs `K`.
    fn classes(&self) -> i64;

    /// Logits `[T, B, K]` of normalised inputs `[T, B, ...]`. Parameters are asked of the tape by
    /// name.
    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Tensor;

    /// The margin that training puts on the right class' logit.
    fn margin(&self) -> Option<Margin> {
        None
    }

    /// Places of the parameters in the order of PyTorch's `state_dict()`, where the layout's is
    /// another.
    fn state_dict_order(&self) -> Option<Vec<usize>> {
        None
    }

    /// Other names of parameters that two modules share, each with the parameter's own.
    fn tied(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Whether the input is of whole numbers (places in a vocabulary), not of pixels or values.
    fn reads_tokens(&self) -> bool {
        false
    }

    /// Share by which a BatchNorm layer's running statistics move towards a batch's, by the name of
    /// its `running_mean`; PyTorch's default where the model does not say it.
    fn running_momentum(&self, _running_mean: &str) -> f64 {
        0.1
    }

    /// Whether gradients of single examples are taken with each example in a lane of its own,
    /// since the tape's layers alone do not give them.
    fn examples_by_lane(&self) -> bool {
        false
    }

    /// A piecewise operation whose branches a second pass cannot repeat (see [`Tape::relu`]), by
    /// name: a model with one is not matched by differences of first derivatives. `None` where
    /// there is no such operation: all others are smooth or the tape's own.
    fn unfrozen(&self) -> Option<String> {
        Some("the model's own code, which does not say that a second pass may repeat it".into())
    }

    /// Redraws what is random in every pass, one stream a lane: buffers, or the seeds of dropout;
    /// most models have none. Called before each gradient, which alone sees what was drawn.
    fn refresh(&self, params: Params, _rngs: &mut [ChaCha12Rng]) -> Params {
        params
    }
}

use norm::Norm;

/// What a task dictates to an architecture.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Shape of one example: `[C, H, W]` or `[F]`.
    pub input: Vec<i64>,
    /// Number of outputs.
    pub classes: i64,
}

/// Builds a model for a shape; its [`Parameters`] come with `Serialize`.
pub trait Architecture: Parameters + Send + Sync {
    /// The model for this input and class count.
    ///
    /// # Errors
    /// One line when the architecture cannot take this shape.
    fn build(&self, shape: &Shape) -> Result<Box<dyn Model>, SpecError>;
}

/// The architectures that ship with the project.
pub fn builtin() -> Registry<Entry<dyn Architecture>> {
    Registry::builtin("model", ENTRIES)
}

/// All architectures.
pub static ENTRIES: &[&Entry<dyn Architecture>] = &[
    &lenet::ENTRY,
    &convnet::ENTRY,
    &simple_cnn::ENTRY,
    &mnist_cnn::ENTRY,
    &resnet::ENTRY,
    &efficientnet::ENTRY,
    &mobilefacenet::ENTRY,
    &mlp::ENTRY,
    &mlp::LOGISTIC,
    &file::ENTRY,
    &layers::ENTRY,
];

/// One seed a lane for dropout and stochastic depth; without streams the parameters stay as they
/// are.
pub(crate) fn redraw(params: Params, rngs: &mut [ChaCha12Rng]) -> Params {
    if rngs.is_empty() {
        return params;
    }
    let seeds: Vec<i64> = rngs.iter_mut().map(|rng| rng.random_range(0..i64::MAX)).collect();
    let device = params.tensors.first().map_or(tch::Device::Cpu, Tensor::device);
    params.with_draw(Some(Tensor::from_slice(&seeds).to_device(device)))
}

/// A share of dropped values, in `[0, 1)`.
fn check_rate(path: &str, rate: f64) -> Result<(), SpecError> {
    if (0.0..1.0).contains(&rate) {
        Ok(())
    } else {
        Err(SpecError::value(
            path,
            format!("is {rate}, not in [0, 1)"),
            "write a share below 1, or 0 for none",
        ))
    }
}

/// `[C, H, W]` of an image model, or a line that says what it was given.
fn image_shape(
    model: &str,
    shape: &Shape,
    multiple: i64,
    least: i64,
) -> Result<[i64; 3], SpecError> {
    match shape.input[..] {
        [c, h, w] if h >= least && w >= least && h % multiple == 0 && w % multiple == 0 => {
            Ok([c, h, w])
        }
        _ => Err(SpecError::value(
            "model.name",
            format!(
                "`{model}` needs images whose sides are multiples of {multiple} and at least \
                 {least}, but the task gives {:?}",
                shape.input
            ),
            "set `task.size`, or choose another model",
        )),
    }
}
