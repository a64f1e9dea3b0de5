//! Metrics against epsilon and objectives against iterations.

use super::lines::{self, Curve, Mark, Trace};
use super::{Figure, cell_name, page, page_slug, palette, slug};
use record::CellRecord;
use record::axes::acting;
use record::metrics::{Metric, in_order};
use record::run::{Run, group};
use record::stats::{quantile_sorted, sorted};
use record::utility;
use std::collections::BTreeSet;

/// Points of one curve; longer traces are thinned evenly.
const POINTS: usize = 400;

/// All curves of the run.
pub(super) fn all(run: &Run) -> Vec<Figure> {
    let mut out = epsilon(run);
    out.extend(traces(run));
    out
}

/// The cells that differ in epsilon alone, each group ascending in it; single cells make no curve.
fn families(run: &Run) -> Vec<Vec<usize>> {
    let with: Vec<usize> = run
        .attacked()
        .into_iter()
        .filter(|at| utility::epsilon(&run.records[*at]).is_some())
        .collect();
    let mut families = group(with, |at| {
        let mut spec = run.records[at].spec.clone();
        // Of the first that has one: that is the axis.
        if let Some(first) = spec.defenses.iter_mut().find(|d| d.params.contains_key("epsilon")) {
            first.params.shift_remove("epsilon");
        }
        spec.id().to_string()
    });
    let place = |at: &usize| utility::epsilon(&run.records[*at]).unwrap_or(f64::INFINITY);
    families.iter_mut().for_each(|cells| cells.sort_by(|a, b| place(a).total_cmp(&place(b))));
    families.retain(|cells| cells.len() > 1);
    families
}

fn epsilon(run: &Run) -> Vec<Figure> {
    let families = families(run);
    let mut names = in_order(run.cells.iter().flat_map(|c| c.metrics.keys().cloned()));
    names.retain(|n| ["psnr", "ssim"].contains(&n.as_str()) || n.starts_with("lpips-"));
    let mut out = Vec::new();
    for metric in names.iter().map(|n| Metric::of(n)) {
        let mark = |at: usize| {
            let summary = run.cells[at].metrics.get(&metric.name)?;
            Some((summary.mean?, summary.ci.map(|ci| (ci.low, ci.high))))
        };
        out.extend(epsilon_figures(run, &families, &metric.title, &metric.label(), &mark));
    }
    let accuracy = |at: usize| {
        let (share, ci) = utility::accuracy(&run.records[at])?;
        Some((100.0 * share, ci.map(|ci| (100.0 * ci.low, 100.0 * ci.high))))
    };
    out.extend(epsilon_figures(
        run,
        &once(run, &families),
        "Task accuracy",
        "test accuracy (%)",
        &accuracy,
    ));
    out
}

/// The families without those that differ from another in the attack alone, which does not touch
/// the task.
fn once(run: &Run, families: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut seen = BTreeSet::new();
    let mut first = |family: &&Vec<usize>| {
        let keys: Vec<String> = family.iter().map(|at| run.round_key(*at)).collect();
        seen.insert(keys)
    };
    families.iter().filter(|f| first(f)).cloned().collect()
}

/// A value with the ends of its interval.
type Valued = Option<(f64, Option<(f64, f64)>)>;

fn epsilon_figures(
    run: &Run,
    families: &[Vec<usize>],
    what: &str,
    axis: &str,
    value: &dyn Fn(usize) -> Valued,
) -> Vec<Figure> {
    let curve = |cells: &Vec<usize>| {
        let mark = |at: &usize| {
            let (y, interval) = value(*at)?;
            Some(Mark { x: utility::epsilon(&run.records[*at])?, y, interval })
        };
        let marks: Vec<Mark> = cells.iter().filter_map(mark).collect();
        let level = run.undefended(cells[0]).and_then(value).map(|v| v.0);
        (marks.len() > 1).then(|| Curve {
            name: family_name(run, families, cells[0]),
            marks,
            level,
        })
    };
    let curves: Vec<Curve> = families.iter().filter_map(curve).collect();
    let pages: Vec<&[Curve]> = curves.chunks(palette::SERIES).collect();
    let draw = |(at, curves): (usize, &&[Curve])| {
        let heading = format!("{what} against privacy budget{}", page(at, pages.len()));
        let name = format!("epsilon-{}{}", slug(what), page_slug(at));
        let caption = format!(
            "{what} against epsilon (smaller is more private), 95 % intervals. Dashed: the same \
             cell without defence."
        );
        Figure::new(
            name,
            caption,
            lines::against_epsilon(&heading, "privacy budget ε", axis, curves),
        )
    };
    pages.iter().enumerate().map(draw).collect()
}

/// What tells this family from the others: its attack and setting, and its defences where these
/// differ.
fn family_name(run: &Run, families: &[Vec<usize>], at: usize) -> String {
    let defences = |at: usize| {
        acting(&run.records[at].spec).map(|d| d.name.clone()).collect::<Vec<_>>().join(" + ")
    };
    let own = defences(at);
    let firsts: Vec<usize> = families.iter().map(|f| f[0]).collect();
    if families.len() == 1 {
        return own;
    }
    let name = cell_name(run, at, &run.axes.distinguishing(&firsts, &[]), &["defenses"]);
    if families.iter().all(|f| defences(f[0]) == own) { name } else { format!("{own} · {name}") }
}

fn traces(run: &Run) -> Vec<Figure> {
    // Attacks minimise objectives of their own, which do not share an axis.
    let mut out = Vec::new();
    for cells in group(run.attacked(), |at| run.records[at].spec.attack.name.clone()) {
        let attack = run.records[cells[0]].spec.attack.name.clone();
        let traced: Vec<usize> =
            cells.into_iter().filter(|at| points(&run.records[*at]).len() > 1).collect();
        let distinguishing = run.axes.distinguishing(&traced, &[]);
        let trace = |at: &usize| {
            let points = points(&run.records[*at]);
            (points.len() > 1)
                .then(|| Trace { name: cell_name(run, *at, &distinguishing, &[]), points })
        };
        let traces: Vec<Trace> = traced.iter().filter_map(trace).collect();
        let pages: Vec<&[Trace]> = traces.chunks(palette::SERIES - 1).collect();
        for (at, traces) in pages.iter().enumerate() {
            let heading = format!("{attack}: objective{}", page(at, pages.len()));
            let name = format!("objective-{}{}", slug(&attack), page_slug(at));
            let caption = format!(
                "Objective of {attack} against the iteration: median over trials, band between \
                 the quartiles; the best restart of each trial."
            );
            out.push(Figure::new(name, caption, lines::against_iteration(&heading, traces)));
        }
    }
    out
}

/// Quartiles over trials of the positive, finite objectives.
fn points(record: &CellRecord) -> Vec<(f64, [f64; 3])> {
    let each = record.trace.len().div_ceil(POINTS).max(1);
    let last = record.trace.len().saturating_sub(1);
    let kept = record.trace.iter().enumerate().filter(|(at, _)| at % each == 0 || *at == last);
    let point = |(_, point): (usize, &record::TracePoint)| {
        let values =
            point.objective.iter().copied().flatten().filter(|v| v.is_finite() && *v > 0.0);
        let values = sorted(&values.collect::<Vec<_>>());
        let quartile = |q| quantile_sorted(&values, q);
        Some((point.iteration as f64, [quartile(0.25)?, quartile(0.5)?, quartile(0.75)?]))
    };
    kept.filter_map(point).collect()
}
