//! `[[figure]]` and `[[table]]` from TOML: what is wrong with one says nothing about the others.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::column;
use super::kind::{Bold, COMMON, FigureKind, FigureWidth, Per, Spread};
use super::spec::{FigureSpec, Place, TableSpec};
use crate::SpecError;
use crate::condition;
use crate::document::Document;
use crate::read::{self, join};
use crate::suite::{KEYS, read_file};

/// The figures and tables of a file in its order, each or what is wrong with it.
#[derive(Debug, Default)]
pub struct Declared {
    /// `[[figure]]`, with the name where it could be read.
    pub figures: Vec<(String, Result<FigureSpec, SpecError>)>,
    /// `[[table]]`, with the name where it could be read.
    pub tables: Vec<(String, Result<TableSpec, SpecError>)>,
}

/// The figures and tables that the TOML `text` declares; `file` names it in errors. Cells and all
/// else that a suite holds may be there or not.
///
/// # Errors
/// Text that is not TOML, keys that no suite has, `figure` or `table` that are no tables. What is
/// wrong within one of them is its own result.
pub fn declared(file: &str, text: &str) -> Result<Declared, SpecError> {
    let document = Document::parse(file, text)?;
    document.only(&document.root, "", &KEYS)?;
    of_document(&document)
}

/// As [`declared`], from the file at `path`.
///
/// # Errors
/// As [`declared`], and a file that cannot be read.
pub fn declared_in_file(path: &Path) -> Result<Declared, SpecError> {
    let name = path.display().to_string();
    declared(&name, &read_file(&name)?)
}

/// The figures and tables of a parsed file.
pub(crate) fn of_document(document: &Document) -> Result<Declared, SpecError> {
    let mut out = Declared::default();
    let mut names = BTreeMap::new();
    for (index, table) in items(document, "figure")? {
        let name = name_of(table, "figure", index);
        let read = figure(document, &join("figure", &index.to_string()), table);
        out.figures.push((name.clone(), once(&mut names, ("figure", name), read, |f| &f.place)));
    }
    for (index, table) in items(document, "table")? {
        let name = name_of(table, "table", index);
        let read = self::table(document, &join("table", &index.to_string()), table);
        out.tables.push((name.clone(), once(&mut names, ("table", name), read, |t| &t.place)));
    }
    Ok(out)
}

fn items<'a>(
    document: &'a Document,
    key: &str,
) -> Result<impl Iterator<Item = (usize, &'a Map<String, Value>)>, SpecError> {
    Ok(document.tables(&document.root, key, key)?.unwrap_or_default().into_iter().enumerate())
}

fn name_of(table: &Map<String, Value>, what: &str, index: usize) -> String {
    table.get("name").and_then(Value::as_str).map_or(format!("{what} {}", index + 1), str::to_owned)
}

