//! `bench predict` and `bench infer` through the binary: trained models on tables and pictures, in
//! the clear and under encryption.

mod common;

use std::path::{Path, PathBuf};

use common::{Desk, Done};
use datasets::{Request, Split};
use serde_json::Value;

/// A desk with a logistic model of two rounds, and the test rows scaled as the data set has them.
struct Clinic {
    desk: Desk,
    accuracy: f64,
}

impl Clinic {
    fn new() -> Clinic {
        let desk = Desk::new();
        let done =
            desk.bench(&["train", "wdbc-logistic", "--profile", "smoke", "--out", "w", "--json"]);
        assert_eq!(done.code, Some(0), "{done:#?}");
        let last: Value = serde_json::from_str(done.out.lines().last().unwrap()).unwrap();
        desk.write("test.csv", rows());
        Clinic { desk, accuracy: last["metrics"]["accuracy"].as_f64().unwrap() }
    }

    fn json(&self, args: &[&str]) -> Value {
        let done = self.desk.bench(args);
        assert_eq!(done.code, Some(0), "{done:#?}");
        serde_json::from_str(&done.out).unwrap()
    }

    #[track_caller]
    fn refused(&self, args: &[&str], says: &[&str]) {
        let done: Done = self.desk.bench(args);
        assert_eq!((done.code, done.err.lines().count()), (Some(2), 1), "{done:#?}");
        assert!(
            says.iter().all(|part| done.err.contains(part)) && done.out.is_empty(),
            "{says:?}: {done:#?}"
        );
    }
}

/// The test split as CSV: class and features, without a header.
fn rows() -> String {
    let data = datasets::open("wdbc", &Request::default()).unwrap();
    let ids: Vec<usize> = (0..data.len(Split::Test)).collect();
    let batch = data.batch(Split::Test, &ids).unwrap();
    let values = Vec::<f32>::try_from(batch.x.reshape([-1])).unwrap();
    let labels = Vec::<i64>::try_from(&batch.y).unwrap();
    let line = |(row, label): (&[f32], &i64)| {
        let cells: Vec<String> = row.iter().map(ToString::to_string).collect();
        format!("{},{}\n", ["B", "M"][*label as usize], cells.join(","))
    };
    values.chunks_exact(30).zip(&labels).map(line).collect()
}

const MODEL: &str = "w/model.safetensors";

#[test]
fn a_table_is_predicted_as_the_training_judged_it() {
    let clinic = Clinic::new();
    let told = clinic.json(&[
        "predict", "--model", MODEL, "--csv", "test.csv", "--scaled", "--json", "--out", "p.csv",
    ]);
    let quiet = clinic.desk.bench(&["predict", "--model", MODEL, "--csv", "test.csv", "--scaled"]);
    assert!(
        quiet.code == Some(0) && !quiet.err.contains("note:"),
        "none of these rows was trained on: {quiet:#?}"
    );
    let accuracy = told["scores"]["accuracy"].as_f64().unwrap();
    assert!((accuracy - clinic.accuracy).abs() < 1e-12, "{accuracy} for {}", clinic.accuracy);
    let count = |v: &Value| v.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum::<u64>();
    let confusion = told["confusion"].as_array().unwrap();
    let total: u64 = confusion.iter().map(count).sum();
    let right = confusion[0][0].as_u64().unwrap() + confusion[1][1].as_u64().unwrap();
    assert!((right as f64 / total as f64 - accuracy).abs() < 1e-12);
    let written = std::fs::read_to_string(clinic.desk.path("p.csv")).unwrap();
    assert!(
        written.starts_with("example,truth,prediction,p(benign),p(malignant)\nline 1,"),
        "{written}"
    );
    assert_eq!(written.lines().count() as u64, total + 1);
    for (line, row) in written.lines().skip(1).zip(told["predictions"].as_array().unwrap()) {
        assert!(line.contains(row["prediction"].as_str().unwrap()));
        let p: f64 =
            row["probabilities"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).sum();
        assert!((p - 1.0).abs() < 1e-12);
    }
}

