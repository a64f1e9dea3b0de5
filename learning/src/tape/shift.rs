//! What a second pass adds at the layers whose gradients are kept as factors.

use std::collections::VecDeque;

use tch::Tensor;

use crate::layer_grad::sum_lanes;

/// Of one layer `z = W a`, whose gradient is a function of `a` and of `d = dL/dz`: moving `z` along
/// `v` makes dL/dx change by the derivative of `<v, d>` by x; a loss of `<w, a>` beside it has that
/// of `<w, a>`.
pub(crate) struct Shift {
    /// What is added to the output, in its shape.
    pub output: Tensor,
    /// What the input is multiplied with, in its shape; the sum over a lane is added to the loss.
    pub input: Tensor,
}

/// The shifts of one pass, one a tap.
pub(crate) struct Shifts {
    queue: VecDeque<Option<Shift>>,
    /// What is added to the loss, `[T]`.
    pub loss: Option<Tensor>,
}

impl Shifts {
    pub(crate) fn new(shifts: impl Iterator<Item = Option<Shift>>) -> Shifts {
        Shifts { queue: shifts.collect(), loss: None }
    }

    /// The output of the next tap, shifted.
    pub(super) fn pass(&mut self, input: &Tensor, output: Tensor) -> Tensor {
        let Some(shift) = self.queue.pop_front().flatten() else { return output };
        let term = sum_lanes(&(input * shift.input));
        self.loss = Some(match self.loss.take() {
            Some(sum) => sum + term,
            None => term,
        });
        output + shift.output
    }
}
