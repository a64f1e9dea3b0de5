//! A figure and a table as declared, checked as far as can be told without a run.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::kind::{Bold, FigureKind, FigureWidth, Per, Spread};
use crate::SpecError;

/// Where something was declared, for errors that only a run can bring out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// File or suite name.
    pub file: String,
    /// Line of the table itself, from 1.
    pub line: usize,
    /// Lines of its keys; those of a filter as `filter.path`.
    pub lines: BTreeMap<String, usize>,
}

impl Place {
    /// `error`, said to be at the key `key` of this place.
    pub fn blame(&self, key: &str, error: SpecError) -> SpecError {
        error.at(&self.file, self.lines.get(key).copied().unwrap_or(self.line))
    }
}

/// One `[[figure]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct FigureSpec {
    /// File name without ending: lower-case words joined by hyphens.
    pub name: String,
    /// What it shows.
    pub kind: FigureKind,
    /// Column along the horizontal axis.
    pub x: Option<String>,
    /// Column along the vertical axis: the measure.
    pub y: Option<String>,
    /// Column of the rows of plots, of a grid or of a heat map.
    pub rows: Option<String>,
    /// Column of the columns of plots or of a heat map.
    pub columns: Option<String>,
    /// Column of the series.
    pub colour: Option<String>,
    /// Conditions that a cell must meet: column and value, or list of values.
    pub filter: Vec<(String, Value)>,
    /// In words, for below the figure; empty where none is given.
    pub caption: String,
    /// How wide it is.
    pub width: FigureWidth,
    /// Whether the horizontal axis is logarithmic; `None` leaves it to the values.
    pub log: Option<bool>,
    /// Whether the vertical axis is logarithmic; `None` leaves it to the values.
    pub log_y: Option<bool>,
    /// When a reconstruction counts as a success, in the measure's unit.
    pub threshold: Option<f64>,
    /// Reconstructions in a montage; at least 1.
    pub top: Option<usize>,
    /// Pictures side by side in a montage; at least 1.
    pub per_row: Option<usize>,
    /// Images in a grid or a hero; at least 1.
    pub images: Option<usize>,
    /// Whether a grid has one column per value instead of one row.
    pub transpose: bool,
    /// Whether points are named where they stand.
    pub labels: bool,
    /// Null baselines to show: names, `strongest`, `all` or `none`.
    pub null: Vec<String>,
    /// Files or folders that hold what is drawn, relative to the run folder.
    pub from: Vec<String>,
    /// What a point of a scatter plot stands for; `None` leaves it to the measures.
    pub per: Option<Per>,
    /// The table as written.
    pub given: Map<String, Value>,
    /// Where it was declared.
    pub place: Place,
}

impl FigureSpec {
    /// A figure of nothing but a name and a kind.
    pub fn new(name: &str, kind: FigureKind) -> Self {
        FigureSpec {
            name: name.into(),
            kind,
            x: None,
            y: None,
            rows: None,
            columns: None,
            colour: None,
            filter: Vec::new(),
            caption: String::new(),
            width: kind.width(),
            log: None,
            log_y: None,
            threshold: None,
            top: None,
            per_row: None,
            images: None,
            transpose: false,
            labels: false,
            null: Vec::new(),
            from: Vec::new(),
            per: None,
            given: Map::new(),
            place: Place::default(),
        }
    }

    /// The columns it names, with the key of each.
    pub fn named_columns(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("x", &self.x),
            ("y", &self.y),
            ("rows", &self.rows),
            ("columns", &self.columns),
            ("colour", &self.colour),
        ];
        all.into_iter().filter_map(|(key, column)| Some((key, column.as_deref()?)))
    }
}

/// One `[[table]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct TableSpec {
    /// File name without ending: lower-case words joined by hyphens.
    pub name: String,
    /// Columns whose values make the rows; at least one.
    pub rows: Vec<String>,
    /// Measures, one a column; at least one.
    pub columns: Vec<String>,
    /// Conditions that a cell must meet: column and value, or list of values.
    pub filter: Vec<(String, Value)>,
    /// In words, for above the table; empty where none is given.
    pub caption: String,
    /// How wide it is.
    pub width: FigureWidth,
    /// Which value of each column is set in bold.
    pub bold: Bold,
    /// What stands beside each mean.
    pub spread: Spread,
    /// Whether two more rows give mean and sample standard deviation over the rows.
    pub summary: bool,
    /// The table as written.
    pub given: Map<String, Value>,
    /// Where it was declared.
    pub place: Place,
}
