//! Twenty public-domain and CC0 photographs of 64x64 pixels; `assets/photos/SOURCES.md` names each
//! one's origin and licence.

use image::imageops::{self, FilterType};
use image::{ImageFormat, RgbImage};
use suites::Split;

use crate::card::{IMAGENET_MEAN, IMAGENET_STD};
use crate::dataset::split_index;
use crate::in_memory::{Examples, InMemory};
use crate::{Card, Dataset, DatasetEntry, DatasetError, Presence, Request};

const NAME: &str = "photos";
const SIDE: usize = 64;

/// Registry line.
pub(super) static ENTRY: DatasetEntry = DatasetEntry {
    name: NAME,
    summary: "8 test and 12 train photographs of 64x64 colour pixels, embedded",
    reference: "squares cut from pictures bundled with scikit-image 0.26: NASA, SpaceX, \
        R. Michetti, S. van der Walt, L. Varshney, M. Haggstrom, A. Maier, P. Mueller, \
        CC0Textures, linolafett",
    licence: "public domain or CC0 1.0, picture by picture (assets/photos/SOURCES.md)",
    open,
    present: |_| Presence::Embedded,
    fetch: None,
};

struct Photo {
    split: Split,
    name: &'static str,
    /// Index into `CLASSES`.
    class: i64,
    png: &'static [u8],
}

const CLASSES: [&str; 2] = ["natural", "artefact"];
const NATURAL: i64 = 0;
const ARTEFACT: i64 = 1;

macro_rules! photo {
    ($split:ident, $class:ident, $name:literal) => {
        Photo {
            split: Split::$split,
            name: $name,
            class: $class,
            png: include_bytes!(concat!("../../assets/photos/", $name, ".png")),
        }
    };
}

/// Test pictures come from eight different photographs; no train picture shares a pixel with one of
/// them.
static PHOTOS: [Photo; 20] = [
    photo!(Test, NATURAL, "00-test-astronaut"),
    photo!(Test, ARTEFACT, "01-test-coffee"),
    photo!(Test, NATURAL, "02-test-cat"),
    photo!(Test, ARTEFACT, "03-test-rocket"),
    photo!(Test, NATURAL, "04-test-cameraman"),
    photo!(Test, ARTEFACT, "05-test-bricks"),
    photo!(Test, NATURAL, "06-test-retina"),
    photo!(Test, NATURAL, "07-test-galaxies"),
    photo!(Train, ARTEFACT, "08-train-shuttle"),
    photo!(Train, NATURAL, "09-train-grass"),
    photo!(Train, ARTEFACT, "10-train-helmet"),
    photo!(Train, NATURAL, "11-train-gravel"),
    photo!(Train, ARTEFACT, "12-train-clock"),
    photo!(Train, NATURAL, "13-train-cell"),
    photo!(Train, ARTEFACT, "14-train-skyline"),
    photo!(Train, NATURAL, "15-train-vessels"),
    photo!(Train, ARTEFACT, "16-train-lattice"),
    photo!(Train, NATURAL, "17-train-stars"),
    photo!(Train, ARTEFACT, "18-train-patch"),
    photo!(Train, ARTEFACT, "19-train-wood"),
];

fn open(req: &Request) -> Result<Box<dyn Dataset>, DatasetError> {
    let side = req.size.unwrap_or(SIDE);
    req.refuse_label(NAME)?;
    if side == 0 || side > SIDE {
        return Err(DatasetError::request(
            NAME,
            format!("size {side}, but the pictures are kept at {SIDE}x{SIDE}"),
            format!("ask for 1 to {SIDE}"),
        ));
    }
    let mut splits: [Examples; 3] = Default::default();
    for photo in &PHOTOS {
        let examples = &mut splits[split_index(photo.split)];
        examples.values.extend(planes(&decode(photo, side)?));
        examples.labels.push(photo.class);
    }
    Ok(Box::new(InMemory { card: card(side), splits }))
}

fn decode(photo: &Photo, side: usize) -> Result<RgbImage, DatasetError> {
    let picture = image::load_from_memory_with_format(photo.png, ImageFormat::Png)
        .map_err(|e| DatasetError::Bad {
            file: format!("{}.png", photo.name).into(),
            place: "image data".into(),
            problem: e.to_string(),
            remedy: "rebuild the program from clean sources".into(),
        })?
        .into_rgb8();
    Ok(match side {
        SIDE => picture,
        _ => imageops::resize(&picture, side as u32, side as u32, FilterType::Triangle),
    })
}

/// `[3, H, W]`, each value exactly `u8 / 255`.
fn planes(picture: &RgbImage) -> impl Iterator<Item = f32> + '_ {
    (0..3).flat_map(|c| picture.pixels().map(move |p| f32::from(p.0[c]) / 255.0))
}

fn card(side: usize) -> Card {
    Card {
        // The customary normalisation of photographs, not of these few.
        mean: IMAGENET_MEAN.to_vec(),
        std: IMAGENET_STD.to_vec(),
        notes: vec![
            "8 test pictures to attack, 12 train pictures as public data, no val split".into(),
        ],
        ..ENTRY.card("Public-domain and CC0 photographs").square(side).with_classes(CLASSES)
    }
}
