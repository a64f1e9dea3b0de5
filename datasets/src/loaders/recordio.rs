//! Faces in MXNet's RecordIO (InsightFace's data sets, CASIA-WebFace among them), read where they
//! lie.
//!
//! Opening reads the index and each record's both ends; images are read and decoded when they are
//! asked for.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use suites::Split;
use tch::Tensor;

use super::identities::{self, CLOSED_NOTE, Dealt, IDENTITY, UNSEEN};
use super::packed::{images, planes};
use crate::dataset::{check_ids, split_index};
use crate::error::nearest;
use crate::formats::image_file::decode_square;
use crate::formats::resize::Pixels;
use crate::recordio::{Catalog, Entry, Fault, Sources};
use crate::{Batch, Card, Dataset, DatasetError, Request};

/// Side of InsightFace's aligned faces.
const SIDE: usize = 112;
/// Of so many persons one is kept out of training.
const ONE_IN: usize = 10;
const REMEDY: &str =
    "get the file again, or leave the record out with `bench data extract --on-error skip`";

/// Opens `recordio:PATH`, a `.rec` file with the `.idx`, `.lst` and `property` beside it; a
/// relative path starts from the data root.
///
/// # Errors
/// No such file, or one that is no RecordIO file of images; a label or size that cannot be served.
pub(crate) fn open_at(
    name: &str,
    path: &str,
    req: &Request,
) -> Result<Box<dyn Dataset>, DatasetError> {
    let rec = req.root.unwrap_or(Path::new("")).join(path);
    if !rec.is_file() {
        let remedy = "correct the path to a .rec file after `recordio:` (a relative one starts \
            from the data folder)";
        return Err(DatasetError::missing("a RecordIO file", &rec, remedy));
    }
    open_rec(&rec, card(name, &rec), req)
}

/// Opens the faces of a `.rec` file under a card that says what they are.
///
/// # Errors
/// As [`open_at`].
pub(super) fn open_rec(
    rec: &Path,
    mut card: Card,
    req: &Request,
) -> Result<Box<dyn Dataset>, DatasetError> {
    let label = req.label.unwrap_or(IDENTITY);
    if ![IDENTITY, UNSEEN].contains(&label) {
        return Err(DatasetError::Unknown {
            what: "label of faces in RecordIO",
            name: label.into(),
            hint: nearest(label, [IDENTITY, UNSEEN]),
        });
    }
    let side = req.checked_size(&card.name)?.unwrap_or(SIDE);
    let sources = Sources::beside(rec);
    let mut catalog = Catalog::open(&sources)?;
    catalog.entries.sort_by_key(|e| e.key);
    let (kept, out) = hold_out_persons(&catalog);
    let persons = catalog.labels().len();
    card.notes.append(&mut catalog.notes);
    if let Some(first) = catalog.faults.first() {
        let count = catalog.faults.len();
        card.notes
            .push(format!("{count} records cannot be used and are left out, the first: {first}"));
    }
    let (dealt, rest) = match label {
        IDENTITY => (identities::closed(&kept, req.limit), out),
        _ if out.is_empty() => return Err(too_few(&card.name, persons)),
        _ => (identities::unseen(&out), Vec::new()),
    };
    card.notes.push(split_note(label, persons));
    let names = dealt.persons.iter().map(|&who| name_of(&catalog, who));
    let card = card.square(side).with_classes(names);
    let rest = rest.iter().map(|i| i.0).collect();
    Ok(Box::new(RecordFaces { card, catalog, index: sources.idx, dealt, rest }))
}

/// Who is kept out of training, for the card.
fn split_note(label: &str, persons: usize) -> String {
    match (label, persons < ONE_IN) {
        (UNSEEN, _) => format!("persons kept out of training: every {ONE_IN}th of {persons}"),
        (_, true) => format!(
            "{CLOSED_NOTE}; only {persons} persons, so none is kept out (that takes {ONE_IN} or \
             more)"
        ),
        (_, false) => format!("{CLOSED_NOTE}: every {ONE_IN}th of {persons}"),
    }
}

type People = Vec<(usize, u64)>;

/// Entries of the persons to train on, and of those to keep out: every tenth, in the order of their
/// labels.
fn hold_out_persons(catalog: &Catalog) -> (People, People) {
    let labels = catalog.labels();
    let out: std::collections::HashSet<u64> =
        labels.iter().skip(ONE_IN - 1).step_by(ONE_IN).map(|&(label, _)| person(label)).collect();
    let people = catalog.entries.iter().enumerate().map(|(i, e)| (i, person(e.label)));
    people.partition(|(_, who)| !out.contains(who))
}

