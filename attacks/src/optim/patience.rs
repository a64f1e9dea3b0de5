//! Early stopping: a lane that no longer improves is stopped.

use super::Lanes;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor, no_grad};

/// When a lane counts as no longer improving.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Patience {
    /// Iterations in a row without improvement after which a lane is stopped, at least 1.
    pub patience: usize,
    /// An objective counts as an improvement when it is below the last counted one by more than
    /// this (absolute, at least 0).
    #[serde(default)]
    pub min_improvement: f64,
}

impl Patience {
    /// Names the field that is out of range.
    pub fn check(&self) -> Result<(), String> {
        if self.patience == 0 {
            return Err("early stopping: patience = 0 must be at least 1 iteration".into());
        }
        if !(self.min_improvement >= 0.0 && self.min_improvement.is_finite()) {
            return Err(format!(
                "early stopping: min_improvement = {} must be finite and not negative",
                self.min_improvement
            ));
        }
        Ok(())
    }

    /// A fresh count for T lanes.
    pub fn start(&self) -> EarlyStopping {
        EarlyStopping { config: self.clone(), state: None }
    }
}

/// Early stopping under way. It lives on the lanes' device and never waits for it; ask
/// [`Lanes::any_active`] every so many iterations whether to end the loop. How often one asks does
/// not change where lanes stop.
#[derive(Debug)]
pub struct EarlyStopping {
    config: Patience,
    /// The last counted objective `[T]`, and iterations since then `[T]`.
    state: Option<(Tensor, Tensor)>,
}

impl EarlyStopping {
    /// Counts one iteration with `objective [T]` (as in [`super::StepReport`]) and stops the lanes
    /// whose patience is used up.
    pub fn observe(&mut self, objective: &Tensor, lanes: &mut Lanes) {
        no_grad(|| {
            let (reference, idle) = self.state.take().unwrap_or_else(|| fresh(objective));
            let improved = objective.lt_tensor(&(&reference - self.config.min_improvement));
            let idle = (idle + 1).masked_fill(&improved, 0);
            let reference = objective.where_self(&improved, &reference);
            lanes.stop(&idle.ge(self.config.patience as i64));
            self.state = Some((reference, idle));
        });
    }
}

fn fresh(objective: &Tensor) -> (Tensor, Tensor) {
    let idle = Tensor::zeros(objective.size(), (Kind::Int64, objective.device()));
    (objective.full_like(f64::INFINITY), idle)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Objectives of two lanes over time, and the iterations after which each is stopped.
    #[test]
    fn counts_each_lane_for_itself() {
        let mut stopping = Patience { patience: 3, min_improvement: 0.5 }.start();
        let mut lanes = Lanes::new(&Tensor::zeros([2, 1], (Kind::Double, tch::Device::Cpu)));
        let mut active = Vec::new();
        for (a, b) in
            [(9.0, 9.0), (8.0, 8.9), (7.0, 8.8), (6.9, 8.7), (6.8, 8.6), (6.7, 0.0), (6.6, 0.0)]
        {
            stopping.observe(&Tensor::from_slice(&[a, b]), &mut lanes);
            active.push(Vec::<bool>::try_from(lanes.active()).unwrap());
        }
        let first_stop = |t: usize| active.iter().position(|a| !a[t]).unwrap();
        // Lane 0 last improved at iteration 2; lane 1 at iteration 0, and its late fall cannot
        // wake it.
        assert_eq!((first_stop(0), first_stop(1)), (5, 3));
        assert!(active[6] == [false, false] && !lanes.any_active());
    }

    #[test]
    fn ranges_are_checked() {
        assert!(
            Patience { patience: 0, min_improvement: 0.0 }
                .check()
                .unwrap_err()
                .contains("patience = 0")
        );
        assert!(Patience { patience: 1, min_improvement: f64::NAN }.check().is_err());
        assert!(Patience { patience: 1, min_improvement: 0.0 }.check().is_ok());
    }
}
