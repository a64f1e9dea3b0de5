//! The rule of a private step: sampling, clipping norm, noise and divisor (Abadi et al. 2016).

use rand::Rng;
use rand_chacha::ChaCha12Rng;
use tch::{Device, Kind, Tensor};

use crate::LearningError;
use crate::network::Network;
use crate::noise;
use crate::noise::discrete::Sampler;
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

    /// The step of the grid that a sum of `values` values is rounded to, a power of two: the noise
    /// has `2^26` steps or more, and rounding moves two sums that `clip` is between apart by no
    /// more than a thousandth of it (up to a multiplier of `2^16 / sqrt(values)`).
    fn step(&self, values: usize) -> f64 {
        let std = self.noise_multiplier * self.clip;
        let fine = (std / FINE).min(self.clip / 1024.0 / (values as f64).sqrt());
        noise::power_of_two(fine).max(noise::power_of_two(std / COARSE))
    }

    /// Standard deviation of the noise on a sum of `values` values.
    ///
    /// Neighbouring sums differ by at most `clip`; rounded to the nearest whole steps they differ
    /// by at most a step more in each value, so by `clip + sqrt(values) step` in norm. The noise is
    /// that many times the multiplier: `z clip`, and at most a thousandth more.
    pub fn noise_std(&self, values: usize) -> f64 {
        self.noise_multiplier * (self.clip + (values as f64).sqrt() * self.step(values))
    }

    /// The noisy mean of a sum of clipped gradients `[T, ...]`; one stream a lane.
    ///
    /// Sum and noise are whole steps of one grid ([`Sampler::rounded_normal`]), so that the low
    /// bits of the result say nothing of the sum; what is divided by `L` is a whole number already.
    ///
    /// # Panics
    /// A noise multiplier above [`LARGEST_MULTIPLIER`].
    pub fn noisy_mean(&self, sum: &Params, rngs: &mut [ChaCha12Rng]) -> Params {
        if self.noise_multiplier == 0.0 {
            return sum.map(|sum| sum / self.expected_batch);
        }
        let values = sum.layout().trainable_len() as usize;
        let step = self.step(values);
        let sampler = Sampler::rounded_normal(self.noise_std(values) / step)
            .expect("the multiplier is in its range");
        let trainable: Vec<bool> = sum.layout().specs().iter().map(|s| s.trainable).collect();
        let mut trainable = trainable.into_iter();
        sum.map(|sum| match trainable.next() {
            Some(true) => {
                let lane = |(t, rng): (usize, &mut ChaCha12Rng)| {
                    self.noised(&sum.get(t as i64), step, &sampler, rng)
                };
                Tensor::stack(&rngs.iter_mut().enumerate().map(lane).collect::<Vec<_>>(), 0)
            }
            _ => sum / self.expected_batch,
        })
    }

    /// `(round(sum / step) + draw) step / L` of one lane's tensor.
    fn noised(&self, sum: &Tensor, step: f64, sampler: &Sampler, rng: &mut ChaCha12Rng) -> Tensor {
        let flat = sum.reshape([-1]).to_kind(Kind::Double).to_device(Device::Cpu);
        let values = Vec::<f64>::try_from(&flat).expect("a flat tensor of doubles");
        let unit = step / self.expected_batch;
        let onto = |value: f64| (value / step).round_ties_even() as i64;
        let noised = sampler.noised(&values, onto, |k| k as f64 * unit, rng);
        let noised = Tensor::from_slice(&noised).reshape(sum.size());
        noised.to_kind(sum.kind()).to_device(sum.device())
    }
}

/// Steps of the grid in a standard deviation: at least, where the multiplier is not large.
const FINE: f64 = (1u64 << 26) as f64;

/// And at most, before rounding is added.
const COARSE: f64 = (1u64 << 28) as f64;

/// The largest noise multiplier that the grid is made for, with up to `2^26` values.
pub const LARGEST_MULTIPLIER: f64 = 1e4;

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
             use GroupNorm (norm = \"group\"; --set model.params.norm=group), or \
             batch_norm = \"eval\" (--set model.batch_norm=eval, in `bench run` --batch-norm eval)"
                .into(),
        ));
    }
    Ok(())
}
