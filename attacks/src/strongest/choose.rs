//! Successive halving over recipes on public pictures.

use std::fmt;

use tch::{Kind, Tensor};

use super::Strongest;
use super::recipes::{self, Recipe};
use crate::AttackError;
use crate::attack::{Calibration, Run};

/// PSNR above which a public picture counts as recovered: beyond it rounding decides.
const CAP: f64 = 60.0;

/// The recipe that was best on public pictures.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The recipe.
    pub recipe: Recipe,
    /// Its mean PSNR on the public pictures, in dB, each picture capped at 60.
    pub psnr: f64,
    /// Public signals it was chosen on.
    pub public: i64,
    /// Recipes that applied, of the grid's.
    pub applied: (usize, usize),
    /// Evaluations spent on one public signal, all recipes together.
    pub evaluations: u64,
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: best of {} recipes on {} public batches, {:.1} dB there, {} evaluations each",
            self.recipe, self.applied.0, self.public, self.psnr, self.evaluations
        )?;
        if self.applied.0 < self.applied.1 {
            write!(f, "; {} recipes do not apply", self.applied.1 - self.applied.0)?;
        }
        Ok(())
    }
}

/// The recipe of the grid with the best mean PSNR on the public pictures. Each rung deals an equal
/// part of `calibration` evaluations among those left, from the start anew, and keeps the better
/// half; recipes that do not apply drop out. Of equals the first of the grid is kept.
///
/// # Errors
/// `BadSignal` where pictures and signals do not belong together, `NotApplicable` where no recipe
/// applies, or when cancelled.
pub fn choose(of: &Strongest, calibration: &Calibration, run: &Run) -> Result<Chosen, AttackError> {
    check(calibration)?;
    let public = calibration.seen.lanes();
    let mut left = recipes::grid(&of.tv_weights);
    let all = left.len();
    let rungs = (all as f64).log2().ceil().max(1.0) as usize;
    let (mut applied, mut evaluations) = (all, 0);
    for rung in 0..rungs {
        let share = (of.calibration / (rungs * left.len())).max(1);
        let mut scored = Vec::new();
        let mut refused = String::new();
        for recipe in left {
            run.check()?;
            match recipe.attack(of, share, &calibration.seen, run) {
                Ok(found) => {
                    evaluations += found.evaluations;
                    scored.push((psnr(&found.pixels, &calibration.truth), recipe));
                }
                Err(AttackError::NotApplicable(why)) => refused = why,
                Err(other) => return Err(other),
            }
        }
        if rung == 0 {
            applied = scored.len();
        }
        // Stable: of equals the first stays in front.
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        scored.truncate(scored.len().div_ceil(2));
        if scored.len() <= 1 {
            let (psnr, recipe) =
                scored.into_iter().next().ok_or(AttackError::NotApplicable(refused))?;
            return Ok(Chosen { recipe, psnr, public, applied: (applied, all), evaluations });
        }
        left = scored.into_iter().map(|(_, recipe)| recipe).collect();
    }
    Err(AttackError::NotApplicable("no recipe was left on the public pictures".into()))
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
