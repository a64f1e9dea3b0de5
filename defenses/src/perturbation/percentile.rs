//! `percentile`: only values of large magnitude leave the client, clipped.

use std::collections::BTreeMap;

use learning::effect::Ranked;
use learning::{Effect, Params};
use serde::{Deserialize, Serialize};
use suites::Entry;

use super::{finite, kept_share, on_trainable, percentile_of, pooled, range};
use crate::{Defense, DefenseError, Deployment, Released, Turn};

/// Registry entry.
pub static ENTRY: Entry<dyn Defense> = Entry {
    name: "percentile",
    summary: "zero the values below a percentile of the whole update's magnitudes, clip the rest \
        to `gamma` a step",
    reference: "Shokri, Shmatikov: Privacy-Preserving Deep Learning, CCS 2015; as NVIDIA FLARE's \
        PercentilePrivacy filter",
    build: |map| {
        let setting: Percentile = suites::params("percentile", map)?;
        let (q, gamma) = (setting.percentile, setting.gamma);
        range(
            "percentile",
            "percentile",
            q,
            (0.0..=100.0).contains(&q),
            "write 0 to 100, e.g. 90",
        )?;
        let good = gamma > 0.0 && gamma.is_finite();
        range("percentile", "gamma", gamma, good, "write a finite number above 0, e.g. 0.01")?;
        Ok(Box::new(setting))
    },
};

/// Parameters, with NVIDIA FLARE's defaults.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Percentile {
    /// Percentile of the magnitudes, all tensors of a client together, below which a value is
    /// zeroed, in `[0, 100]`.
    pub percentile: f64,
    /// Largest magnitude of a value divided by the number of local steps, above 0.
    pub gamma: f64,
}

impl Default for Percentile {
    fn default() -> Percentile {
        Percentile { percentile: 10.0, gamma: 0.01 }
    }
}

impl Percentile {
    /// The filter on the mean update of one step: values of magnitude `m >= cutoff` stay, at most
    /// `gamma` large.
    fn filtered(&self, update: &Params, steps: f64) -> Params {
        let cutoff = percentile_of(&pooled(update).abs(), self.percentile);
        let bound = self.gamma * steps;
        on_trainable(update, |t| {
            let mut shape = vec![1; t.dim()];
            shape[0] = -1;
            let kept = t.abs().greater_equal_tensor(&cutoff.reshape(shape));
            t.clamp(-bound, bound).where_self(&kept, &t.zeros_like())
        })
    }
}

/// NVIDIA FLARE divides by the steps before cutting and clipping and multiplies after; that leaves
/// the cut where it was.
fn steps(steps: usize) -> f64 {
    steps.max(1) as f64
}

impl Defense for Percentile {
    fn release(&self, update: Params, turn: &mut Turn) -> Result<Released, DefenseError> {
        finite(&update)?;
        let out = self.filtered(&update, steps(turn.steps));
        let values = BTreeMap::from([
            ("kept_share".to_string(), kept_share(&out)),
            ("relative_error".to_string(), super::relative_error(&out, &update)),
        ]);
        Ok(Released { update: out, values, grid: None })
    }

    fn effects(&self, deployment: &Deployment) -> Result<Vec<Effect>, DefenseError> {
        let (share, among) = (self.percentile / 100.0, Ranked::Update);
        let bound = self.gamma * steps(deployment.captured.steps);
        Ok(vec![Effect::Zeroed { share, among }, Effect::Clamped { bound }])
    }

    fn bits_per_value(&self) -> Option<f64> {
        // A kept value travels with its 32-bit index.
        Some(((1.0 - self.percentile / 100.0) * 64.0).min(32.0))
    }

    fn adaptive(&self) -> Option<&'static str> {
        Some(super::ADAPTIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturbation::testing::{bad, two_tensors, values};

    #[test]
    fn small_values_of_the_whole_update_go_and_large_ones_are_clipped() {
        // Magnitudes 1..=4 and 5..=8: the 50th percentile is 4.5, taken over both tensors.
        let update = two_tensors(&[1.0, -2.0, 3.0, -4.0], &[5.0, -6.0, 7.0, -8.0]);
        let out = Percentile { percentile: 50.0, gamma: 6.5 }.filtered(&update, 1.0);
        assert_eq!(values(&out.tensors[0]), [0.0; 4]);
        assert_eq!(values(&out.tensors[1]), [5.0, -6.0, 6.5, -6.5]);
        assert_eq!(kept_share(&out), 0.5);
    }

    /// `gamma` bounds the update of one step: over two steps values may be twice as large.
    #[test]
    fn the_bound_counts_a_step() {
        let update = two_tensors(&[1.0, -2.0, 3.0, -4.0], &[5.0, -6.0, 7.0, -8.0]);
        let out = Percentile { percentile: 0.0, gamma: 2.0 }.filtered(&update, 2.0);
        assert_eq!(values(&out.tensors[0]), [1.0, -2.0, 3.0, -4.0]);
        assert_eq!(values(&out.tensors[1]), [4.0, -4.0, 4.0, -4.0]);
    }

    #[test]
    fn the_hundredth_percentile_keeps_the_largest() {
        let update = two_tensors(&[1.0, -2.0], &[5.0, -6.0]);
        let out = Percentile { percentile: 100.0, gamma: 10.0 }.filtered(&update, 1.0);
        assert_eq!(
            (values(&out.tensors[0]), values(&out.tensors[1])),
            (vec![0.0, 0.0], vec![0.0, -6.0])
        );
    }

    #[test]
    fn bad_parameters_are_one_line() {
        bad(&ENTRY, "percentile", 101.0);
        bad(&ENTRY, "percentile", -1.0);
        bad(&ENTRY, "gamma", 0.0);
    }
}