/// A label as a number that orders as labels do, as far as these are not negative; whole labels are
/// themselves.
fn person(label: f32) -> u64 {
    if label >= 0.0 && label.fract() == 0.0 {
        label as u64
    } else {
        (1 << 40) + u64::from(label.to_bits())
    }
}

/// What the list calls a person, else the label.
fn name_of(catalog: &Catalog, who: u64) -> String {
    let label = match who.checked_sub(1 << 40) {
        Some(bits) => f32::from_bits(bits as u32),
        None => who as f32,
    };
    catalog.names.get(&label.to_bits()).cloned().unwrap_or_else(|| label.to_string())
}

fn too_few(name: &str, persons: usize) -> DatasetError {
    DatasetError::request(
        name,
        format!(
            "label `{UNSEEN}`, but there are only {persons} persons and none is kept out of \
             training"
        ),
        format!("use a file of {ONE_IN} persons or more, or label = \"{IDENTITY}\""),
    )
}

struct RecordFaces {
    card: Card,
    catalog: Catalog,
    /// The `.idx` file, where there is one.
    index: Option<PathBuf>,
    dealt: Dealt,
    /// Images in no split.
    rest: Vec<usize>,
}

impl RecordFaces {
    fn item(&self, split: Split, id: usize) -> Result<(&Entry, u32), DatasetError> {
        check_ids(&self.card.name, split, &[id], self.len(split))?;
        let (entry, class) = self.dealt.splits[split_index(split)][id];
        Ok((&self.catalog.entries[entry], class))
    }

    /// The image of a record; one that is damaged where opening does not look ends what was to be
    /// done with it.
    fn decode(&self, entry: &Entry) -> Result<Pixels, DatasetError> {
        let failed = |fault: Fault| fault.error(&self.catalog.path, &self.remedy(entry));
        let record = self.catalog.read(entry).map_err(failed)?;
        decode_square(&record.payload, self.card.height).map_err(|mut e| {
            e.place = format!("record {} at byte {}, {}", entry.key, entry.offset, e.place);
            e.remedy = self.remedy(entry);
            e.at(&self.catalog.path)
        })
    }

    /// How to go on without a record whose damage shows only when it is decoded: one that the index
    /// does not name is not looked at.
    fn remedy(&self, entry: &Entry) -> String {
        match &self.index {
            Some(index) => format!(
                "get the file again, or leave the record out: remove the line of key {} from {}",
                entry.key,
                index.display()
            ),
            None => {
                "get the file again, or leave the record out: put an .idx beside it that does not \
                 name it"
                    .into()
            }
        }
    }
}

impl Dataset for RecordFaces {
    fn card(&self) -> &Card {
        &self.card
    }

    fn len(&self, split: Split) -> usize {
        self.dealt.splits[split_index(split)].len()
    }

    fn label(&self, split: Split, id: usize) -> Result<i64, DatasetError> {
        Ok(i64::from(self.item(split, id)?.1))
    }

    fn identity(&self, split: Split, id: usize) -> Option<u64> {
        self.item(split, id).ok().map(|(entry, _)| person(entry.label))
    }

    fn batch(&self, split: Split, ids: &[usize]) -> Result<Batch, DatasetError> {
        check_ids(&self.card.name, split, ids, self.len(split))?;
        let labels: Vec<i64> =
            ids.iter().map(|&id| self.label(split, id)).collect::<Result<_, _>>()?;
        let x = images(&self.card, ids, |id, out| {
            planes(&self.decode(self.item(split, id)?.0)?.data, self.card.channels, out);
            Ok(())
        })?;
        Ok(Batch { x, y: Tensor::from_slice(&labels), ids: ids.to_vec() })
    }

    /// The split's own faults; those of records in no split count to test, those that are no images
    /// to train.
    fn problems(&self, split: Split) -> Vec<DatasetError> {
        let rest = if split == Split::Test { self.rest.as_slice() } else { &[] };
        let own = self.dealt.splits[split_index(split)]
            .par_iter()
            .map(|i| i.0)
            .chain(rest.par_iter().copied());
        let mut found: Vec<DatasetError> =
            own.filter_map(|i| self.decode(&self.catalog.entries[i]).err()).collect();
        if split == Split::Train {
            found.extend(self.catalog.faults.iter().map(|f| f.error(&self.catalog.path, REMEDY)));
        }
        found
    }
}

fn card(name: &str, rec: &Path) -> Card {
    let rec = rec.display().to_string();
    Card::new(name, format!("faces in {rec}"), "that of your images", rec)
}
