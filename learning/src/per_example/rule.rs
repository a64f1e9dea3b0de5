//! The rule of a private step: sampling, clipping norm, noise and divisor (Abadi et al. 2016).

use rand::Rng;
use rand_chacha::ChaCha12Rng;
use tch::Tensor;

use crate::LearningError;
use crate::network::Network;
use crate::noise;
use crate::params::Params;
use crate::tape::Mode;

/// How per-example gradients become the gradient of a step, `(sum_i g_i min(1, C / ||g_i||) + N(0,
/// (z C)^2)) / L`.
#[derive(Clone, Debug, PartialEq)]
pub struct GradientRule {
    /// C: largest L2 norm of an example's gradient over all trainable parameters together; above 0.
    pub clip: f64,
    /// z: standard deviation of the noise on the sum, in units of `clip`; 0 adds none.
    pub noise_multiplier: f64,
    /// Probability with which a step takes each example (Poisson sampling), in `(0, 1]`; 1 takes
    /// every example.
    pub rate: f64,
    /// L: divisor of the noisy sum, the examples a step takes on average; above 0.
    pub expected_batch: f64,
}

impl GradientRule {
    /// Steps of one epoch, `1 / rate` rounded up: after them each example was taken once on
    /// average, and as often as without sampling.
    pub fn steps_per_epoch(&self) -> usize {
        (1.0 / self.rate - 1e-9).ceil().max(1.0) as usize
    }

    /// Which of `examples` examples a step takes, each independently with probability `rate`.
    pub fn sample(&self, examples: usize, rng: &mut ChaCha12Rng) -> Vec<i64> {
        (0..examples as i64).filter(|_| rng.random::<f64>() < self.rate).collect()
    }

    /// A step's batch for each stream: rows `[T, B]`, and 1 for each example drawn, 0 for the
    /// padding of clients that drew fewer.
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

    /// The noisy mean of a sum of clipped gradients `[T, ...]`; one stream a lane.
    pub fn noisy_mean(&self, sum: &Params, rngs: &mut [ChaCha12Rng]) -> Params {
        let std = self.noise_multiplier * self.clip;
        let trainable: Vec<bool> = sum.layout().specs().iter().map(|s| s.trainable).collect();
        let mut trainable = trainable.into_iter();
        sum.map(|sum| match trainable.next() {
            Some(true) if std > 0.0 => {
                let out = Tensor::empty(sum.size(), (sum.kind(), sum.device()));
                for (t, rng) in rngs.iter_mut().enumerate() {
                    self.add_noise(&sum.get(t as i64), &out.get(t as i64), std, rng);
                }
                out
            }
            _ => sum / self.expected_batch,
        })
    }

    /// `(sum + noise) / L` into `out` (contiguous), a piece at a time: a large layer is read and
    /// written once.
    fn add_noise(&self, sum: &Tensor, out: &Tensor, std: f64, rng: &mut ChaCha12Rng) {
        let (sum, out) = (sum.reshape([-1]), out.view(-1));
        let n = sum.size()[0];
        for from in (0..n).step_by(DRAWN as usize) {
            let len = DRAWN.min(n - from);
            let mut drawn = noise::normal(rng, &[len]).to_device(sum.device()).to_kind(sum.kind());
            let _ = drawn
                .g_mul_scalar_(std)
                .g_add_(&sum.narrow(0, from, len))
                .g_div_scalar_(self.expected_batch);
            out.narrow(0, from, len).copy_(&drawn);
        }
    }
}

/// Values drawn at once; they fit the processor's cache.
const DRAWN: i64 = 1 << 17;

/// Whether per-example gradients exist for this model in this mode.
///
/// # Errors
/// BatchNorm in train mode: its statistics make each example's gradient depend on the others of the
/// batch.
pub fn check_private(net: &Network, mode: Mode) -> Result<(), LearningError> {
    let batch_norm = net.layout().specs().iter().any(|s| s.name.ends_with("running_mean"));
    if batch_norm && mode == Mode::Train {
        return Err(LearningError::Invalid(
            "per-example clipping cannot run through BatchNorm: batch statistics mix examples; \
             use a model with GroupNorm (norm = \"group\"), or batch_norm = \"eval\""
                .into(),
        ));
    }
    Ok(())
}
