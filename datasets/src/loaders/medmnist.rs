//! MedMNIST's `.npz` files: six arrays, `{train,val,test}_{images,labels}`; any file of that layout
//! can be named.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use suites::foreign::{self, limits};

use super::lazy::Lazy;
use super::medmnist_sets::{SETS, Set};
use super::packed::{Packed, Segment, Source};
use super::places;
use crate::dataset::SPLITS;
use crate::formats::{FormatError, npz::Npz};
use crate::{Card, Dataset, DatasetEntry, DatasetError, LabelKind, Presence, Request};

const REFERENCE: &str = "J. Yang et al., MedMNIST v2: a large-scale lightweight benchmark for 2D \
    and 3D biomedical image classification, Scientific Data, 2023";
/// Sides that MedMNIST+ offers in files of their own.
const SIDES: [usize; 3] = [64, 128, 224];
/// Side of the images in a file whose name gives none.
const PLAIN_SIDE: usize = 28;

/// Registry lines of the twelve sets.
pub(crate) static ENTRIES: &[&DatasetEntry] = &[
    &entry::<0>(),
    &entry::<1>(),
    &entry::<2>(),
    &entry::<3>(),
    &entry::<4>(),
    &entry::<5>(),
    &entry::<6>(),
    &entry::<7>(),
    &entry::<8>(),
    &entry::<9>(),
    &entry::<10>(),
    &entry::<11>(),
];

const fn entry<const I: usize>() -> DatasetEntry {
    DatasetEntry {
        name: SETS[I].name,
        summary: SETS[I].summary,
        reference: REFERENCE,
        licence: SETS[I].licence,
        open: open_set::<I>,
        present: present::<I>,
        fetch: Some(SETS[I].name),
    }
}

fn present<const I: usize>(root: Option<&Path>) -> Presence {
    places::presence(find(&SETS[I], root, None).map(|mut files| files.swap_remove(0)))
}

fn open_set<const I: usize>(req: &Request) -> Result<Box<dyn Dataset>, DatasetError> {
    let set = &SETS[I];
    req.checked_size(set.name)?;
    let files = find(set, req.root, req.size)?;
    let others: Vec<String> = files[1..].iter().map(|p| file_name(p)).collect();
    let note = (!others.is_empty()).then(|| format!("also found, not read: {}", others.join(", ")));
    read(&files[0], set.name, Some(set), note, req)
}

