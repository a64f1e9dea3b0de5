//! Optimisers over independent lanes: every state is a tensor `[T, N]`, one row for each lane.
//!
//! Adam, AdamW, SGD and L-BFGS follow the update rules of `torch.optim`; golden traces hold them to
//! it. A lane's path depends on nothing but its own row: lanes can be added, stopped or diverge
//! without changing the others by a bit (as far as the objective itself treats its rows alike, and
//! for any number of threads).
//!
//! The caller's loop: [`Optimizer::start`], then [`Stepper::step`] with [`Schedule::factor`], a
//! projection where there is a box, [`EarlyStopping::observe`]; every so often
//! [`Lanes::any_active`]; at the end one evaluation for [`Lanes::consider`], and the result is
//! [`Lanes::best_x`].

mod config;
mod first_order;
mod gradient;
mod lanes;
mod lbfgs;
mod patience;
pub(crate) mod rows;
mod schedule;
#[cfg(test)]
mod tests;

pub use config::{AdamConfig, LbfgsConfig, LineSearch, Optimizer, SgdConfig};
pub use lanes::Lanes;
pub use patience::{EarlyStopping, Patience};
pub use schedule::{Decay, Schedule};
use tch::Tensor;

/// A function of N variables, evaluated for all lanes at once.
pub trait Objective {
    /// `x [T, N]` -> the objective of each lane `[T]` and its gradient `[T, N]`, both on `x`'s
    /// device; the gradient has `x`'s kind, the objective that kind or f64. Row t may depend on row
    /// t of `x` only.
    fn evaluate(&mut self, x: &Tensor) -> (Tensor, Tensor);
}

/// An optimiser under way.
pub trait Stepper {
    /// One step of all active lanes, in place: `x [T, N]` is what [`Optimizer::start`] was given,
    /// as the last step (or a projection applied by the caller since) left it. `lr_factor`
    /// multiplies the learning rate ([`Schedule::factor`]).
    ///
    /// A lane whose objective or gradient is not finite is put back to its best finite point and
    /// stopped.
    fn step(&mut self, x: &mut Tensor, objective: &mut dyn Objective, lr_factor: f64)
    -> StepReport;

    /// How the lanes stand: who is active, who diverged, the best points.
    fn lanes(&self) -> &Lanes;

    /// The same, to stop lanes or to have a final point considered.
    fn lanes_mut(&mut self) -> &mut Lanes;
}

/// What one step saw. The tensors are on `x`'s device, so that reading them is the caller's choice
/// of when to wait for it.
#[derive(Debug)]
pub struct StepReport {
    /// Each lane's objective `[T]` where the step began (as `torch.optim`'s closure returns it),
    /// non-finite values included.
    pub objective: Tensor,
    /// Each lane's L2 norm `[T]` of the gradient there, before clipping and signs.
    pub grad_norm: Tensor,
    /// Batched evaluations this step took: 1 for first-order methods; for L-BFGS what its slowest
    /// lane needed.
    pub evaluations: usize,
}
