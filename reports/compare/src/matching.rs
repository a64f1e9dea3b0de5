//! Which cell of one run is which of the other.

use crate::CompareError;
use crate::changed::{self, Changed};
use crate::{Pairing, Side};
use record::CellRecord;
use std::collections::{BTreeMap, HashMap, HashSet};
use suites::CellId;

/// Cells of two runs by their places in [`Side::records`].
pub(crate) struct Matched {
    /// The same cell on both sides: (base, new), in the base's order.
    pub pairs: Vec<(usize, usize)>,
    /// Cells of the base that the new run neither has nor plans.
    pub vanished: Vec<usize>,
    /// Cells of the base that the new run has not come to yet.
    pub unrun: Vec<usize>,
    /// Cells of the new run alone.
    pub appeared: Vec<usize>,
    /// Cells that differ in a few settings, and are not compared.
    pub changed: Vec<Changed>,
}

impl Matched {
    /// Matches the cells of two runs.
    ///
    /// # Errors
    /// [`CompareError::Incomparable`] where no cell is common.
    pub fn new(base: &Side, new: &Side, how: Pairing) -> Result<Matched, CompareError> {
        let pairs = match how {
            Pairing::SameSeed => by_id(base, new),
            Pairing::AcrossSeeds => across_seeds(base, new),
        };
        if pairs.is_empty() {
            return Err(CompareError::Incomparable(nothing_common(base, new, how)));
        }
        let here: HashSet<usize> = pairs.iter().map(|(b, _)| *b).collect();
        let there: HashSet<usize> = pairs.iter().map(|(_, n)| *n).collect();
        let planned: HashSet<&CellId> = new.info.suite.cells.iter().collect();
        // Of cells at other seeds a plan tells nothing but that it is not done with.
        let open = |at: &usize| match how {
            Pairing::SameSeed => planned.contains(&base.records[*at].id),
            Pairing::AcrossSeeds => new.unfinished.is_some(),
        };
        let left = (0..base.records.len()).filter(|at| !here.contains(at));
        let (unrun, vanished): (Vec<usize>, Vec<usize>) = left.partition(open);
        let appeared: Vec<usize> =
            (0..new.records.len()).filter(|at| !there.contains(at)).collect();
        let changed = changed::find(base, &vanished, new, &appeared);
        let (was, is): (HashSet<usize>, HashSet<usize>) =
            changed.iter().map(|c| (c.base, c.new)).unzip();
        Ok(Matched {
            pairs,
            vanished: vanished.into_iter().filter(|at| !was.contains(at)).collect(),
            unrun,
            appeared: appeared.into_iter().filter(|at| !is.contains(at)).collect(),
            changed,
        })
    }
}

fn by_id(base: &Side, new: &Side) -> Vec<(usize, usize)> {
    let places: HashMap<&CellId, usize> =
        new.records.iter().enumerate().map(|(at, r)| (&r.id, at)).collect();
    let pair = |(at, record): (usize, &CellRecord)| Some((at, *places.get(&record.id)?));
    base.records.iter().enumerate().filter_map(pair).collect()
}

/// What a cell is but for its seed.
pub(crate) fn seedless(record: &CellRecord) -> CellId {
    let mut spec = record.spec.clone();
    spec.seed = 0;
    spec.id()
}

/// Of the cells that differ in the seed alone, the least seed is paired with the least, the next
/// with the next.
fn across_seeds(base: &Side, new: &Side) -> Vec<(usize, usize)> {
    let theirs = by_seedless(new);
    let mut pairs: Vec<(usize, usize)> = by_seedless(base)
        .iter()
        .flat_map(|(key, ours)| {
            ours.iter().copied().zip(theirs.get(key).into_iter().flatten().copied())
        })
        .collect();
    pairs.sort_unstable();
    pairs
}

fn by_seedless(side: &Side) -> BTreeMap<CellId, Vec<usize>> {
    let mut groups: BTreeMap<CellId, Vec<usize>> = BTreeMap::new();
    for (at, record) in side.records.iter().enumerate() {
        groups.entry(seedless(record)).or_default().push(at);
    }
    groups.values_mut().for_each(|cells| cells.sort_by_key(|at| side.records[*at].spec.seed));
    groups
}

fn nothing_common(base: &Side, new: &Side, how: Pairing) -> String {
    if let Some(empty) = [base, new].into_iter().find(|side| side.records.is_empty()) {
        return format!("{} holds no finished cell; there is nothing to compare", empty.name);
    }
    let titles = (base.info.suite.title(), new.info.suite.title());
    let runs = format!("{} ({}) and {} ({})", base.name, titles.0, new.name, titles.1);
    let remedy = match how {
        Pairing::SameSeed if !across_seeds(base, new).is_empty() => {
            "their cells differ in the seed alone; compare them with `--across-seeds`"
        }
        _ => "compare two runs of one suite and profile",
    };
    format!("{runs} have no cell in common; {remedy}")
}
