//! What the task is worth with a cell's defenses in the loop.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::CellRecord;
use crate::axes::acting;
use crate::stats::{Interval, wilson};

/// A share of test examples with its interval, where their number is known and at least
/// [`LEAST_UNITS`](crate::stats::LEAST_UNITS).
pub type Share = (f64, Option<Interval>);

/// Test accuracy after the utility federation, where the cell trained one, else of the attacked
/// model; with its Wilson interval over the test examples. `None` where nothing was measured, such
/// as after a training that diverged.
pub fn accuracy(record: &CellRecord) -> Option<Share> {
    share_of(&record.task)
}

/// Test accuracy of the attacked model, with its Wilson interval over the test examples.
pub fn attacked(record: &CellRecord) -> Option<Share> {
    named(&record.task, "accuracy")
}

fn share_of(task: &BTreeMap<String, f64>) -> Option<Share> {
    named(task, if task.contains_key(ROUNDS) { "trained_accuracy" } else { "accuracy" })
}

fn named(task: &BTreeMap<String, f64>, name: &str) -> Option<Share> {
    let share = task.get(name).copied().filter(|a| a.is_finite())?;
    let tries = task.get("test_examples").copied().unwrap_or(0.0).max(0.0) as usize;
    Some((share, wilson((share * tries as f64).round() as usize, tries).and_then(|rate| rate.ci)))
}

const ROUNDS: &str = "trained_rounds";

/// Whether more of a score of the task, such as `accuracy` or `test_loss`, is worth more; `None`
/// for a count and for what is called by another word.
pub fn higher_is_better(name: &str) -> Option<bool> {
    let any = |known: &[&str]| name.split(['_', '-', '.']).any(|word| known.contains(&word));
    let gain = any(&["accuracy", "f1", "auc"]);
    (gain || any(&["loss", "error", "mae", "mse"])).then_some(gain)
}

/// Rounds that the cell trained with its defenses in the loop, where it did.
pub fn rounds(record: &CellRecord) -> Option<f64> {
    record.task.get(ROUNDS).copied()
}

/// Seconds of the protocol's phases in one captured round.
pub fn round_seconds(record: &CellRecord) -> f64 {
    record.wall.rounds.values().sum()
}

/// The composed epsilon that a defense reports, else the one it was given.
pub fn epsilon(record: &CellRecord) -> Option<f64> {
    // A guarantee that does not cover the cell's adversary is no point on this axis.
    if record.defenses.iter().any(|d| d.values.contains_key("epsilon_not_covering")) {
        return None;
    }
    let noted = record.defenses.iter().find_map(|d| d.values.get("epsilon").copied());
    let given =
        || acting(&record.spec).find_map(|d| d.params.get("epsilon").and_then(Value::as_f64));
    // Calibration ends a hair below what was asked: the round number is the better tick.
    let near = |noted: f64| given().filter(|g| (noted / g - 1.0).abs() < 0.005).unwrap_or(noted);
    noted.map(near).or_else(given).filter(|e| e.is_finite() && *e > 0.0)
}

/// The epsilon of one round for whoever is known to take part in it, where [`epsilon`] is
/// amplified by sampling: the larger number is what holds against those who know the cohort.
pub fn certain_epsilon(record: &CellRecord) -> Option<f64> {
    epsilon(record)?;
    record.defenses.iter().find_map(|d| d.values.get("epsilon_certain").copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_no_gains_and_other_words_say_nothing() {
        let names = ["trained_accuracy", "macro_f1", "test_loss", "mae", "glossary"];
        let want = [Some(true), Some(true), Some(false), Some(false), None];
        assert_eq!(names.map(higher_is_better), want);
    }

    #[test]
    fn a_diverged_training_has_no_accuracy() {
        let mut task: BTreeMap<String, f64> =
            [("accuracy", 0.5), ("test_examples", 100.0)].map(|(k, v)| (k.to_string(), v)).into();
        let (share, ci) = share_of(&task).unwrap();
        assert!(share == 0.5 && ci.is_some_and(|ci| ci.low < 0.5 && ci.high > 0.5));
        task.insert(ROUNDS.into(), 3.0);
        assert!(share_of(&task).is_none());
        task.insert("trained_accuracy".into(), 0.75);
        assert_eq!(share_of(&task).unwrap().0, 0.75);
    }
}
