//! Optimisers over independent trials: every state is a tensor `[T, N]`, one row for each trial.
//!
//! Adam, AdamW, SGD and L-BFGS follow the update rules of `torch.optim`; golden traces hold them to
//! it. A trial's path depends on nothing but its own row: trials can be added, stopped or diverge
//! without changing the others by a bit (as far as the objective itself treats its rows alike, and
//! for any number of threads).
//!
//! The caller's loop: [`Optimizer::start`], then [`Stepper::step`] with [`Schedule::factor`], a
//! projection where there is a box, [`EarlyStopping::observe`]; every so often
//! [`Trials::any_active`]; at the end one evaluation for [`Trials::consider`], and the result is
//! [`Trials::best_x`].

mod config;
mod first_order;
mod gradient;
mod lbfgs;
mod patience;
mod rows;
mod schedule;
#[cfg(test)]
mod tests;
mod trials;

pub use config::{AdamConfig, LbfgsConfig, LineSearch, Optimizer, SgdConfig};
pub use patience::{EarlyStopping, Patience};
pub use schedule::{Decay, Schedule};
use tch::Tensor;
pub use trials::Trials;

/// A function of N variables, evaluated for all trials at once.
pub trait Objective {
    /// `x [T, N]` -> the objective of each trial `[T]` and its gradient `[T, N]`, both on `x`'s
    /// device; the gradient has `x`'s kind, the objective that kind or f64. Row t may depend on row
    /// t of `x` only.
    fn evaluate(&mut self, x: &Tensor) -> (Tensor, Tensor);
}

/// An optimiser under way.
pub trait Stepper {
    /// One step of all active trials, in place: `x [T, N]` is what [`Optimizer::start`] was given,
    /// as the last step (or a projection applied by the caller since) left it. `lr_factor`
    /// multiplies the learning rate ([`Schedule::factor`]).
    ///
    /// A trial whose objective or gradient is not finite is put back to its best finite point and
    /// stopped.
    fn step(&mut self, x: &mut Tensor, objective: &mut dyn Objective, lr_factor: f64)
    -> StepReport;

    /// How the trials stand: who is active, who diverged, the best points.
    fn trials(&self) -> &Trials;

    /// The same, to stop trials or to have a final point considered.
    fn trials_mut(&mut self) -> &mut Trials;
}

/// What one step saw. The tensors are on `x`'s device, so that reading them is the caller's choice
/// of when to wait for it.
#[derive(Debug)]
pub struct StepReport {
    /// Each trial's objective `[T]` where the step began (as `torch.optim`'s closure returns it),
    /// non-finite values included.
    pub objective: Tensor,
    /// Each trial's L2 norm `[T]` of the gradient there, before clipping and signs.
    pub grad_norm: Tensor,
    /// Batched evaluations this step took: 1 for first-order methods; for L-BFGS what its slowest
    /// trial needed.
    pub evaluations: usize,
}
