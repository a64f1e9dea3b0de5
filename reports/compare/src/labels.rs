//! Names of cells and defenses, the same for both runs.

use crate::pairs::Pair;
use crate::{Pairing, Side};
use record::CellRecord;
use record::axes::{Axes, defenses};
use std::collections::HashMap;

/// Cells in words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels {
    /// By cell id: what tells it from the others.
    cells: HashMap<String, String>,
    /// By cell id: its defenses with the parameters that vary.
    defenses: HashMap<String, String>,
}

impl Labels {
    /// Names every cell of both runs.
    pub fn new(base: &Side, new: &Side, pairs: &[Pair], how: Pairing) -> Labels {
        // Every record once: those of the base that the new run lacks, then the new run's.
        let known: std::collections::HashSet<_> = new.records.iter().map(|r| &r.id).collect();
        let gone = base.records.iter().filter(|r| !known.contains(&r.id));
        let all: Vec<CellRecord> = gone.chain(&new.records).map(|r| named(r, how)).collect();
        let axes = Axes::from_records(&all);
        let distinguishing = axes.distinguishing(&(0..all.len()).collect::<Vec<_>>(), &[]);
        let mut labels = Labels::default();
        for (at, record) in all.iter().enumerate() {
            let text = axes.label(at, &distinguishing, &[]);
            let text = if text.is_empty() { axes.attacks[at].clone() } else { text };
            labels.cells.insert(record.id.to_string(), text);
            let own = defenses(&record.spec, |d| d.name.clone());
            let defense = axes.value(at, "defenses").map_or(own, str::to_owned);
            labels.defenses.insert(record.id.to_string(), defense);
        }
        for pair in pairs {
            let id = new.records[pair.new].id.to_string();
            for map in [&mut labels.cells, &mut labels.defenses] {
                if let Some(text) = map.get(&id).cloned() {
                    map.entry(pair.cell.clone()).or_insert(text);
                }
            }
        }
        labels
    }

    /// A cell in words, with the digits of its id.
    pub fn cell(&self, id: &str) -> String {
        match self.cells.get(id) {
            Some(label) => format!("{label} ({id})"),
            None => id.to_owned(),
        }
    }

    /// The defenses of a pair.
    pub fn defense(&self, pair: &Pair) -> String {
        self.defenses.get(&pair.cell).cloned().unwrap_or_default()
    }
}

/// The record without its scores; across seeds the seed tells nothing.
fn named(record: &CellRecord, how: Pairing) -> CellRecord {
    let mut spec = record.spec.clone();
    if how == Pairing::AcrossSeeds {
        spec.seed = 0;
    }
    CellRecord { spec, images: Vec::new(), ..record.clone() }
}
