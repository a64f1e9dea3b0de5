//! The gradient of a model's last layer, one signal at a time.

use learning::{Observation, Params};
use tch::{Device, Kind, Tensor};

use crate::AttackError;

/// The last layer's gradient of one signal, in f64.
#[derive(Clone, Debug)]
pub struct LastLayer {
    /// `[K][F]`, one row a class; none where the model does not end in a linear layer.
    pub weight: Option<Vec<Vec<f64>>>,
    /// `[K]`; none where the layer has no bias.
    pub bias: Option<Vec<f64>>,
}

impl LastLayer {
    /// That of each signal in `gradient` `[N, ...]`.
    ///
    /// # Errors
    /// `NotApplicable` for a model that ends otherwise, or whose end was not sent.
    pub fn of(seen: &Observation, gradient: &Params) -> Result<Vec<LastLayer>, AttackError> {
        let classes = seen.net.classes();
        let all: Vec<&Tensor> = gradient.trainable().collect();
        let rows = |t: &&&Tensor| t.dim() == 3 && t.size()[1] == classes;
        let bias = all.last().filter(|t| t.size()[1..] == [classes]).copied();
        let before = all.len().checked_sub(1 + usize::from(bias.is_some()));
        let weight = before.and_then(|at| all.get(at)).filter(rows).copied();
        if gradient.layout().ends_frozen() || (weight.is_none() && bias.is_none()) {
            let why = "labels are read off the gradient of the last layer, and this model ends in \
                no linear layer of its classes, or that was not sent";
            return Err(AttackError::NotApplicable(why.into()));
        }
        let one = |n: i64| LastLayer {
            weight: weight.map(|w| host(&w.get(n)).unbind(0).iter().map(values).collect()),
            bias: bias.map(|b| values(&host(&b.get(n)))),
        };
        Ok((0..gradient.lanes()).map(one).collect())
    }

    /// Classes `K`.
    pub fn classes(&self) -> usize {
        self.bias.as_ref().map_or_else(|| self.weight.as_ref().map_or(0, Vec::len), Vec::len)
    }

    /// The bias's gradient.
    ///
    /// # Errors
    /// `NotApplicable` where the layer has none.
    pub fn bias(&self) -> Result<&[f64], AttackError> {
        self.bias.as_deref().ok_or_else(|| {
            let why = "the method reads the bias of the last layer, and this model's has none; of \
                one class an example `yin`, `llg` and `geng` read its weights";
            AttackError::NotApplicable(why.into())
        })
    }

    /// The rows of the weight's gradient.
    ///
    /// # Errors
    /// `NotApplicable` where the model does not end in a linear layer.
    pub fn rows(&self) -> Result<&[Vec<f64>], AttackError> {
        self.weight.as_deref().ok_or_else(|| {
            let why = "the method reads the rows of the last layer's weight, and this model ends \
                in no linear layer of its classes; use `bias-corrected`, which reads its bias";
            AttackError::NotApplicable(why.into())
        })
    }

    /// The sum of each row `[K]`.
    ///
    /// # Errors
    /// As [`LastLayer::rows`].
    pub fn sums(&self) -> Result<Vec<f64>, AttackError> {
        Ok(self.rows()?.iter().map(|row| row.iter().sum()).collect())
    }
}

fn host(t: &Tensor) -> Tensor {
    t.to_device(Device::Cpu).to_kind(Kind::Double)
}

fn values(t: &Tensor) -> Vec<f64> {
    Vec::try_from(t.contiguous()).unwrap_or_default()
}
