//! Class folders of images, with or without `train/`, `val/` and `test/` above them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::image_files::{ImageFiles, Item};
use super::{held_out, places};
use crate::card::{IMAGENET_MEAN, IMAGENET_STD};
use crate::pictures::{self, PassedOver};
use crate::{Card, Dataset, DatasetEntry, DatasetError, Request};

const NAME: &str = "folder";
const REMEDY: &str = "put one folder of images per class in folder/ below the data folder (or in \
    train/, val/ and test/ there), or name the place as `folder:PATH`";
/// Side of the images where none is asked for, in pixels.
const SIDE: usize = 64;
/// Names of the three splits' folders.
const SPLITS: [&[&str]; 3] =
    [&["train", "training"], &["val", "valid", "validation"], &["test", "testing"]];
pub(super) static ENTRY: DatasetEntry = DatasetEntry {
    name: NAME,
    summary: "your own images, a folder per class; `folder:PATH` names the place",
    reference: "the layout of torchvision's ImageFolder",
    licence: "that of your images",
    open: |req| open_in(find(req.root)?, NAME, req),
    present: |root| places::presence(find(root)),
    fetch: None,
};

fn find(root: Option<&Path>) -> Result<PathBuf, DatasetError> {
    let dirs = places::folders("class folders of images", root, &["folder"], REMEDY)?;
    let missing = || DatasetError::missing("class folders of images", &dirs[0], REMEDY);
    // `folder/` is meant for nothing else, and says itself what is wrong with it; a data root holds
    // other data sets as well, whose pictures lie deeper.
    let holds_images = |dir: &&PathBuf| {
        let place = split_place(dir, SPLITS[0]).ok().flatten();
        let place = place.as_deref().unwrap_or(dir);
        let listed = |at: &Path| pictures::listing(at, &mut PassedOver::default());
        let direct = |name: &String| {
            listed(&place.join(name)).is_ok_and(|all| all.iter().any(|n| pictures::is_picture(n)))
        };
        listed(place).is_ok_and(|all| all.iter().any(direct))
    };
    dirs.iter()
        .find(|dir| (dirs.len() > 1 && **dir == dirs[0]) || holds_images(dir))
        .cloned()
        .ok_or_else(missing)
}

/// Opens `folder:PATH`; a relative path starts from the data root.
///
/// # Errors
/// As for `folder`.
pub(crate) fn open_at(
    name: &str,
    path: &str,
    req: &Request,
) -> Result<Box<dyn Dataset>, DatasetError> {
    let dir = req.root.unwrap_or(Path::new("")).join(path);
    if !dir.is_dir() {
        let remedy =
            "correct the path after `folder:` (a relative one starts from the data folder)";
        return Err(DatasetError::missing("class folders of images", &dir, remedy));
    }
    open_in(dir, name, req)
}

fn open_in(dir: PathBuf, name: &str, req: &Request) -> Result<Box<dyn Dataset>, DatasetError> {
    req.refuse_label(name)?;
    let size = req.checked_size(name)?.unwrap_or(SIDE);
    read(&dir, card(name, &dir), size, None)
}

/// Lists the images below `dir`; classes are its folders in alphabetical order, or `known` ones in
/// theirs. What is passed over is counted in the card's notes.
///
/// # Errors
/// No images, a class folder without any that is read, one in val or test that train lacks, or an
/// unreadable folder.
pub(super) fn read(
    dir: &Path,
    mut card: Card,
    size: usize,
    known: Option<&[&str]>,
) -> Result<Box<dyn Dataset>, DatasetError> {
    let mut passed = PassedOver::default();
    let [train, val, test] =
        [split_place(dir, SPLITS[0])?, split_place(dir, SPLITS[1])?, split_place(dir, SPLITS[2])?];
    let above = train.is_some();
    let train = train.unwrap_or_else(|| dir.to_path_buf());
    let classes: Vec<String> = match known {
        Some(known) => known.iter().map(ToString::to_string).collect(),
        None => classes_of(&train, &mut PassedOver::default())?,
    };
    let mut splits: [Vec<Item>; 3] = Default::default();
    splits[0] = items(dir, &train, &classes, &mut passed)?;
    for (split, place) in [(1, &val), (2, &test)] {
        if let (true, Some(place)) = (above, place) {
            splits[split] = items(dir, place, &classes, &mut passed)?;
        }
    }
    if splits[0].is_empty() {
        let what = "images (png, jpg, bmp, ppm ...) in class folders";
        return Err(DatasetError::missing(what, &train, REMEDY));
    }
    hold_out(&mut splits, &mut card.notes);
    if above {
        let used = [Some(train), val, test].map(|place| place.unwrap_or_default());
        card.notes.extend(beside(dir, &used)?);
    }
    card.notes.extend(passed.notes());
    let card = card.square(size).with_classes(classes);
    Ok(Box::new(ImageFiles { card, dir: dir.to_path_buf(), splits }))
}

/// The folder of a split: by one of these names, else by one that differs in case alone.
fn split_place(dir: &Path, names: &[&str]) -> Result<Option<PathBuf>, DatasetError> {
    if let Some(exact) = names.iter().map(|name| dir.join(name)).find(|place| place.is_dir()) {
        return Ok(Some(exact));
    }
    let all = places::listing(dir)?.into_iter().filter(|n| names.contains(&&*n.to_lowercase()));
    Ok(all.map(|name| dir.join(name)).find(|place| place.is_dir()))
}

