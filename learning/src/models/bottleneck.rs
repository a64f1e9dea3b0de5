//! A variational bottleneck before a model's last layer (Scheliga, Mäder, Seeland: PRECODE, WACV
//! 2022).
//!
//! The representation `x` is encoded to `mu` and `sigma`, a code `z = mu + sigma * eps` is drawn
//! with `eps ~ N(0, I)`, and the last layer works on the decoded `z`. The loss gets `beta *
//! KL(N(mu, sigma^2) || N(0, I))`, in bits, as the authors take it.

use std::sync::Arc;

use rand::Rng;
use rand_chacha::ChaCha12Rng;
use tch::{Kind, Tensor};

use super::Model;
use crate::loss::Margin;
use crate::noise;
use crate::params::{Layout, Params};
use crate::tape::Tape;

/// The buffer that `eps` is drawn from: [`WORDS`] numbers below 2^16 a lane, which f32 holds
/// exactly; all zero for `z = mu`.
const SEED: &str = "bottleneck.seed";
const WORDS: i64 = 4;

/// The bottleneck's place and size.
#[derive(Clone, Debug, PartialEq)]
pub struct Bottleneck {
    /// Name of the linear layer behind it.
    pub before: String,
    /// Dimensions of the code, at least 1.
    pub width: i64,
    /// Weight of the divergence in the loss, at least 0.
    pub beta: f64,
}

impl Bottleneck {
    /// The decoded code `[T, B, F]` of a representation `[T, B, F]`; the divergence goes to the
    /// tape's penalty.
    pub(crate) fn layer(&self, tape: &mut Tape, x: &Tensor) -> Tensor {
        let features = x.size()[2];
        let statistics = tape.linear("bottleneck.encoder", x, 2 * self.width);
        let mu = statistics.narrow(2, 0, self.width);
        let sigma = statistics.narrow(2, self.width, self.width).softplus();
        let seed = tape.buffer(SEED, &[WORDS]);
        let z = match draw(&seed, &mu) {
            Some(eps) => &mu + &sigma * eps,
            None => mu.shallow_clone(),
        };
        tape.penalise(divergence(&mu, &sigma) * self.beta);
        tape.linear("bottleneck.decoder", &z, features)
    }
}

/// KL(N(mu, sigma^2) || N(0, I)) = (mu^2 + sigma^2 - 1 - 2 ln sigma)/2 summed over the code, in
/// bits, averaged over the batch: `[T]`.
fn divergence(mu: &Tensor, sigma: &Tensor) -> Tensor {
    let nats = (mu.square() + sigma.square() - 1.0 - sigma.log() * 2.0) * 0.5;
    nats.sum_dim_intlist(2, false, None).mean_dim(1, false, None) / std::f64::consts::LN_2
}

/// `eps` for `mu` `[T, B, K]` by the seeds `[T or 1, WORDS]`, or `None` where they are zero. Lanes
/// of one seed draw from streams of their own, so that restarts that share it are independent and
/// the first of them draws what a single lane would.
fn draw(seed: &Tensor, mu: &Tensor) -> Option<Tensor> {
    let size = mu.size();
    let words =
        Vec::<f32>::try_from(seed.to_kind(Kind::Float).to_device(tch::Device::Cpu).reshape([-1]))
            .ok()?;
    if words.iter().all(|&w| w == 0.0) {
        return None;
    }
    let rows: Vec<&[f32]> = words.chunks(WORDS as usize).collect();
    let (mut last, mut turn) = (None, 0);
    let drawn: Vec<Tensor> = (0..size[0] as usize)
        .map(|t| {
            let row = rows[t.min(rows.len() - 1)];
            turn = if last == Some(row) { turn + 1 } else { 0 };
            last = Some(row);
            noise::normal(&mut stream(row, turn), &size[1..])
        })
        .collect();
    Some(Tensor::stack(&drawn, 0).to_device(mu.device()).to_kind(mu.kind()))
}

/// The stream of one seed and turn.
fn stream(words: &[f32], turn: u64) -> ChaCha12Rng {
    let seed = words.iter().fold(0u64, |seed, &w| seed << 16 | u64::from(w as u16));
    suites::rng::stream(seed, "bottleneck", &format!("eps-{turn}"))
}

/// A model with the bottleneck before its last layer.
pub struct Bottlenecked {
    inner: Box<dyn Model>,
    bottleneck: Arc<Bottleneck>,
}

impl Bottlenecked {
    /// Puts the bottleneck into a model, before the linear layer that it names (see [`head`]).
    pub fn new(inner: Box<dyn Model>, bottleneck: Bottleneck) -> Bottlenecked {
        Bottlenecked { inner, bottleneck: Arc::new(bottleneck) }
    }
}

/// Whether a model of this layout has a bottleneck.
pub fn has_bottleneck(layout: &Layout) -> bool {
    layout.position(SEED).is_some()
}

/// Name of the last layer, where it is linear.
pub fn head(layout: &Layout) -> Option<String> {
    let last = layout.specs().iter().rev().find(|s| s.trainable && s.name.ends_with(".weight"))?;
    match last.shape.len() {
        2 => last.name.strip_suffix(".weight").map(String::from),
        _ => None,
    }
}

impl Model for Bottlenecked {
    fn input(&self) -> Vec<i64> {
        self.inner.input()
    }

    fn classes(&self) -> i64 {
        self.inner.classes()
    }

    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Tensor {
        tape.insert(self.bottleneck.clone());
        self.inner.forward(tape, x)
    }

    fn margin(&self) -> Option<Margin> {
        self.inner.margin()
    }

    fn unfrozen(&self) -> Option<String> {
        self.inner.unfrozen()
    }

    fn running_momentum(&self, running_mean: &str) -> f64 {
        self.inner.running_momentum(running_mean)
    }

    fn examples_by_lane(&self) -> bool {
        self.inner.examples_by_lane()
    }

    fn refresh(&self, params: Params, rngs: &mut [ChaCha12Rng]) -> Params {
        let mut params = self.inner.refresh(params, rngs);
        let Some(slot) = params.layout().position(SEED).filter(|_| !rngs.is_empty()) else {
            return params;
        };
        let words: Vec<f32> = rngs
            .iter_mut()
            .flat_map(|rng| {
                // The first word is not 0: all zero means the mean.
                let first = 1.0 + f32::from(rng.random_range(0..u16::MAX));
                [first, word(rng), word(rng), word(rng)]
            })
            .collect();
        let old = &params.tensors[slot];
        let drawn = Tensor::from_slice(&words)
            .reshape([-1, WORDS])
            .to_kind(old.kind())
            .to_device(old.device());
        params.tensors[slot] = drawn;
        params
    }
}

fn word(rng: &mut ChaCha12Rng) -> f32 {
    f32::from(rng.random::<u16>())
}
