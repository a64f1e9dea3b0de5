//! Whether the attack told the label.

use record::MetricInfo;
use std::collections::HashMap;

/// The name in records. 1 where the guessed label is the true one, 0 where it is not or none was
/// guessed; the mean is the label accuracy.
pub const NAME: &str = "label_match";

/// What reports know of it.
pub fn info() -> MetricInfo {
    MetricInfo {
        range: [Some(0.0), Some(1.0)],
        decimals: 2,
        reference: "guessed label = true label, of the image that was assigned".into(),
        ..MetricInfo::higher(NAME, "label match")
    }
}

/// Label match of each image, guess `i` belonging to truth `i` (after [`pairing`](super::pairing)).
/// `None` where the label was granted to the adversary: repeating what one was told is no success.
pub fn label_match(guessed: &[Option<i64>], truth: &[i64], granted: bool) -> Vec<Option<f64>> {
    let score = |(i, label): (usize, &i64)| {
        let guess = guessed.get(i).copied().flatten();
        (!granted).then_some(f64::from(u8::from(guess == Some(*label))))
    };
    truth.iter().enumerate().map(score).collect()
}

/// The share of a batch's labels recovered as a multiset, in `[0, 1]`: what label inference alone
/// achieved, however well the images were told apart. An empty truth scores 0.
pub fn multiset_match(guessed: &[Option<i64>], truth: &[i64]) -> f64 {
    let mut left: HashMap<i64, usize> = HashMap::new();
    for label in truth {
        *left.entry(*label).or_default() += 1;
    }
    let mut found = 0;
    for label in guessed.iter().flatten() {
        if let Some(n) = left.get_mut(label).filter(|n| **n > 0) {
            *n -= 1;
            found += 1;
        }
    }
    f64::from(found) / truth.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_told_is_no_success_and_none_guessed_is_a_failure() {
        let guessed = [Some(3), None, Some(1)];
        assert_eq!(label_match(&guessed, &[3, 1, 2], false), [Some(1.0), Some(0.0), Some(0.0)]);
        assert_eq!(label_match(&guessed, &[3, 1, 2], true), [None; 3]);
        assert_eq!(label_match(&[], &[3], false), [Some(0.0)]);
    }

    #[test]
    fn multisets_count_each_label_once() {
        assert_eq!(multiset_match(&[Some(1), Some(1), Some(2)], &[2, 1, 3]), 2.0 / 3.0);
        assert_eq!(multiset_match(&[], &[]), 0.0);
    }
}
