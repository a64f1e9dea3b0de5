//! Correction for many tests, and the names of what came out.

use super::effect::{Effect, Family, Judgement, Subject};
use super::pairs::Pair;
use crate::stats::{holm, testable};
use std::collections::HashMap;

/// Corrects every test within its family and judges every effect.
///
/// The pooled tests and those of single cells each get half of `alpha`, so that the chance of any false alarm is at most `alpha`.
pub(super) fn judge(effects: &mut [Effect], alpha: f64, pairs: &[Pair]) {
    let cells: HashMap<&str, &Pair> = pairs.iter().map(|p| (p.cell.as_str(), p)).collect();
    for (family, alpha) in
        [(Family::Pooled, alpha / 2.0), (Family::Cells, alpha / 2.0), (Family::Described, alpha)]
    {
        correct(effects, family, alpha);
        for effect in effects.iter_mut().filter(|e| e.family == family) {
            effect.points_to = name(effect, &cells);
            effect.judgement = judgement(effect, alpha);
        }
    }
}

fn correct(effects: &mut [Effect], family: Family, alpha: f64) {
    let places: Vec<usize> = (0..effects.len()).filter(|at| effects[*at].family == family).collect();
    let smallest: Vec<f64> = places.iter().map(|at| effects[*at].smallest_p).collect();
    let can = testable(&smallest, alpha);
    let entered: Vec<usize> = places.iter().zip(can).filter(|(_, can)| *can).map(|(at, _)| *at).collect();
    let adjusted = holm(&entered.iter().map(|at| effects[*at].p).collect::<Vec<_>>());
    for (at, p) in entered.into_iter().zip(adjusted) {
        effects[at].p_adjusted = Some(p);
    }
}

fn judgement(effect: &Effect, alpha: f64) -> Judgement {
    if effect.tolerance.is_none() {
        return Judgement::Described;
    }
    match () {
        () if !effect.beyond() => Judgement::Within,
        () if effect.p_adjusted.is_none() => Judgement::Untested,
        () if !effect.significant(alpha) => Judgement::NotSignificant,
        () if !effect.agrees => Judgement::Mixed,
        () => effect.points_to,
    }
}

/// What an effect is where it is sure and beyond its tolerance.
fn name(effect: &Effect, cells: &HashMap<&str, &Pair>) -> Judgement {
    use Judgement as J;
    if effect.tolerance.is_none() {
        return J::Described;
    }
    let gained = (effect.size() > 0.0) == effect.higher;
    let defended = |defended: bool, twin: bool| match (defended, twin, gained) {
        (false, _, true) => J::AttackStronger,
        (false, _, false) => J::AttackWeaker,
        (true, _, true) => J::DefenceWeaker,
        (true, true, false) => J::DefenceStronger,
        (true, false, false) => J::Unclear,
    };
    match &effect.subject {
        Subject::Attack(_) => defended(false, false),
        Subject::Defence(_) => defended(true, true),
        Subject::DefenceAlone(_) => defended(true, false),
        Subject::Cell(id) => {
            cells.get(id.as_str()).map_or(J::Unclear, |p| defended(p.defended, p.twin.is_some()))
        }
        Subject::Accuracy if effect.change > 0.0 => J::AccuracyUp,
        Subject::Accuracy => J::AccuracyDown,
        Subject::Speed if effect.change > 1.0 => J::Slower,
        Subject::Speed => J::Faster,
        Subject::Cost(_) => J::Described,
    }
}
