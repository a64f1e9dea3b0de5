//! What attacks minimised against their iterations.

use super::{Catalogue, slug};
use crate::figure::chart::{Lines, Mark, Scale, Series};
use record::CellRecord;
use record::run::{Run, group};
use record::stats::{quantile_sorted, sorted};

/// Points of one curve; longer traces are thinned evenly.
const POINTS: usize = 400;

/// One figure an attack: attacks minimise objectives of their own, which do not share an axis.
pub(super) fn traces(run: &Run, out: &mut Catalogue) {
    for cells in group(run.attacked(), |at| run.records[at].spec.attack.name.clone()) {
        let attack = &run.records[cells[0]].spec.attack.name;
        let traced: Vec<usize> =
            cells.iter().copied().filter(|at| marks(&run.records[*at]).len() > 1).collect();
        let between = run.axes.distinguishing(&traced, &[]);
        let name = |at: usize| match run.axes.label(at, &between, &[]) {
            none if none.is_empty() => run.axes.attacks[at].clone(),
            label => label,
        };
        let curve = |at: &usize| Series::new(name(*at), marks(&run.records[*at]));
        let curves: Vec<Series> = traced.iter().map(curve).collect();
        let caption = format!(
            "Objective of {attack} against the iteration: median over trials, interval between the \
             quartiles; the best restart of each trial."
        );
        out.charts.extend(super::curves(
            &format!("objective-{}", slug(attack)),
            &caption,
            &curves,
            |_| Lines {
                x: Scale { title: "iteration".into(), ..Scale::default() },
                y: Scale {
                    title: "objective (best restart)".into(),
                    log: true,
                    ..Scale::default()
                },
                ..Lines::default()
            },
        ));
    }
}

/// Quartiles over trials of the positive, finite objectives.
fn marks(record: &CellRecord) -> Vec<Mark> {
    let each = record.trace.len().div_ceil(POINTS).max(1);
    let last = record.trace.len().saturating_sub(1);
    let kept = record.trace.iter().enumerate().filter(|(at, _)| at % each == 0 || *at == last);
    let mark = |(_, point): (usize, &record::TracePoint)| {
        let values =
            point.objective.iter().copied().flatten().filter(|v| v.is_finite() && *v > 0.0);
        let values = sorted(&values.collect::<Vec<_>>());
        let quartile = |q| quantile_sorted(&values, q);
        let y_interval = (values.len() > 1).then_some((quartile(0.25)?, quartile(0.75)?));
        Some(Mark { y_interval, ..Mark::at(point.iteration as f64, quartile(0.5)?) })
    };
    kept.filter_map(mark).collect()
}
