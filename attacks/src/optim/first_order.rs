//! Adam, AdamW and SGD: a few tensor operations in place a step, and no wait for the device.

use super::{
    AdamConfig, Lanes, Objective, SgdConfig, StepReport, Stepper, gradient::Conditioning, rows,
};
use tch::{Tensor, no_grad};

/// A first-order method over T lanes.
pub struct FirstOrder<R> {
    rule: R,
    conditioning: Conditioning,
    /// Steps over which the soft signs fade, and steps taken.
    soft: (Option<usize>, usize),
    lanes: Lanes,
}

/// An update rule.
pub trait Rule {
    /// Moves `x [T, N]` given its conditioned gradient `g [T, N]` (zero for inactive lanes).
    /// `rate` makes the column `[T, 1]` that holds its argument times the step's learning rate
    /// factor for active lanes and 0 for the others.
    fn update(&mut self, x: &mut Tensor, g: Tensor, rate: &dyn Fn(f64) -> Tensor);
}

impl FirstOrder<Adam> {
    /// Adam, or AdamW where the weight decay is `decoupled`, for `x [T, N]`.
    pub fn adam(x: &Tensor, config: &AdamConfig, decoupled: bool) -> Self {
        let (mean, square) = (x.zeros_like(), x.zeros_like());
        let rule = Adam { config: config.clone(), decoupled, mean, square, steps: 0 };
        let soft = (config.soft_over, 0);
        FirstOrder { rule, conditioning: config.conditioning(), soft, lanes: Lanes::new(x) }
    }
}

impl FirstOrder<Sgd> {
    /// SGD for `x [T, N]`.
    pub fn sgd(x: &Tensor, config: &SgdConfig) -> Self {
        let rule = Sgd { config: config.clone(), velocity: None };
        let soft = (None, 0);
        FirstOrder { rule, conditioning: config.conditioning(), soft, lanes: Lanes::new(x) }
    }
}

impl<R> FirstOrder<R> {
    /// The gradient bounded as softly as this step asks for.
    fn softened(&mut self, g: Tensor) -> Tensor {
        let (Some(total), done) = self.soft else { return g };
        self.soft.1 += 1;
        let hardness = 1.0 - done as f64 / total as f64;
        if hardness > 0.0 { (g * hardness).tanh() / hardness } else { g }
    }
}

impl<R: Rule> Stepper for FirstOrder<R> {
    fn step(
        &mut self,
        x: &mut Tensor,
        objective: &mut dyn Objective,
        lr_factor: f64,
    ) -> StepReport {
        let (value, gradient) = objective.evaluate(x);
        no_grad(|| {
            let (value, gradient) = (value.detach(), gradient.detach());
            let norm = rows::norm(&gradient);
            self.lanes.admit(x, &value, &norm);
            let active = self.lanes.active();
            let g = self.conditioning.apply(&gradient, &norm, active);
            let moving = active.to_kind(x.kind()).unsqueeze(1);
            let g = self.softened(g);
            self.rule.update(x, g, &|rate| &moving * (rate * lr_factor));
            StepReport { objective: value, grad_norm: norm, evaluations: 1 }
        })
    }

    fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    fn lanes_mut(&mut self) -> &mut Lanes {
        &mut self.lanes
    }
}

/// Adam's running moments.
pub struct Adam {
    config: AdamConfig,
    decoupled: bool,
    mean: Tensor,
    square: Tensor,
    steps: i32,
}

impl Rule for Adam {
    fn update(&mut self, x: &mut Tensor, mut g: Tensor, rate: &dyn Fn(f64) -> Tensor) {
        let AdamConfig { lr, betas: [beta1, beta2], eps, weight_decay, .. } = self.config;
        self.steps = self.steps.saturating_add(1);
        if weight_decay > 0.0 && self.decoupled {
            let _ = x.g_mul_(&(rate(-lr * weight_decay) + 1.0));
        } else if weight_decay > 0.0 {
            g += &*x * weight_decay;
        }
        let _ = self.mean.lerp_(&g, 1.0 - beta1);
        let _ = self.square.lerp_(&g.square_(), 1.0 - beta2);
        let (bias1, bias2) = (1.0 - beta1.powi(self.steps), (1.0 - beta2.powi(self.steps)).sqrt());
        // torch's mean / (sqrt(square) / bias2 + eps), with bias2 drawn out of the fraction to save
        // one pass over the variables.
        let direction = &self.mean / self.square.sqrt().g_add_scalar_(eps * bias2);
        let _ = x.addcmul_(&direction, &rate(-lr * bias2 / bias1));
    }
}

/// SGD's velocity, absent before the first step and without momentum.
pub struct Sgd {
    config: SgdConfig,
    velocity: Option<Tensor>,
}

impl Rule for Sgd {
    fn update(&mut self, x: &mut Tensor, mut g: Tensor, rate: &dyn Fn(f64) -> Tensor) {
        let SgdConfig { lr, momentum, nesterov, weight_decay, .. } = self.config;
        if weight_decay > 0.0 {
            g += &*x * weight_decay;
        }
        if momentum > 0.0 {
            // The first velocity is the gradient itself, as in torch.
            let velocity = match self.velocity.take() {
                None => g.copy(),
                Some(v) => v * momentum + &g,
            };
            g = if nesterov { g + &velocity * momentum } else { velocity.shallow_clone() };
            self.velocity = Some(velocity);
        }
        let _ = x.addcmul_(&g, &rate(-lr));
    }
}
