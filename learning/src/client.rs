//! Local training: what happens on a client between the model it receives and the update it sends.
//!
//! All clients of a round train side by side, one a lane.

mod batches;
mod step;

use rand_chacha::ChaCha12Rng;
use tch::{Kind, Tensor};

use batches::{augment, pick, shuffled};

use crate::gradients::{Form, gradients};
use crate::loss::task_loss;
use crate::network::Network;
use crate::params::Params;
use crate::per_example;
use crate::tape::{BatchStat, Mode};

pub use crate::per_example::{GradientRule, check_private};
pub use step::{ADAM_EPS, State, StepRule};

/// Local training's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalTraining {
    /// Passes over the client's examples.
    pub epochs: usize,
    /// Examples a step; the last batch of an epoch may be smaller.
    pub batch_size: usize,
    /// Step size.
    pub lr: f64,
    /// Step size of each step in order, where it changes; `lr` after its end, and throughout where
    /// it is empty.
    pub lr_schedule: Vec<f64>,
    /// Heavy-ball momentum as `torch.optim.SGD`'s.
    pub momentum: f64,
    /// L2 penalty added to the gradient.
    pub weight_decay: f64,
    /// Random horizontal flips and shifts by up to an eighth of the side.
    pub augment: bool,
    /// Each epoch in an order drawn anew; else in that of the examples.
    pub shuffled: bool,
    /// What a step makes of the gradient.
    pub rule: StepRule,
    /// FedProx's `mu` (Li et al. 2020): the gradient of `mu/2 ||w - w_global||^2` is added; 0 for
    /// none.
    pub prox: f64,
}

impl Default for LocalTraining {
    /// One epoch of plain SGD on single examples at 0.01.
    fn default() -> LocalTraining {
        LocalTraining {
            epochs: 1,
            batch_size: 1,
            lr: 0.01,
            lr_schedule: Vec::new(),
            momentum: 0.0,
            weight_decay: 0.0,
            augment: false,
            shuffled: true,
            rule: StepRule::Sgd,
            prox: 0.0,
        }
    }
}

impl LocalTraining {
    /// Steps taken over `examples` examples.
    pub fn steps(&self, examples: usize) -> usize {
        self.epochs * examples.div_ceil(self.batch_size.max(1))
    }

    /// What is left of it for whoever knows only how many steps a client takes over its `examples`,
    /// and their mean step size: each over all examples, without momentum or decay.
    pub fn counted(&self, examples: usize) -> LocalTraining {
        let epochs = self.steps(examples).max(1);
        let rates = (0..epochs).map(|step| self.rate(step));
        LocalTraining {
            epochs,
            batch_size: examples.max(1),
            lr: rates.sum::<f64>() / epochs as f64,
            ..LocalTraining::default()
        }
    }

    /// Step size of a step, counted from 0.
    pub fn rate(&self, step: usize) -> f64 {
        self.lr_schedule.get(step).copied().unwrap_or(self.lr)
    }
}

/// What a defense changes in local training. The default is plain SGD on hard labels.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Labels are class probabilities `[T, E, K]` (MixUp).
    pub soft_labels: bool,
    /// Per-example clipping and noise in every gradient.
    pub private: Option<GradientRule>,
    /// Under `private`: a single step, whose batch is sampled of all examples, takes the place of
    /// the epochs.
    pub one_step: bool,
}

/// One client's batch gradient for each lane: `pixels` `[T, B, ...]` in `[0, 1]`, labels as
/// [`Network::training_loss`] takes them.
///
/// Under a [`GradientRule`] the batch is what a step has already drawn: it is clipped and noised,
/// not sampled again. `rngs` holds one stream a lane where the rule adds noise or the model is
/// random; else it may be empty.
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
            let counted =
                Tensor::ones(&pixels.size()[..2], (params.tensors[0].kind(), pixels.device()));
            private_gradient(net, params, pixels, labels, &counted, (rules, rule), mode, rngs).0
        }
        None => plain_gradient(net, params, pixels, labels, rules, mode, Form::Auto).gradient,
    }
}