/// Opens the file that a name ending in `.npz` names: as it stands, below the data root, or in
/// `medmnist/` there.
///
/// # Errors
/// No such file, or one that is not laid out as MedMNIST's are.
pub(crate) fn open_named(name: &str, req: &Request) -> Result<Box<dyn Dataset>, DatasetError> {
    let root = req.root.unwrap_or(Path::new(""));
    let places = [root.join("medmnist").join(name), root.join(name), PathBuf::from(name)];
    let Some(path) = places.iter().find(|p| p.is_file()) else {
        return Err(DatasetError::Missing {
            what: name.to_string(),
            looked: places.each_ref().map(|p| p.display().to_string()).join(", "),
            remedy:
                "correct the path (a relative one starts from the data folder or its medmnist/)"
                    .into(),
        });
    };
    let stem = file_name(path).to_lowercase();
    let set = SETS.iter().position(|s| stem.starts_with(s.name)).map(|i| &SETS[i]);
    read(path, name, set, None, req)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The set's files, the most fitting one first.
fn find(set: &Set, root: Option<&Path>, size: Option<usize>) -> Result<Vec<PathBuf>, DatasetError> {
    let remedy = format!(
        "run `bench data fetch {0}`, or put {0}.npz in medmnist/ below the data folder",
        set.name
    );
    let dirs = places::folders(set.title, root, &["medmnist"], &remedy)?;
    let plain = format!("{}.npz", set.name);
    let mut found = Vec::new();
    for (place, dir) in dirs.iter().enumerate() {
        let fits = |n: &String| n.starts_with(set.name) && n.ends_with(".npz");
        for name in places::listing(dir)?.into_iter().filter(fits) {
            found.push((rank(set, &name, size), place, name != plain, dir.join(&name)));
        }
    }
    found.sort();
    if found.is_empty() {
        let looked = dirs[0].display().to_string();
        return Err(DatasetError::Missing {
            what: format!("{plain} (or {}*.npz)", set.name),
            looked,
            remedy,
        });
    }
    Ok(found.into_iter().map(|(.., path)| path).collect())
}

/// How well a file's images serve for a size, the least best: those of the size or the next larger
/// one, then the next smaller one.
fn rank(set: &Set, name: &str, size: Option<usize>) -> (bool, usize) {
    let named = |side: &usize| *name == format!("{}_{side}.npz", set.name);
    let side = SIDES.into_iter().find(named).unwrap_or(PLAIN_SIDE);
    let wanted = size.unwrap_or(PLAIN_SIDE);
    (side < wanted, side.abs_diff(wanted))
}

fn read(
    path: &Path,
    name: &str,
    set: Option<&Set>,
    note: Option<String>,
    req: &Request,
) -> Result<Box<dyn Dataset>, DatasetError> {
    req.refuse_label(name)?;
    let size = req.checked_size(name)?;
    let contents = scan(path, set)?;
    let mut card = card(name, set, &contents);
    card.notes.push(format!("read from {}", file_name(path)));
    card.notes.extend(note);
    let (height, width) = contents.sides;
    card.notes.extend(size.filter(|&s| s > height.min(width)).map(|s| {
        format!(
            "its images of {height}x{width} pixels are enlarged to {s}x{s}: that adds no detail"
        )
    }));
    let mut packed = Packed {
        card,
        stored: contents.sides,
        size,
        sources: Vec::new(),
        splits: Default::default(),
    };
    for (split, labels) in contents.labels.into_iter().enumerate() {
        let Some(labels) = labels else { continue };
        let len = labels.len() / contents.width;
        packed.splits[split].extend((len > 0).then_some(Segment {
            source: packed.sources.len(),
            start: 0,
            len,
        }));
        packed.sources.push(source(path, &format!("{}_images", SPLITS[split]), labels, req.limit));
    }
    Ok(Box::new(packed.sized()))
}

fn source(path: &Path, array: &str, labels: Vec<u8>, limit: Option<usize>) -> Source {
    let (path, array) = (path.to_path_buf(), array.to_string());
    Source {
        labels: Lazy::new(move || Ok(labels.clone())),
        pixels: Lazy::new(move || {
            open_npz(&path)?.bytes(&array, limit).map(|(_, pixels)| pixels).map_err(|e| e.at(&path))
        }),
    }
}

fn open_npz(path: &Path) -> Result<Npz<BufReader<File>>, DatasetError> {
    let (file, _) = foreign::open(path, &limits::ARRAYS).map_err(|e| DatasetError::io(path, e))?;
    Npz::open(BufReader::new(file)).map_err(|e| e.at(path))
}

/// What the headers and the label arrays tell.
struct Contents {
    sides: (usize, usize),
    channels: usize,
    /// Labels per example.
    width: usize,
    classes: usize,
    /// Train, val, test: `[n, width]`.
    labels: [Option<Vec<u8>>; 3],
}

fn scan(path: &Path, set: Option<&Set>) -> Result<Contents, DatasetError> {
    let mut file = open_npz(path)?;
    let names = file.names();
    let mut faults = Vec::new();
    let mut seen: Option<Contents> = None;
    for (index, split) in SPLITS.iter().enumerate() {
        if index > 0 && !names.contains(&format!("{split}_images")) {
            continue;
        }
        let at = |e: FormatError| e.at(path);
        match split_of(&mut file, split.name(), set)
            .and_then(|part| join(&mut seen, part, index, split.name()))
        {
            Ok(()) => {}
            Err(fault) => faults.push(at(fault)),
        }
    }
    DatasetError::collect(faults)?;
    let empty = || {
        FormatError::new("array train_images", "no examples", "the file needs a training split")
            .at(path)
    };
    let seen = seen.ok_or_else(empty)?;
    if seen.labels[0].as_ref().is_none_or(Vec::is_empty) { Err(empty()) } else { Ok(seen) }
}

/// One split's shape and labels.
struct Part {
    sides: (usize, usize),
    channels: usize,
    width: usize,
    labels: Vec<u8>,
}

fn split_of(
    file: &mut Npz<BufReader<File>>,
    split: &str,
    set: Option<&Set>,
) -> Result<Part, FormatError> {
    let (images, labels) = (format!("{split}_images"), format!("{split}_labels"));
    let shape = file.header(&images)?.shape;
    let (n, sides, channels) = match shape[..] {
        [n, h, w] => (n, (h, w), 1),
        [n, h, w, c @ (1 | 3)] => (n, (h, w), c),
        _ => (0, (0, 0), 0),
    };
    if sides.0 == 0 || sides.1 == 0 {
        let problem = format!("shape {shape:?}");
        return Err(FormatError::new(
            format!("array {images}"),
            problem,
            "images are [n, height, width] or [n, height, width, 3]",
        ));
    }
    if let Some(set) = set.filter(|s| s.channels != channels) {
        let problem = format!("{channels} colour channels, {} has {}", set.title, set.channels);
        return Err(FormatError::new(
            format!("array {images}"),
            problem,
            "this is another set's file: rename it",
        ));
    }
    let (width, labels) = labels_of(file, &labels, n, set)?;
    Ok(Part { sides, channels, width, labels })
}

/// Labels per example, and the labels of `n` examples.
fn labels_of(
    file: &mut Npz<BufReader<File>>,
    array: &str,
    n: usize,
    set: Option<&Set>,
) -> Result<(usize, Vec<u8>), FormatError> {
    let (header, values) = file.integers(array)?;
    let width = match header.shape[..] {
        [m] if m == n => 1,
        [m, k] if m == n && k > 0 => k,
        _ => {
            let problem = format!("shape {:?} for {n} images", header.shape);
            return Err(FormatError::new(
                format!("array {array}"),
                problem,
                "labels are [n], [n, 1] or [n, labels]",
            ));
        }
    };
    Ok((width, ranged(&values, width, set, array)?))
}

/// Checks every label against the set's classes (or 0 to 255 in an unknown set).
fn ranged(
    values: &[i64],
    width: usize,
    set: Option<&Set>,
    array: &str,
) -> Result<Vec<u8>, FormatError> {
    let wanted =
        set.map_or(width, |s| if s.labels == LabelKind::MultiLabel { s.classes.len() } else { 1 });
    if width != wanted {
        let problem = format!("{width} labels an example, {wanted} are expected");
        return Err(FormatError::new(
            format!("array {array}"),
            problem,
            "this is another set's file: rename it",
        ));
    }
    let most = if width > 1 { 1 } else { set.map_or(255, |s| s.classes.len() as i64 - 1) };
    match values.iter().position(|v| !(0..=most).contains(v)) {
        None => Ok(values.iter().map(|&v| v as u8).collect()),
        Some(at) => Err(FormatError::new(
            format!("array {array}, example {}", at / width),
            format!("label {}", values[at]),
            match set {
                None => format!("labels are 0 to {most}: number the classes from 0"),
                Some(_) => format!(
                    "labels are 0 to {most}: get the file again, or rename it if it is another set"
                ),
            },
        )),
    }
}

/// Adds one split, which must look like those before it.
fn join(
    seen: &mut Option<Contents>,
    part: Part,
    index: usize,
    split: &str,
) -> Result<(), FormatError> {
    let top = part.labels.iter().max().map_or(0, |&l| usize::from(l) + 1);
    let contents = seen.get_or_insert(Contents {
        sides: part.sides,
        channels: part.channels,
        width: part.width,
        classes: 0,
        labels: [None, None, None],
    });
    if (contents.sides, contents.channels, contents.width)
        != (part.sides, part.channels, part.width)
    {
        let problem = "another image size, colour or number of labels than in the split before it";
        return Err(FormatError::new(
            format!("array {split}_images"),
            problem,
            "save all splits alike",
        ));
    }
    contents.classes = contents.classes.max(if part.width > 1 { part.width } else { top });
    contents.labels[index] = Some(part.labels);
    Ok(())
}

/// Where an example may have several labels: how many have none, or that each has one.
fn counts_of_labels(contents: &Contents) -> Option<String> {
    let width = contents.width;
    if width < 2 {
        return None;
    }
    let rows = || contents.labels.iter().flatten().flat_map(|labels| labels.chunks_exact(width));
    let labels = |row: &[u8]| row.iter().map(|&l| usize::from(l)).sum::<usize>();
    let (all, none) = (rows().count(), rows().filter(|row| labels(row) == 0).count());
    Some(if rows().all(|row| labels(row) == 1) {
        format!(
            "{width} labels, and every example has one of them: as class numbers [n, 1] they would \
             be read as classes"
        )
    } else {
        format!("{width} labels; {none} of {all} examples have none of them")
    })
}

fn card(name: &str, set: Option<&Set>, contents: &Contents) -> Card {
    let several = contents.width > 1;
    let (title, licence, source) =
        set.map_or((name, "that of the file", name), |s| (s.title, s.licence, REFERENCE));
    let card = Card {
        channels: contents.channels,
        labels: if several { LabelKind::MultiLabel } else { LabelKind::MultiClass },
        mean: vec![0.5; contents.channels],
        std: vec![0.5; contents.channels],
        notes: set
            .filter(|s| s.ordinal)
            .map(|_| "classes are ordered grades".into())
            .into_iter()
            .chain(counts_of_labels(contents))
            .collect(),
        ..Card::new(name, title, licence, source)
    };
    match set {
        Some(set) => card.with_classes(set.classes.iter().copied()),
        None => card.with_classes((0..contents.classes).map(|c| c.to_string())),
    }
}
