//! Attacks behind defenses, beside the other attacks on the same signals: where one falls and the
//! others do not, it is not the defense that changed.

use crate::measure::Measure;
use crate::pairs::{Pair, rows};
use record::stats::mean;
use std::collections::BTreeMap;

/// Per defended pair that another attack met as well: the pairs of the other attacks, and the row
/// there for each row here.
pub(crate) type Others = BTreeMap<usize, Vec<(usize, Vec<Option<usize>>)>>;

/// The other attacks on the signal of each defended pair.
pub(crate) fn others(pairs: &[Pair]) -> Others {
    let mut worlds: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, pair) in pairs.iter().enumerate().filter(|(_, p)| p.tested() && p.defended) {
        worlds.entry(&pair.world).or_default().push(at);
    }
    let mut out = Others::new();
    for here in worlds.values() {
        for at in here {
            let theirs = here.iter().filter(|o| pairs[**o].attack != pairs[*at].attack);
            let theirs: Vec<_> = theirs.map(|o| (*o, rows(&pairs[*at], &pairs[*o]))).collect();
            if !theirs.is_empty() {
                out.insert(*at, theirs);
            }
        }
    }
    out
}

/// The mean change of the other attacks in the image of `row`; `None` where none has it.
pub(crate) fn change(
    pairs: &[Pair],
    others: &[(usize, Vec<Option<usize>>)],
    row: usize,
    measure: usize,
) -> Option<f64> {
    let one = |(pair, rows): &(usize, Vec<Option<usize>>)| {
        let (before, after) = (*pairs[*pair].columns[measure].get(rows.get(row).copied()??)?)?;
        Some(after - before)
    };
    mean(&others.iter().filter_map(one).collect::<Vec<f64>>())
}

/// An attack that fell behind defenses.
pub(crate) struct Fallen {
    pub attack: String,
    /// Defenses behind which it reconstructs less, beyond the tolerance, and less than the other
    /// attacks lost there.
    pub behind: Vec<String>,
    /// Defenses that it met.
    pub of: usize,
    /// Whether other attacks met any of those defenses.
    pub compared: bool,
}

/// Attacks whose mean of the measure `at` fell beyond its tolerance behind a defense, by itself and
/// beside the other attacks there. `defense(pair)` names the defenses of a pair. An attack that
/// nothing can be held against must fall behind two at least.
pub(crate) fn fallen(
    pairs: &[Pair],
    (at, measure): (usize, &Measure),
    defense: impl Fn(&Pair) -> String,
) -> Vec<Fallen> {
    let tolerance = measure.tolerance.unwrap_or(f64::INFINITY);
    let sign = if measure.higher_is_better() { -1.0 } else { 1.0 };
    let others = others(pairs);
    let mut groups: BTreeMap<&str, BTreeMap<String, Vec<usize>>> = BTreeMap::new();
    for (place, pair) in pairs.iter().enumerate().filter(|(_, p)| p.tested() && p.defended) {
        groups.entry(&pair.attack).or_default().entry(defense(pair)).or_default().push(place);
    }
    let losses = |cells: &Vec<usize>| {
        let (mut own, mut beside) = (Vec::new(), Vec::new());
        for cell in cells {
            for (row, value) in pairs[*cell].columns[at].iter().enumerate() {
                let Some((before, after)) = value else { continue };
                own.push(sign * (after - before));
                let theirs = others.get(cell).and_then(|o| change(pairs, o, row, at));
                beside.extend(theirs.map(|theirs| sign * (after - before - theirs)));
            }
        }
        (mean(&own), mean(&beside))
    };
    let one = |(attack, defenses): (&str, &BTreeMap<String, Vec<usize>>)| {
        let beyond = |loss: Option<f64>| loss.is_none_or(|loss| loss > tolerance);
        let fell = |cells: &&Vec<usize>| {
            let (own, beside) = losses(cells);
            own.is_some_and(|own| own > tolerance) && beyond(beside)
        };
        let behind: Vec<String> = defenses
            .iter()
            .filter(|(_, cells)| fell(cells))
            .map(|(name, _)| name.clone())
            .collect();
        let compared = defenses.values().flatten().any(|cell| others.contains_key(cell));
        let enough = if compared { 1 } else { 2 };
        (behind.len() >= enough).then(|| Fallen {
            attack: attack.into(),
            behind,
            of: defenses.len(),
            compared,
        })
    };
    groups.iter().filter_map(|(attack, defenses)| one((attack, defenses))).collect()
}
