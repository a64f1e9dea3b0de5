//! Class folders of images, with or without `train/`, `val/` and `test/` above them.

use std::path::{Path, PathBuf};

use super::image_files::{ImageFiles, Item};
use super::{held_out, places};
use crate::card::{IMAGENET_MEAN, IMAGENET_STD};
use crate::{Card, Dataset, DatasetEntry, DatasetError, Request};

const NAME: &str = "folder";
const REMEDY: &str = "put one folder of images per class in folder/ below the data folder (or in \
    train/, val/ and test/ there), or name the place as `folder:PATH`";
/// Side of the images where none is asked for, in pixels.
const SIDE: usize = 64;
/// Names of the three splits' folders.
const SPLITS: [&[&str]; 3] = [&["train"], &["val", "valid", "validation"], &["test"]];
const ENDINGS: [&str; 9] = ["png", "jpg", "jpeg", "jpe", "bmp", "ppm", "pgm", "pbm", "pnm"];

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
    let holds_images = |dir: &&PathBuf| classes_of(&first_split(dir)).is_ok_and(|c| !c.is_empty());
    let missing = || DatasetError::missing("class folders of images", &dirs[0], REMEDY);
    dirs.iter().find(holds_images).cloned().ok_or_else(missing)
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
/// theirs.
///
/// # Errors
/// No images, a class folder in val or test that train lacks, or an unreadable folder.
pub(super) fn read(
    dir: &Path,
    mut card: Card,
    size: usize,
    known: Option<&[&str]>,
) -> Result<Box<dyn Dataset>, DatasetError> {
    let train = first_split(dir);
    let classes = match known {
        Some(known) => known.iter().map(ToString::to_string).collect(),
        None => classes_of(&train)?,
    };
    let mut splits: [Vec<Item>; 3] = Default::default();
    for (split, names) in SPLITS.iter().enumerate() {
        let place = if split == 0 {
            Some(train.clone())
        } else {
            places::first(&[dir.to_path_buf()], names)
        };
        if let Some(place) = place.filter(|p| split == 0 || (p.is_dir() && train != dir)) {
            splits[split] = items(dir, &place, &classes)?;
        }
    }
    if splits[0].is_empty() {
        let what = "images (png, jpg, bmp, ppm ...) in class folders";
        return Err(DatasetError::missing(what, &train, REMEDY));
    }
    hold_out(&mut splits, &mut card.notes);
    let card = card.square(size).with_classes(classes);
    Ok(Box::new(ImageFiles { card, dir: dir.to_path_buf(), splits }))
}

/// `dir/train` where it exists, else `dir`.
fn first_split(dir: &Path) -> PathBuf {
    Some(dir.join("train")).filter(|d| d.is_dir()).unwrap_or_else(|| dir.to_path_buf())
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

/// Sub-folders that hold at least one image, sorted.
fn classes_of(dir: &Path) -> Result<Vec<String>, DatasetError> {
    let mut classes = Vec::new();
    for name in places::listing(dir)? {
        let path = dir.join(&name);
        if path.is_dir() && places::listing(&path)?.iter().any(|n| is_image(n)) {
            classes.push(name);
        }
    }
    Ok(classes)
}

fn is_image(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, e)| e.to_lowercase());
    !name.starts_with('.') && ending.is_some_and(|e| ENDINGS.contains(&e.as_str()))
}

/// The images of one split, classes mixed in proportion, so that any run of them has about every
/// class's share.
fn items(dir: &Path, split: &Path, classes: &[String]) -> Result<Vec<Item>, DatasetError> {
    let mut placed: Vec<(u64, Item)> = Vec::new();
    for class in classes_of(split)? {
        let Some(label) = classes.iter().position(|c| *c == class) else {
            return Err(DatasetError::Bad {
                file: split.join(&class),
                place: "folder".into(),
                problem: "a class that train lacks".into(),
                remedy: "rename or remove it, or add its training images".into(),
            });
        };
        let folder = split.join(&class);
        let below = folder.strip_prefix(dir).unwrap_or(&folder).display().to_string();
        let names: Vec<String> =
            places::listing(&folder)?.into_iter().filter(|n| is_image(n)).collect();
        let n = names.len() as u64;
        placed.extend(names.into_iter().enumerate().map(|(i, name)| {
            let file = format!("{below}/{name}").into_boxed_str();
            let item = Item { file, label: label as u16, marks: 0, identity: None };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_images_count() {
        assert!(is_image("a.PNG") && is_image("b.c.jpeg"));
        assert!(!is_image(".a.png") && !is_image("png") && !is_image("Thumbs.db"));
    }
}