/// What clients release that send the gradient of one batch: `pixels` is that batch, or with
/// `rules.one_step` all the examples that it is sampled of; beside it how often an example of each
/// was dropped, as in [`Trained`].
pub fn release_gradient(
    net: &Network,
    params: &Params,
    pixels: &Tensor,
    labels: &Tensor,
    rules: &Rules,
    mode: Mode,
    rngs: &mut [ChaCha12Rng],
) -> (Params, Vec<u64>) {
    match &rules.private {
        Some(rule) if rules.one_step => {
            let setting = &LocalTraining::default();
            let state = State::default();
            let (start, dropped) = (params, Vec::new());
            let client = Client { net, setting, rules, mode, start, state, dropped, loss: None };
            client.sampled_gradient(params, pixels, labels, rule, rngs)
        }
        _ => (batch_gradient(net, params, pixels, labels, rules, mode, rngs), Vec::new()),
    }
}

/// A batch's gradient, with what the pass showed beside it.
struct Step {
    gradient: Params,
    loss: Tensor,
    stats: Vec<BatchStat>,
}

fn plain_gradient(
    net: &Network,
    params: &Params,
    pixels: &Tensor,
    labels: &Tensor,
    rules: &Rules,
    mode: Mode,
    form: Form,
) -> Step {
    let x = net.normalise(pixels);
    let loss = |logits: &Tensor| net.training_loss(logits, labels, rules.soft_labels);
    let grads = gradients(net, params, &x, mode, form, false, loss);
    let gradient = tch::no_grad(|| grads.to_params(params).map(Tensor::detach));
    Step { gradient, loss: grads.loss, stats: grads.stats }
}

/// The noisy mean of clipped gradients, and the examples dropped in each lane.
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
    let loss = |logits: &Tensor| net.training_loss(logits, labels, rules.soft_labels);
    let clipped = per_example::clipped_sum(net, params, &x, counted, mode, rule.clip, loss);
    (tch::no_grad(|| rule.noisy_mean(&clipped.sum, rngs)), clipped.dropped)
}

/// Trains `T` clients side by side from `start` (`[1 or T, ...]`) and returns their parameters `[T,
/// ...]`.
///
/// `pixels` is `[T, E, ...]`, values in `[0, 1]` or bytes, and `labels` `[T, E]` (or `[T, E, K]`):
/// `E` examples a client. `rngs` holds one stream a client, which orders (or samples) its examples,
/// draws its augmentations, and its noise.
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
    train_on(net, start, pixels, labels, setting, rules, mode, rngs, State::default()).params
}

/// What training left with `T` clients.
pub struct Trained {
    /// Their parameters, `[T, ...]`.
    pub params: Params,
    /// How often an example of each was dropped because its gradient was not finite (under a
    /// [`GradientRule`] alone; 0 without).
    pub dropped: Vec<u64>,
    /// Mean loss of each over its last epoch, as the steps met it, `[T]`; `None` under a
    /// [`GradientRule`].
    pub loss: Option<Tensor>,
    /// The optimiser's state, for whoever goes on from here.
    pub state: State,
}

/// [`train`] from an optimiser's state ([`State::default`] for a fresh one), with what else it
/// left.
#[allow(clippy::too_many_arguments)] // as train
pub fn train_on(
    net: &Network,
    start: &Params,
    pixels: &Tensor,
    labels: &Tensor,
    setting: &LocalTraining,
    rules: &Rules,
    mode: Mode,
    rngs: &mut [ChaCha12Rng],
    state: State,
) -> Trained {
    let mut client = Client {
        net,
        setting,
        rules,
        mode,
        start,
        state,
        dropped: vec![0; rngs.len()],
        loss: None,
    };
    // Shared weights stay shared until the first step parts them: that step then runs as one
    // ordinary batch.
    let mut params = start.clone();
    for _ in 0..setting.epochs {
        params = match &rules.private {
            Some(rule) if rules.one_step => {
                client.private_steps(params, pixels, labels, rule, 1, rngs)
            }
            Some(rule) => {
                let steps = rule.steps_per_epoch();
                client.private_steps(params, pixels, labels, rule, steps, rngs)
            }
            None => client.epoch(params, pixels, labels, rngs),
        };
    }
    Trained { params, dropped: client.dropped, loss: client.loss, state: client.state }
}

