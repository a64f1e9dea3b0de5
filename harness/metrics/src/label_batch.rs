//! The labels of a batch as counts, for attacks that tell labels and draw no picture.
//!
//! With `c_k` examples of class `k` among `B` and `g_k` guessed:
//!
//! - `label_multiset`: `sum_k min(c_k, g_k) / B`; of several labels an example the share of its
//!   `B K` answers that are right in any order, `1 - sum_k |c_k - g_k| / (B K)`;
//! - `label_precision`, `label_recall`, `label_presence` (their F1): of the set of classes present;
//! - `label_count_error`: `sum_k |c_k - g_k| / (2 B)`, a guess that is missing being one of a class
//!   that does not exist; of several labels an example `sum_k |c_k - g_k| / (B K)`;
//! - `label_certainty`: how sure the attack was of the guess, as it says itself.

use std::collections::BTreeMap;

use record::MetricInfo;
use tch::{Kind, Tensor};

use crate::Scores;
use crate::label_match::OF_BATCH;

/// Names of the scores that only such attacks have.
pub const MORE: [&str; 4] =
    ["label_precision", "label_recall", "label_count_error", "label_certainty"];

/// What reports know of them.
pub fn infos() -> Vec<MetricInfo> {
    let info = |at: usize, title: &str, reference: &str| MetricInfo {
        range: [Some(0.0), Some(1.0)],
        decimals: 2,
        reference: reference.into(),
        higher_is_better: Some(MORE[at] != "label_count_error"),
        ..MetricInfo::higher(MORE[at], title)
    };
    vec![
        info(0, "classes present (precision)", "share of guessed classes in the batch"),
        info(1, "classes present (recall)", "share of the batch's classes guessed"),
        info(2, "label count error", "L1 distance of class counts over 2 B"),
        info(3, "certainty of a label", "what the attack itself says"),
    ]
}

/// Labels of a batch as numbers of examples.
#[derive(Clone, Debug, PartialEq)]
pub struct Counts {
    /// Examples of each class, `[K]`.
    of: Vec<i64>,
    /// Examples in the batch.
    batch: i64,
    /// Whether an example has several labels.
    several: bool,
}

impl Counts {
    /// Of class indices `[B]` (i64; negative ones are no guess) or several labels an example `[B,
    /// K]` (f32 zeros and ones).
    pub fn of(labels: &Tensor) -> Counts {
        let batch = labels.size().first().copied().unwrap_or(0);
        if labels.kind() != Kind::Int64 {
            let sums = labels.sum_dim_intlist(0, false, Kind::Double).round().to_kind(Kind::Int64);
            let of = Vec::try_from(sums).unwrap_or_default();
            return Counts { of, batch, several: true };
        }
        let all: Vec<i64> = Vec::try_from(labels.contiguous()).unwrap_or_default();
        Counts::of_classes(&all)
    }

    /// Of class indices; negative ones are no guess.
    pub fn of_classes(labels: &[i64]) -> Counts {
        let classes = labels.iter().copied().max().map_or(0, |k| k.max(-1) + 1);
        let mut of = vec![0; classes as usize];
        labels.iter().filter(|k| **k >= 0).for_each(|&k| of[k as usize] += 1);
        Counts { of, batch: labels.len() as i64, several: false }
    }

    fn at(&self, k: usize) -> i64 {
        self.of.get(k).copied().unwrap_or(0)
    }
}

/// The scores of a batch's guess that all its examples share, by name.
pub fn of_batch(guess: &Counts, truth: &Counts) -> BTreeMap<&'static str, f64> {
    let classes = guess.of.len().max(truth.of.len());
    let sum = |f: &dyn Fn(i64, i64) -> i64| -> f64 {
        (0..classes).map(|k| f(guess.at(k), truth.at(k))).sum::<i64>() as f64
    };
    let apart = sum(&|g, t| (g - t).abs());
    let batch = truth.batch.max(1) as f64;
    let (right, error) = if truth.several {
        let off = apart / (batch * classes.max(1) as f64);
        (1.0 - off, off)
    } else {
        let missing = (truth.batch - sum(&|g, _| g) as i64).max(0) as f64;
        (sum(&|g, t| g.min(t)) / batch, (apart + missing) / (2.0 * batch))
    };
    let set = |f: &dyn Fn(bool, bool) -> bool| sum(&|g, t| i64::from(f(g > 0, t > 0)));
    let (both, named, there) = (set(&|g, t| g && t), set(&|g, _| g), set(&|_, t| t));
    let share = |of: f64| if of > 0.0 { both / of } else { f64::from(u8::from(named == there)) };
    BTreeMap::from([
        (OF_BATCH[0], right),
        (OF_BATCH[1], share((named + there) / 2.0)),
        (MORE[0], share(named)),
        (MORE[1], share(there)),
        (MORE[2], error),
    ])
}

/// The mean of [`of_batch`] over such batches of guesses; none where there is none.
pub fn mean<'a>(guesses: impl IntoIterator<Item = &'a Counts>, truth: &Counts) -> Scores {
    let (mut sums, mut n) = (BTreeMap::<&str, f64>::new(), 0.0);
    for guess in guesses {
        n += 1.0;
        of_batch(guess, truth).into_iter().for_each(|(k, v)| *sums.entry(k).or_default() += v);
    }
    sums.into_iter().map(|(k, v)| (k.to_string(), Some(v / n))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(guess: &[i64], truth: &[i64]) -> Vec<f64> {
        let found = of_batch(&Counts::of_classes(guess), &Counts::of_classes(truth));
        [OF_BATCH[0], OF_BATCH[1], MORE[0], MORE[1], MORE[2]].map(|name| found[name]).to_vec()
    }

    #[test]
    fn a_batch_is_scored_by_its_counts() {
        assert_eq!(scores(&[2, 1, 1], &[1, 1, 2]), [1.0, 1.0, 1.0, 1.0, 0.0]);
        // One of two is right; {1, 3} against {1}; one too few of 1 and one too many of 3.
        assert_eq!(scores(&[1, 3], &[1, 1]), [0.5, 2.0 / 3.0, 0.5, 1.0, 0.5]);
        // What is not told is wrong.
        assert_eq!(scores(&[1, -1], &[1, 1]), [0.5, 1.0, 1.0, 1.0, 0.5]);
        assert_eq!(scores(&[-1, -1], &[4, 7]), [0.0, 0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn several_labels_are_counted_output_by_output() {
        let rows = |v: &[f32]| Counts::of(&Tensor::from_slice(v).reshape([2, 3]));
        let truth = rows(&[1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
        // In another order it is the same; one answer of six is wrong.
        let found = of_batch(&rows(&[1.0, 1.0, 0.0, 1.0, 0.0, 0.0]), &truth);
        assert_eq!((found[OF_BATCH[0]], found[MORE[2]]), (1.0, 0.0));
        let found = of_batch(&rows(&[1.0, 1.0, 0.0, 0.0, 0.0, 0.0]), &truth);
        assert!((found[OF_BATCH[0]] - 5.0 / 6.0).abs() < 1e-12, "{found:?}");
        assert_eq!((found[MORE[0]], found[MORE[1]]), (1.0, 1.0));
    }
}
