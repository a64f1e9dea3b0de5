//! Whether the attack told the labels: of each image, and of the batch as a whole.
//!
//! - `label_match`: the guess of the image that was assigned is the true label.
//! - `label_multiset`: the label is in the guessed multiset, each guess used once; the mean over a
//!   batch is the field's label accuracy (Wainakh et al. 2022).
//! - `label_presence`: F1 of the set of classes present, of the batch.
//!
//! Chance levels stand in the null baseline `public`: the same scores of labels drawn from the
//! public split, in the mean over [`DRAWS`] batches.

use record::MetricInfo;
use std::collections::{BTreeMap, BTreeSet};

use crate::Scores;
use rand::{Rng, seq::IndexedRandom};

/// The name in records. 1 where the guessed label is the true one, 0 where it is not or none was
/// guessed; the mean is the label accuracy.
pub const NAME: &str = "label_match";

/// Names of the scores of a batch's labels as a whole.
pub const OF_BATCH: [&str; 2] = ["label_multiset", "label_presence"];

/// Batches of random public labels behind a chance level.
pub const DRAWS: usize = 200;

/// What reports know of them.
pub fn infos() -> Vec<MetricInfo> {
    let info = |name: &str, title: &str, reference: &str| MetricInfo {
        range: [Some(0.0), Some(1.0)],
        // The F1 of a batch lies between.
        share: name != OF_BATCH[1],
        decimals: 2,
        reference: reference.into(),
        ..MetricInfo::higher(name, title)
    };
    vec![
        info(NAME, "label match", "guessed label = true label, of the image that was assigned"),
        info(
            OF_BATCH[0],
            "labels of the batch",
            "share of the batch's labels in the guessed multiset; Wainakh et al. 2022, User-level \
             label leakage from gradients",
        ),
        info(OF_BATCH[1], "classes present (F1)", "F1 of the guessed set of classes in the batch"),
    ]
}

/// All scores of the labels of one batch, guess `i` belonging to truth `i` (after
/// [`pairing`](super::pairing)). `None` where the labels were granted to the adversary: repeating
/// what one was told is no success.
pub fn scores(guessed: &[Option<i64>], truth: &[i64], granted: bool) -> Vec<Scores> {
    let f1 = presence_f1(guessed, truth);
    let row = |(i, hit): (usize, bool)| {
        let own = guessed.get(i).copied().flatten() == Some(truth[i]);
        let told = |v: f64| (!granted).then_some(v);
        Scores::from([
            (NAME.to_string(), told(f64::from(u8::from(own)))),
            (OF_BATCH[0].to_string(), told(f64::from(u8::from(hit)))),
            (OF_BATCH[1].to_string(), told(f1)),
        ])
    };
    multiset_hits(guessed, truth).into_iter().enumerate().map(row).collect()
}

/// The mean of [`scores`] over [`DRAWS`] batches of labels drawn from `public`; none where that is
/// empty.
pub fn chance(truth: &[i64], public: &[i64], rng: &mut impl Rng) -> Vec<Scores> {
    let mut sums: Vec<BTreeMap<String, f64>> = vec![BTreeMap::new(); truth.len()];
    if public.is_empty() {
        return vec![Scores::new(); truth.len()];
    }
    for _ in 0..DRAWS {
        let guessed: Vec<Option<i64>> = truth.iter().map(|_| public.choose(rng).copied()).collect();
        for (sum, drawn) in sums.iter_mut().zip(scores(&guessed, truth, false)) {
            for (name, value) in drawn {
                *sum.entry(name).or_default() += value.unwrap_or(0.0);
            }
        }
    }
    let mean = |sum: BTreeMap<String, f64>| {
        sum.into_iter().map(|(name, total)| (name, Some(total / DRAWS as f64))).collect()
    };
    sums.into_iter().map(mean).collect()
}

/// Of each true label whether the guesses, taken as a multiset, hold it; each guess counts once.
fn multiset_hits(guessed: &[Option<i64>], truth: &[i64]) -> Vec<bool> {
    let mut left: BTreeMap<i64, usize> = BTreeMap::new();
    guessed.iter().flatten().for_each(|label| *left.entry(*label).or_default() += 1);
    let mut take = |label: &i64| match left.get_mut(label).filter(|n| **n > 0) {
        Some(n) => {
            *n -= 1;
            true
        }
        None => false,
    };
    truth.iter().map(&mut take).collect()
}

/// F1 of the classes guessed to be present against those that are, in [0, 1].
fn presence_f1(guessed: &[Option<i64>], truth: &[i64]) -> f64 {
    let (guessed, truth): (BTreeSet<&i64>, BTreeSet<&i64>) =
        (guessed.iter().flatten().collect(), truth.iter().collect());
    let both = guessed.intersection(&truth).count();
    2.0 * both as f64 / (guessed.len() + truth.len()).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use suites::rng::stream;

    fn of(scores: &[Scores], name: &str) -> Vec<Option<f64>> {
        scores.iter().map(|s| s[name]).collect()
    }

    #[test]
    fn a_label_told_is_no_success_and_none_guessed_is_a_failure() {
        let guessed = [Some(3), None, Some(1)];
        let found = scores(&guessed, &[3, 1, 2], false);
        assert_eq!(of(&found, NAME), [Some(1.0), Some(0.0), Some(0.0)]);
        let told = scores(&guessed, &[3, 1, 2], true);
        assert!(told.iter().flat_map(Scores::values).all(Option::is_none));
        assert_eq!(of(&scores(&[], &[3], false), NAME), [Some(0.0)]);
    }

    #[test]
    fn a_batch_whose_order_is_lost_still_tells_its_labels() {
        // Every label is right, and every one at another place.
        let found = scores(&[Some(2), Some(1), Some(1)], &[1, 1, 2], false);
        assert_eq!(of(&found, NAME), [Some(0.0), Some(1.0), Some(0.0)]);
        assert_eq!(of(&found, "label_multiset"), [Some(1.0); 3]);
        assert_eq!(of(&found, "label_presence"), [Some(1.0); 3]);
        // A guess counts once: one of the two right.
        let found = scores(&[Some(1), Some(3)], &[1, 1], false);
        assert_eq!(of(&found, "label_multiset"), [Some(1.0), Some(0.0)]);
        // {1, 3} against {1}: precision 1/2, recall 1.
        assert_eq!(of(&found, "label_presence"), [Some(2.0 / 3.0); 2]);
    }

    #[test]
    fn chance_follows_the_public_labels() {
        let public: Vec<i64> = (0..100).map(|i| i64::from(i % 4 == 0)).collect();
        let found = chance(&[1, 0], &public, &mut stream(0, "cell", "labels"));
        let (one, zero) = (found[0][NAME].unwrap(), found[1][NAME].unwrap());
        assert!((one - 0.25).abs() < 0.1 && (zero - 0.75).abs() < 0.1, "{one} {zero}");
        assert!(found[0]["label_multiset"].unwrap() >= one);
        assert!(chance(&[1], &[], &mut stream(0, "cell", "labels"))[0].is_empty());
    }
}
