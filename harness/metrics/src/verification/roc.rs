//! The receiver operating characteristic: how many pairs of the same person are accepted (TAR) for
//! how many of two persons (FAR).

use serde::Serialize;

use super::{VerificationError, check};

/// One threshold. A pair is accepted when its score is not below it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// The threshold; infinite at the first point, where nothing is accepted.
    pub threshold: f64,
    /// Share of the pairs of two persons that are accepted, in `[0, 1]`.
    pub far: f64,
    /// Share of the pairs of the same person that are accepted, in `[0, 1]`.
    pub tar: f64,
}

/// The true acceptance rate at a false acceptance rate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TarAtFar {
    /// The false acceptance rate that was allowed.
    pub far: f64,
    /// The greatest true acceptance rate of a threshold that keeps to it; `None` where too few
    /// pairs can tell.
    pub tar: Option<f64>,
    /// That threshold.
    pub threshold: Option<f64>,
    /// Why there is none.
    pub why: Option<String>,
}

/// One point for every different score, from the strictest threshold (0, 0) to the loosest (1, 1).
///
/// # Errors
/// As of every function here: scores that are not finite, or pairs of one kind alone.
pub fn roc(scores: &[f64], same: &[bool]) -> Result<Vec<Point>, VerificationError> {
    let (genuine, impostor) = check(scores, same)?;
    let mut order: Vec<(f64, bool)> = scores.iter().copied().zip(same.iter().copied()).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut points = vec![Point { threshold: f64::INFINITY, far: 0.0, tar: 0.0 }];
    let (mut true_accepts, mut false_accepts) = (0usize, 0usize);
    for (i, &(score, is_same)) in order.iter().enumerate() {
        if is_same {
            true_accepts += 1
        } else {
            false_accepts += 1
        }
        if order.get(i + 1).is_none_or(|next| next.0 != score) {
            let (far, tar) =
                (false_accepts as f64 / impostor as f64, true_accepts as f64 / genuine as f64);
            points.push(Point { threshold: score, far, tar });
        }
    }
    Ok(points)
}

/// Area under the curve, in `[0, 1]`: the chance that a pair of the same person scores above one of
/// two, ties counted half.
pub fn auc(roc: &[Point]) -> f64 {
    roc.windows(2).map(|w| (w[1].far - w[0].far) * (w[1].tar + w[0].tar) / 2.0).sum()
}

/// The rate at which as many pairs of the same person are refused as pairs of two are accepted, on
/// straight lines between the points.
pub fn equal_error_rate(roc: &[Point]) -> f64 {
    let gap = |p: &Point| p.far + p.tar - 1.0;
    for w in roc.windows(2) {
        let (from, to) = (gap(&w[0]), gap(&w[1]));
        if to >= 0.0 {
            let share = if to > from { -from / (to - from) } else { 0.0 };
            return w[0].far + share * (w[1].far - w[0].far);
        }
    }
    1.0
}

/// The greatest TAR among thresholds whose FAR is at most `far`, without interpolation. A `far` of
/// less than one accepted pair among all `impostors` cannot be told from zero, so none is given.
pub fn tar_at_far(roc: &[Point], far: f64, impostors: usize) -> TarAtFar {
    if far * (impostors as f64) < 1.0 {
        let needed = (1.0 / far).ceil();
        let why = format!("takes {needed} pairs of different persons, there are {impostors}");
        return TarAtFar { far, tar: None, threshold: None, why: Some(why) };
    }
    let kept = roc.iter().take_while(|p| p.far <= far).last();
    TarAtFar { far, tar: kept.map(|p| p.tar), threshold: kept.map(|p| p.threshold), why: None }
}
