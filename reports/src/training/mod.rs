//! What is kept of a training: one record a round, written as CSV, and the report with its curves.

mod compare;
mod report;
mod rounds;

pub use compare::compare_trainings;
pub use report::write_training_report;
pub use rounds::{read_rounds, write_rounds};

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
    /// defences with their claims, device, seed.
    pub facts: Vec<(String, String)>,
    /// Accuracy on spoilt test examples, as (corruption, strength, accuracy in [0, 1], accuracy
    /// relative to that on clean examples).
    pub robustness: Vec<(String, f64, f64, f64)>,
    /// Remarks in words.
    pub notes: Vec<String>,
}

/// Bytes up and down and seconds of all rounds together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Totals {
    up: u64,
    down: u64,
    seconds: f64,
}

impl Totals {
    fn of(rounds: &[RoundRecord]) -> Self {
        rounds.iter().fold(Totals::default(), |t, r| Totals {
            up: t.up.saturating_add(r.bytes_up),
            down: t.down.saturating_add(r.bytes_down),
            seconds: t.seconds + r.seconds,
        })
    }
}

/// Whether more of the metric `name` is worse.
pub(crate) fn lower_is_better(name: &str) -> bool {
    ["loss", "error", "mae", "mse"]
        .iter()
        .any(|part| name.split(['_', '-']).any(|word| word == *part))
}

/// The metric `name` as a reader knows it.
pub(crate) fn title(name: &str) -> String {
    match name {
        "macro_f1" => "macro-F1".into(),
        "auc" => "AUC".into(),
        _ => name.replace('_', " "),
    }
}

/// The metrics of any round, the usual ones first.
pub(crate) fn metric_names<'a>(rounds: impl IntoIterator<Item = &'a RoundRecord>) -> Vec<String> {
    const FIRST: [&str; 4] = ["accuracy", "macro_f1", "auc", "loss"];
    let mut names: Vec<String> =
        rounds.into_iter().flat_map(|r| r.metrics.keys().cloned()).collect();
    let place = |name: &str| FIRST.iter().position(|f| *f == name).unwrap_or(FIRST.len());
    names.sort_by(|a, b| place(a).cmp(&place(b)).then(a.cmp(b)));
    names.dedup();
    names
}

/// The last round that has the metric, and the one at which it was best.
fn last_and_best<'a>(rounds: &'a [RoundRecord], name: &str) -> Option<[(&'a RoundRecord, f64); 2]> {
    let measured: Vec<_> = rounds.iter().filter_map(|r| Some((r, *r.metrics.get(name)?))).collect();
    let worse = |v: f64| {
        if v.is_nan() {
            f64::INFINITY
        } else if lower_is_better(name) {
            v
        } else {
            -v
        }
    };
    let best = measured.iter().min_by(|a, b| worse(a.1).total_cmp(&worse(b.1)))?;
    Some([*measured.last()?, *best])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_round_knows_the_metric() {
        let round = |round, accuracy, loss| RoundRecord {
            round,
            metrics: [("accuracy", accuracy), ("loss", loss)]
                .map(|(k, v)| (k.to_owned(), v))
                .into(),
            ..Default::default()
        };
        let rounds = [
            round(1, 0.5, 0.9),
            round(2, f64::NAN, 0.4),
            round(3, 0.7, 0.5),
            round(4, 0.6, f64::NAN),
        ];
        let numbers = |name| last_and_best(&rounds, name).unwrap().map(|(r, _)| r.round);
        assert_eq!((numbers("accuracy"), numbers("loss")), ([4, 3], [4, 2]));
        assert!(last_and_best(&rounds, "auc").is_none());
        assert!(lower_is_better("test_loss") && !lower_is_better("glossary"));
        assert_eq!(metric_names(&rounds), ["accuracy", "loss"]);
    }
}
