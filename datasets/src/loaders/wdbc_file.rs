//! Breast Cancer Wisconsin (Diagnostic) from `wdbc.data` as UCI ships it.

use std::path::{Path, PathBuf};

use super::places;
use super::table::Table;
use crate::formats::uci;
use crate::{Card, Dataset, DatasetEntry, DatasetError, Kind, LabelKind, Request};

const REMEDY: &str = "put wdbc.data from https://archive.ics.uci.edu/dataset/17 in wdbc/ below \
    the data folder (the embedded `wdbc` needs no file)";
const REFERENCE: &str = "W. Wolberg, O. Mangasarian, N. Street and W. Street, Breast Cancer \
    Wisconsin (Diagnostic), UCI, 1993, doi:10.24432/C5DW2B";
const LICENCE: &str = "CC BY 4.0";

pub(super) static ENTRY: DatasetEntry = DatasetEntry {
    name: "wdbc-file",
    summary: "tumours as 30 features each, benign or malignant, from UCI's wdbc.data",
    reference: REFERENCE,
    licence: LICENCE,
    open,
    present: |root| places::presence(find(root)),
    fetch: None,
};

fn find(root: Option<&Path>) -> Result<PathBuf, DatasetError> {
    let dirs = places::folders("wdbc.data", root, &["wdbc"], REMEDY)?;
    places::first(&dirs, &["wdbc.data"]).ok_or_else(|| DatasetError::Missing {
        what: "wdbc.data".into(),
        looked: dirs[0].display().to_string(),
        remedy: REMEDY.into(),
    })
}

fn open(req: &Request) -> Result<Box<dyn Dataset>, DatasetError> {
    places::no_label(ENTRY.name, req.label)?;
    if let Some(size) = req.size {
        let problem = format!("size {size}, but it is a table");
        return Err(DatasetError::request(ENTRY.name, problem, "leave `size` out"));
    }
    let path = find(req.root)?;
    let parsed = uci::parse(&places::read(&path)?).map_err(|e| e.at(&path))?;
    Ok(Box::new(Table::new(card(), uci::feature_name, &parsed.features, &parsed.labels)))
}

fn card() -> Card {
    Card {
        name: ENTRY.name.into(),
        title: "Breast Cancer Wisconsin (Diagnostic), wdbc.data".into(),
        kind: Kind::Table,
        channels: uci::FEATURES,
        height: 1,
        width: 1,
        classes: 2,
        labels: LabelKind::MultiClass,
        mean: vec![0.0; uci::FEATURES],
        std: vec![1.0; uci::FEATURES],
        licence: LICENCE.into(),
        source: REFERENCE.into(),
        class_names: vec!["benign".into(), "malignant".into()],
        columns: Vec::new(),
        notes: vec![
            "fixed split by class: 70 % train, 10 % val, 20 % test".into(),
            "features are scaled by the training rows' minimum and maximum, then clamped to [0, 1]"
                .into(),
        ],
    }
}
