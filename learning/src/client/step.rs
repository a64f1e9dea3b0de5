//! What a local step makes of a gradient: SGD and Adam as PyTorch defines them, and FedProx's pull
//! to the broadcast weights.

use tch::Tensor;

use super::LocalTraining;
use crate::params::Params;

/// The rule of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StepRule {
    /// `torch.optim.SGD` with the setting's momentum.
    Sgd,
    /// `torch.optim.Adam` (Kingma and Ba 2015): L2 in the gradient, epsilon outside the root.
    Adam {
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
    },
}

/// Adam's epsilon, as PyTorch's default.
pub const ADAM_EPS: f64 = 1e-8;

/// What an optimiser remembers from step to step: nothing before the first.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Momentum's velocity, or Adam's first moment, `[T, ...]`.
    pub first: Option<Params>,
    /// Adam's second moment, `[T, ...]`.
    pub second: Option<Params>,
    /// Steps taken.
    pub steps: u64,
}

impl State {
    /// One step from `params` against `gradient`, with `start` the broadcast weights of the round.
    pub(super) fn step(
        &mut self,
        setting: &LocalTraining,
        start: &Params,
        params: Params,
        mut gradient: Params,
    ) -> Params {
        self.steps += 1;
        if setting.weight_decay != 0.0 {
            gradient = trainable(&gradient, &params, |g, w| g + w * setting.weight_decay);
        }
        if setting.prox != 0.0 {
            let pull = trainable(&params, start, |w, s| (w - s) * setting.prox);
            gradient = trainable(&gradient, &pull, |g, p| g + p);
        }
        let lr = setting.rate(self.steps as usize - 1);
        match setting.rule {
            StepRule::Sgd => self.sgd(setting, lr, &params, gradient),
            StepRule::Adam { beta1, beta2 } => self.adam(lr, beta1, beta2, &params, &gradient),
        }
    }

    fn sgd(
        &mut self,
        setting: &LocalTraining,
        lr: f64,
        params: &Params,
        mut gradient: Params,
    ) -> Params {
        if setting.momentum != 0.0 {
            let v = match self.first.take() {
                Some(v) => v.zip(&gradient, |v, g| v * setting.momentum + g),
                None => gradient,
            };
            gradient = v.clone();
            self.first = Some(v);
        }
        params.zip(&gradient, |w, g| w - g * lr)
    }

    /// `w - lr / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + eps)`.
    fn adam(
        &mut self,
        lr: f64,
        beta1: f64,
        beta2: f64,
        params: &Params,
        gradient: &Params,
    ) -> Params {
        let moment = |old: Option<Params>, beta: f64, new: Params| match old {
            Some(old) => old.zip(&new, |m, g| m * beta + g * (1.0 - beta)),
            None => new.scale(1.0 - beta),
        };
        let first = moment(self.first.take(), beta1, gradient.clone());
        let second = moment(self.second.take(), beta2, gradient.map(Tensor::square));
        let steps = self.steps as f64;
        let (rise, root) = (1.0 - beta1.powf(steps), (1.0 - beta2.powf(steps)).sqrt());
        let direction = first.zip(&second, |m, v| m / (v.sqrt() / root + ADAM_EPS));
        (self.first, self.second) = (Some(first), Some(second));
        params.zip(&direction, |w, d| w - d * (lr / rise))
    }
}

/// `f` of the trainable parameters of both; buffers stay the first's.
fn trainable(a: &Params, b: &Params, mut f: impl FnMut(&Tensor, &Tensor) -> Tensor) -> Params {
    let flags: Vec<bool> = a.layout().specs().iter().map(|s| s.trainable).collect();
    let mut flags = flags.into_iter();
    a.zip(b, |a, b| if flags.next() == Some(true) { f(a, b) } else { a.shallow_clone() })
}
