//! How each lane stands, kept in tensors so that a GPU never has to be waited for.

use super::rows;
use tch::{Kind, Tensor, no_grad};

/// The state of T lanes of N variables: which still run, which diverged, and the best point each
/// has seen.
///
/// Best means the lowest finite objective among the points at which a step began (and those given
/// to [`Lanes::consider`]); a line search's probes are left out because a projection applied
/// between steps has not touched them.
#[derive(Debug)]
pub struct Lanes {
    active: Tensor,
    stopped: Tensor,
    best_x: Tensor,
    best_objective: Tensor,
    evaluations: Tensor,
}

impl Lanes {
    /// All lanes active at `x [T, N]`.
    pub(super) fn new(x: &Tensor) -> Lanes {
        let (t, _) = x.size2().expect("x must be [T, N]");
        let flags = (Kind::Bool, x.device());
        Lanes {
            active: Tensor::ones([t], flags),
            stopped: Tensor::zeros([t], flags),
            best_x: x.detach().copy(),
            best_objective: Tensor::full([t], f64::INFINITY, (value_kind(x), x.device())),
            evaluations: Tensor::zeros([t], (Kind::Int64, x.device())),
        }
    }

    /// Which lanes still move: bool `[T]`.
    pub fn active(&self) -> &Tensor {
        &self.active
    }

    /// Which lanes were stopped by convergence, patience or [`Lanes::stop`]: bool `[T]`.
    pub fn stopped(&self) -> &Tensor {
        &self.stopped
    }

    /// Which lanes met a non-finite objective or gradient and were put back to their best finite
    /// point: bool `[T]`.
    pub fn diverged(&self) -> Tensor {
        self.active.logical_or(&self.stopped).logical_not()
    }

    /// The best point of each lane `[T, N]`; its start where no objective was finite.
    pub fn best_x(&self) -> &Tensor {
        &self.best_x
    }

    /// The objective there `[T]`, in f64 where the device has it; infinite where none was finite.
    pub fn best_objective(&self) -> &Tensor {
        &self.best_objective
    }

    /// Evaluations each lane used while it was active: i64 `[T]`.
    pub fn evaluations(&self) -> &Tensor {
        &self.evaluations
    }

    /// Whether any lane still moves. Waits for the device.
    pub fn any_active(&self) -> bool {
        self.active.any().int64_value(&[]) != 0
    }

    /// Stops the active ones among `which` (bool `[T]`) where they are.
    pub fn stop(&mut self, which: &Tensor) {
        self.stopped = self.active.logical_and(which).logical_or(&self.stopped);
        self.active = self.active.logical_and(&which.logical_not());
    }

    /// Lets points that no step began at compete for the best: `x [T, N]` with their `objective
    /// [T]`, as after the last step.
    pub fn consider(&mut self, x: &Tensor, objective: &Tensor) {
        no_grad(|| {
            let finite = objective.abs().lt(f64::INFINITY);
            self.improve(x, objective, &finite);
        });
    }

    /// Takes note of an evaluation at the points where a step begins: the best are kept, and lanes
    /// with a non-finite `objective [T]` or gradient norm `[T]` leave the active ones, with `x [T,
    /// N]` put back to their best point.
    pub(super) fn admit(&mut self, x: &mut Tensor, objective: &Tensor, norm: &Tensor) {
        let _ = self.evaluations.g_add_(&self.active);
        // Infinities and NaN of either survive the sum, a norm being never negative infinity.
        let finite = (objective.abs() + norm).lt(f64::INFINITY);
        let live = self.active.logical_and(&finite);
        self.improve(x, objective, &live);
        let lost = self.active.logical_xor(&live);
        self.restore(x, &lost);
        self.active = live;
    }

    /// Takes the lanes `lost` (bool `[T]`) out of the active ones and puts them back to their best
    /// point.
    pub(super) fn diverge(&mut self, x: &mut Tensor, lost: &[bool]) {
        let lost = rows::mask(lost, x.device());
        self.restore(x, &lost);
        self.active = self.active.logical_and(&lost.logical_not());
    }

    /// Counts further evaluations, `counts[t]` for lane t.
    pub(super) fn add_evaluations(&mut self, counts: &[usize]) {
        let _ = self.evaluations.g_add_(&rows::index(counts, self.evaluations.device()));
    }

    fn improve(&mut self, x: &Tensor, objective: &Tensor, among: &Tensor) {
        let objective = objective.to_kind(self.best_objective.kind());
        let better = objective.lt_tensor(&self.best_objective).logical_and(among);
        self.best_objective = objective.where_self(&better, &self.best_objective);
        self.best_x = x.where_self(&better.unsqueeze(1), &self.best_x);
    }

    fn restore(&self, x: &mut Tensor, lost: &Tensor) {
        let _ = self.best_x.where_self_out(x, &lost.unsqueeze(1), x);
    }
}

/// Objectives are compared in f64, whatever the variables are in, where the device has it.
fn value_kind(x: &Tensor) -> Kind {
    if x.device() == tch::Device::Mps { x.kind() } else { Kind::Double }
}
