//! From a plan to cells: the product of the axes, less what is excluded, and what is included
//! beside it.

use serde_json::Value;

use crate::SpecError;
use crate::assign::{assign, blank, depth};
use crate::condition;
use crate::document::Document;
use crate::plan::{Assignment, Plan};
use crate::read;
use crate::spec::CellSpec;

/// Most cells that one suite may have.
pub const MAX_CELLS: usize = 100_000;

/// Where a cell comes from, for errors.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    /// The cell in words.
    pub label: String,
    /// Paths written, in order, with their keys in the suite file.
    trail: Vec<(String, Option<String>)>,
}

/// All cells of `plan`, matrix first, in file order.
pub(crate) fn expand(
    document: &Document,
    plan: &Plan,
) -> Result<Vec<(CellSpec, Origin)>, SpecError> {
    let base = Draft::start(document, plan)?;
    let mut cells = Vec::new();
    // Without a matrix the defaults themselves are the cell, unless cells are listed one by one.
    if plan.has_matrix || plan.include.is_empty() {
        for index in 0..bounded(plan)? {
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
        let (spec, origin) = draft.finish(document)?;
        origin.checked(document, &spec)?;
        cells.push((spec, origin));
    }
    match cells.is_empty() {
        true => Err(document.blame("exclude", SpecError::NoCells)),
        false => Ok(cells),
    }
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
    let (spec, origin) = draft.finish(document)?;
    // Exclusion first: it is how a suite keeps impossible combinations out.
    if plan.exclude.iter().any(|table| condition::holds(table, &spec)) {
        return Ok(None);
    }
    origin.checked(document, &spec)?;
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
    let label = match words.is_empty() {
        true => format!("cell {}", index + 1),
        false => format!("cell {} ({})", index + 1, words.join(", ")),
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

/// A cell while it is being written.
#[derive(Clone)]
struct Draft {
    cell: Value,
    origin: Origin,
}

impl Draft {
    fn start(document: &Document, plan: &Plan) -> Result<Self, SpecError> {
        let mut draft = Draft { cell: blank()?, origin: Origin::default() };
        draft.write(document, &plan.base)?;
        Ok(draft)
    }

    fn write(&mut self, document: &Document, assignments: &[Assignment]) -> Result<(), SpecError> {
        for Assignment { path, value, key } in assignments {
            self.origin.trail.push((path.clone(), key.clone()));
            assign(&mut self.cell, path, value)
                .map_err(|error| self.origin.blame(document, error))?;
        }
        Ok(())
    }

    fn finish(self, document: &Document) -> Result<(CellSpec, Origin), SpecError> {
        let spec =
            read::value("", &self.cell).map_err(|error| self.origin.blame(document, error))?;
        Ok((spec, self.origin))
    }
}

impl Origin {
    fn checked(&self, document: &Document, spec: &CellSpec) -> Result<(), SpecError> {
        spec.check().map_err(|error| self.blame(document, error))
    }

    /// `error`, at the line that last wrote the field it is about; bare where an override did.
    pub fn blame(&self, document: &Document, error: SpecError) -> SpecError {
        let (path, key) = match &error {
            SpecError::Value { path, .. } | SpecError::Form { path, .. } => (path.clone(), None),
            SpecError::UnknownKey { place, key, .. } => (read::join(place, key), Some(key.clone())),
            _ => (String::new(), None),
        };
        match self
            .writer(document, &path)
            .or_else(|| self.holder(document, key.as_deref().unwrap_or(&path)))
        {
            Some(Some(key)) => document.blame(&key, error),
            Some(None) => error,
            None => document.blame("defaults", error),
        }
    }

    /// The last assignment at, above or below `path`: its key in the file, or `None` for an
    /// override.
    fn writer(&self, document: &Document, path: &str) -> Option<Option<String>> {
        let touches = |written: &str| match path.strip_prefix(written) {
            Some("") => Some(String::new()),
            Some(rest) if !written.is_empty() => rest.strip_prefix('.').map(str::to_owned),
            _ => written
                .strip_prefix(path)
                .filter(|rest| rest.starts_with('.'))
                .map(|_| String::new()),
        };
        let mut touching =
            self.trail.iter().rev().filter_map(|(written, key)| Some((touches(written)?, key)));
        let mut wide = None;
        touching
            .find_map(|(rest, key)| match key {
                None => Some(None),
                Some(key) => {
                    let exact = read::join(key, &rest);
                    wide = wide.take().or(Some(key.clone()));
                    document.exact_line(&exact).map(|_| Some(exact))
                }
            })
            .or(wide.map(Some))
    }

    /// The last assignment whose table has the key that ends `path`: for errors that speak of an
    /// entry ("dlg.iteratons") instead of a path.
    fn holder(&self, document: &Document, path: &str) -> Option<Option<String>> {
        let last = path.rsplit('.').next().filter(|key| !key.is_empty())?;
        self.trail.iter().rev().find_map(|(written, key)| {
            let Some(key) = key else {
                return written.ends_with(&format!(".{last}")).then_some(None);
            };
            let inside = read::join(key, last);
            let found = match written.ends_with(&format!(".{last}")) {
                true => document.exact_line(key).map(|_| key.clone()),
                false => document.exact_line(&inside).map(|_| inside),
            };
            found.map(Some)
        })
    }
}
