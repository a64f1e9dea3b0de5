//! The protocol of Labelled Faces in the Wild (Huang et al. 2007, the image-restricted setting):
//! each fold is judged at the threshold that does best on all others; reported are the mean over
//! the folds and its standard error.

use serde::Serialize;

use super::{VerificationError, check};

/// One fold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fold {
    /// The threshold chosen on the other folds.
    pub threshold: f64,
    /// Share of this fold's pairs that it decides rightly, in `[0, 1]`.
    pub accuracy: f64,
    /// Number of its pairs.
    pub pairs: usize,
}

/// All folds together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Folds {
    /// Mean of the folds' accuracies, in `[0, 1]`.
    pub accuracy: f64,
    /// Standard error of that mean: the folds' standard deviation (with n - 1) over the square root
    /// of their number.
    pub standard_error: f64,
    /// Each fold.
    pub folds: Vec<Fold>,
}

/// Judges pairs fold by fold; `fold` numbers each pair's from 0.
///
/// # Errors
/// Scores that are not finite, pairs of one kind alone, fewer than two folds or one without pairs,
/// and folds without which one kind is absent.
pub fn folds(scores: &[f64], same: &[bool], fold: &[usize]) -> Result<Folds, VerificationError> {
    check(scores, same)?;
    let count = fold.iter().max().map_or(0, |most| most + 1);
    if count < 2 || fold.len() != scores.len() {
        let problem = format!("{} pairs in {count} folds", fold.len());
        return Err(VerificationError::new(
            problem,
            "use two folds or more, and one for each pair",
        ));
    }
    let mut judged = Vec::with_capacity(count);
    for one in 0..count {
        let pick = |inside: bool| -> (Vec<f64>, Vec<bool>) {
            let wanted = fold.iter().enumerate().filter(|(_, f)| (**f == one) == inside);
            wanted.map(|(i, _)| (scores[i], same[i])).unzip()
        };
        let (held, others) = (pick(true), pick(false));
        if held.0.is_empty() {
            let problem = format!("fold {} of {count} has no pairs", one + 1);
            return Err(VerificationError::new(problem, "use fewer folds"));
        }
        let threshold = best_threshold(&others.0, &others.1)?;
        let accuracy = accuracy(&held.0, &held.1, threshold);
        judged.push(Fold { threshold, accuracy, pairs: held.0.len() });
    }
    let n = count as f64;
    let mean = judged.iter().map(|f| f.accuracy).sum::<f64>() / n;
    let spread = judged.iter().map(|f| (f.accuracy - mean).powi(2)).sum::<f64>() / (n - 1.0);
    Ok(Folds { accuracy: mean, standard_error: (spread / n).sqrt(), folds: judged })
}

/// Share of pairs that a threshold decides rightly.
pub fn accuracy(scores: &[f64], same: &[bool], threshold: f64) -> f64 {
    let right = scores.iter().zip(same).filter(|(s, same)| (**s >= threshold) == **same).count();
    right as f64 / scores.len() as f64
}

/// The threshold that decides most pairs rightly, of the midpoints between neighbouring scores and
/// the two that accept all and none; of several that are as good, the middle one.
///
/// # Errors
/// Scores that are not finite, or pairs of one kind alone.
pub fn best_threshold(scores: &[f64], same: &[bool]) -> Result<f64, VerificationError> {
    let (genuine, _) = check(scores, same)?;
    let mut order: Vec<(f64, bool)> = scores.iter().copied().zip(same.iter().copied()).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    // All are accepted at first; each step up refuses the pairs below it.
    let mut right = genuine as i64;
    let mut candidates = vec![(right, order[0].0)];
    for (i, &(score, is_same)) in order.iter().enumerate() {
        right += if is_same { -1 } else { 1 };
        match order.get(i + 1) {
            None => candidates.push((right, score.next_up())),
            Some(next) if next.0 > score => candidates.push((right, between(score, next.0))),
            Some(_) => {}
        }
    }
    let most = candidates.iter().map(|c| c.0).max().unwrap_or(right);
    let best: Vec<f64> = candidates.iter().filter(|c| c.0 == most).map(|c| c.1).collect();
    Ok(best[best.len() / 2])
}

/// The midpoint of two scores, or the higher one where it rounds to the lower: the threshold must
/// refuse that.
fn between(low: f64, high: f64) -> f64 {
    let middle = low + (high - low) / 2.0;
    if middle > low { middle } else { high }
}
