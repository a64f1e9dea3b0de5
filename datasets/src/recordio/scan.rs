//! Finding the records of a file: where its index says, or one after the other.

use std::fs::File;

use rayon::prelude::*;
use suites::foreign::{Budget, limits};

use super::catalog::Entry;
use super::{Fault, ending, ends, flaw};
use crate::formats::recordio::{Glance, Records};

/// The kind of a record.
pub(super) enum Scanned {
    /// An image.
    Image(Entry),
    /// No image but two numbers at least: InsightFace's ranges.
    Range { key: u64, offset: u64, from: f32, to: f32 },
    /// Nothing of use.
    Fault(Fault),
}

/// Bytes of what is kept of one record, what is wrong with it included.
const SCANNED: usize = 2 * (size_of::<Scanned>() + 128);

/// The records that the index names, by their place in the file.
pub(super) fn indexed(records: &Records<File>, mut index: Vec<(u64, u64)>) -> Vec<Scanned> {
    index.sort_unstable_by_key(|&(key, offset)| (offset, key));
    let look = |&(key, offset): &(u64, u64)| match records.glance(offset) {
        Ok(glance) => seen(records, key, offset, &glance),
        Err(error) => Scanned::Fault(Fault::new(Some(key), offset, &error)),
    };
    index.par_iter().with_min_len(256).map(look).collect()
}

/// All records from the first to the last; after a fault, from the next place where one can begin.
/// Keys are the records' own numbers.
pub(super) fn sequential(records: &Records<File>) -> Vec<Scanned> {
    let (mut all, mut at) = (Vec::new(), 0);
    let mut budget = Budget::new(&limits::RECORD, records.size());
    while at < records.size() {
        if let Err(exceeded) = budget.build(1, SCANNED) {
            all.push(Scanned::Fault(Fault { key: None, offset: at, why: exceeded.to_string() }));
            break;
        }
        match records.glance(at) {
            Ok(glance) => {
                all.push(seen(records, glance.header.id, at, &glance));
                at = glance.end;
            }
            Err(error) => {
                all.push(Scanned::Fault(Fault::new(None, at, &error)));
                at = records.next_after(at).unwrap_or(records.size());
            }
        }
    }
    all
}

fn seen(records: &Records<File>, key: u64, offset: u64, glance: &Glance) -> Scanned {
    let labels = &glance.header.labels;
    if let (0, &[from, to, ..]) = (glance.length, labels.as_slice()) {
        return Scanned::Range { key, offset, from, to };
    }
    let label = labels[0];
    let why = if label.is_finite() {
        image_flaw(records, offset, glance)
    } else {
        Some(format!("label {label}"))
    };
    match why {
        Some(why) => Scanned::Fault(Fault { key: Some(key), offset, why }),
        // Adding 0 makes the two zeros one.
        None => Scanned::Image(Entry { key, offset, length: glance.length, label: label + 0.0 }),
    }
}

/// What is wrong with a record's image; the whole of it is read only where its last bytes do not
/// show that it is all there.
fn image_flaw(records: &Records<File>, offset: u64, glance: &Glance) -> Option<String> {
    match ending(&glance.start) {
        None => flaw(&glance.start).map(String::from),
        Some(kind) if ends(kind, &glance.tail) => None,
        Some(_) => match records.read(offset) {
            Ok(record) => flaw(&record.payload).map(String::from),
            Err(error) => Some(error.problem),
        },
    }
}
