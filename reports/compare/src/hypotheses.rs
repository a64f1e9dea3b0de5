//! The hypotheses about attacks, defenses and single cells, each over independent units.

use crate::behind::{self, Others};
use crate::effect::Bench;
use crate::effect::{Effect, Family, Judgement, Subject};
use crate::measure::Measure;
use crate::pairs::{BeforeAfter, Pair};
use crate::units::Units;
use record::stats::mean;
use std::collections::BTreeMap;

/// A set of pairs about which one question is asked.
struct Group {
    subject: Subject,
    pairs: Vec<usize>,
}

/// The cells, and what other attacks on the same signals there are.
struct Cells<'a> {
    pairs: &'a [Pair],
    others: &'a Others,
}

impl Cells<'_> {
    fn value(&self, pair: usize, row: usize, measure: usize) -> Option<BeforeAfter> {
        *self.pairs[pair].columns[measure].get(row)?
    }

    fn change(&self, pair: usize, row: usize, measure: usize) -> Option<f64> {
        self.value(pair, row, measure).map(|(before, after)| after - before)
    }

    /// The change of the undefended twin.
    fn twin(&self, pair: usize, row: usize, measure: usize) -> Option<f64> {
        let (twin, rows) = self.pairs[pair].twin.as_ref()?;
        self.change(*twin, rows.get(row).copied()??, measure)
    }
}

/// Effects on every measure of attacks (over undefended cells), of defenses and of single cells.
/// `defense(at)` names the defenses of a pair.
pub(crate) fn scores(
    pairs: &[Pair],
    measures: &[Measure],
    bench: &mut Bench,
    defense: impl Fn(usize) -> String,
) -> Vec<Effect> {
    let mut effects = Vec::new();
    let others = behind::others(pairs);
    let cells = Cells { pairs, others: &others };
    let leading = measures.iter().position(|m| m.raw() && m.tolerance.is_some());
    for group in pooled(&cells, defense).iter().chain(&singles(pairs)) {
        let units = Units::new(pairs, &group.pairs);
        for (at, measure) in measures.iter().enumerate() {
            let tolerance = match group.subject {
                Subject::AttackBehind(_) => measure.tolerance.filter(|_| leading == Some(at)),
                Subject::Attack(_) => measure.tolerance,
                _ => measure.tolerance.filter(|_| !measure.diverged),
            };
            effects.extend(effect(&cells, group, &units, (at, measure, tolerance), bench));
        }
    }
    effects
}

/// Attacks without and behind defenses, then defenses, by name; cells of a defense that have a twin
/// apart from those that have none.
fn pooled(cells: &Cells, defense: impl Fn(usize) -> String) -> Vec<Group> {
    let mut groups: BTreeMap<(u8, String), Group> = BTreeMap::new();
    for at in cells.others.keys() {
        let name = &cells.pairs[*at].attack;
        let subject = Subject::AttackBehind(name.clone());
        let new = || Group { subject, pairs: Vec::new() };
        groups.entry((1, name.clone())).or_insert_with(new).pairs.push(*at);
    }
    for (at, pair) in cells.pairs.iter().enumerate().filter(|(_, p)| p.tested()) {
        let (order, subject) = match (pair.defended, &pair.twin) {
            (false, _) => (0, Subject::Attack(pair.attack.clone())),
            (true, Some(_)) => (2, Subject::Defense(defense(at))),
            (true, None) => (3, Subject::DefenseAlone(defense(at))),
        };
        let (Subject::Attack(name) | Subject::Defense(name) | Subject::DefenseAlone(name)) =
            &subject
        else {
            continue;
        };
        let key = (order, name.clone());
        groups.entry(key).or_insert_with(|| Group { subject, pairs: Vec::new() }).pairs.push(at);
    }
    groups.into_values().collect()
}

/// Each cell by itself, in the order of the suite; across seeds each set of cells that differ in
/// the seed alone.
fn singles(pairs: &[Pair]) -> Vec<Group> {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (at, pair) in pairs.iter().enumerate().filter(|(_, p)| p.tested()) {
        let place = *places.entry(&pair.cell).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.pairs.push(at),
            None => {
                groups.push(Group { subject: Subject::Cell(pair.cell.clone()), pairs: vec![at] })
            }
        }
    }
    groups
}

/// The effect on one measure; `None` where no pair of values is whole.
fn effect(
    cells: &Cells,
    group: &Group,
    units: &Units,
    (at, measure, tolerance): (usize, &Measure, Option<f64>),
    bench: &mut Bench,
) -> Option<Effect> {
    let pairs = cells.pairs;
    let value = |pair: usize, row: usize| cells.value(pair, row, at);
    let among = matches!(group.subject, Subject::AttackBehind(_));
    let beside = |pair: usize, row: usize| {
        let reference = if among {
            behind::change(pairs, cells.others.get(&pair)?, row, at)
        } else {
            cells.twin(pair, row, at)
        };
        Some(cells.change(pair, row, at)? - reference?)
    };
    let (plain, used) = units.means(|pair, row| cells.change(pair, row, at));
    let plain: Vec<f64> = plain.into_iter().flatten().collect();
    let own = bench.test(&plain, measure.scale)?;
    let twins = among || group.pairs.iter().all(|p| pairs[*p].twin.is_some());
    let against = twins
        .then(|| units.means(beside).0.into_iter().flatten().collect::<Vec<f64>>())
        .and_then(|values| bench.test(&values, measure.scale));
    if among && against.is_none() {
        return None;
    }
    let told = against.as_ref().unwrap_or(&own);
    let side = |pick: fn(BeforeAfter) -> f64| {
        let values: Vec<f64> =
            units.means(|p, r| value(p, r).map(pick)).0.into_iter().flatten().collect();
        mean(&values).unwrap_or(f64::NAN)
    };
    let lost: usize = group.pairs.iter().map(|p| pairs[*p].lost[at]).sum();
    let family = match (tolerance, &group.subject) {
        (None, _) => Family::Described,
        (Some(_), Subject::Cell(_)) => Family::Cells,
        (Some(_), _) => Family::Pooled,
    };
    let spread = told.spread(|v| measure.signed(v));
    // Beside its twins a defense may seem to move where only they did.
    let plainly = against
        .as_ref()
        .map_or(String::new(), |_| format!(", by itself {}", measure.signed(own.mean)));
    Some(Effect {
        subject: group.subject.clone(),
        metric: measure.title.clone(),
        cells: group.pairs.iter().filter(|p| !pairs[**p].columns[at].is_empty()).count(),
        pairs: used,
        unpaired: lost,
        units: plain.len(),
        moved: told.moved,
        base: side(|v| v.0),
        new: side(|v| v.1),
        change: own.mean,
        beside_twins: against.as_ref().map(|a| a.mean),
        ci: told.ci,
        test: told.test,
        // A defense is called weaker only where both say so: the union of two nulls is rejected at
        // the larger p-value.
        p: against.as_ref().map_or(own.p, |a| a.p.max(own.p)),
        smallest_p: against.as_ref().map_or(own.smallest_p, |a| a.smallest_p.max(own.smallest_p)),
        p_adjusted: None,
        family,
        tolerance,
        judgement: Judgement::Described,
        points_to: Judgement::Described,
        shown: format!("{}{spread}{plainly}", measure.signed(told.mean)),
        higher: (!measure.undirected()).then(|| measure.higher_is_better()),
        agrees: own.agrees && against.as_ref().is_none_or(|a| a.agrees),
    })
}
