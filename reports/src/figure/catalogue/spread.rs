//! The spread over images: boxes by cell, client and trial, and PSNR against likeness.

use super::bars::dashed;
use super::{Catalogue, by_attack, cell_name, spec, split, whole};
use crate::figure::columns::Setting;
use crate::figure::filter::Picked;
use record::aggregate::usable;
use record::run::Run;
use record::{CellRecord, ImageScore};
use std::collections::BTreeSet;
use suites::figure::{FigureKind, FigureSpec, Per};

/// Boxes of one figure.
const BOXES: usize = 20;
/// Cells that get box plots of their own.
const CELLS: usize = 12;

/// Boxes of the PSNR by cell, and within cells that have several clients or trials.
pub(super) fn boxes(run: &Run, out: &mut Catalogue) {
    let psnr = run.metric("psnr");
    let scored = |r: &CellRecord| r.images.iter().filter_map(|i| usable(&i.scores, &psnr)).count();
    let cells: Vec<usize> =
        run.attacked().into_iter().filter(|at| scored(&run.records[*at]) > 2).collect();
    let own = FigureSpec {
        caption: format!(
            "PSNR of every image: quartiles, median and whiskers to 1.5 interquartile ranges; \
             values beyond are dots. {}",
            dashed()
        ),
        ..spec("boxes-cells", FigureKind::Box, "cell", "psnr")
    };
    out.pages(run, &own, split(run, &Setting::Cell, &whole(run, &cells), BOXES));
    let within = run.attacked().into_iter().filter_map(|at| Some((at, within(&run.records[at])?)));
    for (at, (what, of)) in within.take(CELLS) {
        let record = &run.records[at];
        let first: BTreeSet<usize> =
            record.images.iter().map(of).collect::<BTreeSet<_>>().into_iter().take(BOXES).collect();
        let images =
            (0..record.images.len()).filter(|i| first.contains(&of(&record.images[*i]))).collect();
        let own = FigureSpec {
            caption: format!("{}: PSNR of the images of each {what}.", cell_name(run, at)),
            ..spec(&format!("boxes-{what}-{}", record.id), FigureKind::Box, what, "psnr")
        };
        out.add(run, &own, vec![Picked { at, images, lost: 0 }]);
    }
}

/// What parts the images of a cell, with its name.
type Parts = (&'static str, fn(&ImageScore) -> usize);

/// The client where a cell attacked several, else the trial where trials have several images.
fn within(record: &CellRecord) -> Option<Parts> {
    let places =
        |of: fn(&ImageScore) -> usize| record.images.iter().map(of).collect::<BTreeSet<_>>();
    let trials = places(|i| i.trial).len();
    if places(|i| i.client).len() > 1 {
        Some(("client", |i| i.client))
    } else {
        (trials > 1 && record.images.len() > trials).then_some(("trial", |i| i.trial))
    }
}

/// PSNR against LPIPS, or against SSIM where no LPIPS was measured.
pub(super) fn scatter(run: &Run, out: &mut Catalogue) {
    let measured = || run.metric_names.iter().filter(|n| run.has_mean(n));
    let lpips = measured().find(|n| n.starts_with("lpips-"));
    let Some(other) = lpips.or_else(|| measured().find(|n| *n == "ssim")) else {
        return;
    };
    let instead = match lpips {
        Some(_) => "",
        None => " LPIPS was not measured (see the notes), so SSIM stands in its place.",
    };
    let cells = run.attacked();
    let own = FigureSpec {
        caption: format!("PSNR against {} of every image.{instead}", run.metric(other).title),
        colour: by_attack(run, &cells),
        null: vec!["all".into()],
        per: Some(Per::Image),
        ..spec("scatter", FigureKind::Scatter, "psnr", other)
    };
    out.add(run, &own, whole(run, &cells));
}
