//! Correction for many tests, and the names of what came out.

use crate::effect::{Effect, Family, Judgement, Subject};
use crate::pairs::Pair;
use record::stats::{holm, testable};
use std::collections::HashMap;

/// Corrects every test within its family and judges every effect.
///
/// The pooled tests and those of single cells each get half of `alpha`, so that the chance of any
/// false alarm is at most `alpha`.
pub(crate) fn judge(effects: &mut [Effect], alpha: f64, pairs: &[Pair]) {
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

/// A defense or a cell is not called stronger where an attack on it is known to be weaker than the
/// others there. `defense(pair)` names the defenses of a pair.
pub(crate) fn doubt(effects: &mut [Effect], pairs: &[Pair], defense: impl Fn(&Pair) -> String) {
    let weak = |e: &Effect| match &e.subject {
        Subject::AttackBehind(name) if e.judgement == Judgement::AttackWeaker => Some(name.clone()),
        _ => None,
    };
    let weak: Vec<String> = effects.iter().filter_map(weak).collect();
    let tainted: Vec<&Pair> =
        pairs.iter().filter(|p| p.scored() && p.defended && weak.contains(&p.attack)).collect();
    for effect in effects.iter_mut().filter(|e| e.judgement == Judgement::DefenseStronger) {
        let doubted = match &effect.subject {
            Subject::Defense(name) => tainted.iter().any(|p| defense(p) == *name),
            Subject::Cell(id) => tainted.iter().any(|p| p.cell == *id),
            _ => false,
        };
        if doubted {
            effect.judgement = Judgement::Unclear;
        }
    }
}

fn correct(effects: &mut [Effect], family: Family, alpha: f64) {
    let places: Vec<usize> =
        (0..effects.len()).filter(|at| effects[*at].family == family).collect();
    let smallest: Vec<f64> = places.iter().map(|at| effects[*at].smallest_p).collect();
    let can = testable(&smallest, alpha);
    let entered: Vec<usize> =
        places.iter().zip(can).filter(|(_, can)| *can).map(|(at, _)| *at).collect();
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
    // Without a direction nothing is weaker or stronger; what did not move is neither.
    let Some(higher) = effect.higher.filter(|_| effect.size() != 0.0) else { return J::Described };
    let gained = (effect.size() > 0.0) == higher;
    let defended = |defended: bool, twin: bool| match (defended, twin, gained) {
        (false, _, true) => J::AttackStronger,
        (false, _, false) => J::AttackWeaker,
        (true, _, true) => J::DefenseWeaker,
        (true, true, false) => J::DefenseStronger,
        (true, false, false) => J::Unclear,
    };
    match &effect.subject {
        Subject::Attack(_) | Subject::AttackBehind(_) => defended(false, false),
        Subject::Defense(_) => defended(true, true),
        Subject::DefenseAlone(_) => defended(true, false),
        Subject::Cell(id) => {
            cells.get(id.as_str()).map_or(J::Unclear, |p| defended(p.defended, p.twin.is_some()))
        }
        _ if effect.tolerance.is_none() => J::Described,
        Subject::Accuracy | Subject::Federation(_) if effect.change > 0.0 => J::AccuracyUp,
        Subject::Accuracy | Subject::Federation(_) => J::AccuracyDown,
        Subject::Speed if effect.change > 1.0 => J::Slower,
        Subject::Speed => J::Faster,
        Subject::Cost(_) => J::Described,
    }
}
