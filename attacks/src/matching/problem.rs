//! The objective of gradient matching as a function of the dummy batch: what the optimisers
//! minimise.

use learning::client::LocalTraining;
use learning::loss::{soft_cross_entropy, task_loss};
use learning::tape::{BatchStat, Tape};
use learning::{Form, LayerGrad, Observation, Params, gradients};
use rand_chacha::ChaCha12Rng;
use tch::{Kind, Tensor};

use super::config::{MatchingConfig, Tv};
use super::defense_channel::DefenseChannel;
use super::derivative::Way;
use super::objective::Target;
use super::prior;
use super::statistics::Statistics;
use super::unroll;
use crate::optim;

/// Labels of the dummy batches.
pub enum DummyLabels {
    /// Fixed: i64 `[T, B]`, or f32 `[T, B, K]`.
    Fixed(Tensor),
    /// The last `B * K` variables of each lane are logits of soft labels.
    Joint,
}

/// Gradient matching over `T` lanes of `B` examples; variables are `[T, B * pixels (+ B * K)]` in
/// normalised pixel space.
pub struct Problem<'a> {
    pub seen: &'a Observation,
    pub config: &'a MatchingConfig,
    pub weights: Params,
    pub target: Target,
    pub labels: DummyLabels,
    /// Shape of one lane's batch, `[B, ...]`.
    pub shape: Vec<i64>,
    pub form: Form,
    /// Local training to differentiate through and what its update is divided by; `None` to match
    /// one batch's gradient.
    pub unroll: Option<(&'a LocalTraining, f64)>,
    /// What the captured gradient went through, where that is known and taken into account.
    pub channel: Option<DefenseChannel>,
    /// Streams of the model's random buffers, one a lane, and how often an evaluation draws from
    /// them; 0 to leave them as broadcast.
    pub draws: (Vec<ChaCha12Rng>, usize),
    /// What the last layer worked on for the captured example, `[N, E]`, where it is matched.
    pub features: Option<Tensor>,
    /// BatchNorm's statistics of the client's batch, where they were sent and are matched.
    pub statistics: Option<Statistics>,
    /// Least and greatest value of every variable, `[1, V]`.
    pub bounds: Option<(Tensor, Tensor)>,
    /// How the distance is differentiated.
    pub way: Way,
}