/// Clients that train side by side.
struct Client<'a> {
    net: &'a Network,
    setting: &'a LocalTraining,
    rules: &'a Rules,
    mode: Mode,
    start: &'a Params,
    state: State,
    dropped: Vec<u64>,
    loss: Option<Tensor>,
}

impl Client<'_> {
    /// Every example once, in each client's own order.
    fn epoch(
        &mut self,
        mut params: Params,
        x: &Tensor,
        y: &Tensor,
        rngs: &mut [ChaCha12Rng],
    ) -> Params {
        let examples = x.size()[1] as usize;
        let batch = self.setting.batch_size.max(1);
        let order = match (self.setting.shuffled, rngs.len() as i64) {
            (true, _) => shuffled(rngs, examples),
            (false, clients) => {
                let all = Tensor::arange(examples as i64, (Kind::Int64, x.device()));
                all.unsqueeze(0).expand([clients, -1], true)
            }
        };
        let mut total = Tensor::zeros([rngs.len() as i64], (Kind::Double, x.device()));
        for from in (0..examples).step_by(batch) {
            let rows =
                order.narrow(1, from as i64, (from + batch).min(examples) as i64 - from as i64);
            let (x, y) = (self.view(&pick(x, &rows), rngs), pick(y, &rows));
            let drawn = self.net.refresh(params.clone(), rngs);
            let step =
                plain_gradient(self.net, &drawn, &x, &y, self.rules, self.mode, Form::Training);
            total += step.loss.detach().to_kind(Kind::Double) * rows.size()[1] as f64;
            params = self.step(params, step.gradient, &step.stats);
        }
        self.loss = Some(total / examples.max(1) as f64);
        params
    }

    /// Poisson-sampled steps; as many as an epoch has take each example once on average.
    fn private_steps(
        &mut self,
        mut params: Params,
        x: &Tensor,
        y: &Tensor,
        rule: &GradientRule,
        steps: usize,
        rngs: &mut [ChaCha12Rng],
    ) -> Params {
        for _ in 0..steps {
            let (gradient, dropped) = self.sampled_gradient(&params, x, y, rule, rngs);
            self.dropped.iter_mut().zip(dropped).for_each(|(sum, n)| *sum += n);
            params = self.step(params, gradient, &[]);
        }
        params
    }

    /// The private gradient of a batch sampled of all examples, and the examples dropped.
    fn sampled_gradient(
        &self,
        params: &Params,
        x: &Tensor,
        y: &Tensor,
        rule: &GradientRule,
        rngs: &mut [ChaCha12Rng],
    ) -> (Params, Vec<u64>) {
        let (rows, counted) = rule.batch(x.size()[1] as usize, rngs);
        let counted = counted.to_kind(params.tensors[0].kind()).to_device(x.device());
        let drawn = self.net.refresh(params.clone(), rngs);
        if rows.size()[1] == 0 {
            return (rule.noisy_mean(&zeros(params, rngs.len()), rngs), Vec::new());
        }
        let (x, y) = (self.view(&pick(x, &rows), rngs), pick(y, &rows));
        let rules = (self.rules, rule);
        private_gradient(self.net, &drawn, &x, &y, &counted, rules, self.mode, rngs)
    }

    fn view(&self, x: &Tensor, rngs: &mut [ChaCha12Rng]) -> Tensor {
        if self.setting.augment && x.dim() == 5 { augment(x, rngs) } else { x.shallow_clone() }
    }

    /// A step against the gradient.
    fn step(&mut self, params: Params, gradient: Params, stats: &[BatchStat]) -> Params {
        let moved = || self.state.step(self.setting, self.start, params, gradient);
        tch::no_grad(|| track(self.net, moved(), stats))
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

/// Moves BatchNorm's running statistics towards what the batch showed, by each layer's momentum.
fn track(net: &Network, mut params: Params, stats: &[BatchStat]) -> Params {
    for stat in stats {
        let momentum = net.running_momentum(stat.running_mean);
        for (offset, seen) in [&stat.mean, &stat.var].into_iter().enumerate() {
            let slot = &mut params.tensors[stat.running_mean + offset];
            *slot = &*slot * (1.0 - momentum) + seen * momentum;
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
