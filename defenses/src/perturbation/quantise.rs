//! `quantise`: each tensor is rounded to a uniform grid of `2^bits` levels between its extremes.

use std::collections::BTreeMap;

use learning::{Effect, Params};
use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};
use tch::Tensor;

use super::{finite, relative_error};
use crate::{Defense, DefenseError, Deployment, Released, Turn};

/// Registry entry.
pub static ENTRY: Entry<dyn Defense> = Entry {
    name: "quantise",
    summary: "round each tensor to `2^bits` uniform levels between its minimum and maximum",
    reference: "Zhu, Liu, Han: Deep Leakage from Gradients, NeurIPS 2019, section 5 (low \
        precision); Jacob et al., CVPR 2018",
    build: |map| {
        let setting: Quantise = suites::params("quantise", map)?;
        if !(1..=16).contains(&setting.bits) {
            return Err(SpecError::value(
                "defenses.quantise.bits",
                format!("is {}", setting.bits),
                "write 1 to 16",
            ));
        }
        Ok(Box::new(setting))
    },
};

/// Parameters.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quantise {
    /// Bits of a value, 1 to 16.
    pub bits: u32,
}

impl Default for Quantise {
    fn default() -> Quantise {
        Quantise { bits: 8 }
    }
}

impl Defense for Quantise {
    fn release(&self, update: Params, _turn: &mut Turn) -> Result<Released, DefenseError> {
        finite(&update)?;
        let rounded = update.map(|t| round(t, self.bits));
        let values =
            BTreeMap::from([("relative_error".to_string(), relative_error(&rounded, &update))]);
        Ok(Released { update: rounded, values, grid: None })
    }

    fn bits_per_value(&self) -> Option<f64> {
        Some(self.bits as f64)
    }

    fn effects(&self, _deployment: &Deployment) -> Result<Vec<Effect>, DefenseError> {
        Ok(vec![Effect::Cells { bits: self.bits }])
    }

    fn adaptive(&self) -> Option<&'static str> {
        Some(super::ADAPTIVE)
    }
}

/// Rounds each row of `[T, ...]` to its own grid.
fn round(t: &Tensor, bits: u32) -> Tensor {
    let rows = t.flatten(1, -1);
    let (low, high) = (rows.amin(1, true), rows.amax(1, true));
    let step = (high - &low) / (2f64.powi(bits as i32) - 1.0);
    let levels = ((rows - &low) / step.clamp_min(1e-30)).round();
    (levels * &step + low).reshape(t.size())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_are_kept_and_the_error_is_half_a_step() {
        let t = Tensor::arange_start_step(-1.0, 1.0, 0.013, (tch::Kind::Double, tch::Device::Cpu))
            .unsqueeze(0);
        let q = round(&t, 3);
        let range = t.max().double_value(&[]) - t.min().double_value(&[]);
        assert!((&q - &t).abs().max().double_value(&[]) <= range / 7.0 / 2.0 + 1e-12);
        let levels = Vec::<f64>::try_from(q.reshape([-1])).unwrap();
        let mut distinct: Vec<i64> = levels.iter().map(|v| (v * 1e9).round() as i64).collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 8);
    }
}