/// What lies beside the folders of the splits, for a note.
fn beside(dir: &Path, used: &[PathBuf]) -> Result<Option<String>, DatasetError> {
    let listed = pictures::listing(dir, &mut PassedOver::default());
    let all = listed.map_err(|e| DatasetError::io(dir, e))?.into_iter();
    let others: Vec<String> =
        all.filter(|name| dir.join(name).is_dir() && !used.contains(&dir.join(name))).collect();
    Ok((!others.is_empty())
        .then(|| format!("folders beside those of the splits are not read: {}", others.join(", "))))
}

/// Fills an absent test and val split from the end of train.
fn hold_out(splits: &mut [Vec<Item>; 3], notes: &mut Vec<String>) {
    let share = held_out(splits[0].len());
    for (split, name) in [(2, "test"), (1, "val")] {
        if splits[split].is_empty() && share > 0 {
            let from = splits[0].len() - share;
            splits[split] = splits[0].split_off(from);
            notes.push(format!(
                "no {name}/ folder: {share} images of train, of every class its share, are the \
                 {name} split"
            ));
        }
    }
}

/// Sub-folders, each a class, sorted; files beside them are passed over.
///
/// # Errors
/// A folder without a picture that is read (without its class, those behind it would have another
/// number), and a single one that holds the classes' folders itself.
fn classes_of(dir: &Path, passed: &mut PassedOver) -> Result<Vec<String>, DatasetError> {
    let io = |at: &Path, e| DatasetError::io(at, e);
    let bad = |file: PathBuf, problem: String, remedy: &str| DatasetError::Bad {
        file,
        place: "folder".into(),
        problem,
        remedy: remedy.into(),
    };
    let mut classes = Vec::new();
    for name in pictures::listing(dir, passed).map_err(|e| io(dir, e))? {
        let path = dir.join(&name);
        if !path.is_dir() {
            passed.leave_out(&name);
            continue;
        }
        let mut inside = PassedOver::default();
        if pictures::walk(&path, &mut inside).map_err(|e| io(&path, e))?.is_empty() {
            let remedy = "save its pictures as PNG or JPEG under plain names, or move it away";
            return Err(bad(path, format!("no picture that is read: {}", held(&inside)), remedy));
        }
        classes.push(name);
    }
    if let [only] = &classes[..] {
        let path = dir.join(only);
        let all = pictures::listing(&path, &mut PassedOver::default()).map_err(|e| io(&path, e))?;
        if all.len() > 1 && all.iter().all(|name| path.join(name).is_dir()) {
            let problem = "the only class, and holds nothing but folders".into();
            return Err(bad(path, problem, "name it as `folder:PATH` if these are the classes"));
        }
    }
    Ok(classes)
}

/// What a folder without a readable picture holds.
fn held(inside: &PassedOver) -> String {
    let mut parts = Vec::new();
    if !inside.kinds.is_empty() {
        parts.push(inside.named_kinds());
    }
    if inside.unnamed > 0 {
        parts.push(format!("{} whose names are not UTF-8", inside.unnamed));
    }
    if parts.is_empty() { "it is empty".into() } else { parts.join(", ") }
}

/// The images of one split, classes mixed in proportion, so that any run of them has about every
/// class's share.
fn items(
    dir: &Path,
    split: &Path,
    classes: &[String],
    passed: &mut PassedOver,
) -> Result<Vec<Item>, DatasetError> {
    let place: HashMap<&str, u32> = classes.iter().map(String::as_str).zip(0..).collect();
    let mut placed: Vec<(u64, Item)> = Vec::new();
    for class in classes_of(split, passed)? {
        let Some(&label) = place.get(class.as_str()) else {
            return Err(DatasetError::Bad {
                file: split.join(&class),
                place: "folder".into(),
                problem: "a class that train lacks".into(),
                remedy: "rename or remove it, or add its training images".into(),
            });
        };
        let folder = split.join(&class);
        let below = folder.strip_prefix(dir).unwrap_or(&folder).display().to_string();
        let walked = pictures::walk(&folder, passed);
        let names = walked.map_err(|e| DatasetError::io(&folder, e))?;
        let n = names.len() as u64;
        placed.extend(names.into_iter().enumerate().map(|(i, name)| {
            let file = format!("{below}/{name}").into_boxed_str();
            let item = Item { file, label, marks: 0, identity: None };
            // The i-th of n sits at (2i + 1) / 2n of the whole.
            (((2 * i as u64 + 1) << 32) / (2 * n), item)
        }));
    }
    placed.sort_by_key(|(at, item)| (*at, item.label));
    Ok(placed.into_iter().map(|(_, item)| item).collect())
}

fn card(name: &str, dir: &Path) -> Card {
    let dir = dir.display().to_string();
    Card {
        mean: IMAGENET_MEAN.to_vec(),
        std: IMAGENET_STD.to_vec(),
        ..Card::new(name, format!("images in {dir}"), ENTRY.licence, dir)
    }
}
