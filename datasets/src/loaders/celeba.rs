//! CelebA, aligned and cropped: whole or in part, with Kaggle's `.csv` lists or the original `.txt`
//! ones.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use suites::foreign::limits;

use super::identities::{self, CLOSED_NOTE, IDENTITY, UNSEEN};
use super::image_files::{ImageFiles, Item};
use super::places;
use crate::error::nearest;
use crate::formats::celeba_lists;
use crate::{Card, Dataset, DatasetEntry, DatasetError, LabelKind, Request};

const REMEDY: &str = "put img_align_celeba/, list_attr_celeba.csv (or .txt) and \
    list_eval_partition.csv (or .txt) in celeba/ below the data folder; \
    see https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html or Kaggle's jessicali9530/celeba-dataset";
const SIDE: usize = 64;
const LABEL: &str = "Male";
/// The label that means all attributes at once.
const ATTRIBUTES_LABEL: &str = "attributes";

/// The 40 attributes, in the order of the lists.
#[rustfmt::skip]
const ATTRIBUTES: [&str; 40] = [
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs",
    "Big_Lips", "Big_Nose", "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows",
    "Chubby", "Double_Chin", "Eyeglasses", "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones",
    "Male", "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin",
    "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks", "Sideburns", "Smiling", "Straight_Hair",
    "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick", "Wearing_Necklace",
    "Wearing_Necktie", "Young",
];

