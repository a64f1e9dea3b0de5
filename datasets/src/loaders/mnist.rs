//! MNIST: four IDX files, gzipped or not.

use std::path::{Path, PathBuf};

use suites::Split;
use suites::foreign::limits;

use super::lazy::Lazy;
use super::packed::{Packed, Source, segments};
use super::{held_out, places};
use crate::formats::{FormatError, idx};
use crate::{Card, Dataset, DatasetEntry, DatasetError, Request};

const REMEDY: &str = "run `bench data fetch mnist`, or put train-images-idx3-ubyte.gz and the \
    three other files in mnist/ below the data folder";
const CLASSES: u8 = 10;

pub(super) static ENTRY: DatasetEntry = DatasetEntry {
    name: "mnist",
    summary: "handwritten digits, 28x28 grey, 60,000 train (the last 5,000 are val) and 10,000 \
        test",
    reference: "Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to \
        document recognition, 1998",
    licence: "CC BY-SA 3.0",
    open,
    present: |root| {
        places::presence(find(root).map(|f| f[0].0.parent().unwrap_or(Path::new("")).to_path_buf()))
    },
    fetch: Some("mnist"),
};

/// Images and labels of train, then of test.
fn find(root: Option<&Path>) -> Result<[(PathBuf, PathBuf); 2], DatasetError> {
    let dirs = places::folders("MNIST", root, &["mnist", "MNIST", "MNIST/raw"], REMEDY)?;
    let file = |part: &str, kind: &str| {
        let dashed = format!("{part}-{kind}-ubyte");
        let dotted = dashed.replace("-idx", ".idx");
        let names =
            [dashed.clone(), format!("{dashed}.gz"), dotted.clone(), format!("{dotted}.gz")];
        let what = format!("MNIST's {dashed} (or .gz)");
        places::find(what, &dirs, &names.each_ref().map(String::as_str), REMEDY)
    };
    let pair = |part: &str| {
        Ok::<_, DatasetError>((file(part, "images-idx3")?, file(part, "labels-idx1")?))
    };
    Ok([pair("train")?, pair("t10k")?])
}

fn open(req: &Request) -> Result<Box<dyn Dataset>, DatasetError> {
    req.refuse_label(ENTRY.name)?;
    let size = req.checked_size(ENTRY.name)?;
    let files = find(req.root)?;
    let (train_shape, test_shape) = DatasetError::both(shape(&files[0]), shape(&files[1]))?;
    let shapes = [train_shape, test_shape];
    if shapes[0][1..] != shapes[1][1..] {
        let sides = FormatError::new(
            "header",
            format!(
                "images of {}x{}, those of train are {}x{}",
                shapes[1][1], shapes[1][2], shapes[0][1], shapes[0][2]
            ),
            "use train and test files of one set",
        );
        return Err(sides.at(&files[1].0));
    }
    let lens = [shapes[0][0], shapes[1][0]];
    let train = lens[0] - held_out(lens[0]);
    let packed = Packed {
        card: card(),
        stored: (shapes[0][1], shapes[0][2]),
        size,
        sources: files.into_iter().map(|(images, labels)| source(images, labels)).collect(),
        splits: [
            segments(&lens, 0, train),
            segments(&lens, train, lens[0]),
            segments(&lens, lens[0], lens[0] + lens[1]),
        ],
    };
    Ok(Box::new(packed.sized()))
}

/// Number, height and width of the images, read from the headers of both files.
fn shape((images, labels): &(PathBuf, PathBuf)) -> Result<[usize; 3], DatasetError> {
    let dims = |path: &Path, rank: usize| {
        let (start, size) = places::read_start(path, &limits::ARRAYS)?;
        idx::parse_dims(&start, size, rank).map_err(|e| e.at(path))
    };
    let (image, label) = DatasetError::both(dims(images, 3), dims(labels, 1))?;
    if image[0] != label[0] {
        let count =
            format!("{} labels for the {} images of {}", label[0], image[0], images.display());
        return Err(FormatError::new("header", count, "get both files again").at(labels));
    }
    if image.contains(&0) {
        return Err(FormatError::new(
            "header",
            format!("no pixels: {image:?}"),
            "get the file again",
        )
        .at(images));
    }
    Ok([image[0], image[1], image[2]])
}

fn source(images: PathBuf, labels: PathBuf) -> Source {
    Source {
        labels: Lazy::new(move || read_labels(&labels)),
        pixels: Lazy::new(move || {
            let bytes = places::read(&images, &limits::ARRAYS)?;
            idx::parse(&bytes, 3).map(|i| i.data).map_err(|e| e.at(&images))
        }),
    }
}

fn read_labels(path: &Path) -> Result<Vec<u8>, DatasetError> {
    let labels = idx::parse(&places::read(path, &limits::ARRAYS)?, 1).map_err(|e| e.at(path))?.data;
    match labels.iter().position(|&l| l >= CLASSES) {
        None => Ok(labels),
        Some(at) => {
            let problem = format!("label {}", labels[at]);
            Err(FormatError::new(
                format!("example {at}"),
                problem,
                "labels are 0 to 9: get the file again",
            )
            .at(path))
        }
    }
}

fn card() -> Card {
    Card {
        channels: 1,
        mean: vec![0.1307],
        std: vec![0.3081],
        notes: vec![format!("the {} split is the end of the training file", Split::Val)],
        ..ENTRY.card("MNIST").with_classes((0..CLASSES).map(|d| d.to_string()))
    }
}
