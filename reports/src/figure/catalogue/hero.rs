//! The first figure of a report: what each defense leaves of the same pictures.

use super::{Catalogue, whole};
use record::run::Run;
use std::collections::BTreeSet;
use suites::figure::{FigureKind, FigureSpec};

/// What it is called in reports and in papers.
pub(crate) const NAME: &str = "hero";

/// What stands below it where a suite says nothing.
pub(crate) const CAPTION: &str = "The same pictures behind each defense, as recovered by the \
    strongest attack tried on it (by mean PSNR). Floor: the best picture made without attacking.";

/// The hero figure, of a run that has pictures and at least two defenses, no defense being one.
pub(super) fn hero(run: &Run, out: &mut Catalogue) {
    if !wanted(run) {
        return;
    }
    let all: Vec<usize> = (0..run.records.len()).collect();
    let own = FigureSpec { caption: CAPTION.into(), ..FigureSpec::new(NAME, FigureKind::Hero) };
    out.add(run, &own, whole(run, &all));
}

/// Whether the run has pictures, at least two defenses, and a PSNR of which more is better.
pub(crate) fn wanted(run: &Run) -> bool {
    let pictures = run.records.iter().flat_map(|r| &r.images).any(|i| i.guess_png.is_some());
    let defenses: BTreeSet<&str> = (0..run.records.len()).map(|at| run.defenses(at)).collect();
    pictures && defenses.len() > 1 && run.metric("psnr").higher_is_better == Some(true)
}
