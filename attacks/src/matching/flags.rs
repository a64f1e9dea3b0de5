//! What a matching attack says of its result.

use suites::{Flag, FlagKind};

use super::derivative::Way;

/// Evaluations spent on one signal: the mean over signals, restarts included.
pub(super) fn per_signal(evaluations: &[i64], signals: usize) -> u64 {
    evaluations.iter().sum::<i64>() as u64 / signals.max(1) as u64
}

/// Doubts about each signal's result: restarts that `diverged` `[T]`, statistics that were
/// withheld, and what is said of the derivative.
pub(super) fn flags(
    diverged: &[bool],
    restarts: usize,
    objective: &[f64],
    withheld: bool,
    way: &Way,
) -> Vec<Vec<Flag>> {
    let lost = diverged.chunks(restarts).map(|row| row.iter().filter(|&&d| d).count());
    lost.zip(objective)
        .zip(way.flags(objective.len()))
        .map(|((lost, objective), derivative)| {
            let mut flags = Vec::new();
            if lost > 0 {
                let words = format!("{lost} of {restarts}");
                flags.push(Flag::with(FlagKind::NonFiniteRestarts, words));
            }
            if !objective.is_finite() {
                flags.push(FlagKind::NoFiniteObjective.into());
            }
            if withheld {
                let words = "no BatchNorm statistics were sent, and none were matched";
                flags.push(Flag::with(FlagKind::Adapted, words));
            }
            flags.extend(derivative);
            flags
        })
        .collect()
}
