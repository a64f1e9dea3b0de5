//! The report of a training with its curves, and trainings side by side.

mod compare;
mod report;

pub use compare::compare_trainings;
pub use report::write_training_report;

use record::RoundRecord;
use record::utility::higher_is_better;

/// Bytes up and down and seconds of all rounds together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Totals {
    up: u64,
    down: u64,
    seconds: f64,
}

impl Totals {
    fn from_rounds(rounds: &[RoundRecord]) -> Self {
        rounds.iter().fold(Totals::default(), |t, r| Totals {
            up: t.up.saturating_add(r.bytes_up),
            down: t.down.saturating_add(r.bytes_down),
            seconds: t.seconds + r.seconds,
        })
    }
}

/// The metric `name` as a reader knows it.
pub(crate) fn title(name: &str) -> String {
    match name {
        "macro_f1" => "macro-F1".into(),
        "auc" => "AUC".into(),
        _ => name.replace('_', " "),
    }
}

/// What a round notes of the examples that it is scored on, which is no score of the model: how
/// many there are, and the accuracy of always naming the most frequent class.
pub(crate) const ABOUT_DATA: [&str; 2] = ["examples", "majority"];

/// The last round's value of something that is the same in every round.
pub(crate) fn constant(rounds: &[RoundRecord], name: &str) -> Option<f64> {
    rounds.iter().rev().find_map(|r| r.metrics.get(name).copied()).filter(|v| v.is_finite())
}

/// Whether less of a score is better.
pub(crate) fn is_error(name: &str) -> bool {
    higher_is_better(name) == Some(false)
}

/// The metrics of any round, the usual ones first; nothing of [`ABOUT_DATA`].
pub(crate) fn metric_names<'a>(rounds: impl IntoIterator<Item = &'a RoundRecord>) -> Vec<String> {
    const FIRST: [&str; 4] = ["accuracy", "macro_f1", "auc", "loss"];
    let mut names: Vec<String> =
        rounds.into_iter().flat_map(|r| r.metrics.keys().cloned()).collect();
    names.retain(|name| !ABOUT_DATA.contains(&name.as_str()));
    let place = |name: &str| FIRST.iter().position(|f| *f == name).unwrap_or(FIRST.len());
    names.sort_by(|a, b| place(a).cmp(&place(b)).then(a.cmp(b)));
    names.dedup();
    names
}

/// A round with its value.
type Found<'a> = (&'a RoundRecord, f64);

/// The last round that has the metric, and the one at which it was best, where it is known what is
/// better.
fn last_and_best<'a>(
    rounds: &'a [RoundRecord],
    name: &str,
) -> Option<(Found<'a>, Option<Found<'a>>)> {
    let measured: Vec<_> = rounds.iter().filter_map(|r| Some((r, *r.metrics.get(name)?))).collect();
    let best = higher_is_better(name).and_then(|higher| {
        let worse = |v: f64| match v {
            v if v.is_nan() => f64::INFINITY,
            v => {
                if higher {
                    -v
                } else {
                    v
                }
            }
        };
        measured.iter().min_by(|a, b| worse(a.1).total_cmp(&worse(b.1))).copied()
    });
    Some((*measured.last()?, best))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_round_knows_the_metric() {
        let round = |round, accuracy, loss| RoundRecord {
            round,
            metrics: [("accuracy", accuracy), ("loss", loss), ("glossary", 1.0)]
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
        let numbers = |name| {
            let (last, best) = last_and_best(&rounds, name).unwrap();
            (last.0.round, best.map(|(round, _)| round.round))
        };
        assert_eq!((numbers("accuracy"), numbers("loss")), ((4, Some(3)), (4, Some(2))));
        assert_eq!(numbers("glossary"), (4, None));
        assert!(last_and_best(&rounds, "auc").is_none());
        assert_eq!(metric_names(&rounds), ["accuracy", "loss", "glossary"]);
    }
}
