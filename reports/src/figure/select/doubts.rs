//! Cells that say nothing of their defenses: which they are, and why.

use super::Work;
use crate::figure::estimate::judged;
use crate::figure::filter::Picked;
use crate::figure::measure::Measure;
use record::markdown::ranges;
use record::run::Run;
use std::collections::{BTreeMap, BTreeSet};

impl Work<'_> {
    /// Takes note of defended cells whose undefended twin was not run.
    pub(super) fn doubt(&mut self, cells: impl Iterator<Item = usize>) {
        let unknown = |at: &usize| self.run.doubt(*at).is_some();
        self.counts.unknown.extend(cells.filter(unknown));
    }

    /// The cells of `picked` that say something by `measure`; takes note of the others.
    pub(super) fn judged(&mut self, measure: &Measure, picked: &[Picked]) -> Vec<Picked> {
        let (kept, left_out) = judged(self.run, measure, picked);
        self.counts.left_out.extend(left_out);
        self.doubt(kept.iter().map(|p| p.at));
        kept
    }
}

/// What is to be said of cells whose defenses cannot be judged, a line for each reason.
pub(crate) fn doubts(run: &Run, cells: &BTreeSet<usize>, fate: &str) -> Vec<String> {
    let mut reasons: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for at in cells {
        reasons.entry(run.doubt(*at).unwrap_or_default()).or_default().push(at + 1);
    }
    let line = |(why, cells): (String, Vec<usize>)| {
        let which = if cells.len() == 1 { "cell" } else { "cells" };
        format!("{which} {}{fate}: {why}", ranges(&cells))
    };
    reasons.into_iter().map(line).collect()
}
