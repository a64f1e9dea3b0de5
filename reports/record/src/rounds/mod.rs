//! What is kept of a training: one record a round, written as CSV, and what its report says beside
//! them.

mod file;

pub use file::{read_rounds, write_rounds};

use crate::number;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name of the file of rounds in a training's folder.
pub const ROUNDS: &str = "records.csv";

/// One round of a training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RoundRecord {
    /// Rounds done, from 1; 0 is the state before training.
    pub round: usize,
    /// Clients invited.
    pub clients: usize,
    /// Clients whose update entered the aggregate.
    pub survivors: usize,
    /// Scores on held-out examples by name: `accuracy`, `macro_f1`, `auc` in [0, 1], `loss`, and
    /// others; empty where not evaluated.
    #[serde(with = "number::map")]
    pub metrics: BTreeMap<String, f64>,
    /// Mean loss of the local steps; `None` where nobody trained.
    #[serde(with = "number::option", default)]
    pub train_loss: Option<f64>,
    /// Learning rate of the round's local steps.
    pub lr: f64,
    /// Bytes that all clients of the round sent.
    pub bytes_up: u64,
    /// Bytes that all clients of the round received.
    pub bytes_down: u64,
    /// Duration of the round without its evaluation, in seconds.
    pub seconds: f64,
    /// Privacy spent so far, at `delta`; `None` without a guarantee.
    #[serde(with = "number::option", default)]
    pub epsilon: Option<f64>,
    /// The delta that `epsilon` holds at.
    #[serde(with = "number::option", default)]
    pub delta: Option<f64>,
    /// What went wrong without ending the training, such as a client that dropped out.
    pub failures: Vec<String>,
}

/// What a training's report says beside its rounds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingInfo {
    /// Heading of the report.
    pub title: String,
    /// The command that runs it again.
    pub command: String,
    /// Facts in the order of reading, as (what, value): task, model, clients, local training,
    /// defenses with their claims, device, seed.
    pub facts: Vec<(String, String)>,
    /// Accuracy on spoilt test examples, as (corruption, strength, accuracy in [0, 1], accuracy
    /// relative to that on clean examples).
    pub robustness: Vec<(String, f64, f64, f64)>,
    /// Remarks in words.
    pub notes: Vec<String>,
}
