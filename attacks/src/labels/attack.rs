//! Label recovery as an attack of its own: it tells the batch's labels and draws no picture.

use learning::Observation;
use serde::{Deserialize, Serialize};
use suites::{Entry, Fact, SpecError};
use tch::{Device, Kind, Tensor};

use super::method::{Method, Told, recover};
use super::several;
use crate::{Attack, AttackError, Reconstruction, Run};

/// Registry entry.
pub static ENTRY: Entry<dyn Attack> = Entry {
    name: "labels",
    summary: "the labels behind a signal and no picture, by one of the published methods \
        (`method = \"bias-corrected\"`)",
    reference: "Wainakh et al.: User-Level Label Leakage from Gradients in Federated Learning, \
        PoPETs 2022; and others, by method",
    build: |map| Ok(Box::new(suites::params::<LabelAttack>("labels", map)?)),
};

/// Pictures of noise that stand in for the client's examples, unless told otherwise.
pub const PICTURES: usize = 256;

/// Most pictures of noise.
const MOST: usize = 4096;

/// The attack with its parameters.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, try_from = "Params")]
pub struct LabelAttack(Params);

/// What a suite may set.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    /// How labels are read.
    method: Method,
    /// Pictures of noise that stand in for the client's examples where the method needs some, 1 to
    /// 4,096.
    pictures: usize,
}

impl Default for Params {
    fn default() -> Params {
        Params { method: Method::default(), pictures: PICTURES }
    }
}

impl TryFrom<Params> for LabelAttack {
    type Error = SpecError;

    fn try_from(p: Params) -> Result<LabelAttack, SpecError> {
        if (1..=MOST).contains(&p.pictures) {
            return Ok(LabelAttack(p));
        }
        let remedy = format!("write a whole number from 1 to {MOST}");
        Err(SpecError::value("attack.pictures", format!("is {}", p.pictures), remedy))
    }
}

impl Attack for LabelAttack {
    fn needs(&self) -> Vec<Fact> {
        self.0.method.needs()
    }

    fn reads_signal(&self) -> bool {
        self.0.method != Method::Prior
    }

    fn reads_class_shares(&self) -> bool {
        self.0.method == Method::Prior
    }

    fn infers_labels(&self, _granted: &[Fact]) -> bool {
        self.0.method.is_of_one_class()
    }

    fn reads_directions(&self) -> bool {
        self.0.method.reads_directions()
    }

    fn reconstruct(&self, seen: &Observation, run: &Run) -> Result<Reconstruction, AttackError> {
        let (labels, certainty) = match self.0.method {
            Method::Signs => several::told(seen, self.0.pictures, run)?,
            method => stacked(&recover(method, seen, self.0.pictures, run)?),
        };
        let (signals, batch) = (labels.size()[0], labels.size()[1]);
        Ok(Reconstruction {
            pixels: Tensor::zeros([signals, batch, 0], (Kind::Float, Device::Cpu)),
            labels: Some(labels),
            certainty,
            objective: vec![0.0; signals as usize],
            trace: Vec::new(),
            evaluations: 0,
            iterations: 0,
            restarts: 1,
            flags: vec![Vec::new(); signals as usize],
        })
    }
}

/// Labels `[N, B]` and certainties `[N, B]`.
fn stacked(told: &[Told]) -> (Tensor, Option<Tensor>) {
    let labels: Vec<Tensor> = told.iter().map(|t| Tensor::from_slice(&t.labels)).collect();
    let sure: Option<Vec<Tensor>> = told
        .iter()
        .map(|t| Some(Tensor::from_slice(t.certainty.as_ref()?).to_kind(Kind::Float)))
        .collect();
    (Tensor::stack(&labels, 0), sure.map(|rows| Tensor::stack(&rows, 0)))
}
