//! Cells whose spec was changed between two runs: one vanished, one appeared, and little tells them
//! apart.

use crate::Side;
use record::CellRecord;
use record::axes::plain;
use serde_json::Value;
use std::collections::BTreeMap;

/// More settings than this make another cell, not a changed one.
const FEW: usize = 3;

/// A cell of the base and the one of the new run that took its place.
pub(crate) struct Changed {
    /// Place in the base's records.
    pub base: usize,
    /// Place in the new run's records.
    pub new: usize,
    /// Settings that differ: dotted path, value before, value after.
    pub settings: Vec<(String, String, String)>,
}

/// Couples `vanished` with `appeared` cells of the same data, model, attack and defenses that
/// differ in at most [`FEW`] settings: the fewest first, then the nearest in the order of the
/// suite. Each cell is used once.
pub(crate) fn find(
    base: &Side,
    vanished: &[usize],
    new: &Side,
    appeared: &[usize],
) -> Vec<Changed> {
    let mut alike: BTreeMap<String, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for at in vanished {
        alike.entry(kind(&base.records[*at])).or_default().0.push(*at);
    }
    for at in appeared {
        alike.entry(kind(&new.records[*at])).or_default().1.push(*at);
    }
    let mut found: Vec<Changed> =
        alike.values().flat_map(|(was, is)| couples(base, was, new, is)).collect();
    found.sort_by_key(|c| c.base);
    found
}

/// What is never merely changed: data, model, source, attack and defenses by name.
fn kind(record: &CellRecord) -> String {
    let spec = &record.spec;
    let defenses: Vec<&str> = spec.defenses.iter().map(|d| d.name.as_str()).collect();
    format!(
        "{} {} {:?} {} {defenses:?}",
        spec.task.dataset,
        spec.model.title(),
        spec.source,
        spec.attack.name
    )
}

fn couples(base: &Side, was: &[usize], new: &Side, is: &[usize]) -> Vec<Changed> {
    let before: Vec<Leaves> = was.iter().map(|at| leaves(&base.records[*at])).collect();
    let after: Vec<Leaves> = is.iter().map(|at| leaves(&new.records[*at])).collect();
    let mut candidates = Vec::new();
    for (i, a) in before.iter().enumerate() {
        for (j, b) in after.iter().enumerate() {
            let count = differences(a, b).take(FEW + 1).count();
            if count <= FEW {
                candidates.push((count, was[i].abs_diff(is[j]), i, j));
            }
        }
    }
    candidates.sort_unstable();
    let (mut used, mut taken) = (vec![false; was.len()], vec![false; is.len()]);
    let mut found = Vec::new();
    for (_, _, i, j) in candidates {
        if !used[i] && !taken[j] {
            (used[i], taken[j]) = (true, true);
            let settings = differences(&before[i], &after[j]).collect();
            found.push(Changed { base: was[i], new: is[j], settings });
        }
    }
    found
}

type Leaves = BTreeMap<String, String>;

fn leaves(record: &CellRecord) -> Leaves {
    let mut out = Leaves::new();
    collect("", &serde_json::to_value(&record.spec).unwrap_or(Value::Null), &mut out);
    out
}

fn collect(path: &str, value: &Value, out: &mut Leaves) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, v)| collect(&below(key), v, out)),
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().enumerate().for_each(|(at, v)| collect(&below(&at.to_string()), v, out));
        }
        leaf => {
            out.insert(path.to_owned(), plain(leaf));
        }
    }
}

/// Settings that differ, those that only one side has included.
fn differences<'a>(
    a: &'a Leaves,
    b: &'a Leaves,
) -> impl Iterator<Item = (String, String, String)> + 'a {
    let absent = || "-".to_owned();
    let here = a.iter().filter_map(move |(path, was)| {
        let is = b.get(path).cloned().unwrap_or_else(absent);
        (*was != is).then(|| (path.clone(), was.clone(), is))
    });
    let there = b.iter().filter(|(path, _)| !a.contains_key(*path));
    here.chain(there.map(move |(path, is)| (path.clone(), absent(), is.clone())))
}