pub(super) static ENTRY: DatasetEntry = DatasetEntry {
    name: "celeba",
    summary: "celebrity faces, 64x64 colour, labelled by one of 40 attributes (Male), by all \
        (attributes) or by person (identity)",
    reference: "Z. Liu, P. Luo, X. Wang and X. Tang, Deep learning face attributes in the wild, \
        ICCV 2015",
    licence: "non-commercial research only",
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
    let find =
        |what, names: &[&str]| places::find(format!("CelebA's {what}"), &dirs, names, REMEDY);
    Ok(Files {
        images: places::find_folder(
            "CelebA's img_align_celeba/",
            &dirs,
            &["img_align_celeba/img_align_celeba", "img_align_celeba"],
            REMEDY,
        )?,
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
    let known = || ATTRIBUTES.into_iter().chain([ATTRIBUTES_LABEL, IDENTITY, UNSEEN]);
    if !known().any(|k| k == label) {
        return Err(DatasetError::Unknown {
            what: "CelebA attribute",
            name: label.into(),
            hint: nearest(label, known()),
        });
    }
    let size = req.checked_size(ENTRY.name)?.unwrap_or(SIDE);
    let files = find(req.root)?;
    let mut card = card(label, size);
    let splits = read_lists(&files, label, &mut card)?;
    if splits.iter().all(Vec::is_empty) {
        let what = "every image that CelebA's lists name";
        return Err(DatasetError::missing(what, &files.images, REMEDY));
    }
    let splits = if [IDENTITY, UNSEEN].contains(&label) {
        by_person(&files, splits, label, req.limit, &mut card)?
    } else {
        splits
    };
    Ok(Box::new(ImageFiles { card, dir: files.images, splits }))
}

/// Images by person: of CelebA's train part as a closed set, or of its test part, whose persons are
/// others.
fn by_person(
    files: &Files,
    mut splits: [Vec<Item>; 3],
    label: &str,
    limit: Option<usize>,
    card: &mut Card,
) -> Result<[Vec<Item>; 3], DatasetError> {
    if files.identities.is_none() {
        let what = "CelebA's identity_CelebA.txt, which says who is in which image,";
        let looked = files.images.parent().unwrap_or(&files.images);
        let remedy = format!("put it beside the other lists; {REMEDY}");
        return Err(DatasetError::missing(what, looked, remedy));
    }
    let (part, name) = if label == UNSEEN { (2, "test") } else { (0, "train") };
    let items = std::mem::take(&mut splits[part]);
    let who = |(i, item): (usize, &Item)| Some((i, item.identity?));
    let people: Vec<(usize, u64)> = items.iter().enumerate().filter_map(who).collect();
    if people.is_empty() {
        return Err(DatasetError::request(
            ENTRY.name,
            format!("label `{label}`, but no image of CelebA's {name} part has a known person"),
            "add images of that part, or identity_CelebA.txt",
        ));
    }
    let dealt = match label {
        UNSEEN => identities::unseen(&people),
        _ => identities::closed(&people, limit),
    };
    card.notes.push(match label {
        UNSEEN => {
            "the persons of CelebA's test part, none of whom is in its train part".to_string()
        }
        _ => format!("images of CelebA's train part alone; {CLOSED_NOTE} (CelebA's test part)"),
    });
    *card = card.clone().with_classes(dealt.persons.iter().map(ToString::to_string));
    let take = |&(i, class): &(usize, u32)| Item { label: class, ..items[i].clone() };
    Ok(dealt.splits.map(|part| part.iter().map(take).collect()))
}

/// Joins the lists with what lies in the folder, and notes what does not match.
fn read_lists(files: &Files, label: &str, card: &mut Card) -> Result<[Vec<Item>; 3], DatasetError> {
    let attributes = places::read(&files.attributes, &limits::TABLE)?;
    let partition = places::read(&files.partition, &limits::TABLE)?;
    let identities =
        files.identities.as_deref().map(|path| places::read(path, &limits::TABLE)).transpose()?;
    let (column, parts, persons) =
        parsed(files, label, &attributes, &partition, identities.as_deref())?;
    if label == ATTRIBUTES_LABEL {
        let names = celeba_lists::attributes(&attributes).map_err(|e| e.at(&files.attributes))?;
        *card = card.clone().with_classes(names);
    }
    let present: HashSet<String> = places::listing(&files.images)?.into_iter().collect();
    let mut splits: [Vec<Item>; 3] = Default::default();
    let (mut absent, mut unplaced) = (0usize, 0usize);
    for (image, value) in column {
        match parts.get(image) {
            None => unplaced += 1,
            Some(_) if !present.contains(image) => absent += 1,
            Some(&part) => splits[part as usize].push(Item {
                file: image.into(),
                label: (value & 1) as u32,
                marks: value as u64,
                identity: persons.get(image).map(|&p| p as u64),
            }),
        }
    }
    let used: usize = splits.iter().map(Vec::len).sum();
    let unlisted = present.len().saturating_sub(used + unplaced);
    let counts = [
        (absent, "are listed but absent, and left out"),
        (unplaced, "are in no part of the partition list, and left out"),
        (unlisted, "or other files lie in the folder but are not listed"),
    ];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    card.notes.extend(counts.map(|(count, what)| format!("{count} images {what}")));
    if files.identities.is_none() {
        card.notes.push("no identity_CelebA.txt: identities are unknown".into());
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
    let column = if ATTRIBUTES.contains(&label) {
        celeba_lists::attribute(attributes, label)
    } else {
        celeba_lists::all_attributes(attributes)
    };
    let column = column.map_err(|e| e.at(&files.attributes));
    let parts = celeba_lists::partition(partition).map_err(|e| e.at(&files.partition));
    let persons = match (&files.identities, identities) {
        (Some(path), Some(bytes)) => celeba_lists::identities(bytes).map_err(|e| e.at(path)),
        _ => Ok(Vec::new()),
    };
    let (column, (parts, persons)) =
        DatasetError::both(column, DatasetError::both(parts, persons))?;
    Ok((column, parts.into_iter().collect(), persons.into_iter().collect()))
}

fn card(label: &str, side: usize) -> Card {
    let attributes = label == ATTRIBUTES_LABEL;
    Card {
        labels: if attributes { LabelKind::MultiLabel } else { LabelKind::MultiClass },
        ..ENTRY
            .card(format!("CelebA, {label}"))
            .square(side)
            .with_classes([format!("not {label}"), label.into()])
    }
}
