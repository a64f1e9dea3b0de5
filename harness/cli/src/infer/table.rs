//! Rows of a CSV file as a model's inputs: `wdbc.data` as it is, or a header with the columns in
//! any order.

use std::path::Path;

use datasets::{Column, DatasetError};
use harness::HarnessError;
use suites::foreign::{self, Budget, limits};
use tch::Tensor;

use super::columns::Columns;
use super::dialect::Dialect;
use super::range::{ROUNDING, Range};

/// Bytes of a row beside its features: their list, its line and its class.
const ROW: usize = 96;
/// Headings of the class.
const LABELS: [&str; 5] = ["diagnosis", "label", "class", "target", "y"];
/// Headings of what names a row.
const IDS: [&str; 4] = ["id", "id number", "row", "index"];

/// Cells at least of a line that counts them.
const COUNTED: usize = 8;

/// A file's rows.
#[derive(Debug)]
pub struct Table {
    /// `[rows][features]`, scaled to `[0, 1]`.
    pub features: Vec<Vec<f32>>,
    /// Class of each row, where the file says.
    pub labels: Option<Vec<usize>>,
    /// Line of the file that each row stands on, from 1.
    pub lines: Vec<usize>,
    /// Headings that are not used.
    pub unused: Vec<String>,
    /// What was assumed of the file, and what is odd about its values.
    pub notes: Vec<String>,
}

/// Where a row's parts stand.
struct Layout {
    /// Position of each feature.
    features: Vec<usize>,
    label: Option<usize>,
    /// What a number as a class would be, where it is not the model's number of one.
    numbers: Numbers,
    /// Cells of a row.
    width: usize,
    unused: Vec<String>,
    /// What stands above each cell.
    titles: Vec<String>,
}

/// What numbers stand for as classes.
#[derive(Clone, Copy, PartialEq)]
enum Numbers {
    /// The model's classes.
    Classes,
    /// The model's classes, or ids in a first column that nothing names.
    ClassesOrIds,
    /// Classes as scikit-learn numbers them: its copy of WDBC has 0 for malignant.
    Foreign,
}

/// Reads a file. `classes` names the classes that labels may say, by name, by its unmistakable
/// first letter (M and B), or by number.
///
/// # Errors
/// A file that cannot be read or is empty, missing columns (named), a cell that is no number (line,
/// column, value), a class that the model does not know, more than a quarter of values outside what
/// the model was trained on.
pub fn read(path: &Path, columns: &Columns, classes: &[String]) -> Result<Table, HarnessError> {
    let bytes = foreign::read(path, &limits::TABLE).map_err(|source| HarnessError::Io {
        what: "read",
        path: path.display().to_string(),
        source,
    })?;
    parse(path, &bytes, columns, classes).map_err(HarnessError::from)
}

