//! The image that has given features: `min_theta |enc(u_0 + C theta) - f|^2 / |f|^2` by L-BFGS,
//! lanes side by side.

use learning::tape::Tape;
use learning::{Form, Mode, Network, Params};
use tch::{Kind, Tensor};

use super::budget::Budget;
use super::precondition::Precondition;
use crate::AttackError;
use crate::matching::prior;
use crate::optim::{LbfgsConfig, Objective, Optimizer};

/// The input of a network's first fully connected layer as a function of the image.
pub struct Encoder<'a> {
    pub net: &'a Network,
    pub weights: Params,
    pub mode: Mode,
    /// Position of the layer's tap.
    pub tap: usize,
}

impl Encoder<'_> {
    /// Features `[T, I]` of normalised images `[T, C, H, W]`, differentiable.
    pub fn features(&self, u: &Tensor) -> Tensor {
        let mut tape = Tape::recording(&self.weights, self.mode, Form::Dense);
        let _ = self.net.forward_normalised(&mut tape, &u.unsqueeze(1));
        tape.taps[self.tap].input.flatten(1, -1)
    }
}

/// One inversion: what to match, from where, with which steps.
pub struct Inversion<'a> {
    /// `[T, C, H, W]` to `[T, M]`.
    pub encode: &'a dyn Fn(&Tensor) -> Tensor,
    /// `[T, M]`.
    pub target: &'a Tensor,
    /// Power of the preconditioner's filter: 1 favours smooth changes, -1 sharp ones.
    pub power: f64,
    /// Evaluations allowed.
    pub evaluations: usize,
    /// Weight of total variation in each lane's objective, `[T]`.
    pub tv: Option<&'a Tensor>,
}

/// Scale of the objective, so that tolerances and f32 rounding stay far below what is minimised.
const SCALE: f64 = 1e6;

/// Pairs that L-BFGS remembers.
const HISTORY: usize = 30;

impl Inversion<'_> {
    /// From the normalised images `start` `[T, C, H, W]` to better ones (f32).
    ///
    /// # Errors
    /// When the user asked to stop.
    pub fn run(&self, start: &Tensor, budget: &Budget) -> Result<Tensor, AttackError> {
        let start = start.to_kind(Kind::Float);
        let size = start.size();
        let target = self.target.to_kind(Kind::Float);
        let scale =
            target.square().sum_dim_intlist(1, false, None).clamp_min(1e-30).reciprocal() * SCALE;
        let filter = Precondition::new(size[2], size[3], Kind::Float, start.device());
        budget.side_by_side(size[0]);
        let mut objective = FeatureDistance {
            inversion: self,
            start,
            target,
            scale,
            filter,
            budget,
            stopped: None,
        };
        let mut theta = Tensor::zeros(
            [size[0], size[1..].iter().product()],
            (Kind::Float, objective.start.device()),
        );
        let mut stepper = optimizer(self.evaluations).start(&theta);
        let _ = stepper.step(&mut theta, &mut objective, 1.0);
        match objective.stopped.take() {
            Some(error) => Err(error),
            None => Ok(tch::no_grad(|| objective.image(&theta)).detach()),
        }
    }
}

fn optimizer(evaluations: usize) -> Optimizer {
    Optimizer::Lbfgs(LbfgsConfig {
        max_iter: evaluations,
        max_eval: Some(evaluations),
        history: HISTORY,
        tolerance_grad: 0.0,
        tolerance_change: 0.0,
        ..LbfgsConfig::default()
    })
}

struct FeatureDistance<'a> {
    inversion: &'a Inversion<'a>,
    start: Tensor,
    target: Tensor,
    scale: Tensor,
    filter: Precondition,
    budget: &'a Budget<'a>,
    stopped: Option<AttackError>,
}

impl FeatureDistance<'_> {
    fn image(&self, theta: &Tensor) -> Tensor {
        &self.start + self.filter.apply(&theta.reshape(self.start.size()), self.inversion.power)
    }

    fn value(&self, u: &Tensor) -> Tensor {
        let features = (self.inversion.encode)(u);
        let distance =
            (features - &self.target).square().sum_dim_intlist(1, false, None) * &self.scale;
        match self.inversion.tv {
            Some(weight) => distance + prior::tv_isotropic(&u.unsqueeze(1)) * weight * SCALE,
            None => distance,
        }
    }
}

impl Objective for FeatureDistance<'_> {
    fn evaluate(&mut self, theta: &Tensor) -> (Tensor, Tensor) {
        if self.stopped.is_some() {
            // A non-finite objective ends every lane: that is how a request to stop gets out of
            // the line search.
            return (theta.select(1, 0) + f64::NAN, theta.zeros_like());
        }
        let theta = theta.detach().set_requires_grad(true);
        let value = self.value(&self.image(&theta));
        let gradient =
            Tensor::run_backward(&[value.sum(value.kind())], &[&theta], false, false).remove(0);
        let mean = value.mean(Kind::Double).double_value(&[]) / SCALE;
        self.stopped = self.budget.tick(Some(mean)).err();
        (value.detach(), gradient)
    }
}
