//! What a suite file, a profile and the overrides ask for together, before anything is multiplied
//! out.

use serde_json::{Map, Value};

use crate::SpecError;
use crate::condition;
use crate::document::Document;
use crate::layer::{check_path, depth, resolve};
use crate::old::{self, Language};
use crate::read::join;

/// A value to be written at a path of a cell.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    /// Dotted path within the cell.
    pub path: String,
    /// What to write.
    pub value: Value,
    /// Its key in the suite file; `None` for an override.
    pub key: Option<String>,
}

/// One axis of the matrix.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    /// Dotted path within the cell.
    pub path: String,
    /// The values it takes, in file order; never empty.
    pub options: Vec<Value>,
    /// Its key in the suite file; `None` when an override replaced it.
    pub key: Option<String>,
}

/// Everything that determines the cells.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Defaults, those of the profile last.
    pub base: Vec<Assignment>,
    /// Axes in file order; the first varies slowest.
    pub axes: Vec<Axis>,
    /// Conditions under which a cell of the matrix is dropped.
    pub exclude: Vec<Map<String, Value>>,
    /// Cells beside the matrix: key in the file and what they write over the defaults.
    pub include: Vec<(String, Vec<Assignment>)>,
    /// Written over every cell.
    pub overrides: Vec<Assignment>,
    /// Overrides that replaced an axis by one value: included cells, which have no axes, take it
    /// too.
    pub fixed: Vec<Assignment>,
    /// Whether a `[matrix]` was given at all.
    pub has_matrix: bool,
    /// What the user should know of old keys.
    pub notes: Vec<String>,
}

/// Keys of a profile.
pub(crate) const PROFILE_KEYS: [&str; 6] =
    ["description", "minutes", "defaults", "matrix", "exclude", "include"];

impl Plan {
    /// Reads the plan of `document` under `profile`, changed by `overrides`.
    pub fn read(
        document: &Document,
        profile: Option<&str>,
        overrides: &[(String, Value)],
    ) -> Result<Self, SpecError> {
        let mut plan = Plan::default();
        plan.layer(document, &document.root, "")?;
        let profiles = document.table(&document.root, "profiles", "profiles")?;
        for name in profiles.into_iter().flat_map(Map::keys) {
            let path = join("profiles", name);
            let table =
                profiles.and_then(|p| document.table(p, name, &path).transpose()).transpose()?;
            let table = table.unwrap_or(&document.root);
            document.only(table, &path, &PROFILE_KEYS)?;
            if profile == Some(name) {
                plan.layer(document, table, &path)?;
            }
        }
        for (path, value) in overrides {
            plan.change(path, value)?;
        }
        Ok(plan)
    }

    /// Adds one layer: the file itself, or a profile over it.
    fn layer(
        &mut self,
        document: &Document,
        table: &Map<String, Value>,
        place: &str,
    ) -> Result<(), SpecError> {
        let at = |key: &str| join(place, key);
        if let Some(defaults) = document.table(table, "defaults", &at("defaults"))? {
            let written = self.assignments(document, defaults, &at("defaults"))?;
            self.base.extend(written);
        }
        if let Some(matrix) = document.table(table, "matrix", &at("matrix"))? {
            self.has_matrix = true;
            for axis in axes(document, matrix, "", &at("matrix"), &mut self.notes)? {
                self.put_axis(axis);
            }
        }
        if let Some(tables) = document.tables(table, "exclude", &at("exclude"))? {
            self.exclude = excluded(document, &tables, &at("exclude"))?;
        }
        if let Some(tables) = document.tables(table, "include", &at("include"))? {
            self.include.clear();
            for (index, table) in tables.iter().enumerate() {
                let key = join(&at("include"), &index.to_string());
                let written = self.assignments(document, table, &key)?;
                self.include.push((key, written));
            }
        }
        Ok(())
    }

    /// The assignments that a table of defaults or an included cell makes, wider paths first.
    fn assignments(
        &mut self,
        document: &Document,
        table: &Map<String, Value>,
        place: &str,
    ) -> Result<Vec<Assignment>, SpecError> {
        let written = old::modernise(Language::Cell, assignments(table, place), &mut self.notes);
        let mut all = written.map_err(|error| blamed(document, place, error))?;
        all.sort_by_key(|assignment| depth(&assignment.path));
        Ok(all)
    }

    /// Replaces the axis of the same path, or adds one.
    fn put_axis(&mut self, axis: Axis) {
        let same = |old: &&mut Axis| resolve(&old.path) == resolve(&axis.path);
        match self.axes.iter_mut().find(same) {
            Some(old) => *old = axis,
            None => self.axes.push(axis),
        }
    }

