//! A model with its input normalisation: what a federation agrees on before any weights exist.

use std::sync::Arc;

use rand_chacha::ChaCha12Rng;
use suites::foreign::Budget;
use tch::{Device, Kind, Tensor};

use crate::loss;
use crate::models::Model;
use crate::params::{Layout, Params};
use crate::tape::{Mode, Tap, TapKind, Tape};

/// A model, its layout, and the normalisation that is its first layer.
pub struct Network {
    model: Box<dyn Model>,
    layout: Arc<Layout>,
    mean: Vec<f64>,
    std: Vec<f64>,
    budget: Option<Budget>,
}

impl Network {
    /// Builds the layout by a declaring pass; `mean` and `std` are per channel (or per feature), in
    /// pixel units.
    pub fn new(model: Box<dyn Model>, mean: Vec<f64>, std: Vec<f64>) -> Network {
        Network::declare(model, mean, std, None)
    }

    /// As [`Network::new`], of a model that a file describes: its layout may cost no more than
    /// `budget`, nor may that of [`Network::map_model`].
    ///
    /// # Panics
    /// With one line where it would cost more, or where the model cannot take its own input.
    pub fn within(model: Box<dyn Model>, mean: Vec<f64>, std: Vec<f64>, budget: Budget) -> Network {
        Network::declare(model, mean, std, Some(budget))
    }

    fn declare(
        model: Box<dyn Model>,
        mean: Vec<f64>,
        std: Vec<f64>,
        budget: Option<Budget>,
    ) -> Network {
        let mut tape = Tape::declaring(budget.clone());
        tape.afford("input", &model.input(), true);
        let size: Vec<i64> = [1, 1].into_iter().chain(model.input()).collect();
        let x = Tensor::zeros(size, (Kind::Float, Device::Cpu));
        let _ = tch::no_grad(|| model.forward(&mut tape, &x));
        let layout = Arc::new(Layout::new(tape.into_specs()).tied(&model.tied()));
        Network { model, layout, mean, std, budget }
    }

    /// The same normalisation before another model of the same input, e.g. this one with a layer
    /// more.
    pub fn map_model(self, f: impl FnOnce(Box<dyn Model>) -> Box<dyn Model>) -> Network {
        Network::declare(f(self.model), self.mean, self.std, self.budget)
    }

    /// The same with the parameters at these positions held fixed, as a client holds them that
    /// trains a part of the model alone.
    pub fn freezing(self, positions: &[usize]) -> Network {
        Network { layout: Arc::new(self.layout.freezing(positions)), ..self }
    }

    /// The architecture alone.
    pub fn into_model(self) -> Box<dyn Model> {
        self.model
    }

    /// Names and shapes of the parameters.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Shape of one example, `[C, H, W]` or `[F]`.
    pub fn input(&self) -> Vec<i64> {
        self.model.input()
    }

    /// Number of classes `K`.
    pub fn classes(&self) -> i64 {
        self.model.classes()
    }

    /// The first BatchNorm layer to which one example gives a single value a channel: in train mode
    /// that would be its own mean, and nothing behind the layer would depend on the example.
    pub fn single_valued_norm(&self) -> Option<String> {
        let zeros = self.layout.specs().iter().map(|spec| {
            let size: Vec<i64> = [1].into_iter().chain(spec.shape.iter().copied()).collect();
            Tensor::zeros(size, (Kind::Float, Device::Cpu))
        });
        let weights = Params::new(self.layout.clone(), zeros.collect()).ok()?;
        let one = [vec![1, 1], self.input()].concat();
        let picture = Tensor::zeros(one, (Kind::Float, Device::Cpu));
        tch::no_grad(|| {
            let mut tape = Tape::per_example(&weights, Mode::Eval);
            let _ = self.forward_normalised(&mut tape, &picture);
            let norm = |t: &&Tap| t.kind == TapKind::Scale && t.fixed.is_some();
            let single = |t: &&Tap| t.output.size()[3..].iter().product::<i64>() == 1;
            let tap = tape.taps.iter().filter(norm).find(single)?;
            Some(self.layout.specs()[tap.weight].name.clone())
        })
    }

    /// Share by which running statistics move towards a batch's, by the place of their mean in the
    /// layout.
    pub fn running_momentum(&self, running_mean: usize) -> f64 {
        self.model.running_momentum(&self.layout.specs()[running_mean].name)
    }

    /// The architecture.
    pub fn model(&self) -> &dyn Model {
        self.model.as_ref()
    }

    /// Mean and standard deviation, each shaped to broadcast over `[T, B, ...]` examples.
    fn statistics(&self, like: &Tensor) -> (Tensor, Tensor) {
        let rank = self.model.input().len();
        let mut shape = vec![1i64; rank];
        shape[0] = -1;
        let make = |v: &[f64]| {
            Tensor::from_slice(v).reshape(&shape[..]).to_kind(like.kind()).to_device(like.device())
        };
        (make(&self.mean), make(&self.std))
    }

    /// Pixels in `[0, 1]` to the normalised values the first layer works on.
    pub fn normalise(&self, pixels: &Tensor) -> Tensor {
        let (mean, std) = self.statistics(pixels);
        (pixels - mean) / std
    }

    /// The inverse of [`Network::normalise`].
    pub fn to_pixels(&self, normalised: &Tensor) -> Tensor {
        let (mean, std) = self.statistics(normalised);
        normalised * std + mean
    }

    /// Logits `[T, B, K]` of normalised inputs `[T, B, ...]`.
    pub fn forward_normalised(&self, tape: &mut Tape, x: &Tensor) -> Tensor {
        self.model.forward(tape, x)
    }

    /// [`Model::refresh`]: the parameters with their random buffers drawn anew, one stream a lane,
    /// for one gradient. What is drawn is the client's secret: it never enters what is sent.
    pub fn refresh(&self, params: Params, rngs: &mut [ChaCha12Rng]) -> Params {
        self.model.refresh(params, rngs)
    }

    /// What the last fully connected layer works on, `[T, B, E]`, for pixels `[T, B, ...]` in `[0,
    /// 1]`: a face's embedding before it is normalised. A model without such a layer gives its
    /// logits.
    pub fn embed(&self, params: &Params, pixels: &Tensor, mode: Mode) -> Tensor {
        let mut tape = Tape::new(params, mode);
        let logits = self.model.forward(&mut tape, &self.normalise(pixels));
        tape.embedding.take().unwrap_or(logits)
    }

    /// What a client trains on, `[T]`: [`loss::training_loss`], with the head's margin where labels
    /// are class indices (i64 `[T, B]`).
    pub fn training_loss(&self, logits: &Tensor, labels: &Tensor, soft: bool) -> Tensor {
        match self.model.margin() {
            Some(margin) if !soft && labels.kind() == Kind::Int64 => {
                loss::cross_entropy(&margin.apply(logits, labels), labels)
            }
            _ => loss::training_loss(logits, labels, soft),
        }
    }

    /// Logits `[T, B, K]` of pixels `[T, B, ...]` in `[0, 1]`.
    pub fn logits(&self, params: &Params, pixels: &Tensor, mode: Mode) -> Tensor {
        self.model.forward(&mut Tape::new(params, mode), &self.normalise(pixels))
    }
}
