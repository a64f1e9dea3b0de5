//! Local training: what happens on a client between the model it receives and the update it sends.
//!
//! All clients of a round train side by side, one a trial.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha12Rng;
use tch::{Kind, Tensor};

use crate::gradients::{Form, gradients};
use crate::loss::task_loss;
use crate::network::Network;
use crate::params::Params;
use crate::tape::{BatchStat, Mode};

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

/// One client's batch gradient for each trial: `pixels` `[T, B, ...]` in `[0, 1]`, labels as [`task_loss`] takes them.
pub fn batch_gradient(
    net: &Network,
    params: &Params,
    pixels: &Tensor,
    labels: &Tensor,
    mode: Mode,
) -> Params {
    let x = net.normalise(pixels);
    let grads = gradients(net, params, &x, mode, Form::Auto, false, |logits| task_loss(logits, labels));
    tch::no_grad(|| grads.to_params(params).map(Tensor::detach))
}

/// Trains `T` clients side by side from `start` (`[1 or T, ...]`) and returns their parameters `[T, ...]`.
///
/// `pixels` is `[T, E, ...]` and `labels` `[T, E]` (or `[T, E, K]`): `E` examples a client. `rngs` holds one stream a client,
/// which orders its examples and draws its augmentations.
pub fn train(
    net: &Network,
    start: &Params,
    pixels: &Tensor,
    labels: &Tensor,
    setting: &LocalTraining,
    mode: Mode,
    rngs: &mut [ChaCha12Rng],
) -> Params {
    let size = pixels.size();
    let examples = size[1] as usize;
    // Shared weights stay shared until the first step parts them: that step then runs as one ordinary batch.
    let mut params = start.clone();
    let mut velocity: Option<Params> = None;
    for _ in 0..setting.epochs {
        let order = shuffled(rngs, examples);
        for from in (0..examples).step_by(setting.batch_size.max(1)) {
            let to = (from + setting.batch_size.max(1)).min(examples);
            let (mut x, y) = (pick(pixels, &order, from, to), pick(labels, &order, from, to));
            if setting.augment && x.dim() == 5 {
                x = augment(&x, rngs);
            }
            params = step(net, &params, &x, &y, setting, mode, &mut velocity);
        }
    }
    params
}

fn step(
    net: &Network,
    params: &Params,
    x: &Tensor,
    y: &Tensor,
    setting: &LocalTraining,
    mode: Mode,
    velocity: &mut Option<Params>,
) -> Params {
    let x = net.normalise(x);
    let grads = gradients(net, params, &x, mode, Form::Auto, false, |logits| task_loss(logits, y));
    tch::no_grad(|| {
        let mut g = grads.to_params(params).map(Tensor::detach);
        if setting.weight_decay != 0.0 {
            g = decay(&g, params, setting.weight_decay);
        }
        if setting.momentum != 0.0 {
            let v = match velocity.take() {
                Some(v) => v.zip(&g, |v, g| v * setting.momentum + g),
                None => g,
            };
            g = v.clone();
            *velocity = Some(v);
        }
        track(params.zip(&g, |w, g| w - g * setting.lr), &grads.stats)
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

/// An order of the examples for each client, `[T, E]` on the CPU.
fn shuffled(rngs: &mut [ChaCha12Rng], examples: usize) -> Tensor {
    let orders: Vec<i64> = rngs
        .iter_mut()
        .flat_map(|rng| {
            let mut order: Vec<i64> = (0..examples as i64).collect();
            order.shuffle(rng);
            order
        })
        .collect();
    Tensor::from_slice(&orders).reshape([rngs.len() as i64, examples as i64])
}

/// Rows `order[t, from..to]` of each trial of `values` `[T, E, ...]`.
fn pick(values: &Tensor, order: &Tensor, from: usize, to: usize) -> Tensor {
    let order = order.narrow(1, from as i64, (to - from) as i64).to_device(values.device());
    let rows: Vec<Tensor> =
        (0..order.size()[0]).map(|t| values.get(t).index_select(0, &order.get(t))).collect();
    Tensor::stack(&rows, 0)
}

/// Flips each image with probability 1/2 and shifts it by up to an eighth of its side, with zeros coming in.
fn augment(x: &Tensor, rngs: &mut [ChaCha12Rng]) -> Tensor {
    let size = x.size();
    let reach = size[3] / 8;
    let padded = x.flatten(0, 1).constant_pad_nd([reach; 4]).reshape([
        size[0],
        size[1],
        size[2],
        size[3] + 2 * reach,
        size[4] + 2 * reach,
    ]);
    let mut out = Vec::new();
    for (t, rng) in rngs.iter_mut().enumerate() {
        for b in 0..size[1] {
            let (dy, dx) = (rng.random_range(0..=2 * reach), rng.random_range(0..=2 * reach));
            let view = padded.get(t as i64).get(b).narrow(1, dy, size[3]).narrow(2, dx, size[4]);
            out.push(if rng.random::<bool>() { view.flip([2]) } else { view });
        }
    }
    Tensor::stack(&out, 0).reshape(&size[..])
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
