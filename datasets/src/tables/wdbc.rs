//! Breast Cancer Wisconsin (Diagnostic): 569 rows of 30 features, benign or malignant; embedded, or
//! from `wdbc.data` as UCI ships it.

use std::path::{Path, PathBuf};

use suites::foreign::limits;

use super::{SPLIT_NOTE, Table};
use crate::formats::uci::{self, FEATURES, Wdbc};
use crate::in_memory::InMemory;
use crate::loaders::places;
use crate::{Card, Column, Dataset, DatasetEntry, DatasetError, Kind, Presence, Request};

const LICENCE: &str = "CC BY 4.0";
const REFERENCE: &str = "W. Wolberg, O. Mangasarian, N. Street and W. Street, Breast Cancer \
    Wisconsin (Diagnostic), UCI Machine Learning Repository, 1993, doi:10.24432/C5DW2B";
const REMEDY: &str = "put wdbc.data from https://archive.ics.uci.edu/dataset/17 in wdbc/ below \
    the data folder (the embedded `wdbc` needs no file)";

/// Registry line of the embedded copy.
pub(crate) static EMBEDDED: DatasetEntry = DatasetEntry {
    name: "wdbc",
    summary: "569 tumours as 30 features each, benign or malignant, embedded",
    reference: REFERENCE,
    licence: LICENCE,
    open: open_embedded,
    present: |_| Presence::Embedded,
    fetch: None,
};

/// Registry line of the user's own copy.
pub(crate) static FILE: DatasetEntry = DatasetEntry {
    name: "wdbc-file",
    summary: "tumours as 30 features each, benign or malignant, from UCI's wdbc.data",
    reference: REFERENCE,
    licence: LICENCE,
    open: open_file,
    present: |root| places::presence(find(root)),
    fetch: None,
};

fn open_embedded(req: &Request) -> Result<Box<dyn Dataset>, DatasetError> {
    refuse_choices(&EMBEDDED, req)?;
    let bytes = include_bytes!("../../assets/tables/wdbc.csv.gz");
    let table = Table::from_csv_gz("wdbc.csv.gz", bytes, FEATURES)?;
    Ok(scaled(&EMBEDDED, "Breast Cancer Wisconsin (Diagnostic)", &table))
}

fn open_file(req: &Request) -> Result<Box<dyn Dataset>, DatasetError> {
    refuse_choices(&FILE, req)?;
    let path = find(req.root)?;
    let parsed = uci::parse(&places::read(&path, &limits::TABLE)?).map_err(|e| e.at(&path))?;
    Ok(scaled(&FILE, "Breast Cancer Wisconsin (Diagnostic), wdbc.data", &Table::from(parsed)))
}

fn refuse_choices(entry: &DatasetEntry, req: &Request) -> Result<(), DatasetError> {
    req.refuse_label(entry.name)?;
    req.refuse_size(entry.name)
}

fn find(root: Option<&Path>) -> Result<PathBuf, DatasetError> {
    let dirs = places::folders("wdbc.data", root, &["wdbc"], REMEDY)?;
    places::find("wdbc.data", &dirs, &["wdbc.data"], REMEDY)
}

impl From<Wdbc> for Table {
    fn from(parsed: Wdbc) -> Self {
        let labels = parsed.labels.into_iter().map(i64::from).collect();
        Self { labels, features: parsed.features, width: FEATURES }
    }
}

/// What becomes 1 of each of the ten measures, as mean, standard error and worst; 0 stays 0. Round
/// numbers above the ranges that the data set's documentation gives: no row sets them, so that they
/// may stand beside a model whose training rows are private.
const SPANS: [[f64; 10]; 3] = [
    [30.0, 40.0, 200.0, 3000.0, 0.2, 0.4, 0.5, 0.25, 0.4, 0.1],
    [3.0, 5.0, 25.0, 600.0, 0.04, 0.15, 0.4, 0.06, 0.1, 0.04],
    [40.0, 50.0, 300.0, 5000.0, 0.25, 1.2, 1.5, 0.3, 0.7, 0.25],
];

/// The data set of a table, its features scaled by [`SPANS`]; what lies outside is clamped, so that
/// every value is in `[0, 1]`.
fn scaled(entry: &DatasetEntry, title: &str, table: &Table) -> Box<dyn Dataset> {
    let spans = SPANS.as_flattened().iter().enumerate();
    let column = |(f, &high): (usize, &f64)| Column { name: uci::feature_name(f), low: 0.0, high };
    let columns: Vec<Column> = spans.map(column).collect();
    let splits = table.split(|f, value| columns[f].scale(value));
    let card = Card {
        kind: Kind::Table,
        channels: FEATURES,
        height: 1,
        width: 1,
        mean: vec![0.0; FEATURES],
        std: vec![1.0; FEATURES],
        columns,
        notes: vec![
            SPLIT_NOTE.into(),
            "features are scaled by round numbers that no row sets, then clamped to [0, 1]".into(),
        ],
        ..entry.card(title).with_classes(["benign", "malignant"])
    };
    Box::new(InMemory { card, splits })
}
