//! Gradients of single examples, clipped and noised: the step of DP-SGD (Abadi et al. 2016).

use rand::Rng;
use rand_chacha::ChaCha12Rng;
use tch::Tensor;

use crate::LearningError;
use crate::gradients::{Form, gradients};
use crate::layer_grad::sum_trials;
use crate::network::Network;
use crate::noise;
use crate::params::Params;
use crate::tape::Mode;

/// How per-example gradients become the gradient of a step, `(sum_i g_i min(1, C / ||g_i||) + N(0, (z C)^2)) / L`.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientRule {
    /// C: largest L2 norm of an example's gradient over all trainable parameters together; above 0.
    pub clip: f64,
    /// z: standard deviation of the noise on the sum, in units of `clip`; 0 adds none.
    pub noise_multiplier: f64,
    /// Probability with which a step takes each example (Poisson sampling), in `(0, 1]`; 1 takes every example.
    pub rate: f64,
    /// L: divisor of the noisy sum, the examples a step takes on average; above 0.
    pub expected_batch: f64,
}

impl GradientRule {
    /// Steps of one epoch, `1 / rate`: after them each example was taken once on average.
    pub fn steps_per_epoch(&self) -> usize {
        (1.0 / self.rate).round().max(1.0) as usize
    }

    /// Which of `examples` examples a step takes, each independently with probability `rate`.
    pub fn sample(&self, examples: usize, rng: &mut ChaCha12Rng) -> Vec<i64> {
        (0..examples as i64).filter(|_| rng.random::<f64>() < self.rate).collect()
    }

    /// A step's batch for each stream: rows `[T, B]`, and 1 for each example drawn, 0 for the padding of clients that drew fewer.
    pub(crate) fn batch(&self, examples: usize, rngs: &mut [ChaCha12Rng]) -> (Tensor, Tensor) {
        let drawn: Vec<Vec<i64>> = rngs.iter_mut().map(|rng| self.sample(examples, rng)).collect();
        let most = drawn.iter().map(Vec::len).max().unwrap_or(0);
        let size = [rngs.len() as i64, most as i64];
        let padded = |of: fn(i64) -> i64, padding: i64| -> Tensor {
            let rows = drawn.iter().flat_map(|d| {
                let filled = d.iter().map(move |&row| of(row));
                filled.chain(std::iter::repeat_n(padding, most - d.len()))
            });
            Tensor::from_slice(&rows.collect::<Vec<i64>>()).reshape(size)
        };
        (padded(|row| row, 0), padded(|_| 1, 0))
    }

    /// The noisy mean of a sum of clipped gradients `[T, ...]`; one stream a trial.
    pub fn noisy_mean(&self, sum: Params, rngs: &mut [ChaCha12Rng]) -> Params {
        let std = self.noise_multiplier * self.clip;
        let trainable: Vec<bool> = sum.layout().specs().iter().map(|s| s.trainable).collect();
        let mut trainable = trainable.into_iter();
        sum.map(|sum| {
            if trainable.next() != Some(true) || std == 0.0 {
                return sum / self.expected_batch;
            }
            let shape = &sum.size()[1..];
            let drawn: Vec<Tensor> = rngs.iter_mut().map(|rng| noise::normal(rng, shape)).collect();
            let drawn = Tensor::stack(&drawn, 0).to_device(sum.device()).to_kind(sum.kind());
            (sum + drawn * std) / self.expected_batch
        })
    }
}

/// Whether per-example gradients exist for this model in this mode.
///
/// # Errors
/// BatchNorm in train mode: its statistics make each example's gradient depend on the others of the batch.
pub fn check_private(net: &Network, mode: Mode) -> Result<(), LearningError> {
    let batch_norm = net.layout().specs().iter().any(|s| s.name.ends_with("running_mean"));
    if batch_norm && mode == Mode::Train {
        return Err(LearningError::Invalid(
            "per-example clipping cannot run through BatchNorm: batch statistics mix examples; use a model with GroupNorm, or batch_norm = \"eval\"".into(),
        ));
    }
    Ok(())
}

/// What clipping yields.
#[derive(Debug)]
pub struct Clipped {
    /// Sum of the clipped per-example gradients of each trial, `[T, ...]` (buffers get zeros).
    pub sum: Params,
    /// L2 norms of the per-example gradients before clipping, `[T, B]`.
    pub norms: Tensor,
    /// Examples of each trial whose gradient was not finite: they add nothing to the sum.
    pub dropped: Vec<u64>,
}

/// Sums the per-example gradients of `loss`, each scaled to at most `clip`.
///
/// `x` is the normalised input `[T, B, ...]`; `counted` `[T, B]` is 1 for an example and 0 for padding. `loss` maps logits
/// `[T, B, K]` to the mean over `B` of each trial.
pub fn clipped_sum(
    net: &Network,
    params: &Params,
    x: &Tensor,
    counted: &Tensor,
    mode: Mode,
    clip: f64,
    loss: impl FnOnce(&Tensor) -> Tensor,
) -> Clipped {
    let size = x.size();
    let (trials, batch) = (size[0], size[1]);
    let own = params.map(|w| match w.size()[0] {
        1 => w.shallow_clone(),
        _ => w.repeat_interleave_self_int(batch, 0, None),
    });
    let grads = gradients(net, &own, &x.flatten(0, 1).unsqueeze(1), mode, Form::Dense, false, |logits| {
        loss(&logits.reshape([trials, batch, -1])) * batch as f64
    });
    tch::no_grad(|| {
        let single: Vec<Tensor> = grads.layers.iter().map(|g| g.to_dense().detach()).collect();
        let squares = single.iter().map(|g| sum_trials(&g.square())).reduce(|a, b| a + b).expect("layers");
        let norms = squares.sqrt().reshape([trials, batch]);
        let finite = norms.isfinite();
        let used = finite.logical_and(&counted.gt(0.0));
        let factors = (norms.clamp_min(clip).reciprocal() * clip).where_self(&used, &norms.zeros_like());
        let lost = finite.logical_not().logical_and(&counted.gt(0.0)).sum_dim_intlist(1, false, None);
        let mut single = single.iter().map(|g| {
            let shape = g.size();
            let g = g.nan_to_num(0.0, 0.0, 0.0).reshape([trials, batch, -1]);
            let size: Vec<i64> = std::iter::once(trials).chain(shape[1..].iter().copied()).collect();
            factors.unsqueeze(1).bmm(&g).reshape(size)
        });
        let tensors = params.layout().specs().iter().zip(&params.tensors).map(|(spec, w)| {
            let shape: Vec<i64> = std::iter::once(trials).chain(spec.shape.iter().copied()).collect();
            match spec.trainable {
                true => single.next().expect("a gradient each"),
                false => Tensor::zeros(shape, (w.kind(), w.device())),
            }
        });
        let sum = Params::new(params.layout().clone(), tensors.collect()).expect("the layout's shapes");
        let dropped = (0..trials).map(|t| lost.int64_value(&[t]) as u64).collect();
        Clipped { sum, norms, dropped }
    })
}