    /// An override of an axis's own path replaces the axis; any other is written over every cell.
    fn change(&mut self, path: &str, value: &Value) -> Result<(), SpecError> {
        old::refuse(path, value)?;
        let current = old::current(Language::Cell, path)?;
        current.iter().for_each(|new| old::note(path, new, &mut self.notes));
        let path = current.as_deref().unwrap_or(path);
        check_path(path)?;
        let same = |axis: &&mut Axis| resolve(&axis.path) == resolve(path);
        let assignment =
            |value: &Value| Assignment { path: path.into(), value: value.clone(), key: None };
        let Some(axis) = self.axes.iter_mut().find(same) else {
            self.overrides.push(assignment(value));
            return Ok(());
        };
        *axis = Axis {
            path: path.into(),
            options: match value {
                // No defense at all is one choice, not an empty axis.
                Value::Array(items) if items.is_empty() && path == "defenses" => {
                    vec![value.clone()]
                }
                Value::Array(items) => items.clone(),
                one => vec![one.clone()],
            },
            key: None,
        };
        if let [one] = axis.options.as_slice() {
            self.fixed.push(assignment(one));
        }
        refuse_empty(axis)
    }

    /// Number of combinations of the axes; `None` where it overflows.
    pub fn product(&self) -> Option<usize> {
        let lengths = self.axes.iter().map(|axis| axis.options.len());
        lengths.into_iter().try_fold(1usize, usize::checked_mul)
    }
}

/// `error` at the key of a layer that it is about.
fn blamed(document: &Document, place: &str, error: SpecError) -> SpecError {
    let path = match &error {
        SpecError::Value { path, .. } => join(place, path),
        SpecError::UnknownKey { place: table, key, .. } => join(&join(place, table), key),
        _ => place.into(),
    };
    document.blame(&path, error)
}

/// The assignments that a table makes, as its keys stand.
pub(crate) fn assignments(table: &Map<String, Value>, place: &str) -> Vec<Assignment> {
    let one = |(path, value): (&String, &Value)| Assignment {
        path: path.clone(),
        value: value.clone(),
        key: Some(join(place, path)),
    };
    table.iter().map(one).collect()
}

/// The axes of a matrix table; `attack.lr = [..]` may be quoted or not.
fn axes(
    document: &Document,
    table: &Map<String, Value>,
    path: &str,
    place: &str,
    notes: &mut Vec<String>,
) -> Result<Vec<Axis>, SpecError> {
    let mut found = Vec::new();
    for (name, value) in table {
        let (path, key) = (join(path, name), join(place, name));
        match value {
            Value::Object(inner) => found.extend(axes(document, inner, &path, &key, notes)?),
            Value::Array(options) => {
                let axis = axis(path, options, &key, notes);
                found.push(axis.map_err(|error| document.blame(&key, error))?);
            }
            _ => {
                let error = SpecError::form(
                    &path,
                    "an axis must be a list of values; one fixed value belongs in [defaults]",
                );
                return Err(document.blame(&key, error));
            }
        }
    }
    Ok(found)
}

fn axis(
    path: String,
    options: &[Value],
    key: &str,
    notes: &mut Vec<String>,
) -> Result<Axis, SpecError> {
    options.iter().try_for_each(|value| old::refuse(&path, value))?;
    let current = old::current(Language::Cell, &path)?;
    current.iter().for_each(|new| old::note(&path, new, notes));
    let path = current.unwrap_or(path);
    let axis = Axis { path, options: options.to_vec(), key: Some(key.into()) };
    check_path(&axis.path).and_then(|()| refuse_empty(&axis))?;
    Ok(axis)
}

fn refuse_empty(axis: &Axis) -> Result<(), SpecError> {
    if !axis.options.is_empty() {
        Ok(())
    } else {
        Err(SpecError::value(
            &axis.path,
            "the axis has no values, so the suite would have no cells",
            "list at least one, or drop the axis",
        ))
    }
}

fn excluded(
    document: &Document,
    tables: &[&Map<String, Value>],
    place: &str,
) -> Result<Vec<Map<String, Value>>, SpecError> {
    for (index, table) in tables.iter().enumerate() {
        let key = join(place, &index.to_string());
        let leaves = condition::leaves(table);
        if leaves.is_empty() {
            let error = SpecError::value(
                "exclude",
                "has no condition, so it would drop every cell",
                "name a path and a value",
            );
            return Err(document.blame(&key, error));
        }
        for (path, wanted) in leaves {
            let checked = condition::check(&path, &wanted);
            checked.map_err(|error| document.blame(&join(&key, &path), error))?;
        }
    }
    Ok(tables.iter().map(|table| (*table).clone()).collect())
}
