//! Finding the records of a file: where its index says, or one after the other.

use std::fs::File;

use rayon::prelude::*;

use super::catalog::Entry;
use super::{Fault, ending};
use crate::formats::FormatError;
use crate::formats::recordio::{Glance, Records};

/// What a record turned out to be.
pub(super) enum Seen {
    /// An image.
    Image(Entry),
    /// No image but two numbers at least: InsightFace's ranges.
    Range { key: u64, offset: u64, from: f32, to: f32 },
    /// Nothing of use.
    Fault(Fault),
}

/// The records that the index names, by their place in the file.
pub(super) fn indexed(records: &Records<File>, mut index: Vec<(u64, u64)>) -> Vec<Seen> {
    index.sort_unstable_by_key(|&(key, offset)| (offset, key));
    let look = |&(key, offset): &(u64, u64)| match records.glance(offset) {
        Ok(glance) => seen(key, offset, &glance),
        Err(error) => Seen::Fault(Fault::new(Some(key), offset, &error)),
    };
    index.par_iter().with_min_len(256).map(look).collect()
}

/// All records from the first to the last; after a fault, from the next place where one can begin. Keys are the records' own numbers.
pub(super) fn sequential(records: &Records<File>) -> Vec<Seen> {
    let (mut all, mut at) = (Vec::new(), 0);
    while at < records.size() {
        match records.glance(at) {
            Ok(glance) => {
                all.push(seen(glance.header.id, at, &glance));
                at = glance.end;
            }
            Err(error) => {
                all.push(Seen::Fault(Fault::new(None, at, &error)));
                at = records.next_after(at).unwrap_or(records.size());
            }
        }
    }
    all
}

fn seen(key: u64, offset: u64, glance: &Glance) -> Seen {
    let labels = &glance.header.labels;
    if let (0, &[from, to, ..]) = (glance.length, labels.as_slice()) {
        return Seen::Range { key, offset, from, to };
    }
    let label = labels[0];
    let why = match (label.is_finite(), ending(&glance.start)) {
        (false, _) => format!("label {label}"),
        (true, None) => "holds no image (neither JPEG, PNG, BMP, GIF, PNM nor WebP)".to_string(),
        // Adding 0 makes the two zeros one.
        (true, Some(_)) => {
            return Seen::Image(Entry { key, offset, length: glance.length, label: label + 0.0 });
        }
    };
    let error = FormatError::new("", why, "");
    Seen::Fault(Fault::new(Some(key), offset, &error))
}
