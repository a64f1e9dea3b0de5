//! UCI's 8x8 handwritten digits: 1,797 grey images in ten classes.

use crate::in_memory::InMemory;
use crate::tables::{SPLIT_NOTE, Table};
use crate::{Card, Dataset, DatasetEntry, DatasetError, Presence, Request};

const NAME: &str = "digits";
const SIDE: usize = 8;
/// Grey levels of the source run from 0 to this.
const LEVELS: f64 = 16.0;

/// Registry line.
pub(super) static ENTRY: DatasetEntry = DatasetEntry {
    name: NAME,
    summary: "1,797 handwritten digits of 8x8 grey pixels, embedded",
    reference: "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine \
        Learning Repository, 1998, doi:10.24432/C50P49",
    licence: "CC BY 4.0",
    open,
    present: |_| Presence::Embedded,
    fetch: None,
};

fn open(req: &Request) -> Result<Box<dyn Dataset>, DatasetError> {
    req.refuse_label(NAME)?;
    req.require_size(NAME, SIDE)?;
    let bytes = include_bytes!("../../assets/tables/digits.csv.gz");
    let table = Table::from_csv_gz("digits.csv.gz", bytes, SIDE * SIDE)?;
    let splits = table.split(|_, level| (level / LEVELS) as f32);
    Ok(Box::new(InMemory { card: card(), splits }))
}

fn card() -> Card {
    Card {
        channels: 1,
        mean: vec![0.3053],
        std: vec![0.3760],
        notes: vec![SPLIT_NOTE.into()],
        ..ENTRY
            .card("Optical recognition of handwritten digits (UCI, 8x8)")
            .square(SIDE)
            .with_classes((0..10).map(|d| d.to_string()))
    }
}
