//! Face verification: are two images of the same person? Pairs of images have a score (higher is
//! more alike), and a threshold decides.
//!
//! [`pairs`] makes them, [`folds`] judges by the protocol of Labelled Faces in the Wild, [`roc`] by
//! all thresholds at once.

mod folds;
mod lists;
mod pairs;
mod roc;

#[cfg(test)]
mod tests;

use thiserror::Error;

pub use folds::{Fold, Folds, accuracy, best_threshold, folds};
pub use lists::{ListedPair, parse_pairs};
pub use pairs::{Drawn, Pair, pairs};
pub use roc::{Point, TarAtFar, auc, equal_error_rate, roc, tar_at_far};

/// Why pairs cannot be made or judged.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{problem}; {remedy}")]
pub struct VerificationError {
    /// What is wrong.
    pub problem: String,
    /// What to change.
    pub remedy: String,
}

impl VerificationError {
    fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: remedy.into() }
    }
}

/// Checks that scores are finite and that pairs of both kinds are among them; returns how many of
/// the same person and how many of two there are.
///
/// # Errors
/// Lists of different length, a score that is NaN or infinite, pairs of one kind alone.
fn check(scores: &[f64], same: &[bool]) -> Result<(usize, usize), VerificationError> {
    if scores.len() != same.len() {
        let problem = format!("{} scores for {} pairs", scores.len(), same.len());
        return Err(VerificationError::new(problem, "give one score a pair"));
    }
    if let Some(at) = scores.iter().position(|s| !s.is_finite()) {
        let problem = format!("the score of pair {} is {}", at + 1, scores[at]);
        return Err(VerificationError::new(
            problem,
            "the model's embeddings are not finite: train it again",
        ));
    }
    let genuine = same.iter().filter(|&&s| s).count();
    match (genuine, same.len() - genuine) {
        (0, _) => {
            Err(VerificationError::new("no pair of the same person", "add some: two images of one"))
        }
        (_, 0) => Err(VerificationError::new(
            "no pair of different persons",
            "add images of another person",
        )),
        counts => Ok(counts),
    }
}
