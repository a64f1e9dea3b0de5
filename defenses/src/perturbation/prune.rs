//! `prune`: only the largest entries of each tensor leave the client.

use std::collections::BTreeMap;

use learning::effect::Ranked;
use learning::{Effect, Params};
use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};
use tch::Tensor;

use super::{finite, kept_share, relative_error};
use crate::{Defense, DefenseError, Deployment, Released, Turn};

/// Registry entry.
pub static ENTRY: Entry<dyn Defense> = Entry {
    name: "prune",
    summary: "zero the smallest `fraction` of each tensor's entries by magnitude",
    reference: "Zhu, Liu, Han: Deep Leakage from Gradients, NeurIPS 2019, section 5 (gradient \
        compression); Lin et al., ICLR 2018",
    build: |map| {
        let setting: Prune = suites::params("prune", map)?;
        if !(0.0..1.0).contains(&setting.fraction) {
            let problem = format!("is {}", setting.fraction);
            return Err(SpecError::value(
                "defenses.prune.fraction",
                problem,
                "write a share of at least 0 and below 1, e.g. 0.9",
            ));
        }
        Ok(Box::new(setting))
    },
};

/// Parameters.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prune {
    /// Share of each tensor's entries that is zeroed, in `[0, 1)`.
    pub fraction: f64,
}

impl Default for Prune {
    fn default() -> Prune {
        Prune { fraction: 0.9 }
    }
}

impl Defense for Prune {
    fn release(&self, update: Params, _turn: &mut Turn) -> Result<Released, DefenseError> {
        finite(&update)?;
        let pruned = update.map(|t| keep_largest(t, self.fraction));
        let values = BTreeMap::from([
            ("kept_share".to_string(), kept_share(&pruned)),
            ("relative_error".to_string(), relative_error(&pruned, &update)),
        ]);
        Ok(Released { update: pruned, values, grid: None })
    }

    fn bits_per_value(&self) -> Option<f64> {
        // A kept entry travels as a 32-bit value with its 32-bit index.
        Some(((1.0 - self.fraction) * 64.0).min(32.0))
    }

    fn adaptive(&self) -> Option<&'static str> {
        Some(super::ADAPTIVE)
    }

    fn effects(&self, _deployment: &Deployment) -> Result<Vec<Effect>, DefenseError> {
        Ok(vec![Effect::Zeroed { share: self.fraction, among: Ranked::Tensor }])
    }
}

/// Keeps `n - floor(fraction * n)` entries of each row of `[T, ...]`, at least one.
fn keep_largest(t: &Tensor, fraction: f64) -> Tensor {
    let rows = t.flatten(1, -1);
    let n = rows.size()[1];
    let kept = (n - (fraction * n as f64).floor() as i64).max(1);
    let (_, places) = rows.abs().topk(kept, 1, true, false);
    let mask = rows.zeros_like().scatter_value(1, &places, 1.0);
    (rows * mask).reshape(t.size())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_of_each_row_stay() {
        let t = Tensor::from_slice(&[1f32, -5.0, 2.0, 0.5, 4.0, 3.0, -2.0, 1.0]).reshape([2, 2, 2]);
        let kept = keep_largest(&t, 0.5);
        let values: Vec<f32> = Vec::try_from(kept.reshape([-1])).unwrap();
        assert_eq!(values, [0.0, -5.0, 2.0, 0.0, 4.0, 3.0, 0.0, 0.0]);
        assert_eq!(keep_largest(&t, 0.0), t);
    }

    #[test]
    fn the_wire_carries_what_is_kept_with_its_index() {
        assert!((Prune::default().bits_per_value().unwrap() - 6.4).abs() < 1e-12);
        // A dense tensor is shorter than half of it with indices.
        assert_eq!(Prune { fraction: 0.25 }.bits_per_value(), Some(32.0));
        super::super::testing::bad(&ENTRY, "fraction", 1.0);
    }
}
