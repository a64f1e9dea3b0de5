//! Breast Cancer Wisconsin (Diagnostic): 569 rows of 30 features, benign or malignant.

use crate::embedded::memory::{Examples, InMemory, plain};
use crate::embedded::stratified::stratified;
use crate::embedded::table;
use crate::formats::uci;
use crate::{
    Card, Column, Dataset, DatasetEntry, DatasetError, Kind, LabelKind, Presence, Request,
};

const NAME: &str = "wdbc";
const LICENCE: &str = "CC BY 4.0";
const REFERENCE: &str = "W. Wolberg, O. Mangasarian, N. Street and W. Street, Breast Cancer \
    Wisconsin (Diagnostic), UCI Machine Learning Repository, 1993, doi:10.24432/C5DW2B";
const FEATURES: usize = 30;

/// Registry line.
pub(super) static ENTRY: DatasetEntry = DatasetEntry {
    name: NAME,
    summary: "569 tumours as 30 features each, benign or malignant, embedded",
    reference: REFERENCE,
    licence: LICENCE,
    open,
    present: |_| Presence::Embedded,
    fetch: None,
};

fn open(req: &Request) -> Result<Box<dyn Dataset>, DatasetError> {
    plain(NAME, req, None)?;
    let bytes = include_bytes!("../../assets/tables/wdbc.csv.gz");
    let table = table::read("wdbc.csv.gz", bytes, FEATURES)?;
    let rows = stratified(&table.labels);
    let columns = columns(&table.rows, &rows[0]);
    let splits = rows.map(|rows| Examples {
        values: rows.iter().flat_map(|&r| scale(&table.rows[r], &columns)).collect(),
        labels: rows.iter().map(|&r| table.labels[r]).collect(),
    });
    Ok(Box::new(InMemory { card: card(columns), splits }))
}

/// Name, least and largest value of every feature over `rows`.
fn columns(table: &[Vec<f64>], rows: &[usize]) -> Vec<Column> {
    let column = |f: usize| {
        let values = rows.iter().map(|&r| table[r][f]);
        let (low, high) = values
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        Column { name: uci::feature_name(f), low, high }
    };
    (0..FEATURES).map(column).collect()
}

/// Min-max scaling by the training rows' ranges; what lies outside them is clamped, so that every
/// value is in `[0, 1]`.
fn scale(row: &[f64], columns: &[Column]) -> Vec<f32> {
    row.iter().zip(columns).map(|(v, column)| column.scale(*v)).collect()
}

fn card(columns: Vec<Column>) -> Card {
    Card {
        name: NAME.into(),
        title: "Breast Cancer Wisconsin (Diagnostic)".into(),
        kind: Kind::Table,
        channels: FEATURES,
        height: 1,
        width: 1,
        classes: 2,
        labels: LabelKind::MultiClass,
        mean: vec![0.0; FEATURES],
        std: vec![1.0; FEATURES],
        licence: LICENCE.into(),
        source: REFERENCE.into(),
        class_names: vec!["benign".into(), "malignant".into()],
        columns,
        notes: vec![
            "fixed split by class: 70 % train, 10 % val, 20 % test".into(),
            "features are scaled by the training rows' minimum and maximum, then clamped to [0, 1]"
                .into(),
        ],
    }
}
