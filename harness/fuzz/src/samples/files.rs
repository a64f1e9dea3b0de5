//! Data sets, specs, records and tables.

use std::io::{Cursor, Write};

use compare::write_baseline;
use flate2::{Compression, write::GzEncoder};
use image::{ImageBuffer, ImageFormat, Rgb};
use record::{CellRecord, RoundRecord, RunInfo, RunStore, TrainingInfo};
use serde_json::Value;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// `bytes`, gzipped.
pub fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::default());
    out.write_all(bytes).expect("memory");
    out.finish().expect("memory")
}

/// IDX of images and of labels, plain and gzipped.
pub fn idx() -> Vec<Vec<u8>> {
    let file = |dims: &[u32], data: &[u8]| {
        let head = [0, 0, 8, dims.len() as u8].into_iter();
        head.chain(dims.iter().flat_map(|d| d.to_be_bytes())).chain(data.iter().copied()).collect()
    };
    let (images, labels): (Vec<u8>, Vec<u8>) = (file(&[6, 4, 4], &[9; 96]), file(&[6], &[1; 6]));
    vec![gz(&images), images, gz(&labels), labels]
}

/// Records of CIFAR-10.
pub fn cifar() -> Vec<Vec<u8>> {
    vec![vec![3; 3073], vec![3; 2 * 3073]]
}

/// Arrays of NumPy, stored and deflated.
pub fn npz() -> Vec<Vec<u8>> {
    let array = |zip: &mut ZipWriter<_>, how, name: &str, shape: &str, data: &[u8]| {
        let options = SimpleFileOptions::default().compression_method(how);
        zip.start_file(format!("{name}.npy"), options).expect("memory");
        let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({shape}), }}\n");
        let head = [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..]].concat();
        zip.write_all(&[&head, text.as_bytes(), data].concat()).expect("memory");
    };
    let whole = |how| {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        array(&mut zip, how, "train_images", "2, 5, 5", &[7; 50]);
        array(&mut zip, how, "train_labels", "2, 1", &[0, 1]);
        zip.finish().expect("memory").into_inner()
    };
    vec![whole(CompressionMethod::Deflated), whole(CompressionMethod::Stored)]
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// CelebA's lists in both layouts.
pub fn celeba_lists() -> Vec<Vec<u8>> {
    texts(&[
        "image_id,Male,Smiling\n1.jpg,1,-1\n2.jpg,-1,1\n",
        "2\nMale Smiling\n1.jpg 1 -1\n2.jpg -1 1\n",
        "1.jpg 0\n2.jpg 2\n",
        "image_id,partition\n1.jpg,0\n2.jpg,1\n",
    ])
}

/// Rows of WDBC.
pub fn uci() -> Vec<Vec<u8>> {
    let row = |class: &str| format!("842302,{class},{}\n", ["1.5"; 30].join(","));
    texts(&[&(row("M") + &row("B") + &row("B"))])
}

/// Pictures of every format, grey, in colour, with alpha and of 16 bits.
pub fn pictures() -> Vec<Vec<u8>> {
    let colour = ImageBuffer::from_fn(17, 9, |x, y| Rgb([x as u8 * 9, y as u8 * 20, 77]));
    let colour = image::DynamicImage::ImageRgb8(colour);
    let written = |picture: &image::DynamicImage, format| {
        let mut out = Cursor::new(Vec::new());
        picture.write_to(&mut out, format).expect("memory");
        out.into_inner()
    };
    let mut all: Vec<Vec<u8>> =
        [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::Pnm]
            .map(|format| written(&colour, format))
            .into();
    all.push(written(&colour.to_luma8().into(), ImageFormat::Png));
    all.push(written(&colour.to_rgba16().into(), ImageFormat::Png));
    all.push(written(&colour.to_luma8().into(), ImageFormat::Jpeg));
    all
}

/// Records of faces.
pub fn rec() -> Vec<Vec<u8>> {
    let whole = include_bytes!("../../../../datasets/tests/golden/recordio/faces.rec");
    vec![whole[..2900].to_vec()]
}

/// Lists beside records.
pub fn rec_lists() -> Vec<Vec<u8>> {
    texts(&["7\t16\n0\t0\n", "4\t1.5\tb/x.jpg\n0\t2\t0\ta y.jpg\n", "10572,112,112\n"])
}

