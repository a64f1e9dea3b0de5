//! Piecewise operations, whose branches a second pass takes over from the first.
//!
//! A derivative knows nothing of kinks: second-order autograd differentiates the branch that a
//! value is on. A difference of two passes sees the same only where both are on the same branches,
//! so the first one's are recorded and the second one repeats them: it takes the masks and indices
//! as they were, and is smooth.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use tch::Tensor;

use super::{Tape, broadcast_lanes, images, unfold_lanes};

#[derive(Default)]
enum State {
    /// An ordinary pass.
    #[default]
    Free,
    Record(Vec<Tensor>),
    Repeat(VecDeque<Tensor>),
}

/// The branches of one pass; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Kinks(Rc<RefCell<State>>);

impl Kinks {
    /// Of a pass whose branches another one repeats.
    pub(crate) fn recording() -> Kinks {
        Kinks(Rc::new(RefCell::new(State::Record(Vec::new()))))
    }

    /// Of a pass that repeats these.
    pub(crate) fn repeating(branches: &[Tensor]) -> Kinks {
        let queue = branches.iter().map(Tensor::shallow_clone).collect();
        Kinks(Rc::new(RefCell::new(State::Repeat(queue))))
    }

    /// What has been recorded.
    pub(crate) fn branches(&self) -> Vec<Tensor> {
        match &*self.0.borrow() {
            State::Record(all) => all.iter().map(Tensor::shallow_clone).collect(),
            _ => Vec::new(),
        }
    }

    /// The next branch of the first pass, where this is the second.
    fn next(&self) -> Option<Tensor> {
        match &mut *self.0.borrow_mut() {
            State::Repeat(queue) => {
                Some(queue.pop_front().expect("both passes meet the same operations"))
            }
            _ => None,
        }
    }

    fn keep(&self, branch: &Tensor) {
        if let State::Record(all) = &mut *self.0.borrow_mut() {
            all.push(branch.detach());
        }
    }

    /// What `f` gives, in a second pass what it gave in the first: masks, signs, indices.
    pub(crate) fn fixed(&self, f: impl FnOnce() -> Tensor) -> Tensor {
        self.next().unwrap_or_else(|| {
            let branch = f();
            self.keep(&branch);
            branch
        })
    }

    /// `plain` of an ordinary pass; in a second pass `frozen` of the branch that `branch` makes of
    /// the first pass's input.
    pub(crate) fn either(
        &self,
        branch: impl FnOnce() -> Tensor,
        plain: impl FnOnce() -> Tensor,
        frozen: impl FnOnce(&Tensor) -> Tensor,
    ) -> Tensor {
        if let Some(first) = self.next() {
            return frozen(&first);
        }
        if matches!(&*self.0.borrow(), State::Record(_)) {
            self.keep(&branch());
        }
        plain()
    }

    /// `max(x, 0)`, slope 0 at 0.
    pub(crate) fn relu(&self, x: &Tensor) -> Tensor {
        if let Some(first) = self.next() {
            // ReLU's own backward step: `x` where the first pass was above 0.
            return broadcast_lanes(&first, x.size()[0]).threshold_backward(x, 0.0);
        }
        let y = x.relu();
        self.keep(&y);
        y
    }

    /// `x`, or `below` of it where it is not above 0: `plain` computes both.
    pub(crate) fn bent(
        &self,
        x: &Tensor,
        plain: impl FnOnce() -> Tensor,
        below: impl FnOnce(&Tensor) -> Tensor,
    ) -> Tensor {
        self.either(|| x.gt(0.0), plain, |above| x.where_self(above, &below(x)))
    }

    /// `plain`, which gives `x` between the bounds and the nearer bound else.
    pub(crate) fn between(
        &self,
        x: &Tensor,
        inside: impl FnOnce() -> Tensor,
        plain: impl FnOnce() -> Tensor,
    ) -> Tensor {
        if let Some(held) = self.next() {
            // Values of bounds, NaN inside them.
            return x.where_self(&held.isnan(), &held);
        }
        let y = plain();
        if matches!(&*self.0.borrow(), State::Record(_)) {
            let nan = y.full_like(f64::NAN);
            self.keep(&nan.where_self(&inside(), &y.detach()));
        }
        y
    }

    /// A pool of images `[N, C, H, W]` (or signals `[N, C, L]`) that picks values by indices into
    /// an image; `picked` gives the values and the indices.
    pub(crate) fn pick(
        &self,
        x: &Tensor,
        plain: impl FnOnce() -> Tensor,
        picked: impl FnOnce() -> (Tensor, Tensor),
    ) -> Tensor {
        if let Some(at) = self.next() {
            return x.flatten(2, -1).gather(2, &at.flatten(2, -1), false).reshape(at.size());
        }
        if !matches!(&*self.0.borrow(), State::Record(_)) {
            return plain();
        }
        let (values, at) = picked();
        self.keep(&at);
        values
    }
}

impl Tape<'_> {
    /// The branches of this pass.
    pub(crate) fn kinks(&self) -> &Kinks {
        &self.kinks
    }

    /// `max(x, 0)`. A model that calls this in place of [`Tensor::relu`] can be matched by
    /// differences of first derivatives.
    pub fn relu(&self, x: &Tensor) -> Tensor {
        self.kinks.relu(x)
    }

    /// [`super::max_pool`], likewise.
    pub fn max_pool(&self, x: &Tensor, kernel: i64, stride: i64, padding: i64) -> Tensor {
        let [k, s, p] = [[kernel; 2], [stride; 2], [padding; 2]];
        let flat = images(x);
        let pooled = self.kinks.pick(
            &flat,
            || flat.max_pool2d(k, s, p, [1, 1], false),
            || flat.max_pool2d_with_indices(k, s, p, [1, 1], false),
        );
        unfold_lanes(&pooled, x.size()[0])
    }
}