impl Problem<'_> {
    /// Splits variables into images `[T, B, ...]` and, for joint labels, probabilities `[T, B, K]`.
    pub fn unpack(&self, x: &Tensor) -> (Tensor, Option<Tensor>) {
        let pixels: i64 = self.shape.iter().product();
        let size: Vec<i64> = [&[x.size()[0]], &self.shape[..]].concat();
        let images = x.narrow(1, 0, pixels).reshape(size);
        let soft = match self.labels {
            DummyLabels::Fixed(_) => None,
            DummyLabels::Joint => {
                let logits = x.narrow(1, pixels, x.size()[1] - pixels);
                Some(logits.reshape([x.size()[0], self.shape[0], -1]).softmax(-1, None::<Kind>))
            }
        };
        (images, soft)
    }

    /// Distance between the dummy batch's gradients and the captured ones, `[T]`: its mean over
    /// draws of what is random in the model.
    pub fn distance(&mut self, images: &Tensor, soft: Option<&Tensor>, form: Form) -> Tensor {
        let (mut rngs, count) = std::mem::take(&mut self.draws);
        let drawn = (0..count).map(|_| {
            let weights = self.seen.net.refresh(self.weights.clone(), &mut rngs);
            self.distance_at(&weights, images, soft, form)
        });
        let distance = match drawn.reduce(|a, b| a + b) {
            Some(sum) => sum / count as f64,
            None => self.distance_at(&self.weights, images, soft, form),
        };
        self.draws = (rngs, count);
        distance
    }

    fn distance_at(
        &self,
        weights: &Params,
        images: &Tensor,
        soft: Option<&Tensor>,
        form: Form,
    ) -> Tensor {
        let loss = |logits: &Tensor, from: i64| self.loss(logits, from, soft);
        let (net, mode) = (&self.seen.net, self.seen.mode);
        let (layers, stats) = match self.unroll {
            Some(local) => (unroll::simulate(self.seen, weights, images, local, loss), Vec::new()),
            None => {
                let own = gradients(net, weights, images, mode, form, true, |z| loss(z, 0));
                (own.layers, own.stats)
            }
        };
        self.compare(layers, &stats)
    }

    /// The loss `[T]` of the examples `from..from + logits.len()`.
    pub(super) fn loss(&self, logits: &Tensor, from: i64, soft: Option<&Tensor>) -> Tensor {
        let part = |t: &Tensor| t.narrow(1, from, logits.size()[1]);
        match (&self.labels, soft) {
            (DummyLabels::Fixed(labels), _) => task_loss(logits, &part(labels)),
            (DummyLabels::Joint, Some(p)) => soft_cross_entropy(logits, &part(p)),
            (DummyLabels::Joint, None) => {
                unreachable!("joint labels are unpacked with the images")
            }
        }
    }

    /// Distance `[T]` of a dummy batch's gradients and statistics from the captured ones.
    pub(super) fn compare(&self, layers: Vec<LayerGrad>, stats: &[BatchStat]) -> Tensor {
        let distance = match &self.channel {
            Some(channel) => channel.distance(&self.target, self.config.both_weight, layers),
            None => self.target.distance(self.config.objective, self.config.both_weight, &layers),
        };
        match &self.statistics {
            Some(sent) => {
                let off = sent.distance(stats, &self.target, &distance);
                distance + off * self.config.bn_weight
            }
            None => distance,
        }
    }

    /// `x` put back into the bounds, where there are any.
    pub fn project(&self, x: &Tensor) -> Option<Tensor> {
        self.bounds.as_ref().map(|(least, greatest)| x.maximum(least).minimum(greatest))
    }

    pub(super) fn penalty(&self, images: &Tensor) -> Option<Tensor> {
        let mut parts = Vec::new();
        let like = images.flatten(1, -1).select(1, 0);
        let prior = self.channel.as_ref().and_then(|c| c.prior(&self.target, &like));
        if (self.config.tv_weight > 0.0 || prior.is_some()) && images.dim() == 5 {
            let tv = match self.config.tv {
                Tv::Anisotropic => prior::tv_anisotropic(images),
                Tv::Isotropic => prior::tv_isotropic(images),
                Tv::Squared => prior::tv_squared(images),
                Tv::DoubleOpponent => prior::tv_double_opponent(images),
            };
            parts.push(match prior {
                Some(weight) => tv * (weight + self.config.tv_weight),
                None => tv * self.config.tv_weight,
            });
        }
        if self.config.l2_weight > 0.0 {
            parts.push(prior::l2(images) * self.config.l2_weight);
        }
        if let Some(captured) = &self.features {
            parts.push(self.feature_distance(images, captured) * self.config.feature_weight);
        }
        parts.into_iter().reduce(|a, b| a + b)
    }

    /// Mean squared distance `[T]` between the input of the last layer and the captured one.
    fn feature_distance(&self, images: &Tensor, captured: &Tensor) -> Tensor {
        let mut tape = Tape::new(&self.weights, self.seen.mode);
        let logits = self.seen.net.forward_normalised(&mut tape, images);
        let own = tape.embedding.take().unwrap_or(logits).flatten(1, -1);
        let captured = self.target.spread(captured, &own);
        (own - captured).square().mean_dim(1, false, None::<Kind>)
    }
}

impl optim::Objective for Problem<'_> {
    fn evaluate(&mut self, x: &Tensor) -> (Tensor, Tensor) {
        self.differentiate(x)
    }
}

impl Problem<'_> {
    /// Distances as the optimisers are given them. Sums stay in f64 where the device has it:
    /// rounded, two close points look alike.
    pub(super) fn summed(&self, distance: Tensor) -> Tensor {
        if distance.device() == tch::Device::Mps {
            return distance;
        }
        distance.to_kind(Kind::Double)
    }

    /// Objective `[T]` and gradient `[T, V]` at `x` `[T, V]` by second-order autograd.
    pub(super) fn by_autograd(&mut self, x: &Tensor) -> (Tensor, Tensor) {
        let x = x.detach().set_requires_grad(true);
        let (images, soft) = self.unpack(&x);
        let distance = self.distance(&images, soft.as_ref(), self.form);
        let mut objective = self.summed(distance);
        if let Some(penalty) = self.penalty(&images) {
            objective += penalty;
        }
        let gradient =
            Tensor::run_backward(&[objective.sum(objective.kind())], &[&x], false, false).remove(0);
        (objective.detach(), gradient)
    }
}
