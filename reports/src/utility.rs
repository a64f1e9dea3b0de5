//! What the task is worth with a cell's defences in the loop.

use std::collections::BTreeMap;

use crate::CellRecord;
use crate::stats::{Interval, wilson};

/// A share with its interval, where the number of tries is known.
pub(crate) type Share = (f64, Option<Interval>);

/// Test accuracy after the utility federation, where the cell trained one, else of the attacked model; with its Wilson interval over the
/// test examples. `None` where nothing was measured, such as after a training that diverged.
pub(crate) fn accuracy(record: &CellRecord) -> Option<Share> {
    of(&record.task)
}

fn of(task: &BTreeMap<String, f64>) -> Option<Share> {
    let name = if task.contains_key(ROUNDS) { "trained_accuracy" } else { "accuracy" };
    let share = task.get(name).copied().filter(|a| a.is_finite())?;
    let tries = task.get("test_examples").copied().unwrap_or(0.0).max(0.0) as usize;
    Some((share, wilson((share * tries as f64).round() as usize, tries).map(|rate| rate.ci)))
}

const ROUNDS: &str = "trained_rounds";

/// Rounds that the cell trained with its defences in the loop, where it did.
pub(crate) fn rounds(record: &CellRecord) -> Option<f64> {
    record.task.get(ROUNDS).copied()
}

/// Seconds of the protocol's phases in one captured round.
pub(crate) fn round_seconds(record: &CellRecord) -> f64 {
    record.wall.rounds.values().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diverged_training_has_no_accuracy() {
        let mut task: BTreeMap<String, f64> =
            [("accuracy", 0.5), ("test_examples", 100.0)].map(|(k, v)| (k.to_string(), v)).into();
        let (share, ci) = of(&task).unwrap();
        assert!(share == 0.5 && ci.is_some_and(|ci| ci.low < 0.5 && ci.high > 0.5));
        task.insert(ROUNDS.into(), 3.0);
        assert!(of(&task).is_none());
        task.insert("trained_accuracy".into(), 0.75);
        assert_eq!(of(&task).unwrap().0, 0.75);
    }
}
