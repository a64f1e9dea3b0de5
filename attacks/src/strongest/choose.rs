//! Successive halving over recipes on public pictures.

use std::fmt;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::Strongest;
use super::recipes::{self, Member, OTHERS, Recipe};
use crate::AttackError;
use crate::attack::{Calibration, Run};

/// Of so many recipes one stays in a rung.
const KEPT: usize = 3;

/// Recipes of the rungs that attack with all the evaluations of a start.
const FINALISTS: usize = 2;

/// PSNR above which a public picture counts as recovered: beyond it rounding decides.
const CAP: f64 = 60.0;

/// The member that was best on public pictures.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Chosen {
    /// The member.
    pub best: Member,
    /// The best that matches gradients, which attacks beside a member that does not.
    pub matching: Option<Member>,
    /// Mean PSNR of the best on the public pictures, in dB, each picture capped at 60.
    pub psnr: f64,
    /// Public signals it was chosen on.
    pub public: i64,
    /// Members that applied, of all.
    pub applied: (usize, usize),
    /// Evaluations spent on one public signal, all members together.
    pub evaluations: u64,
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: best of {} recipes on {} public batches, {:.1} dB there, {} evaluations each",
            self.best, self.applied.0, self.public, self.psnr, self.evaluations
        )?;
        if self.applied.0 < self.applied.1 {
            write!(f, "; {} recipes do not apply", self.applied.1 - self.applied.0)?;
        }
        Ok(())
    }
}

/// The member with the best mean PSNR on the public pictures. Those beside the grid attack once;
/// recipes of matching are halved until few are left. Of equals the first is kept.
///
/// # Errors
/// `BadSignal` where pictures and signals do not belong together, `NotApplicable` where no member
/// applies, or when cancelled.
pub fn choose(of: &Strongest, calibration: &Calibration, run: &Run) -> Result<Chosen, AttackError> {
    check(calibration)?;
    let grid = recipes::grid(&of.tv_weights, !calibration.seen.known.defenses.is_empty());
    let all = grid.len() + OTHERS.len();
    let trial = Trial { of, calibration, run };
    let mut applied = Vec::new();
    for member in OTHERS {
        applied.extend(trial.score(&member, trial.start())?.ok().map(|found| (found, member)));
    }
    let others = applied.len();
    let (matched, fit) = trial.best_of_grid(grid)?;
    let evaluations = applied.iter().chain(&matched).map(|((_, spent), _)| spent).sum();
    let matching = matched.first().map(|(_, member)| member.clone());
    applied.extend(matched.into_iter().take(1));
    let best = applied.into_iter().reduce(|a, b| if b.0.0 > a.0.0 { b } else { a });
    let none = || AttackError::NotApplicable(fit.1.clone());
    let ((psnr, _), best) = best.ok_or_else(none)?;
    let public = calibration.seen.lanes();
    Ok(Chosen { best, matching, psnr, public, applied: (others + fit.0, all), evaluations })
}

/// A mean PSNR with the evaluations spent on one signal.
type Score = (f64, u64);

/// The public pictures, and who is tried on them.
struct Trial<'a> {
    of: &'a Strongest,
    calibration: &'a Calibration,
    run: &'a Run<'a>,
}

impl Trial<'_> {
    /// Evaluations of one start of the attack, but no more than the whole choice has.
    fn start(&self) -> usize {
        (self.of.iterations / self.of.restarts).min(self.of.calibration).max(1)
    }

    /// What a member gets with so many evaluations a signal, or why it does not apply.
    fn score(
        &self,
        member: &Member,
        evaluations: usize,
    ) -> Result<Result<Score, String>, AttackError> {
        self.run.check()?;
        match member.attack(self.of, evaluations, &self.calibration.seen, self.run) {
            Ok(found) => Ok(Ok((psnr(&found.pixels, &self.calibration.truth), found.evaluations))),
            Err(error @ (AttackError::Cancelled | AttackError::Spec(_))) => Err(error),
            // What one member cannot attack another may.
            Err(AttackError::NotApplicable(why)) => Ok(Err(why)),
            Err(other) => Ok(Err(other.to_string())),
        }
    }

    /// Successive halving, then a final: each rung deals an equal part of the evaluations among
    /// those left, from the start anew, and keeps the best third, until few are left; these, the
    /// same polished, and the recipe that alone can be exact attack with the evaluations of a
    /// start. The winner comes first, with what all of them spent; beside it how many applied, and
    /// why one did not.
    #[allow(clippy::type_complexity)] // the winner, and what is said of the others
    fn best_of_grid(
        &self,
        grid: Vec<Recipe>,
    ) -> Result<(Vec<(Score, Member)>, (usize, String)), AttackError> {
        let rungs = (1..).take_while(|r| grid.len() > FINALISTS * KEPT.pow(*r)).count() + 1;
        let exact = recipes::without_variation(&grid);
        let mut left: Vec<Member> = grid.into_iter().map(Member::Matching).collect();
        let (mut spent, mut applied, mut refused) = (0, left.len(), String::new());
        for rung in 0..rungs {
            let share = (self.of.calibration / (rungs * left.len().max(1))).max(1);
            let ranked = self.ranked(left, share, &mut spent, &mut refused)?;
            applied = if rung == 0 { ranked.len() } else { applied };
            let kept = ranked.len().div_ceil(KEPT).max(FINALISTS);
            left = ranked.into_iter().take(kept).map(|(_, member)| member).collect();
        }
        left.truncate(FINALISTS);
        let polished: Vec<Member> = left.iter().filter_map(Member::polished).collect();
        left.extend(polished);
        left.extend(exact.map(Member::Matching).filter(|exact| !left.contains(exact)));
        let mut ranked = self.ranked(left, self.start(), &mut spent, &mut refused)?;
        ranked.iter_mut().for_each(|(score, _)| score.1 = 0);
        ranked.iter_mut().take(1).for_each(|(score, _)| score.1 = spent);
        Ok((ranked, (applied, refused)))
    }

    /// Members with what they get for so many evaluations, the best first; of equals the first
    /// stays in front. Those that do not apply drop out.
    fn ranked(
        &self,
        members: Vec<Member>,
        evaluations: usize,
        spent: &mut u64,
        refused: &mut String,
    ) -> Result<Vec<(Score, Member)>, AttackError> {
        let mut scored = Vec::new();
        for member in members {
            match self.score(&member, evaluations)? {
                Ok(score) => {
                    *spent += score.1;
                    scored.push((score, member));
                }
                Err(why) => *refused = why,
            }
        }
        scored.sort_by(|a, b| b.0.0.total_cmp(&a.0.0));
        Ok(scored)
    }
}