#[test]
fn encrypted_rows_are_classified_as_plain_ones() {
    let clinic = Clinic::new();
    let plain =
        clinic.json(&["predict", "--model", MODEL, "--csv", "test.csv", "--scaled", "--json"]);
    for row in [1, 40, 113] {
        let number = row.to_string();
        let args = [
            "infer", "--model", MODEL, "--csv", "test.csv", "--scaled", "--json", "--row", &number,
        ];
        let told = clinic.json(&args);
        assert!(told["probability_error"].as_f64().unwrap() < 1e-7, "{told}");
        assert!(
            told["exchange"]["largest_error"].as_f64().unwrap()
                < told["exchange"]["error_bound"].as_f64().unwrap()
        );
        assert_eq!(told["decisions"][0], told["decisions"][1]);
        assert_eq!(told["decisions"][0], plain["predictions"][row - 1]["prediction"]);
        assert_eq!(told["truth"], plain["predictions"][row - 1]["truth"]);
    }
    let done = clinic.desk.bench(&["keys", "generate", "--scheme", "ckks", "--out", "keys"]);
    assert_eq!(done.code, Some(0), "{done:#?}");
    let done = clinic.desk.bench(&[
        "infer", "--model", MODEL, "--csv", "test.csv", "--scaled", "--row", "2", "--keys", "keys",
    ]);
    assert!(
        done.out.contains("CKKS 4096/50,50/90, at least 128 bits") && done.code == Some(0),
        "{done:#?}"
    );
}

#[test]
fn mistakes_are_one_line() {
    let clinic = Clinic::new();
    clinic.desk.write("letters.csv", rows().replacen("0.", "O.", 1));
    clinic.desk.write("other.csv", rows().replacen("M,", "X,", 1));
    clinic.desk.write("empty.csv", "");
    clinic.desk.write("short.csv", "mean radius,diagnosis\n1,M\n");
    clinic.desk.write("picture.jpg", "no picture");
    std::fs::create_dir(clinic.desk.path("none")).unwrap();
    let predict = |file: &'static str| ["predict", "--model", MODEL, "--scaled", "--csv", file];
    clinic.refused(
        &predict("letters.csv"),
        &["letters.csv: line 1, column ", "`O.", "is no finite number"],
    );
    clinic.refused(
        &predict("other.csv"),
        &["(label): `X` is no class of the model", "benign, malignant"],
    );
    clinic.refused(&predict("empty.csv"), &["empty.csv: line 1: the file is empty"]);
    clinic.refused(
        &predict("short.csv"),
        &["29 of 30 columns missing: `mean texture`", "and 24 more"],
    );
    clinic.refused(&predict("absent.csv"), &["cannot read absent.csv"]);
    clinic.refused(&["predict", "--model", "test.csv", "--csv", "test.csv"], &["test.csv"]);
    clinic.refused(
        &["predict", "--model", MODEL, "--images", "none"],
        &["was trained on rows of a table (wdbc)"],
    );
    clinic.refused(
        &["infer", "--model", MODEL, "--csv", "test.csv", "--scaled", "--row", "999"],
        &["there is no row 999"],
    );
    clinic.refused(&["infer", "--model", MODEL, "--csv", "test.csv", "--scaled"], &["--row"]);
    clinic.refused(&["infer", "--model", MODEL], &["--query", "--csv"]);
    let keys = [
        "infer", "--model", MODEL, "--csv", "test.csv", "--scaled", "--row", "1", "--keys", "none",
    ];
    clinic.refused(&keys, &["none/ckks-secret.key: is not there", "bench keys generate"]);
}

