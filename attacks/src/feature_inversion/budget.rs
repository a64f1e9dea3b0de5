//! Progress, cancelling and the count of evaluations.

use std::cell::Cell;

use crate::AttackError;
use crate::attack::{Progress, Run};

/// Counts what one chunk of lanes spends. An evaluation is one forward and one backward pass
/// through the layers before the first fully connected one (a step of conjugate gradients is one as
/// well: `J p` and `J^T r`; so is one step of recovering a layer).
pub struct Budget<'a> {
    run: &'a Run<'a>,
    done: Cell<usize>,
    total: usize,
    lanes: Cell<i64>,
    spent: Cell<u64>,
}

impl<'a> Budget<'a> {
    /// `total` evaluations are planned.
    pub fn new(run: &'a Run<'a>, total: usize) -> Budget<'a> {
        Budget { run, done: Cell::new(0), total, lanes: Cell::new(1), spent: Cell::new(0) }
    }

    /// From now on so many lanes run side by side.
    pub fn side_by_side(&self, lanes: i64) {
        self.lanes.set(lanes);
    }

    /// One more evaluation of every lane that runs now.
    ///
    /// # Errors
    /// When the user asked to stop.
    pub fn tick(&self, objective: Option<f64>) -> Result<(), AttackError> {
        self.run.check()?;
        self.done.set(self.done.get() + self.lanes.get() as usize);
        self.spent.set(self.spent.get() + self.lanes.get() as u64);
        let (iteration, total) = (self.done.get().min(self.total), self.total);
        (self.run.progress)(Progress { iteration, total, lanes: self.lanes.get(), objective });
        Ok(())
    }

    /// Evaluations of all lanes so far.
    pub fn spent(&self) -> u64 {
        self.spent.get()
    }
}
