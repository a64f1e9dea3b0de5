//! CIFAR-10: the binary version (whole or some of its files), else class folders of images.

use std::path::{Path, PathBuf};

use suites::foreign::limits;

use super::lazy::Lazy;
use super::packed::{Packed, Source, segments};
use super::{folder, held_out, places};
use crate::formats::cifar_bin;
use crate::{Card, Dataset, DatasetEntry, DatasetError, Request};

const REMEDY: &str = "run `bench data fetch cifar10`, or put data_batch_1.bin to data_batch_5.bin \
    and test_batch.bin in cifar10/ below the data folder";
const FOLDERS: [&str; 4] =
    ["cifar10", "cifar10/cifar-10-batches-bin", "cifar-10-batches-bin", "CIFAR10"];
const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
const SIDE: usize = 32;

pub(super) static ENTRY: DatasetEntry = DatasetEntry {
    name: "cifar10",
    summary: "objects in ten classes, 32x32 colour, 50,000 train (the last 5,000 are val) and \
        10,000 test",
    reference: "A. Krizhevsky, Learning multiple layers of features from tiny images, 2009",
    licence: "no licence stated; customary for research, with citation",
    open,
    present: |root| places::presence(find(root).map(|found| found.place())),
    fetch: Some("cifar10"),
};

enum Found {
    /// Training files in order, and the test file where there is one.
    Binary { train: Vec<PathBuf>, test: Option<PathBuf> },
    /// A folder with class folders, or with `train/` and `test/` of such.
    Folders(PathBuf),
}

impl Found {
    fn place(&self) -> PathBuf {
        match self {
            Found::Binary { train, .. } => train[0].parent().unwrap_or(Path::new("")).to_path_buf(),
            Found::Folders(dir) => dir.clone(),
        }
    }
}

fn find(root: Option<&Path>) -> Result<Found, DatasetError> {
    let dirs = places::folders("CIFAR-10", root, &FOLDERS, REMEDY)?;
    for dir in &dirs {
        let is_train = |n: &String| n.starts_with("data_batch_") && n.ends_with(".bin");
        let train: Vec<PathBuf> =
            places::listing(dir)?.iter().filter(|n| is_train(n)).map(|n| dir.join(n)).collect();
        if !train.is_empty() {
            let test = dir.join("test_batch.bin");
            return Ok(Found::Binary { train, test: test.exists().then_some(test) });
        }
    }
    let has_classes =
        |d: &&PathBuf| [d.join("airplane"), d.join("train/airplane")].iter().any(|c| c.is_dir());
    match dirs.iter().find(has_classes) {
        Some(dir) => Ok(Found::Folders(dir.clone())),
        None => Err(DatasetError::missing("CIFAR-10's data_batch_*.bin", &dirs[0], REMEDY)),
    }
}

fn open(req: &Request) -> Result<Box<dyn Dataset>, DatasetError> {
    req.refuse_label(ENTRY.name)?;
    let size = req.checked_size(ENTRY.name)?;
    match find(req.root)? {
        Found::Binary { train, test } => binary(train, test, size),
        Found::Folders(dir) => {
            let mut card = card();
            card.notes.push(format!("read from image files in {}", dir.display()));
            folder::read(&dir, card, size.unwrap_or(SIDE), Some(&CLASSES))
        }
    }
}

fn binary(
    train: Vec<PathBuf>,
    test: Option<PathBuf>,
    size: Option<usize>,
) -> Result<Box<dyn Dataset>, DatasetError> {
    let (train_lens, train_faults) = counts(&train);
    let (test_lens, test_faults) = counts(test.as_slice());
    DatasetError::collect(train_faults.into_iter().chain(test_faults).collect())?;
    let lens: Vec<usize> = train_lens.iter().chain(&test_lens).copied().collect();
    let (all_train, all): (usize, usize) = (train_lens.iter().sum(), lens.iter().sum());
    let test_start = if test.is_some() { all_train } else { all_train - held_out(all_train) };
    let val_start = test_start - held_out(all_train);
    let mut card = card();
    card.notes.push("the val split is the end of the training files".into());
    if test.is_none() {
        card.notes.push(
            "no test_batch.bin: the last tenth of the training records is the test split".into(),
        );
    }
    if all_train != 50_000 {
        card.notes.push(format!("a partial copy: {all_train} of 50,000 training records"));
    }
    let packed = Packed {
        card,
        stored: (SIDE, SIDE),
        size,
        sources: train.into_iter().chain(test).map(source).collect(),
        splits: [
            segments(&lens, 0, val_start),
            segments(&lens, val_start, test_start),
            segments(&lens, test_start, all),
        ],
    };
    Ok(Box::new(packed.sized()))
}

/// Records per file, from the files' sizes.
fn counts(files: &[PathBuf]) -> (Vec<usize>, Vec<DatasetError>) {
    let mut found = (Vec::new(), Vec::new());
    for path in files {
        let size = std::fs::metadata(path).map(|m| m.len()).map_err(|e| DatasetError::io(path, e));
        match size.and_then(|size| cifar_bin::count(size).map_err(|e| e.at(path))) {
            Ok(count) => found.0.push(count),
            Err(fault) => found.1.push(fault),
        }
    }
    found
}

fn source(path: PathBuf) -> Source {
    let again = path.clone();
    Source {
        labels: Lazy::new(move || {
            let bytes = places::read(&path, &limits::ARRAYS)?;
            let records = cifar_bin::parse(&bytes).map_err(|e| e.at(&path))?;
            Ok(records.iter().map(|(label, _)| label).collect())
        }),
        pixels: Lazy::new(move || {
            let bytes = places::read(&again, &limits::ARRAYS)?;
            let records = cifar_bin::parse(&bytes).map_err(|e| e.at(&again))?;
            Ok(records.iter().flat_map(|(_, planes)| interleave(planes)).collect())
        }),
    }
}

/// `[3, area]` to `[area, 3]`.
fn interleave(planes: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let area = planes.len() / 3;
    (0..planes.len()).map(move |i| planes[i % 3 * area + i / 3])
}

fn card() -> Card {
    Card {
        mean: vec![0.4914, 0.4822, 0.4465],
        std: vec![0.2470, 0.2435, 0.2616],
        ..ENTRY.card("CIFAR-10").square(SIDE).with_classes(CLASSES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_interleaved() {
        assert_eq!(interleave(&[1, 2, 3, 4, 5, 6]).collect::<Vec<_>>(), [1, 3, 5, 2, 4, 6]);
    }
}