/// Raw rows are scaled exactly as the data set scaled them: `wdbc.data` whole gives the test rows'
/// probabilities again.
#[test]
fn raw_rows_are_scaled_as_in_training() {
    let root = std::env::var_os("BENCH_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let raw = root.join("wdbc/wdbc.data");
    if !raw.is_file() {
        println!("skipped: {} is not there", raw.display());
        return;
    }
    let clinic = Clinic::new();
    let raw = raw.to_str().unwrap().to_string();
    let all = clinic.desk.bench(&["predict", "--model", MODEL, "--csv", &raw, "--json"]);
    assert!(all.err.contains("note: 399 of 569 rows are training rows of `wdbc`"), "{}", all.err);
    let all: Value = serde_json::from_str(&all.out).unwrap();
    let test =
        clinic.json(&["predict", "--model", MODEL, "--csv", "test.csv", "--scaled", "--json"]);
    let probabilities = |told: &Value| -> Vec<f64> {
        let rows = told["predictions"].as_array().unwrap();
        rows.iter().map(|row| row["probabilities"][0].as_f64().unwrap()).collect()
    };
    let all = probabilities(&all);
    assert_eq!(all.len(), 569);
    for p in probabilities(&test) {
        assert!(all.iter().any(|q| (p - q).abs() < 1e-6), "{p} is missing");
    }
}

#[test]
fn a_picture_is_found_in_a_gallery_under_encryption() {
    let desk = Desk::new();
    let done = desk.bench(&["train", "digits-cnn", "--profile", "smoke", "--out", "d"]);
    assert_eq!(done.code, Some(0), "{done:#?}");
    std::fs::create_dir_all(desk.path("flat")).unwrap();
    for at in 0..24u32 {
        let class = desk.path("gallery").join(at.rem_euclid(3).to_string());
        std::fs::create_dir_all(&class).unwrap();
        let shade = |x: u32, y: u32| {
            image::Luma([((x * 37 + y * 59 + at * 83 + x * y * at * 7) % 256) as u8])
        };
        let picture = image::GrayImage::from_fn(16, 16, shade);
        picture.save(class.join(format!("{at}.png"))).unwrap();
        picture.save(desk.path("flat").join(format!("{at}.png"))).unwrap();
    }
    let model = "d/model.safetensors";
    let args = [
        "infer",
        "--model",
        model,
        "--query",
        "flat/7.png",
        "--gallery",
        "gallery",
        "--json",
        "--threshold",
        "0.99",
    ];
    let done = desk.bench(&args);
    assert_eq!(done.code, Some(0), "{done:#?}");
    let told: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!(
        (&told["top"][0]["file"], &told["top"][0]["name"]),
        (&"7.png".into(), &"1".into()),
        "{told}"
    );
    assert!((told["top"][0]["encrypted"].as_f64().unwrap() - 1.0).abs() < 1e-6);
    assert_eq!((&told["same_top"], &told["same_ranking"]), (&true.into(), &true.into()), "{told}");
    assert_eq!((&told["gallery"], &told["classes"]), (&24.into(), &3.into()));
    assert_eq!(told["decision"]["encrypted"], "1");
    assert!(told["exchange"]["largest_error"].as_f64().unwrap() < 1e-5);
    let flat = desk.bench(&[
        "infer",
        "--model",
        model,
        "--query",
        "flat/7.png",
        "--gallery",
        "flat",
        "--top",
        "2",
    ]);
    assert!(
        flat.out.contains("   1  7.png") && flat.out.contains("best 2: the same as plain"),
        "{flat:#?}"
    );
    let predicted = desk.bench(&["predict", "--model", model, "--images", "gallery"]);
    assert!(predicted.code == Some(0) && predicted.out.contains("<- prediction"), "{predicted:#?}");
    assert!(!predicted.err.contains("note:"), "{predicted:#?}");
    std::fs::copy(desk.path("flat/7.png"), desk.path("gallery/stray.png")).unwrap();
    let mixed = desk.bench(&["predict", "--model", model, "--images", "gallery"]);
    let said = "note: 1 of 25 pictures lie in no class's folder (the first: gallery/stray.png), \
        so nothing is judged";
    assert!(
        mixed.err.contains(said) && mixed.out.contains("25 examples without labels"),
        "{mixed:#?}"
    );

    desk.write("empty/notes.txt", "nothing");
    desk.write("broken/a.png", "no picture");
    desk.write("odd/elephant/a.png", "no picture");
    for (args, says) in [
        (
            ["infer", "--model", model, "--query", "flat/7.png", "--gallery", "empty"].as_slice(),
            "empty: holds no pictures",
        ),
        (
            &["infer", "--model", model, "--query", "flat/7.png", "--gallery", "broken"],
            "broken/a.png: byte 0: not a PNG",
        ),
        (
            &["infer", "--model", model, "--query", "broken/a.png", "--gallery", "flat"],
            "broken/a.png: byte 0: not a PNG",
        ),
        (&["infer", "--model", model, "--query", "flat/7.png"], "--gallery"),
        (
            &["infer", "--model", model, "--csv", "x.csv", "--row", "1"],
            "was trained on pictures (digits, 1x8x8)",
        ),
        (
            &["predict", "--model", model, "--images", "odd"],
            "odd/elephant: is no class of the model",
        ),
    ] {
        let done = desk.bench(args);
        assert_eq!((done.code, done.err.lines().count()), (Some(2), 1), "{done:#?}");
        assert!(done.err.contains(says), "{says}: {done:#?}");
    }
}
