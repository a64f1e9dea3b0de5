//! CelebA, aligned and cropped: whole or in part, with Kaggle's `.csv` lists or the original `.txt` ones.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::image_files::{ImageFiles, Item};
use super::places;
use crate::error::nearest;
use crate::formats::celeba_lists;
use crate::{Card, Dataset, DatasetEntry, DatasetError, Kind, LabelKind, Request};

const REMEDY: &str = "put img_align_celeba/, list_attr_celeba.csv (or .txt) and list_eval_partition.csv (or .txt) in celeba/ below the data folder; \
    see https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html or Kaggle's jessicali9530/celeba-dataset";
const REFERENCE: &str =
    "Z. Liu, P. Luo, X. Wang and X. Tang, Deep learning face attributes in the wild, ICCV 2015";
const LICENCE: &str = "non-commercial research only";
const SIDE: usize = 64;
const LABEL: &str = "Male";

/// The 40 attributes, in the order of the lists.
#[rustfmt::skip]
const ATTRIBUTES: [&str; 40] = [
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose",
    "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses",
    "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache",
    "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks",
    "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick",
    "Wearing_Necklace", "Wearing_Necktie", "Young",
];

pub(super) static ENTRY: DatasetEntry = DatasetEntry {
    name: "celeba",
    summary: "celebrity faces, 64x64 colour, labelled by any of 40 attributes (Male), with identities",
    reference: REFERENCE,
    licence: LICENCE,
    open,
    present: |root| places::presence(find(root).map(|f| f.images)),
    fetch: None,
};

/// Where the parts lie.
struct Files {
    images: PathBuf,
    attributes: PathBuf,
    partition: PathBuf,
    identities: Option<PathBuf>,
}

fn find(root: Option<&Path>) -> Result<Files, DatasetError> {
    let roots = places::folders("CelebA", root, &["celeba", "CelebA"], REMEDY)?;
    // The original distribution keeps its parts in Anno/, Eval/ and Img/.
    let below = |d: &PathBuf| [d.clone(), d.join("Anno"), d.join("Eval"), d.join("Img")];
    let dirs: Vec<PathBuf> = roots.iter().flat_map(below).collect();
    let find = |what: &str, names: &[&str]| {
        places::first(&dirs, names).ok_or_else(|| DatasetError::Missing {
            what: format!("CelebA's {what}"),
            looked: roots[0].display().to_string(),
            remedy: REMEDY.into(),
        })
    };
    Ok(Files {
        images: find("img_align_celeba/", &["img_align_celeba/img_align_celeba", "img_align_celeba"])?,
        attributes: find(
            "list_attr_celeba.csv (or .txt)",
            &["list_attr_celeba.csv", "list_attr_celeba.txt"],
        )?,
        partition: find(
            "list_eval_partition.csv (or .txt)",
            &["list_eval_partition.csv", "list_eval_partition.txt"],
        )?,
        identities: places::first(&dirs, &["identity_CelebA.txt", "identity_CelebA.csv"]),
    })
}

fn open(req: &Request) -> Result<Box<dyn Dataset>, DatasetError> {
    let label = req.label.unwrap_or(LABEL);
    if !ATTRIBUTES.contains(&label) {
        return Err(DatasetError::Unknown {
            what: "CelebA attribute",
            name: label.into(),
            hint: nearest(label, ATTRIBUTES),
        });
    }
    let size = places::checked_size(ENTRY.name, req.size)?.unwrap_or(SIDE);
    let files = find(req.root)?;
    let mut card = card(label, size);
    let splits = read_lists(&files, label, &mut card.notes)?;
    if splits.iter().all(Vec::is_empty) {
        return Err(DatasetError::Missing {
            what: "every image that CelebA's lists name".into(),
            looked: files.images.display().to_string(),
            remedy: REMEDY.into(),
        });
    }
    Ok(Box::new(ImageFiles { card, dir: files.images, splits }))
}

/// Joins the lists with what lies in the folder, and notes what does not match.
fn read_lists(files: &Files, label: &str, notes: &mut Vec<String>) -> Result<[Vec<Item>; 3], DatasetError> {
    let attributes = places::read(&files.attributes)?;
    let partition = places::read(&files.partition)?;
    let identities = files.identities.as_deref().map(places::read).transpose()?;
    let (column, parts, persons) = parsed(files, label, &attributes, &partition, identities.as_deref())?;
    let present: HashSet<String> = places::listing(&files.images)?.into_iter().collect();
    let mut splits: [Vec<Item>; 3] = Default::default();
    let (mut absent, mut unplaced) = (0usize, 0usize);
    for (image, value) in column {
        match parts.get(image) {
            None => unplaced += 1,
            Some(_) if !present.contains(image) => absent += 1,
            Some(&part) => splits[part as usize].push(Item {
                file: image.into(),
                label: value as u16,
                identity: persons.get(image).map(|&p| p as u64),
            }),
        }
    }
    let mut note = |count: usize, what: &str| {
        if count > 0 {
            notes.push(format!("{count} images {what}"));
        }
    };
    let used: usize = splits.iter().map(Vec::len).sum();
    note(absent, "are listed but absent, and left out");
    note(unplaced, "are in no part of the partition list, and left out");
    note(
        present.len().saturating_sub(used + unplaced),
        "or other files lie in the folder but are not listed",
    );
    if files.identities.is_none() {
        notes.push("no identity_CelebA.txt: identities are unknown".into());
    }
    Ok(splits)
}

type Joined<'a> = (celeba_lists::Column<'a>, HashMap<&'a str, i64>, HashMap<&'a str, i64>);

/// Parses the three lists, and reports the faults of all.
fn parsed<'a>(
    files: &Files,
    label: &str,
    attributes: &'a [u8],
    partition: &'a [u8],
    identities: Option<&'a [u8]>,
) -> Result<Joined<'a>, DatasetError> {
    let column = celeba_lists::attribute(attributes, label).map_err(|e| e.at(&files.attributes));
    let parts = celeba_lists::partition(partition).map_err(|e| e.at(&files.partition));
    let persons = match (&files.identities, identities) {
        (Some(path), Some(bytes)) => celeba_lists::identities(bytes).map_err(|e| e.at(path)),
        _ => Ok(Vec::new()),
    };
    let (column, (parts, persons)) = DatasetError::both(column, DatasetError::both(parts, persons))?;
    Ok((column, parts.into_iter().collect(), persons.into_iter().collect()))
}

fn card(label: &str, size: usize) -> Card {
    Card {
        name: ENTRY.name.into(),
        title: format!("CelebA, {label}"),
        kind: Kind::Image,
        channels: 3,
        height: size,
        width: size,
        classes: 2,
        labels: LabelKind::MultiClass,
        mean: vec![0.5; 3],
        std: vec![0.5; 3],
        licence: LICENCE.into(),
        source: REFERENCE.into(),
        class_names: vec![format!("not {label}"), label.into()],
        notes: vec![],
    }
}
