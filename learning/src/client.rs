//! Local training: what happens on a client between the model it receives and the update it sends.
//!
//! All clients of a round train side by side, one a trial.

mod batches;

use rand_chacha::ChaCha12Rng;
use tch::{Kind, Tensor};

use batches::{augment, pick, shuffled};

use crate::gradients::{Form, gradients};
use crate::loss::{task_loss, training_loss};
use crate::network::Network;
use crate::params::Params;
use crate::per_example;
use crate::tape::{BatchStat, Mode};

pub use crate::per_example::{GradientRule, check_private};

/// Local SGD's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalTraining {
    /// Passes over the client's examples.
    pub epochs: usize,
    /// Examples a step; the last batch of an epoch may be smaller.
    pub batch_size: usize,
    /// Step size.
    pub lr: f64,
    /// Heavy-ball momentum as `torch.optim.SGD`'s.
    pub momentum: f64,
    /// L2 penalty added to the gradient.
    pub weight_decay: f64,
    /// Random horizontal flips and shifts by up to an eighth of the side.
    pub augment: bool,
}

impl LocalTraining {
    /// SGD steps taken over `examples` examples.
    pub fn steps(&self, examples: usize) -> usize {
        self.epochs * examples.div_ceil(self.batch_size.max(1))
    }
}

/// What a defence changes in local training. The default is plain SGD on hard labels.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Labels are class probabilities `[T, E, K]` (MixUp).
    pub soft_labels: bool,
    /// Per-example clipping and noise in every gradient.
    pub private: Option<GradientRule>,
}

/// One client's batch gradient for each trial: `pixels` `[T, B, ...]` in `[0, 1]`, labels as [`training_loss`] takes them.
///
/// Under a [`GradientRule`] the batch is what a step has already drawn: it is clipped and noised, not sampled again. `rngs`
/// holds one stream a trial where the rule adds noise or the model is random; else it may be empty.
pub fn batch_gradient(
    net: &Network,
    params: &Params,
    pixels: &Tensor,
    labels: &Tensor,
    rules: &Rules,
    mode: Mode,
    rngs: &mut [ChaCha12Rng],
) -> Params {
    let params = &net.refresh(params.clone(), rngs);
    match &rules.private {
        Some(rule) => {
            let counted = Tensor::ones(&pixels.size()[..2], (params.tensors[0].kind(), pixels.device()));
            private_gradient(net, params, pixels, labels, &counted, (rules, rule), mode, rngs).0
        }
        None => plain_gradient(net, params, pixels, labels, rules, mode).0,
    }
}

fn plain_gradient(
    net: &Network,
    params: &Params,
    pixels: &Tensor,
    labels: &Tensor,
    rules: &Rules,
    mode: Mode,
) -> (Params, Vec<BatchStat>) {
    let x = net.normalise(pixels);
    let loss = |logits: &Tensor| training_loss(logits, labels, rules.soft_labels);
    let grads = gradients(net, params, &x, mode, Form::Auto, false, loss);
    (tch::no_grad(|| grads.to_params(params).map(Tensor::detach)), grads.stats)
}

/// The noisy mean of clipped gradients, and the examples dropped in each trial.
#[allow(clippy::too_many_arguments)] // a gradient's arguments and who counts
fn private_gradient(
    net: &Network,
    params: &Params,
    pixels: &Tensor,
    labels: &Tensor,
    counted: &Tensor,
    (rules, rule): (&Rules, &GradientRule),
    mode: Mode,
    rngs: &mut [ChaCha12Rng],
) -> (Params, Vec<u64>) {
    let x = net.normalise(pixels);
    let loss = |logits: &Tensor| training_loss(logits, labels, rules.soft_labels);
    let clipped = per_example::clipped_sum(net, params, &x, counted, mode, rule.clip, loss);
    (tch::no_grad(|| rule.noisy_mean(&clipped.sum, rngs)), clipped.dropped)
}

/// Trains `T` clients side by side from `start` (`[1 or T, ...]`) and returns their parameters `[T, ...]`.
///
/// `pixels` is `[T, E, ...]` and `labels` `[T, E]` (or `[T, E, K]`): `E` examples a client. `rngs` holds one stream a client,
/// which orders (or samples) its examples, draws its augmentations, and its noise.
#[allow(clippy::too_many_arguments)] // what a client has, and how it trains
pub fn train(
    net: &Network,
    start: &Params,
    pixels: &Tensor,
    labels: &Tensor,
    setting: &LocalTraining,
    rules: &Rules,
    mode: Mode,
    rngs: &mut [ChaCha12Rng],
) -> Params {
    train_counting(net, start, pixels, labels, setting, rules, mode, rngs).0
}

/// [`train`], and for each client how often an example was dropped because its gradient was not finite (under a
/// [`GradientRule`] alone; 0 without).
#[allow(clippy::too_many_arguments)] // as train
pub fn train_counting(
    net: &Network,
    start: &Params,
    pixels: &Tensor,
    labels: &Tensor,
    setting: &LocalTraining,
    rules: &Rules,
    mode: Mode,
    rngs: &mut [ChaCha12Rng],
) -> (Params, Vec<u64>) {
    let mut client = Client { net, setting, rules, mode, velocity: None, dropped: vec![0; rngs.len()] };
    // Shared weights stay shared until the first step parts them: that step then runs as one ordinary batch.
    let mut params = start.clone();
    for _ in 0..setting.epochs {
        params = match &rules.private {
            Some(rule) => client.private_epoch(params, pixels, labels, rule, rngs),
            None => client.epoch(params, pixels, labels, rngs),
        };
    }
    (params, client.dropped)
}