fn check(calibration: &Calibration) -> Result<(), AttackError> {
    let Calibration { seen, truth } = calibration;
    let batch = seen.known.batch_size.unwrap_or(0);
    let expected = [vec![seen.lanes(), batch], seen.net.input()].concat();
    if truth.size() == expected {
        return Ok(());
    }
    Err(AttackError::BadSignal(format!(
        "for calibration comes with public pictures of shape {:?} where {expected:?} belong to it",
        truth.size()
    )))
}

/// Mean PSNR of `[M, B, ...]` in dB. A gradient holds no order: each picture of a batch is scored
/// against the nearest that is left.
fn psnr(found: &Tensor, truth: &Tensor) -> f64 {
    let (m, b) = (truth.size()[0], truth.size()[1]);
    let rows = |t: &Tensor| t.to_kind(Kind::Double).to_device(tch::Device::Cpu).flatten(2, -1);
    let (found, truth) = (rows(found), rows(truth));
    let errors = (found.unsqueeze(2) - truth.unsqueeze(1)).square();
    let errors = errors.mean_dim(&[3i64][..], false, None::<Kind>);
    let all = (0..m).flat_map(|n| nearest(&errors.get(n), b));
    all.map(decibels).sum::<f64>() / (m * b) as f64
}

/// PSNR of a mean squared error, at most [`CAP`]; what is no number recovers nothing.
fn decibels(mse: f64) -> f64 {
    if mse.is_finite() { (-10.0 * mse.max(1e-30).log10()).min(CAP) } else { 0.0 }
}

/// Errors of pairs of `[B, B]`, taken greedily.
fn nearest(errors: &Tensor, b: i64) -> Vec<f64> {
    let flat: Vec<f64> = Vec::try_from(errors.reshape([-1])).unwrap_or_default();
    // What is no number is near nothing.
    let flat: Vec<f64> =
        flat.into_iter().map(|v| if v.is_nan() { f64::INFINITY } else { v }).collect();
    let mut places: Vec<usize> = (0..flat.len()).collect();
    places.sort_by(|&i, &j| flat[i].total_cmp(&flat[j]));
    let b = b as usize;
    let (mut rows, mut columns, mut pairs) = (vec![false; b], vec![false; b], Vec::new());
    for place in places {
        let (row, column) = (place / b, place % b);
        if !rows[row] && !columns[column] {
            (rows[row], columns[column]) = (true, true);
            pairs.push(flat[place]);
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_recovers_nothing() {
        assert_eq!([f64::NAN, f64::INFINITY].map(decibels), [0.0, 0.0]);
        assert_eq!((decibels(0.0), decibels(0.01)), (CAP, 20.0));
    }

    #[test]
    fn pictures_of_a_batch_meet_their_nearest() {
        let truth = Tensor::from_slice(&[0.0f32, 1.0, 0.5, 0.5]).reshape([1, 2, 2]);
        assert_eq!(psnr(&truth.flip([1]), &truth), CAP);
        let lost = Tensor::from_slice(&[f32::NAN; 4]).reshape([1, 2, 2]);
        assert_eq!([psnr(&lost, &truth), psnr(&-lost, &truth)], [0.0, 0.0]);
        let half = Tensor::from_slice(&[-f32::NAN, 0.5, 0.0, 1.0]).reshape([1, 2, 2]);
        assert_eq!(psnr(&half, &truth), CAP / 2.0, "the lost picture takes nobody's place");
    }
}
