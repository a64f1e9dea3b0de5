//! Scores and accuracy against the privacy budget.

use super::{Catalogue, SERIES, accuracies, by_attack, count, slug, spec, split, whole};
use crate::figure::columns::Setting;
use record::run::{Run, group};
use record::utility;
use suites::figure::{FigureKind, FigureSpec};

/// One figure a score and an accuracy, of cells that differ in attack and defense alone.
pub(super) fn curves(run: &Run, out: &mut Catalogue) {
    let budgeted = |at: &usize| utility::epsilon(&run.records[*at]).is_some();
    let groups =
        group(run.attacked().into_iter().filter(budgeted).collect(), |at| run.adversary(at));
    let several = |cells: &Vec<usize>| count(run, &Setting::Epsilon, cells) > 1;
    let groups: Vec<Vec<usize>> = groups.into_iter().filter(several).collect();
    let firsts: Vec<usize> = groups.iter().map(|g| g[0]).collect();
    let between = run.axes.distinguishing(&firsts, &["attack", "defenses"]);
    let mut names = run.metric_names.clone();
    names.retain(|n| ["psnr", "ssim"].contains(&n.as_str()) || n.starts_with("lpips-"));
    names.retain(|n| run.has_mean(n));
    let scores = names.iter().map(|n| (n.as_str(), run.metric(n).title, true));
    let worth = accuracies(run).map(|(y, _)| (y, "Task accuracy".to_owned(), false));
    for (y, what, of_attack) in scores.chain(worth) {
        let mut pages = Vec::new();
        for cells in &groups {
            let label = run.axes.label(cells[0], &between, &[]);
            let mut all = cells.clone();
            all.extend(cells.iter().filter_map(|at| run.undefended(*at)));
            all.sort_unstable();
            all.dedup();
            let attacks = if of_attack { SERIES } else { usize::MAX };
            let parts = split(run, &Setting::Attack, &whole(run, &all), attacks);
            pages.extend(parts.into_iter().map(|picked| (label.clone(), cells.clone(), picked)));
        }
        let several = pages.len() > 1;
        for (at, (label, cells, picked)) in pages.into_iter().enumerate() {
            let whose =
                if several && !label.is_empty() { format!("{label}: ") } else { String::new() };
            let defenses = count(run, &Setting::DefenseNames, &cells) > 1;
            let own = FigureSpec {
                caption: format!(
                    "{whose}{what} against epsilon (smaller is more private), 95 % intervals. \
                     Dashed: the same cell without defense."
                ),
                colour: by_attack(run, &cells).filter(|_| of_attack),
                rows: defenses.then(|| "defenses.name".into()),
                log: Some(true),
                ..spec(
                    &format!("epsilon-{}{}", slug(y), super::page_slug(at)),
                    FigureKind::MetricVsParameter,
                    "epsilon",
                    y,
                )
            };
            out.add(run, &own, picked);
        }
    }
}
