//! Bars of means and shares: one a cell, beside each other where cells differ in the attack alone.

use super::{Catalogue, accuracies, by_attack, count, slug, spec, split, whole};
use crate::figure::columns::Setting;
use crate::words::FLOOR;
use record::MetricInfo;
use record::run::Run;
use suites::figure::{FigureKind, FigureSpec};

/// Bars of one figure.
const BARS: usize = 24;

/// What the dashed marks are.
pub(super) fn dashed() -> String {
    format!("Dashed: the floor, which is {FLOOR}, and beside it the oracles, which need it.")
}

/// Every bar chart of the run.
pub(super) fn bars(run: &Run, out: &mut Catalogue) {
    for metric in scores(run) {
        let better = match metric.higher_is_better {
            Some(true) => format!("; more is a better attack. {}", dashed()),
            Some(false) => format!("; less is a better attack. {}", dashed()),
            None => "; the run does not say whether more is better.".into(),
        };
        let caption = format!("Mean {} with 95 % bootstrap intervals{better}", metric.title);
        add(run, out, &metric.name, &metric.name, caption);
    }
    if let Some((_, bound, label)) = run.headline().filter(|_| run.has_mean("psnr")) {
        let caption =
            format!("Share of images with {label}, with 95 % Wilson intervals. {}", dashed());
        add(
            run,
            out,
            &format!("success-{}", slug(&label)),
            &format!("success.psnr-{bound}"),
            caption,
        );
    }
    if run.has_mean("label_match") {
        let caption =
            "Share of labels that the attack found by itself, with 95 % Wilson intervals.";
        add(run, out, "label-accuracy", "label_accuracy", caption.into());
    }
    for (y, what) in accuracies(run) {
        let cells = run.attacked();
        let own = FigureSpec {
            caption: format!("{what}, with 95 % Wilson intervals."),
            ..spec(&format!("bars-{}", slug(y)), FigureKind::Bar, "setting", y)
        };
        let pages = split(run, &Setting::Variant, &whole(run, &cells), BARS);
        out.pages(run, &own, pages);
    }
}

/// Scores of images that have a figure of their own.
fn scores(run: &Run) -> Vec<MetricInfo> {
    let shown = |n: &&String| *n != "label_match" && *n != "mse" && run.has_mean(n);
    run.metric_names.iter().filter(shown).map(|n| run.metric(n)).collect()
}

/// A bar a cell: in groups of the attacks on one setting where there are a few, else each by
/// itself.
fn add(run: &Run, out: &mut Catalogue, name: &str, y: &str, caption: String) {
    let cells = run.attacked();
    let others = run.axes.paths.iter().any(|p| p != "attack");
    let (settings, attacks) =
        (count(run, &Setting::Variant, &cells), count(run, &Setting::Attack, &cells));
    // Where few attacks met each setting, most of a group would be empty.
    let dense = settings * attacks <= 2 * cells.len();
    let colour = by_attack(run, &cells).filter(|_| others && dense);
    let (x, by, each) = match &colour {
        Some(_) => ("setting", Setting::Variant, attacks),
        None => ("cell", Setting::Cell, 1),
    };
    let own = spec(&format!("bars-{name}"), FigureKind::Bar, x, y);
    let own = FigureSpec { caption, colour, ..own };
    // Cells of one world share their null baselines, and stand together.
    let picked: Vec<usize> = run.worlds().concat();
    out.pages(run, &own, split(run, &by, &whole(run, &picked), BARS / each));
}
