//! The hypotheses about attacks, defences and single cells, each over independent units.

use super::effect::Bench;
use super::effect::{Effect, Family, Judgement, Subject};
use super::measure::Measure;
use super::pairs::{BeforeAfter, Pair};
use super::units::Units;
use crate::stats::mean;
use std::collections::BTreeMap;

/// A set of pairs about which one question is asked.
struct Group {
    subject: Subject,
    pairs: Vec<usize>,
}

/// Effects on every measure of attacks (over undefended cells), of defences and of single cells. `defence(at)` names the defences of a pair.
pub(super) fn scores(
    pairs: &[Pair],
    measures: &[Measure],
    bench: &mut Bench,
    defence: impl Fn(usize) -> String,
) -> Vec<Effect> {
    let mut effects = Vec::new();
    for group in pooled(pairs, defence).iter().chain(&singles(pairs)) {
        let units = Units::of(pairs, &group.pairs);
        for (at, measure) in measures.iter().enumerate() {
            effects.extend(effect(pairs, group, &units, (at, measure), bench));
        }
    }
    effects
}

/// Attacks, then defences, by name; cells of a defence that have a twin apart from those that have none.
fn pooled(pairs: &[Pair], defence: impl Fn(usize) -> String) -> Vec<Group> {
    let mut groups: BTreeMap<(u8, String), Group> = BTreeMap::new();
    for (at, pair) in pairs.iter().enumerate().filter(|(_, p)| p.scored()) {
        let (order, subject) = match (pair.defended, &pair.twin) {
            (false, _) => (0, Subject::Attack(pair.attack.clone())),
            (true, Some(_)) => (1, Subject::Defence(defence(at))),
            (true, None) => (2, Subject::DefenceAlone(defence(at))),
        };
        let (Subject::Attack(name) | Subject::Defence(name) | Subject::DefenceAlone(name)) = &subject else {
            continue;
        };
        let key = (order, name.clone());
        groups.entry(key).or_insert_with(|| Group { subject, pairs: Vec::new() }).pairs.push(at);
    }
    groups.into_values().collect()
}

/// Each cell by itself, in the order of the suite; across seeds each set of cells that differ in the seed alone.
fn singles(pairs: &[Pair]) -> Vec<Group> {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for (at, pair) in pairs.iter().enumerate().filter(|(_, p)| p.scored()) {
        let place = *places.entry(&pair.cell).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.pairs.push(at),
            None => groups.push(Group { subject: Subject::Cell(pair.cell.clone()), pairs: vec![at] }),
        }
    }
    groups
}

/// The effect on one measure; `None` where no pair of values is whole.
fn effect(
    pairs: &[Pair],
    group: &Group,
    units: &Units,
    (at, measure): (usize, &Measure),
    bench: &mut Bench,
) -> Option<Effect> {
    let value = |pair: usize, row: usize| -> Option<BeforeAfter> { *pairs[pair].columns[at].get(row)? };
    let change = |pair, row| value(pair, row).map(|(before, after)| after - before);
    let beside = |pair: usize, row: usize| {
        let (twin, rows) = pairs[pair].twin.as_ref()?;
        Some(change(pair, row)? - change(*twin, rows.get(row).copied()??)?)
    };
    let (plain, used) = units.means(change);
    let plain: Vec<f64> = plain.into_iter().flatten().collect();
    let own = bench.test(&plain)?;
    let twins = group.pairs.iter().all(|p| pairs[*p].twin.is_some());
    let against = twins
        .then(|| units.means(beside).0.into_iter().flatten().collect::<Vec<f64>>())
        .and_then(|values| bench.test(&values));
    let told = against.as_ref().unwrap_or(&own);
    let side = |pick: fn(BeforeAfter) -> f64| {
        let values: Vec<f64> = units.means(|p, r| value(p, r).map(pick)).0.into_iter().flatten().collect();
        mean(&values).unwrap_or(f64::NAN)
    };
    let lost: usize = group.pairs.iter().map(|p| pairs[*p].lost[at]).sum();
    let family = match (measure.tolerance, &group.subject) {
        (None, _) => Family::Described,
        (Some(_), Subject::Cell(_)) => Family::Cells,
        (Some(_), _) => Family::Pooled,
    };
    let ci = told.ci.map(|ci| format!(" [{}, {}]", measure.signed(ci.low), measure.signed(ci.high)));
    // Beside its twins a defence may seem to move where only they did.
    let plainly =
        against.as_ref().map_or(String::new(), |_| format!(", by itself {}", measure.signed(own.mean)));
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
        // A defence is called weaker only where both say so: the union of two nulls is rejected at the larger p-value.
        p: against.as_ref().map_or(own.p, |a| a.p.max(own.p)),
        smallest_p: against.as_ref().map_or(own.smallest_p, |a| a.smallest_p.max(own.smallest_p)),
        p_adjusted: None,
        family,
        tolerance: measure.tolerance,
        judgement: Judgement::Described,
        points_to: Judgement::Described,
        shown: format!("{}{}{plainly}", measure.signed(told.mean), ci.unwrap_or_default()),
        higher: measure.higher_is_better(),
        agrees: own.agrees && against.as_ref().is_none_or(|a| a.agrees),
    })
}
