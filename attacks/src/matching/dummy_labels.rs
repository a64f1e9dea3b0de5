//! The labels that candidates are matched with: granted, read off the signal, or optimised along.

use learning::{Observation, Params};
use tch::Tensor;

use super::Matching;
use super::defense_model::DefenseModel;
use super::labels::{self, Labels};
use super::problem::DummyLabels;
use crate::AttackError;
use crate::attack::Run;

impl Matching {
    /// The labels that each lane is matched with.
    pub(super) fn labels(
        &self,
        seen: &Observation,
        gradient: &Params,
        (batch, defense_model): (i64, &DefenseModel),
        run: &Run,
    ) -> Result<DummyLabels, AttackError> {
        let restarts = self.config.restarts as i64;
        let own = self.config.labels;
        let labels = match (own, own.method(), defense_model.noise) {
            (Labels::Joint, ..) => return Ok(DummyLabels::Joint),
            (_, Some(method), _) => labels::by_method(method, seen, run)?,
            (Labels::Idlg, _, Some(noise)) if batch == 1 => {
                let plausible = labels::left_open(seen, gradient, noise, run)?;
                let labels = self.hypotheses(&plausible);
                return Ok(DummyLabels::Fixed(labels.to_device(run.device)));
            }
            (Labels::Known, ..) => labels::granted(seen, batch)?,
            (Labels::Signs, ..) => {
                labels::read_signs(seen, gradient, batch, &mut run.stream("label-evidence"))?
            }
            _ => labels::read_batch(seen, gradient, batch)?,
        };
        let labels = labels.repeat_interleave_self_int(restarts, 0, None);
        Ok(DummyLabels::Fixed(labels.to_device(run.device)))
    }

    /// `[T, 1]`: the restarts of a signal take turns among its plausible labels.
    fn hypotheses(&self, plausible: &[Vec<i64>]) -> Tensor {
        let restarts = self.config.restarts;
        let turns = |labels: &Vec<i64>| {
            let tried = labels.len().min(self.config.label_hypotheses);
            (0..restarts).map(|r| labels[r % tried]).collect::<Vec<_>>()
        };
        let labels: Vec<i64> = plausible.iter().flat_map(turns).collect();
        Tensor::from_slice(&labels).unsqueeze(1)
    }
}