fn parse(
    path: &Path,
    bytes: &[u8],
    columns: &Columns,
    classes: &[String],
) -> Result<Table, DatasetError> {
    let bad = |place: &str, problem: String, remedy: &str| DatasetError::Bad {
        file: path.into(),
        place: place.into(),
        problem,
        remedy: remedy.into(),
    };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let dialect = Dialect::of(bytes, columns.count());
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(dialect.delimiter)
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let mut layout: Option<Layout> = None;
    let mut range = Range::new();
    let mut mark = None;
    let mut table = Table {
        features: Vec::new(),
        labels: None,
        lines: Vec::new(),
        unused: Vec::new(),
        notes: dialect.note().into_iter().collect(),
    };
    let mut labels = Vec::new();
    let mut budget = Budget::new(&limits::TABLE, bytes.len() as u64);
    for record in reader.records().skip(dialect.before) {
        let record = record.map_err(|e| {
            let line = e.position().map_or(1, csv::Position::line);
            bad(&format!("line {line}"), "not text in UTF-8".into(), "save it as CSV in UTF-8")
        })?;
        let line = record.position().map_or(1, |at| line_of(bytes, at));
        let at_line =
            |(problem, remedy): (String, String)| bad(&format!("line {line}"), problem, &remedy);
        let mut cells: Vec<&str> = record.iter().collect();
        let layout = match &mut layout {
            Some(layout) => layout,
            none => {
                let (found, header, note) =
                    first_line(&mut cells, dialect, columns).map_err(at_line)?;
                table.notes.extend(note);
                let layout = none.insert(found);
                if header {
                    continue;
                }
                layout
            }
        };
        layout.fit(&mut cells).map_err(at_line)?;
        budget
            .build(1, ROW + layout.features.len() * size_of::<f32>())
            .map_err(|e| at_line((e.to_string(), "split the file".into())))?;
        let place = |at: usize| format!("line {line}, column {} ({})", at + 1, layout.titles[at]);
        let cell = |(feature, &at): (usize, &usize)| {
            let value = number(cells[at], dialect, columns.scaled)
                .map_err(|(problem, remedy)| bad(&place(at), problem, &remedy))?;
            let own = dialect.mark(cells[at]);
            if own.is_some_and(|own| *mark.get_or_insert(own) != own) {
                // One of the two parts thousands, and nobody can say which.
                let problem = format!("`{}` beside numbers with another mark", short(cells[at]));
                return Err(bad(
                    &place(at),
                    problem,
                    "write all decimals alike, and thousands plain",
                ));
            }
            let column = &columns.columns[feature];
            if columns.scaled {
                return Ok(value.clamp(0.0, 1.0) as f32);
            }
            range.add(column, value, line, feature);
            Ok(column.scale(value))
        };
        let row: Result<_, DatasetError> = layout.features.iter().enumerate().map(cell).collect();
        table.features.push(row?);
        if let Some(at) = layout.label {
            let class = label(cells[at], layout.numbers, classes);
            labels.push(class.map_err(|(problem, remedy)| bad(&place(at), problem, &remedy))?);
        }
        table.lines.push(line);
    }
    if table.features.is_empty() {
        let what = if layout.is_some() { "no rows below the header" } else { "the file is empty" };
        return Err(bad("line 1", what.into(), "give at least one row"));
    }
    let odd = range.judge(columns);
    table.notes.extend(odd.map_err(|(problem, remedy)| bad("the table", problem, &remedy))?);
    if let Some(layout) = layout {
        table.labels = layout.label.map(|_| labels);
        table.unused = layout.unused;
    }
    Ok(table)
}

/// The line of a record: its position is that of the blank lines before it.
fn line_of(bytes: &[u8], at: &csv::Position) -> usize {
    let rest = bytes.get(at.byte() as usize..).unwrap_or_default();
    let blank = rest.iter().take_while(|b| matches!(b, b'\r' | b'\n'));
    at.line() as usize + blank.filter(|b| **b == b'\n').count()
}

/// Where a row's parts stand, by the first line; whether that is a heading, and what was assumed.
fn first_line(
    cells: &mut Vec<&str>,
    dialect: Dialect,
    columns: &Columns,
) -> Found<(Layout, bool, Option<String>)> {
    // A comma too many at the end of a line stands for nothing; without a heading an empty cell may
    // be a feature's, where it leaves a width that is known.
    let filled = cells.iter().rposition(|cell| !cell.is_empty()).map_or(0, |at| at + 1);
    let counted = counts(&cells[..filled]);
    let words = filled > 0 && cells[..filled].iter().all(|cell| dialect.number(cell).is_none());
    let least = if words || counted { filled } else { filled.max(columns.count() + 2) };
    cells.truncate(least.min(cells.len()));
    let layout = if words { named(cells, columns)? } else { by_position(cells, columns)? };
    let note = counted.then(|| "the first line counts the columns, and is no row".into());
    Ok((layout, words || counted, note))
}

type Found<T> = Result<T, (String, String)>;

