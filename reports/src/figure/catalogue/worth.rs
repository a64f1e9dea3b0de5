//! Privacy against utility, and leakage against training progress.

use super::{Catalogue, SERIES, by_attack, count, page, page_slug, spec, split, whole};
use crate::figure::chart::{Body, Chart};
use crate::figure::columns::Setting;
use crate::frontier::{JOINT, ONE_TRAINING, Panel, let_loose, panels};
use crate::leakage::{Course, courses as all_courses};
use crate::words::FLOOR;
use record::run::Run;
use suites::figure::{FigureKind, FigureSpec};

/// Frontiers of one figure.
const PANELS: usize = 3;

/// The frontier of each task and adversary by success rate, and by mean PSNR.
pub(super) fn frontiers(run: &Run, out: &mut Catalogue) {
    let Some((_, bound, label)) = run.headline() else { return };
    let success = format!("success.psnr-{bound}");
    let by_success = format!(
        "the largest share of images with {label} that any attack tried got (Wilson intervals \
         {JOINT})"
    );
    let by_psnr =
        format!("the largest mean PSNR that any attack tried got (bootstrap intervals {JOINT})");
    let panels = panels(run);
    for (name, x, what) in
        [("frontier", success.as_str(), by_success), ("frontier-psnr", "psnr", by_psnr)]
    {
        let own = FigureSpec {
            caption: format!(
                "Test accuracy after training with each defense ({ONE_TRAINING}) against {what}. \
                 Up and to the left is better; dashed is the Pareto frontier, of what \
                 surely leaks less or is worth more than each other point, by intervals on both \
                 axes (the table has the rule)."
            ),
            labels: true,
            ..spec(name, FigureKind::Frontier, x, "task.trained_accuracy")
        };
        let mut drawn = Catalogue::default();
        panels.iter().for_each(|panel| one_frontier(run, panel, &own, &mut drawn));
        out.remarks.append(&mut drawn.remarks);
        let count = drawn.charts.len().div_ceil(PANELS);
        for (at, charts) in drawn.charts.chunks(PANELS).enumerate() {
            let mut first = charts[0].clone();
            charts[1..].iter().for_each(|chart| below(&mut first, chart.clone()));
            first.name += &page_slug(at);
            first.caption += &page(at, count);
            out.charts.push(first);
        }
    }
}

fn one_frontier(run: &Run, panel: &Panel, own: &FigureSpec, out: &mut Catalogue) {
    let mut cells = panel.defenses.concat();
    cells.retain(|at| let_loose(&run.records[*at]));
    let few = count(run, &Setting::DefenseNames, &cells) <= SERIES;
    let colour = few.then(|| "defenses.name".into());
    let before = out.charts.len();
    out.add(run, &FigureSpec { colour, ..own.clone() }, whole(run, &cells));
    if let Some(chart) = out.charts.get_mut(before)
        && let Body::Scatter(plots) = &mut chart.body
    {
        plots.iter_mut().for_each(|plot| plot.title.clone_from(&panel.name));
        let whose = |remark: &mut String| *remark = format!("{}: {remark}", panel.name);
        if !panel.name.is_empty() {
            chart.remarks.iter_mut().filter(|r| r.starts_with("no point")).for_each(whose);
        }
    }
}

/// What attacks get against the rounds trained before the capture, above the accuracy of the
/// attacked model.
pub(super) fn courses(run: &Run, out: &mut Catalogue) {
    all_courses(run).iter().for_each(|course| one_course(run, course, out));
}

fn one_course(run: &Run, course: &Course, out: &mut Catalogue) {
    let cells: Vec<usize> = course.lines.iter().flat_map(|l| l.cells.clone()).collect();
    let whose = if course.name.is_empty() { String::new() } else { format!(", {}", course.name) };
    let modes = count(run, &Setting::Path("model.batch_norm".into()), &cells) > 1;
    let pages = split(run, &Setting::Attack, &whole(run, &cells), SERIES);
    for (at, picked) in pages.iter().enumerate() {
        let own = FigureSpec {
            caption: format!(
                "Leakage against training progress{whose}: mean PSNR of each attack (95 % \
                 bootstrap intervals) on the model after so many rounds, and below the accuracy of \
                 that model on the test split (95 % Wilson intervals). Dashed: the floor, \
                 which is {FLOOR}.{}",
                page(at, pages.len())
            ),
            colour: by_attack(run, &cells),
            rows: modes.then(|| "model.batch_norm".into()),
            null: vec!["strongest".into()],
            ..spec(
                &format!("training-{}{}", run.records[cells[0]].id, page_slug(at)),
                FigureKind::LearningCurve,
                "capture.round",
                "psnr",
            )
        };
        let drawn = out.charts.len();
        out.add(run, &own, picked.clone());
        if out.charts.len() > drawn {
            let y = Some("task.accuracy".into());
            let own = FigureSpec { y, colour: None, null: Vec::new(), ..own };
            out.add(run, &own, picked.clone());
        }
        if out.charts.len() > drawn + 1
            && let (Some(lower), Some(upper)) = (out.charts.pop(), out.charts.last_mut())
        {
            below(upper, lower);
        }
    }
}

/// Puts the plots of one figure below those of another.
fn below(upper: &mut Chart, lower: Chart) {
    match (&mut upper.body, lower.body) {
        (Body::Lines(plots), Body::Lines(more)) => plots.extend(more),
        (Body::Scatter(plots), Body::Scatter(more)) => plots.extend(more),
        _ => return,
    }
    let known = upper.remarks.clone();
    upper.remarks.extend(lower.remarks.into_iter().filter(|r| !known.contains(r)));
}