/// Two of one name would write one file.
fn once<T>(
    names: &mut BTreeMap<(&'static str, String), usize>,
    name: (&'static str, String),
    read: Result<T, SpecError>,
    place: impl Fn(&T) -> &Place,
) -> Result<T, SpecError> {
    let read = read?;
    let own = place(&read);
    if let Some(first) = names.get(&name) {
        let problem = format!("`{}` is the name of another {} on line {first}", name.1, name.0);
        return Err(own.blame("name", SpecError::value("name", problem, "give each its own name")));
    }
    names.insert(name, own.line);
    Ok(read)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFigure {
    name: String,
    kind: FigureKind,
    x: Option<String>,
    y: Option<String>,
    rows: Option<String>,
    columns: Option<String>,
    colour: Option<String>,
    #[serde(default)]
    filter: Map<String, Value>,
    #[serde(default)]
    caption: String,
    width: Option<FigureWidth>,
    log: Option<bool>,
    log_y: Option<bool>,
    threshold: Option<f64>,
    top: Option<usize>,
    per_row: Option<usize>,
    images: Option<usize>,
    #[serde(default)]
    transpose: bool,
    #[serde(default)]
    labels: bool,
    #[serde(default)]
    null: Several,
    #[serde(default)]
    from: Several,
    per: Option<Per>,
}

/// One text or several.
#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Several {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl Several {
    fn list(self) -> Vec<String> {
        match self {
            Several::None => Vec::new(),
            Several::One(one) => vec![one],
            Several::Many(many) => many,
        }
    }
}

fn figure(
    document: &Document,
    key: &str,
    table: &Map<String, Value>,
) -> Result<FigureSpec, SpecError> {
    let place = place(document, key, table);
    let blame = |at: &str, error| place.blame(at, error);
    let kind: Option<Result<FigureKind, SpecError>> =
        table.get("kind").and_then(Value::as_str).map(str::parse);
    if let Some(Err(error)) = kind {
        return Err(blame("kind", error));
    }
    let raw: RawFigure = parsed("figure", table, &place)?;
    own_keys(table, raw.kind).map_err(|(at, error)| blame(at, error))?;
    kebab(&raw.name).map_err(|error| blame("name", error))?;
    for (at, number) in [("top", raw.top), ("per_row", raw.per_row), ("images", raw.images)] {
        if number == Some(0) {
            return Err(blame(
                at,
                SpecError::value(at, "0 pictures would be shown", "write at least 1"),
            ));
        }
    }
    let width = raw.width.unwrap_or(raw.kind.width());
    wide_enough(raw.kind, width).map_err(|error| blame("width", error))?;
    let spec = FigureSpec {
        name: raw.name,
        kind: raw.kind,
        x: raw.x,
        y: raw.y,
        rows: raw.rows,
        columns: raw.columns,
        colour: raw.colour,
        filter: condition::leaves(&raw.filter),
        caption: raw.caption,
        width,
        log: raw.log,
        log_y: raw.log_y,
        threshold: raw.threshold,
        top: raw.top,
        per_row: raw.per_row,
        images: raw.images,
        transpose: raw.transpose,
        labels: raw.labels,
        null: raw.null.list(),
        from: raw.from.list(),
        per: raw.per,
        given: table.clone(),
        place: Place::default(),
    };
    for (at, column) in spec.named_columns() {
        column::check(column).map_err(|error| blame(at, error))?;
    }
    check_filter(&spec.filter, &place)?;
    Ok(FigureSpec { place, ..spec })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTable {
    name: String,
    rows: Vec<String>,
    columns: Vec<String>,
    #[serde(default)]
    filter: Map<String, Value>,
    #[serde(default)]
    caption: String,
    #[serde(default)]
    width: FigureWidth,
    #[serde(default)]
    bold: Bold,
    #[serde(default)]
    spread: Spread,
    #[serde(default)]
    summary: bool,
}

fn table(
    document: &Document,
    key: &str,
    table: &Map<String, Value>,
) -> Result<TableSpec, SpecError> {
    let place = place(document, key, table);
    let raw: RawTable = parsed("table", table, &place)?;
    kebab(&raw.name).map_err(|error| place.blame("name", error))?;
    for (at, columns) in [("rows", &raw.rows), ("columns", &raw.columns)] {
        if columns.is_empty() {
            let error = SpecError::value(at, "the list is empty", "name at least one column");
            return Err(place.blame(at, error));
        }
        columns
            .iter()
            .try_for_each(|c| column::check(c))
            .map_err(|error| place.blame(at, error))?;
    }
    let filter = condition::leaves(&raw.filter);
    check_filter(&filter, &place)?;
    Ok(TableSpec {
        name: raw.name,
        rows: raw.rows,
        columns: raw.columns,
        filter,
        caption: raw.caption,
        width: raw.width,
        bold: raw.bold,
        spread: raw.spread,
        summary: raw.summary,
        given: table.clone(),
        place,
    })
}

fn parsed<T: serde::de::DeserializeOwned>(
    what: &str,
    table: &Map<String, Value>,
    place: &Place,
) -> Result<T, SpecError> {
    read::value(what, &Value::Object(table.clone())).map_err(|error| {
        let at = match &error {
            SpecError::UnknownKey { key, .. } => key.clone(),
            SpecError::Form { path, .. } => {
                path.strip_prefix(&format!("{what}.")).unwrap_or_default().to_owned()
            }
            _ => String::new(),
        };
        place.blame(&at, error)
    })
}

fn place(document: &Document, key: &str, table: &Map<String, Value>) -> Place {
    let line = |path: &str| document.line(&join(key, path));
    let mut lines: BTreeMap<String, usize> = table.keys().map(|k| (k.clone(), line(k))).collect();
    if let Some(Value::Object(filter)) = table.get("filter") {
        let leaves = condition::leaves(filter);
        lines.extend(
            leaves
                .into_iter()
                .map(|(path, _)| (format!("filter.{path}"), line(&join("filter", &path)))),
        );
    }
    Place { file: document.file.clone(), line: document.line(key), lines }
}

/// A key that does nothing for its kind is a mistake, and one that is missing leaves it without a
/// meaning.
fn own_keys(table: &Map<String, Value>, kind: FigureKind) -> Result<(), (&str, SpecError)> {
    let known = || COMMON.iter().chain(kind.keys()).copied();
    if let Some(key) = table.keys().find(|k| !known().any(|own| own == k.as_str())) {
        let own = SpecError::unknown_key(format!("figure of kind {kind}"), key, known());
        return Err((key.as_str(), own));
    }
    match kind.needs().iter().find(|key| !table.contains_key(**key)) {
        None => Ok(()),
        Some(key) => {
            let problem = format!("a figure of kind {kind} needs it");
            Err((
                "kind",
                SpecError::value(*key, problem, format!("write such as {key} = \"psnr\"")),
            ))
        }
    }
}

/// A kind whose default is the page has no room in a column.
fn wide_enough(kind: FigureKind, width: FigureWidth) -> Result<(), SpecError> {
    if kind.width() == FigureWidth::Column || width == FigureWidth::Page {
        return Ok(());
    }
    let problem = format!("a figure of kind {kind} has no room in a column");
    Err(SpecError::value("width", problem, "leave it out, or write width = \"page\""))
}

/// Names become files.
fn kebab(name: &str) -> Result<(), SpecError> {
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    if name.len() <= 80 && name.split('-').all(word) {
        Ok(())
    } else {
        Err(SpecError::value(
            "name",
            format!("`{name}` cannot name a file"),
            "use lower-case letters, digits and single hyphens, such as `psnr-epsilon`",
        ))
    }
}

fn check_filter(filter: &[(String, Value)], place: &Place) -> Result<(), SpecError> {
    for (path, wanted) in filter {
        let blame = |error| place.blame(&format!("filter.{path}"), error);
        column::check(path).map_err(blame)?;
        if wanted.as_array().is_some_and(Vec::is_empty) {
            let error =
                SpecError::value(path, "an empty list matches nothing", "list at least one value");
            return Err(blame(error));
        }
    }
    Ok(())
}