/// A cell's value; in [0, 1], but for rounding, where rows come scaled.
fn number(cell: &str, dialect: Dialect, scaled: bool) -> Found<f64> {
    let Some(value) = dialect.number(cell) else {
        return Err((
            format!("`{}` is no finite number", short(cell)),
            "write a number such as 17.99".into(),
        ));
    };
    if !scaled || (-ROUNDING..=1.0 + ROUNDING).contains(&value) {
        return Ok(value);
    }
    Err((format!("{value} is outside [0, 1]"), "scale the columns, or leave --scaled out".into()))
}

/// Whether cells count themselves, from 0 or from 1, as tools write a table without headings; a few
/// may be values.
fn counts(cells: &[&str]) -> bool {
    // Also as floats, `0.0`, `1.0`.
    let is = |cell: &str, n: usize| cell.parse::<f64>().is_ok_and(|v| v == n as f64);
    let from = |first: usize| cells.iter().zip(first..).all(|(cell, n)| is(cell, n));
    cells.len() >= COUNTED && (from(0) || from(1))
}

/// A row's class.
fn label(cell: &str, numbers: Numbers, classes: &[String]) -> Found<usize> {
    let number = cell.parse::<f64>().is_ok();
    if number && numbers == Numbers::Foreign && !classes.iter().any(|name| name == cell) {
        return Err((
            format!(
                "`{}` beside columns named as scikit-learn's, whose class numbers are inverted",
                short(cell)
            ),
            format!("write class names: {}", classes.join(", ")),
        ));
    }
    class(cell, classes).ok_or_else(|| {
        if number && numbers == Numbers::ClassesOrIds {
            (
                format!("`{}` is no class of the model: an id without a class?", short(cell)),
                "name the columns in the first line".into(),
            )
        } else {
            (
                format!("`{}` is no class of the model", short(cell)),
                format!("write one of {}, or a number from 0", classes.join(", ")),
            )
        }
    })
}

/// A class by its name, its number, or the first letter that no other class begins with.
fn class(cell: &str, classes: &[String]) -> Option<usize> {
    let same = |name: &String| name.eq_ignore_ascii_case(cell);
    let begins = |name: &&String| {
        cell.chars().count() == 1
            && name.chars().next().is_some_and(|c| cell.chars().all(|d| c.eq_ignore_ascii_case(&d)))
    };
    let number =
        || cell.parse::<f64>().ok().filter(|v| v.fract() == 0.0 && *v >= 0.0).map(|v| v as usize);
    let initial = || match classes.iter().filter(begins).count() {
        1 => classes.iter().position(|name| begins(&name)),
        _ => None,
    };
    classes
        .iter()
        .position(same)
        .or_else(|| number().filter(|n| *n < classes.len()))
        .or_else(initial)
}

/// Columns found by their headings.
fn named(cells: &[&str], columns: &Columns) -> Found<Layout> {
    let keys: Vec<String> = cells.iter().map(|cell| key(cell)).collect();
    let find =
        |column: &Column| keys.iter().position(|found| spellings(&column.name).contains(found));
    let places: Vec<Option<usize>> = columns.columns.iter().map(find).collect();
    let missing: Vec<&str> = columns
        .columns
        .iter()
        .zip(&places)
        .filter(|(_, at)| at.is_none())
        .map(|(column, _)| column.name.as_str())
        .collect();
    if !missing.is_empty() {
        let more = missing.len().saturating_sub(5);
        let mut names =
            missing.iter().take(5).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        if more > 0 {
            names += &format!(" and {more} more");
        }
        return Err((
            format!("{} of {} columns missing: {names}", missing.len(), columns.count()),
            "add them, named so in the first line".into(),
        ));
    }
    if let Some(twice) =
        (1..keys.len()).find(|&at| !keys[at].is_empty() && keys[..at].contains(&keys[at]))
    {
        return Err((
            format!("column `{}` is there twice", short(cells[twice])),
            "remove one of them".into(),
        ));
    }
    let label = keys.iter().position(|k| LABELS.contains(&k.as_str()));
    let places: Vec<usize> = places.into_iter().flatten().collect();
    // Only scikit-learn calls a standard error so.
    let foreign = places.iter().any(|at| keys[*at].ends_with(" error"));
    let numbers = if foreign { Numbers::Foreign } else { Numbers::Classes };
    Ok(Layout { numbers, ..Layout::new(cells, places, label) })
}