/// Suites that use most keys, and the shortest one.
pub fn suites() -> Vec<Vec<u8>> {
    texts(&[
        include_str!("../../../../suites/smoke.toml"),
        include_str!("../../../../suites/tests/worked_example/recipes.toml"),
    ])
}

/// Tasks.
pub fn tasks() -> Vec<Vec<u8>> {
    let named = suites::train::names().iter().take(3);
    named.map(|(_, text)| text.as_bytes().to_vec()).collect()
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("JSON")
}

/// Descriptions of runs, of today's schema and of an older one.
pub fn run_json() -> Vec<Vec<u8>> {
    let mut info = info();
    info.suite.text = "[suite]\nname = \"demo\"\n".into();
    info.suite.cells.truncate(1);
    vec![json(&info), include_bytes!("../../../../reports/record/tests/golden/run.json").to_vec()]
}

fn info() -> RunInfo {
    let text = include_str!("../../../../reports/tests/gallery/run.json");
    serde_json::from_str(text).expect("a golden file")
}

/// Records of a golden run, each with its first image only.
fn records() -> [CellRecord; 2] {
    let mut lines = include_str!("../../../../reports/tests/gallery/cells.jsonl").lines();
    [(); 2].map(|()| {
        let line = lines.next().expect("a golden file of many lines");
        let mut value: Value = serde_json::from_str(line).expect("JSON");
        for list in value.as_object_mut().expect("a record").values_mut() {
            list.as_array_mut().into_iter().for_each(|list| list.truncate(1));
        }
        serde_json::from_value(value).expect("a record")
    })
}

/// Records of two cells, and a torn last line.
pub fn cells() -> Vec<Vec<u8>> {
    let both = records().map(|record| [json(&record), b"\n".to_vec()].concat()).concat();
    let torn = both[..both.len() - 40].to_vec();
    vec![both, torn]
}

/// Rounds of a training.
pub fn rounds() -> Vec<Vec<u8>> {
    let round = |round| RoundRecord {
        round,
        clients: 8,
        survivors: 7,
        metrics: [("accuracy".to_string(), 0.5), ("loss".to_string(), 1.5)].into(),
        train_loss: Some(1.25),
        lr: 0.1,
        bytes_up: 4096,
        bytes_down: 4096,
        seconds: 0.5,
        epsilon: Some(1.5),
        delta: Some(1e-5),
        failures: vec!["client 3, \"late\"".into()],
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rounds.csv");
    record::write_rounds(&path, &[round(0), round(1)]).expect("a file");
    vec![std::fs::read(path).expect("a file")]
}

/// Baselines.
pub fn baselines() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a folder");
    let (run, out) = (folder.path().join("run"), folder.path().join("baseline.json"));
    let (mut info, records) = (info(), records());
    info.suite.cells = records.iter().map(|record| record.id.clone()).collect();
    let mut store = RunStore::create(&run, info).expect("a folder");
    records.iter().for_each(|record| store.append(record).expect("a file"));
    drop(store);
    write_baseline(&run, &out).expect("a file");
    vec![std::fs::read(out).expect("a file")]
}

/// What a training's report says of it.
pub fn trainings() -> Vec<Vec<u8>> {
    let about = TrainingInfo {
        title: "digits".into(),
        command: "bench train digits-cnn".into(),
        facts: vec![("data".into(), "digits".into())],
        robustness: vec![("noise".into(), 0.1, 0.5, 0.9)],
        notes: vec!["a note".into()],
    };
    vec![json(&about)]
}

/// Tables of two features.
pub fn tables() -> Vec<Vec<u8>> {
    texts(&[
        "id,diagnosis,mean radius,mean texture\n1,M,17.99,10.38\n2,B,11.4,20.3\n",
        "mean radius;mean texture\n1;2\n",
        "842302,M,17.99,10.38\n",
        "\u{feff}mean texture,mean radius,class\n\"1.0\",2e0,malignant\n",
    ])
}

/// Lists of pairs.
pub fn pairs() -> Vec<Vec<u8>> {
    texts(&["2 1\nA 1 2\nA 1 B 1\nB 1 2\nB 2 A 2\n", "a/1.png a/2.png 1\na/1.png b/1.png 0\n"])
}
