//! From a plan to cells: the product of the axes, less what is excluded, and what is included
//! beside it.

use serde_json::Value;

use crate::SpecError;
use crate::condition;
use crate::document::Document;
use crate::draft::{Draft, Origin};
use crate::foreign::{Budget, limits};
use crate::layer::{blank, depth};
use crate::plan::{Assignment, Plan};
use crate::spec::CellSpec;

/// Most cells that one suite may have.
pub const MAX_CELLS: usize = 100_000;

/// All cells of `plan`, matrix first, in file order.
pub(crate) fn expand(
    document: &Document,
    plan: &Plan,
) -> Result<Vec<(CellSpec, Origin)>, SpecError> {
    let mut base = Draft::over(blank()?);
    base.write(document, &plan.base)?;
    let mut cells = Vec::new();
    // Without a matrix the defaults themselves are the cell, unless cells are listed one by one.
    if plan.has_matrix || plan.include.is_empty() {
        let mut budget = Budget::new(&limits::SUITE, 0);
        for index in 0..bounded(plan)? {
            budget.build(1, 0).map_err(|e| SpecError::form("matrix", e.to_string()))?;
            if let Some(cell) = matrix_cell(document, plan, &base, index)? {
                cells.push(cell);
            }
        }
    }
    for (index, (key, written)) in plan.include.iter().enumerate() {
        let mut draft = base.clone();
        draft.origin.label = format!("include {}", index + 1);
        draft.origin.trail.push((String::new(), Some(key.clone())));
        draft.write(document, written)?;
        let mut last = [plan.fixed.as_slice(), plan.overrides.as_slice()].concat();
        last.sort_by_key(|assignment| depth(&assignment.path));
        draft.write(document, &last)?;
        let (spec, origin): (CellSpec, Origin) = draft.finish(document)?;
        spec.check().map_err(|error| origin.blame(document, error))?;
        cells.push((spec, origin));
    }
    if cells.is_empty() { Err(document.blame("exclude", SpecError::NoCells)) } else { Ok(cells) }
}

fn bounded(plan: &Plan) -> Result<usize, SpecError> {
    let total = plan.product().and_then(|n| n.checked_add(plan.include.len()));
    match total {
        Some(total) if total <= MAX_CELLS => Ok(total - plan.include.len()),
        total => Err(SpecError::TooManyCells {
            cells: total.map_or("over 2^64".into(), |n| n.to_string()),
            limit: MAX_CELLS,
        }),
    }
}

/// The cell at `index` of the product, unless it is excluded.
fn matrix_cell(
    document: &Document,
    plan: &Plan,
    base: &Draft,
    index: usize,
) -> Result<Option<(CellSpec, Origin)>, SpecError> {
    let (chosen, label) = choose(plan, index);
    let mut written: Vec<_> = chosen.into_iter().chain(plan.overrides.iter().cloned()).collect();
    // Stable: an override comes after the axes of its own depth.
    written.sort_by_key(|assignment| depth(&assignment.path));
    let mut draft = base.clone();
    draft.origin.label = label;
    draft.write(document, &written)?;
    let (spec, origin): (CellSpec, Origin) = draft.finish(document)?;
    // Exclusion first: it is how a suite keeps impossible combinations out.
    if plan.exclude.iter().any(|table| condition::holds(table, &spec)) {
        return Ok(None);
    }
    spec.check().map_err(|error| origin.blame(document, error))?;
    Ok(Some((spec, origin)))
}

/// One value of each axis; the last axis varies fastest.
fn choose(plan: &Plan, index: usize) -> (Vec<Assignment>, String) {
    let mut rest = index;
    let mut chosen = Vec::with_capacity(plan.axes.len());
    for axis in plan.axes.iter().rev() {
        let pick = rest % axis.options.len();
        rest /= axis.options.len();
        chosen.push(Assignment {
            path: axis.path.clone(),
            value: axis.options[pick].clone(),
            key: axis.key.as_ref().map(|key| format!("{key}.{pick}")),
        });
    }
    chosen.reverse();
    let words: Vec<_> =
        chosen.iter().map(|a| format!("{} = {}", a.path, short(&a.value))).collect();
    let label = if words.is_empty() {
        format!("cell {}", index + 1)
    } else {
        format!("cell {} ({})", index + 1, words.join(", "))
    };
    (chosen, label)
}

/// A value in a few words: `fl-attack lr=0.1`, `dp-local epsilon=8 + prune`.
fn short(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".into(),
        Value::Array(items) => items.iter().map(short).collect::<Vec<_>>().join(" + "),
        Value::Object(map) => {
            let word = |(key, value): (&String, &Value)| match key.as_str() {
                "name" | "dataset" | "kind" => short(value),
                _ => format!("{key}={}", short(value)),
            };
            map.iter().map(word).collect::<Vec<_>>().join(" ")
        }
        plain => plain.to_string(),
    }
}