/// Columns by their number: features; class and features; id, class and features, as in
/// `wdbc.data`.
fn by_position(cells: &[&str], columns: &Columns) -> Found<Layout> {
    let (count, width) = (columns.count(), cells.len());
    let names: Vec<&str> = columns.columns.iter().map(|column| column.name.as_str()).collect();
    let titled = |front: &[&'static str]| [front, &names].concat();
    match width.checked_sub(count) {
        Some(0) => Ok(Layout::new(&titled(&[]), (0..width).collect(), None)),
        Some(1) => {
            let layout = Layout::new(&titled(&["label"]), (1..width).collect(), Some(0));
            Ok(Layout { numbers: Numbers::ClassesOrIds, ..layout })
        }
        Some(2) => Ok(Layout::new(&titled(&["id", "label"]), (2..width).collect(), Some(1))),
        _ => Err((
            format!("{width} cells and no header, where the model has {count} features"),
            format!(
                "write id, class and the {count} features, or name the columns in the first line"
            ),
        )),
    }
}

impl Layout {
    /// Leaves out empty cells at the end of a row that has too many.
    fn fit(&self, cells: &mut Vec<&str>) -> Found<()> {
        while cells.len() > self.width && cells.last().is_some_and(|cell| cell.is_empty()) {
            cells.pop();
        }
        if cells.len() == self.width {
            return Ok(());
        }
        Err((
            format!("{} cells where {} are expected", cells.len(), self.width),
            "a row has as many cells as the first line".into(),
        ))
    }

    fn new(titles: &[&str], features: Vec<usize>, label: Option<usize>) -> Layout {
        let spare = |at: &usize| {
            !features.contains(at)
                && Some(*at) != label
                && !IDS.contains(&key(titles[*at]).as_str())
                && !titles[*at].is_empty()
        };
        let unused = (0..titles.len()).filter(spare).map(|at| titles[at].to_string()).collect();
        let titles: Vec<String> = titles.iter().map(|t| short(t)).collect();
        Layout { width: titles.len(), features, label, numbers: Numbers::Classes, unused, titles }
    }
}

/// A heading in small letters, its punctuation as single blanks.
fn key(heading: &str) -> String {
    let words = heading.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

/// The spellings of a column: as here (`mean radius`), Kaggle's (`radius_mean`, `radius_se`),
/// scikit-learn's (`radius error`), and the UCI repository's (`radius1`, `radius2`, `radius3`).
fn spellings(name: &str) -> Vec<String> {
    let kinds = [
        ("mean", ["mean", "mean"], "1"),
        ("standard error of", ["se", "error"], "2"),
        ("worst", ["worst", "worst"], "3"),
    ];
    let mut all = vec![key(name)];
    for (kind, suffixes, number) in kinds {
        if let Some(what) = name.strip_prefix(kind).map(str::trim) {
            all.extend(suffixes.map(|suffix| key(&format!("{what} {suffix}"))));
            all.push(key(&format!("{what}{number}")));
        }
    }
    all
}

/// Foreign text fit for one line.
fn short(text: &str) -> String {
    let clean: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(40).collect();
    if text.chars().count() > 40 { clean + "..." } else { clean }
}

impl Table {
    /// Rows as a batch `[1, B, F]`.
    pub fn batch(&self) -> Tensor {
        let flat: Vec<f32> = self.features.concat();
        Tensor::from_slice(&flat).reshape([1, self.features.len() as i64, -1])
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
