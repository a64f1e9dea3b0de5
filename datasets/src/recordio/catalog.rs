//! The catalog of a RecordIO file: keys, offsets and labels, no pixels.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use suites::foreign::{self, limits};

use super::scan::{self, Scanned};
use super::{Fault, Sources, flaw};
use crate::DatasetError;
use crate::formats::recordio::{
    ListRow, Property, Record, Records, parse_index, parse_list, parse_property,
};

/// One image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// Its key: the index's, or without one the record's own number.
    pub key: u64,
    /// Where its record begins, in bytes.
    pub offset: u64,
    /// Length of the image's file in bytes.
    pub length: u64,
    /// Its label, below 2^24 in magnitude.
    pub label: f32,
}

/// The images of a file, its unusable records, and notes on both.
pub struct Catalog {
    /// The `.rec` file.
    pub path: PathBuf,
    /// Images in the order in which they lie in the file.
    pub entries: Vec<Entry>,
    /// Records that cannot be used, in the same order.
    pub faults: Vec<Fault>,
    /// What `property` says, where there is one.
    pub property: Option<Property>,
    /// What the list calls a label's folder, by the label's bits.
    pub names: HashMap<u32, String>,
    /// What does not match between the files.
    pub notes: Vec<String>,
    records: Records<File>,
}

/// Numbers images by their place in the file where most of their keys are another's: some writers
/// give every record the same one.
fn number_by_place(entries: &mut [Entry]) -> Option<String> {
    let keys: HashSet<u64> = entries.iter().map(|e| e.key).collect();
    (2 * keys.len() < entries.len()).then(|| {
        entries.iter_mut().zip(0..).for_each(|(entry, place)| entry.key = place);
        format!(
            "{} records share {} keys: they are numbered by their places from 0, and a list beside \
             them is not used",
            entries.len(),
            keys.len()
        )
    })
}

impl Catalog {
    /// Reads the index and the list whole and of every record the first and last bytes; all of it
    /// where these leave open whether it is cut short.
    ///
    /// # Errors
    /// Files that are absent, unreadable or of another format, and a `.rec` file without a single
    /// image.
    pub fn open(sources: &Sources) -> Result<Self, DatasetError> {
        let io = |e| DatasetError::io(&sources.rec, e);
        let (file, _) = foreign::open(&sources.rec, &limits::RECORD).map_err(io)?;
        let records = Records::new(file).map_err(io)?;
        let read = |path: &Option<PathBuf>| path.as_deref().map(read).transpose();
        let (index, list, property) =
            (read(&sources.idx)?, read(&sources.lst)?, read(&sources.property)?);
        let index = parsed(&sources.idx, &index, parse_index)?;
        let list = parsed(&sources.lst, &list, parse_list)?;
        let property = parsed(&sources.property, &property, parse_property)?;
        let seen = match index {
            Some(index) => scan::indexed(&records, index),
            None => scan::sequential(&records),
        };
        let (mut entries, faults, mut notes) = sorted(seen);
        let numbered = number_by_place(&mut entries);
        // A list goes by keys, which these records do not have.
        let list = list.filter(|_| numbered.is_none());
        notes.extend(numbered);
        let path = sources.rec.clone();
        let mut catalog =
            Self { path, entries, faults, property, names: HashMap::new(), notes, records };
        catalog.reject_repeated_keys();
        if let Some(list) = list {
            catalog.join(&list);
        }
        catalog.reject_inexact_labels();
        catalog.check()?;
        Ok(catalog)
    }

    /// The record of an image.
    ///
    /// # Errors
    /// What is wrong with it: it has changed, cannot be read, or its image is cut short.
    pub fn read(&self, entry: &Entry) -> Result<Record, Fault> {
        let failed =
            |why: &str| Fault { key: Some(entry.key), offset: entry.offset, why: why.into() };
        let record = self
            .records
            .read(entry.offset)
            .map_err(|e| Fault::new(Some(entry.key), entry.offset, &e))?;
        match flaw(&record.payload) {
            Some(why) => Err(failed(why)),
            None if record.payload.len() as u64 != entry.length => {
                Err(failed("has changed meanwhile"))
            }
            None => Ok(record),
        }
    }

