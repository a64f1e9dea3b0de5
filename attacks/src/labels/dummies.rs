//! What a network says of pictures of noise: the stand-in for the examples that nobody sent.

use learning::tape::Tape;
use learning::{Observation, Params, noise};
use rand_chacha::ChaCha12Rng;
use tch::{Device, Kind, Tensor};

use crate::{AttackError, layers};

/// Logits `[M, K]` of `M` pictures of noise, and the last linear layer's input `[M, F]`, in f64.
pub struct Dummies {
    pictures: Tensor,
    logits: Tensor,
    inputs: Tensor,
}

impl Dummies {
    /// Those of so many pictures of normal noise, in the federation's own mode.
    ///
    /// # Errors
    /// As [`Dummies::of`].
    pub fn drawn(
        seen: &Observation,
        weights: &Params,
        count: usize,
        rng: &mut ChaCha12Rng,
    ) -> Result<Dummies, AttackError> {
        let shape = [vec![count as i64], seen.net.input()].concat();
        Dummies::of(seen, weights, &noise::normal(rng, &shape))
    }

    /// Those of normalised pictures `[M, ...]` at weights of one lane.
    ///
    /// # Errors
    /// `NotApplicable` for a model without a last linear layer, and for one of tokens.
    pub fn of(
        seen: &Observation,
        weights: &Params,
        pictures: &Tensor,
    ) -> Result<Dummies, AttackError> {
        layers::refuse_tokens(seen)?;
        let weights = weights.narrow(0, 1).to(Device::Cpu, Kind::Double);
        let x = pictures.to_device(Device::Cpu).to_kind(Kind::Double).unsqueeze(0);
        tch::no_grad(|| {
            let mut tape = Tape::new(&weights, seen.mode);
            let logits = seen.net.forward_normalised(&mut tape, &x).squeeze_dim(0);
            let inputs = tape.embedding.take().ok_or_else(|| {
                let why = "the method asks what the last linear layer works on, and this model \
                    has none";
                AttackError::NotApplicable(why.into())
            })?;
            let inputs = inputs.squeeze_dim(0).flatten(1, -1);
            Ok(Dummies { pictures: pictures.shallow_clone(), logits, inputs })
        })
    }

    /// Of the same pictures at other weights of one lane.
    ///
    /// # Errors
    /// As [`Dummies::of`].
    pub fn at(&self, seen: &Observation, weights: &Params) -> Result<Dummies, AttackError> {
        Dummies::of(seen, weights, &self.pictures)
    }

    /// Refuses a layer whose inputs may be negative: sums and minima over them say nothing then.
    ///
    /// # Errors
    /// `NotApplicable` for such a layer.
    pub fn refuse_negative(&self) -> Result<(), AttackError> {
        if self.inputs.numel() == 0 || self.inputs.min().double_value(&[]) >= 0.0 {
            return Ok(());
        }
        let why = "the method needs a last layer whose inputs are never negative, as behind a \
            ReLU or sigmoid; use `bias-corrected` or `ilrg`";
        Err(AttackError::NotApplicable(why.into()))
    }

    /// Mean probability of each class, `[K]`.
    pub fn probabilities(&self) -> Vec<f64> {
        mean(&self.logits.softmax(1, None::<Kind>))
    }

    /// Mean probability of each of several labels, `[K]`.
    pub fn presences(&self) -> Vec<f64> {
        mean(&self.logits.sigmoid())
    }

    /// Mean sum of the layer's inputs.
    pub fn sum(&self) -> f64 {
        self.sums().mean(Kind::Double).double_value(&[])
    }

    /// What one of `batch` examples of a class adds to its row's sum, times `1 + 1/K` (Wainakh et
    /// al. 2022): below 0.
    pub fn impact(&self, batch: usize) -> f64 {
        let k = self.logits.size()[1] as f64;
        let own = (self.logits.softmax(1, None::<Kind>) - 1.0) * self.sums().unsqueeze(1);
        own.mean(Kind::Double).double_value(&[]) / batch as f64 * (1.0 + 1.0 / k)
    }

    /// What examples of other classes add to a row's sum, `[K]`.
    pub fn offset(&self) -> Vec<f64> {
        mean(&(self.logits.softmax(1, None::<Kind>) * self.sums().unsqueeze(1)))
    }

    fn sums(&self) -> Tensor {
        self.inputs.sum_dim_intlist(1, false, Kind::Double)
    }
}

/// The mean over pictures.
fn mean(t: &Tensor) -> Vec<f64> {
    Vec::try_from(t.mean_dim(&[0i64][..], false, Kind::Double).contiguous()).unwrap_or_default()
}
