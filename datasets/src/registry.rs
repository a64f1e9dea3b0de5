//! All data sets by name: opening, presence, verification.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use suites::{Registered, Registry, Split};

use crate::dataset::{SPLITS, check_ids};
use crate::error::nearest;
use crate::{Batch, Card, Dataset, DatasetError, Request, embedded, loaders};

/// Whether a data set is available on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Part of the program.
    Embedded,
    /// Files found at this place.
    Present(PathBuf),
    /// Not found; the text says how to get it or where to put it.
    Absent(String),
}

/// One line of the registry.
pub struct DatasetEntry {
    /// Unique kebab-case name.
    pub name: &'static str,
    /// One line on what it is.
    pub summary: &'static str,
    /// Paper or origin.
    pub reference: &'static str,
    /// Licence or terms of use.
    pub licence: &'static str,
    /// Opens it; reads lists and headers, no pixels.
    pub open: fn(&Request) -> Result<Box<dyn Dataset>, DatasetError>,
    /// Reports whether its files are below a data root.
    pub present: fn(Option<&Path>) -> Presence,
    /// The name under which [`crate::fetch`] can download it, where it can.
    pub fetch: Option<&'static str>,
}

impl DatasetEntry {
    /// A card under the entry's name, licence and reference.
    pub fn card(&self, title: impl Into<String>) -> Card {
        Card::new(self.name, title, self.licence, self.reference)
    }
}

impl Registered for DatasetEntry {
    fn name(&self) -> &'static str {
        self.name
    }
}

/// The data sets that ship with the project, embedded ones first.
pub fn builtin() -> Registry<DatasetEntry> {
    let lists = [embedded::ENTRIES, loaders::ENTRIES, loaders::MEDMNIST_ENTRIES];
    Registry::builtin("data set", &lists.concat())
}

/// Opens a data set by name; `folder:PATH` (class folders of images), `recordio:PATH` (a `.rec`
/// file of faces) and `FILE.npz` (MedMNIST's layout) name a place instead.
///
/// # Errors
/// An unknown name, absent or faulty files, or a request that the set cannot serve.
pub fn open(name: &str, req: &Request) -> Result<Box<dyn Dataset>, DatasetError> {
    open_from(&builtin(), name, req)
}

/// As [`open`], with the names of `sets`.
///
/// # Errors
/// As [`open`].
pub fn open_from(
    sets: &Registry<DatasetEntry>,
    name: &str,
    req: &Request,
) -> Result<Box<dyn Dataset>, DatasetError> {
    let inner = if let Some(path) = name.strip_prefix("folder:") {
        loaders::open_folder(name, path, req)?
    } else if let Some(path) = name.strip_prefix("recordio:") {
        loaders::open_recordio(name, path, req)?
    } else if name.ends_with(".npz") {
        loaders::open_npz(name, req)?
    } else {
        let unknown = || DatasetError::Unknown {
            what: "data set",
            name: name.to_string(),
            hint: nearest(name, sets.names()),
        };
        (sets.get(name).ok_or_else(unknown)?.open)(req)?
    };
    match req.limit {
        None => Ok(inner),
        Some(0) => Err(DatasetError::request(
            name,
            "limit = 0 leaves no example",
            "ask for at least 1, or leave `limit` out",
        )),
        Some(limit) => Ok(Box::new(Limited { inner, limit })),
    }
}

/// The first `limit` examples of every split.
struct Limited {
    inner: Box<dyn Dataset>,
    limit: usize,
}

impl Dataset for Limited {
    fn card(&self) -> &Card {
        self.inner.card()
    }

    fn len(&self, split: Split) -> usize {
        self.inner.len(split).min(self.limit)
    }

    fn label(&self, split: Split, id: usize) -> Result<i64, DatasetError> {
        check_ids(&self.card().name, split, &[id], self.len(split))?;
        self.inner.label(split, id)
    }

    fn identity(&self, split: Split, id: usize) -> Option<u64> {
        (id < self.len(split)).then(|| self.inner.identity(split, id)).flatten()
    }

    fn batch(&self, split: Split, ids: &[usize]) -> Result<Batch, DatasetError> {
        check_ids(&self.card().name, split, ids, self.len(split))?;
        self.inner.batch(split, ids)
    }