    /// The labels in ascending order with the number of their images.
    pub fn labels(&self) -> Vec<(f32, usize)> {
        let mut counts: HashMap<u32, usize> = HashMap::new();
        self.entries.iter().for_each(|e| *counts.entry(e.label.to_bits()).or_default() += 1);
        let mut all: Vec<(f32, usize)> =
            counts.into_iter().map(|(b, n)| (f32::from_bits(b), n)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all
    }

    /// Makes faults of images whose key another one before them has (possible only without an
    /// index).
    fn reject_repeated_keys(&mut self) {
        let mut keys: Vec<(u64, u64)> = self.entries.iter().map(|e| (e.key, e.offset)).collect();
        keys.sort_unstable();
        let repeated: HashMap<u64, u64> =
            keys.windows(2).filter(|w| w[0].0 == w[1].0).map(|w| (w[1].1, w[1].0)).collect();
        if repeated.is_empty() {
            return;
        }
        self.entries.retain(|e| !repeated.contains_key(&e.offset));
        let why = || "its key is that of a record before it".to_string();
        self.faults.extend(repeated.iter().map(|(&offset, &key)| Fault {
            key: Some(key),
            offset,
            why: why(),
        }));
        self.faults.sort_by_key(|f| f.offset);
    }

    /// Makes faults of images whose label a 32-bit float does not tell from the next.
    fn reject_inexact_labels(&mut self) {
        const FIRST_INEXACT: f32 = 16_777_216.0;
        let (inexact, kept): (Vec<Entry>, _) =
            self.entries.drain(..).partition(|e| e.label.abs() >= FIRST_INEXACT);
        self.entries = kept;
        self.faults.extend(inexact.iter().map(|e| Fault {
            key: Some(e.key),
            offset: e.offset,
            why: format!(
                "label {}; from 2^24 on neighbouring labels are one and the same here",
                e.label
            ),
        }));
        self.faults.sort_by_key(|f| f.offset);
    }

    /// Takes labels and names from the list.
    fn join(&mut self, list: &[ListRow]) {
        let rows: HashMap<u64, &ListRow> = list.iter().map(|row| (row.key, row)).collect();
        let (mut differ, mut unlisted) = (0, 0);
        let mut names: HashMap<u32, Option<&str>> = HashMap::new();
        for entry in &mut self.entries {
            let Some(row) = rows.get(&entry.key) else {
                unlisted += 1;
                continue;
            };
            let label = row.label + 0.0;
            differ += usize::from(label != entry.label);
            entry.label = label;
            let folder =
                Path::new(row.path).parent().and_then(Path::file_name).and_then(|n| n.to_str());
            let name = names.entry(label.to_bits()).or_insert(folder);
            if *name != folder {
                *name = None;
            }
        }
        let absent = rows.len().saturating_sub(self.entries.len() - unlisted);
        for (count, what) in [
            (
                differ,
                "images have another label in the list than in their record; the list's is used",
            ),
            (unlisted, "images are not in the list"),
            (absent, "listed images are not among the records"),
        ] {
            self.notes.extend((count > 0).then(|| format!("{count} {what}")));
        }
        self.names = names.into_iter().filter_map(|(b, n)| n.map(|n| (b, n.to_string()))).collect();
    }

    /// Refuses a file without images, and compares the number of identities with `property`.
    fn check(&mut self) -> Result<(), DatasetError> {
        if self.entries.is_empty() {
            let first = self.faults.first().map_or("no records".to_string(), ToString::to_string);
            return Err(DatasetError::Bad {
                file: self.path.clone(),
                place: "whole file".into(),
                problem: format!("not a single image ({first})"),
                remedy: "give a .rec file of images, and the .idx that belongs to it".into(),
            });
        }
        let found = self.labels().len() as u64;
        if let Some(stated) = self.property.map(|p| p.identities).filter(|&n| n != found) {
            self.notes
                .push(format!("property states {stated} identities, {found} are in the records"));
        }
        Ok(())
    }
}

/// Images, faults and notes of what was seen.
fn sorted(seen: Vec<Scanned>) -> (Vec<Entry>, Vec<Fault>, Vec<String>) {
    let (mut entries, mut faults) = (Vec::new(), Vec::new());
    let mut ranges = BTreeMap::new();
    for record in seen {
        match record {
            Scanned::Image(entry) => entries.push(entry),
            Scanned::Fault(fault) => faults.push(fault),
            Scanned::Range { key, offset, from, to } => {
                ranges.insert(key, Range { offset, from, to });
            }
        }
    }
    let notes = match ranges.remove(&0) {
        Some(total) => compare_totals(&total, entries.len(), ranges.len()),
        None => {
            faults.extend(ranges.iter().map(|(&key, range)| range.fault(key)));
            faults.sort_by_key(|f| f.offset);
            Vec::new()
        }
    };
    (entries, faults, notes)
}

/// A record of two numbers instead of an image, as InsightFace writes them.
struct Range {
    offset: u64,
    from: f32,
    to: f32,
}

impl Range {
    /// A range is a fault in a file without record 0.
    fn fault(&self, key: u64) -> Fault {
        let why = "holds no image, and no record 0 says that it is a range of keys".to_string();
        Fault { key: Some(key), offset: self.offset, why }
    }
}

/// Notes where record 0 states other totals than were found. It holds the key after the last image
/// and the key after the last identity.
fn compare_totals(total: &Range, images: usize, identities: usize) -> Vec<String> {
    let stated =
        [(total.from - 1.0, images, "images"), (total.to - total.from, identities, "identities")];
    let differing = stated.into_iter().filter(|(count, found, _)| *count != *found as f32);
    let note = |(count, found, what)| format!("record 0 states {count} {what}, {found} were found");
    differing.map(note).collect()
}

fn read(path: &Path) -> Result<Vec<u8>, DatasetError> {
    foreign::read(path, &limits::TABLE).map_err(|e| DatasetError::io(path, e))
}

/// Parses a file beside the records, where there is one.
fn parsed<'a, T>(
    path: &Option<PathBuf>,
    bytes: &'a Option<Vec<u8>>,
    parse: impl Fn(&'a [u8]) -> Result<T, crate::formats::FormatError>,
) -> Result<Option<T>, DatasetError> {
    match (path, bytes) {
        (Some(path), Some(bytes)) => parse(bytes).map(Some).map_err(|e| e.at(path)),
        _ => Ok(None),
    }
}
