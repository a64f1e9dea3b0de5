//! UCI's 8x8 handwritten digits: 1,797 grey images in ten classes.

use crate::embedded::memory::{Examples, InMemory, plain};
use crate::embedded::stratified::stratified;
use crate::embedded::table;
use crate::{Card, Dataset, DatasetEntry, DatasetError, Kind, LabelKind, Presence, Request};

const NAME: &str = "digits";
const LICENCE: &str = "CC BY 4.0";
const REFERENCE: &str = "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, \
    UCI Machine Learning Repository, 1998, doi:10.24432/C50P49";
/// Grey levels of the source run from 0 to this.
const LEVELS: f64 = 16.0;

/// Registry line.
pub(super) static ENTRY: DatasetEntry = DatasetEntry {
    name: NAME,
    summary: "1,797 handwritten digits of 8x8 grey pixels, embedded",
    reference: REFERENCE,
    licence: LICENCE,
    open,
    present: |_| Presence::Embedded,
    fetch: None,
};

fn open(req: &Request) -> Result<Box<dyn Dataset>, DatasetError> {
    plain(NAME, req, Some(8))?;
    let bytes = include_bytes!("../../assets/tables/digits.csv.gz");
    let table = table::read("digits.csv.gz", bytes, 64)?;
    let splits = stratified(&table.labels).map(|rows| Examples {
        values: rows.iter().flat_map(|&r| &table.rows[r]).map(|v| (v / LEVELS) as f32).collect(),
        labels: rows.iter().map(|&r| table.labels[r]).collect(),
    });
    Ok(Box::new(InMemory { card: card(), splits }))
}

fn card() -> Card {
    Card {
        name: NAME.into(),
        title: "Optical recognition of handwritten digits (UCI, 8x8)".into(),
        kind: Kind::Image,
        channels: 1,
        height: 8,
        width: 8,
        classes: 10,
        labels: LabelKind::MultiClass,
        mean: vec![0.3053],
        std: vec![0.3760],
        licence: LICENCE.into(),
        source: REFERENCE.into(),
        class_names: (0..10).map(|d| d.to_string()).collect(),
        columns: Vec::new(),
        notes: vec!["fixed split by class: 70 % train, 10 % val, 20 % test".into()],
    }
}