/// The state of clients that train side by side.
struct Client<'a> {
    net: &'a Network,
    setting: &'a LocalTraining,
    rules: &'a Rules,
    mode: Mode,
    velocity: Option<Params>,
    dropped: Vec<u64>,
}

impl Client<'_> {
    /// Every example once, in each client's own order.
    fn epoch(&mut self, mut params: Params, x: &Tensor, y: &Tensor, rngs: &mut [ChaCha12Rng]) -> Params {
        let examples = x.size()[1] as usize;
        let batch = self.setting.batch_size.max(1);
        let order = shuffled(rngs, examples);
        for from in (0..examples).step_by(batch) {
            let rows = order.narrow(1, from as i64, (from + batch).min(examples) as i64 - from as i64);
            let (x, y) = (self.view(&pick(x, &rows), rngs), pick(y, &rows));
            let drawn = self.net.refresh(params.clone(), rngs);
            let (gradient, stats) = plain_gradient(self.net, &drawn, &x, &y, self.rules, self.mode);
            params = self.step(params, gradient, &stats);
        }
        params
    }

    /// As many Poisson-sampled steps as take each example once on average.
    fn private_epoch(
        &mut self,
        mut params: Params,
        x: &Tensor,
        y: &Tensor,
        rule: &GradientRule,
        rngs: &mut [ChaCha12Rng],
    ) -> Params {
        for _ in 0..rule.steps_per_epoch() {
            let (rows, counted) = rule.batch(x.size()[1] as usize, rngs);
            let counted = counted.to_kind(params.tensors[0].kind()).to_device(x.device());
            let drawn = self.net.refresh(params.clone(), rngs);
            let (gradient, dropped) = match rows.size()[1] {
                0 => (rule.noisy_mean(&zeros(&params, rngs.len()), rngs), Vec::new()),
                _ => {
                    let (x, y) = (self.view(&pick(x, &rows), rngs), pick(y, &rows));
                    let rules = (self.rules, rule);
                    private_gradient(self.net, &drawn, &x, &y, &counted, rules, self.mode, rngs)
                }
            };
            self.dropped.iter_mut().zip(dropped).for_each(|(sum, n)| *sum += n);
            params = self.step(params, gradient, &[]);
        }
        params
    }

    fn view(&self, x: &Tensor, rngs: &mut [ChaCha12Rng]) -> Tensor {
        if self.setting.augment && x.dim() == 5 { augment(x, rngs) } else { x.shallow_clone() }
    }

    /// A step of SGD against the gradient.
    fn step(&mut self, params: Params, mut g: Params, stats: &[BatchStat]) -> Params {
        tch::no_grad(|| {
            if self.setting.weight_decay != 0.0 {
                g = decay(&g, &params, self.setting.weight_decay);
            }
            if self.setting.momentum != 0.0 {
                let v = match self.velocity.take() {
                    Some(v) => v.zip(&g, |v, g| v * self.setting.momentum + g),
                    None => g,
                };
                g = v.clone();
                self.velocity = Some(v);
            }
            track(params.zip(&g, |w, g| w - g * self.setting.lr), stats)
        })
    }
}

/// Zeros for each of so many clients.
fn zeros(like: &Params, clients: usize) -> Params {
    like.map(|w| {
        let mut size = w.size();
        size[0] = clients as i64;
        Tensor::zeros(size, (w.kind(), w.device()))
    })
}

/// Adds `weight_decay * w` to the gradients of trainable parameters.
fn decay(grads: &Params, params: &Params, weight_decay: f64) -> Params {
    let trainable: Vec<bool> = params.layout().specs().iter().map(|s| s.trainable).collect();
    let mut trainable = trainable.into_iter();
    grads.zip(
        params,
        |g, w| if trainable.next() == Some(true) { g + w * weight_decay } else { g.shallow_clone() },
    )
}

/// Moves BatchNorm's running statistics towards what the batch showed (momentum 0.1, as PyTorch's default).
fn track(mut params: Params, stats: &[BatchStat]) -> Params {
    for stat in stats {
        for (offset, seen) in [&stat.mean, &stat.var].into_iter().enumerate() {
            let slot = &mut params.tensors[stat.running_mean + offset];
            *slot = &*slot * 0.9 + seen * 0.1;
        }
    }
    params
}

/// Accuracy and mean loss of shared parameters on examples, in chunks: `(accuracy, loss)`.
///
/// Multi-label accuracy is the share of (example, label) pairs on the right side of 0.5.
pub fn evaluate(net: &Network, params: &Params, pixels: &Tensor, labels: &Tensor) -> (f64, f64) {
    let n = pixels.size()[0];
    let (mut right, mut loss, chunk) = (0.0, 0.0, 256);
    tch::no_grad(|| {
        for from in (0..n).step_by(chunk) {
            let len = (n - from).min(chunk as i64);
            let y = labels.narrow(0, from, len).unsqueeze(0);
            let logits = net.logits(params, &pixels.narrow(0, from, len).unsqueeze(0), Mode::Eval);
            loss += task_loss(&logits, &y).double_value(&[0]) * len as f64;
            let hits = match y.kind() {
                Kind::Int64 => logits.argmax(2, false).eq_tensor(&y),
                _ => logits.gt(0.0).eq_tensor(&y.gt(0.5)),
            };
            right += hits.to_kind(Kind::Double).mean(Kind::Double).double_value(&[]) * len as f64;
        }
    });
    (right / n as f64, loss / n as f64)
}