    fn problems(&self, split: Split) -> Vec<DatasetError> {
        self.inner.problems(split)
    }
}

/// What a full read of a data set found.
#[derive(Debug)]
pub struct VerifyReport {
    /// The data set's card, where it opened at all.
    pub card: Option<Card>,
    /// Per split: how many examples, and how many of each class.
    pub splits: Vec<SplitCount>,
    /// Every fault found, one error each.
    pub problems: Vec<DatasetError>,
}

/// Contents of one split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitCount {
    /// Which split.
    pub split: Split,
    /// Number of examples.
    pub examples: usize,
    /// Examples per class (multi-label: by first positive class).
    pub per_class: Vec<usize>,
    /// Examples without any class (multi-label sets only).
    pub unlabelled: usize,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Reads a data set from end to end: decodes every example, checks counts and label ranges, and
/// lists every fault.
///
/// # Errors
/// Only when there is nothing to verify: an unknown name, an impossible request, or absent files.
pub fn verify(name: &str, req: &Request) -> Result<VerifyReport, DatasetError> {
    verify_from(&builtin(), name, req)
}

/// As [`verify`], with the names of `sets`.
///
/// # Errors
/// As [`verify`].
pub fn verify_from(
    sets: &Registry<DatasetEntry>,
    name: &str,
    req: &Request,
) -> Result<VerifyReport, DatasetError> {
    let data = match open_from(sets, name, req) {
        Ok(data) => data,
        Err(
            fault @ (DatasetError::Unknown { .. }
            | DatasetError::Missing { .. }
            | DatasetError::Request { .. }),
        ) => return Err(fault),
        Err(fault) => {
            return Ok(VerifyReport { card: None, splits: vec![], problems: fault.into_vec() });
        }
    };
    let mut problems = Vec::new();
    let splits = SPLITS.iter().map(|&s| count(data.as_ref(), s, &mut problems)).collect();
    for split in SPLITS {
        problems.extend(data.problems(split));
    }
    let mut messages = HashSet::new();
    problems.retain(|fault| messages.insert(fault.to_string()));
    Ok(VerifyReport { card: Some(data.card().clone()), splits, problems })
}

fn count(data: &dyn Dataset, split: Split, problems: &mut Vec<DatasetError>) -> SplitCount {
    let classes = data.card().classes;
    let mut found =
        SplitCount { split, examples: data.len(split), per_class: vec![0; classes], unlabelled: 0 };
    for id in 0..found.examples {
        match data.label(split, id) {
            Ok(label) => match usize::try_from(label) {
                Ok(class) if class < classes => found.per_class[class] += 1,
                _ => found.unlabelled += 1,
            },
            Err(fault) => {
                problems.push(fault);
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_named_once_and_says_what_it_is() {
        let mut names: Vec<&str> = builtin().names().collect();
        for entry in builtin().iter() {
            let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(entry.name.chars().all(kebab), "{}", entry.name);
            assert!(!entry.summary.is_empty() && !entry.summary.contains('\n'), "{}", entry.name);
            assert!(!entry.reference.is_empty() && !entry.licence.is_empty(), "{}", entry.name);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), builtin().iter().count());
        assert!(["photos", "celeba", "mnist", "chestmnist"].iter().all(|n| names.contains(n)));
    }

    #[test]
    fn embedded_sets_open_and_verify() {
        for entry in builtin().iter().filter(|e| (e.present)(None) == Presence::Embedded) {
            let report = verify(entry.name, &Request::default()).unwrap();
            assert!(report.is_sound(), "{}: {:?}", entry.name, report.problems);
            let card = report.card.unwrap();
            assert_eq!((card.name.as_str(), card.mean.len()), (entry.name, card.channels));
        }
    }

    #[test]
    fn limits_hold_in_every_split() {
        let req = Request { limit: Some(3), ..Default::default() };
        let data = open("digits", &req).unwrap();
        assert_eq!(SPLITS.map(|s| data.len(s)), [3, 3, 3]);
        assert!(data.label(Split::Train, 3).is_err() && data.batch(Split::Test, &[3]).is_err());
    }
}
