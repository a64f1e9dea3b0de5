//! What leaves the machine beside a private mechanism's claim: a model whose noise nobody can draw
//! again, and a folder that keeps no secret once the training is done.

mod common;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Desk, Done, training};
use learning::checkpoint;
use serde_json::Value;

const TASK: &str = r#"
name = "private"
description = "digits among four clients"
federation.rounds = 3
task = { dataset = "digits", limit = 200 }
model = { name = "logistic" }

[federation.clients]
total = 4

[federation.local]
batch_size = 50
lr = 0.05

[federation.evaluation]
examples = 50
"#;

/// The title by which the file with the root begins.
const ROOT: &[u8] = b"bench randomness";

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("task.toml", TASK);
    desk
}

/// The model that a training releases, all values in a row.
fn model(desk: &Desk, out: &str) -> Vec<f64> {
    let named = checkpoint::load(&desk.path(out).join("model.safetensors")).unwrap();
    let flat = |t: &tch::Tensor| Vec::<f64>::try_from(t.flatten(0, -1).to_kind(tch::Kind::Double));
    named.iter().flat_map(|(_, t)| flat(t).unwrap()).collect()
}

/// Cosine of two differences of models.
fn cosine(a: (&[f64], &[f64]), b: (&[f64], &[f64])) -> f64 {
    let d = |p: (&[f64], &[f64])| p.0.iter().zip(p.1).map(|(x, y)| x - y).collect::<Vec<f64>>();
    let (a, b) = (d(a), d(b));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
}

/// What a run that exits as for bad input says.
fn refused(done: Done) -> String {
    assert_eq!(done.code, Some(2), "{done:#?}");
    done.err
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Whoever holds the model, its task and its seed trains without noise and with noise of his own:
/// a seeded mechanism's noise is his own noise, scaled, and falls off; the operating system's is
/// not.
#[test]
fn nobody_draws_a_released_models_noise_again() {
    let desk = desk();
    let train = |out: &str, more: &[&str]| desk.bench(&training(out, more)).ok();
    for defense in ["dp-central", "dp-local", "dp-sgd"] {
        let with = |epsilon: &str| format!("{defense}:epsilon={epsilon},clip=50.0");
        let (one, two) = (with("1.0"), with("2.0"));
        let name = |what: &str| format!("{defense}-{what}");
        train(&name("released"), &["--defense", &one]);
        train(&name("another"), &["--defense", &one]);
        train(&name("seeded"), &["--reproducible", "--defense", &one]);
        train(&name("guessed"), &["--reproducible", "--defense", &two]);
        train(&name("plain"), &["--defense", "none"]);
        let of = |what: &str| model(&desk, &name(what));
        let (plain, guessed) = (of("plain"), of("guessed"));
        let found = |what: &str| cosine((&of(what), &plain), (&guessed, &plain));
        // 650 values: two independent vectors have a cosine of 0.04.
        assert!(found("seeded") > 0.9, "{defense}: the test sees no seeded noise");
        assert!(found("released").abs() < 0.3, "{defense}: {}", found("released"));
        let again = cosine((&of("released"), &plain), (&of("another"), &plain));
        assert!(again.abs() < 0.3, "{defense}: two trainings share their noise: {again}");
    }
}

#[test]
fn the_root_is_its_owners_alone_and_goes_with_the_last_round() {
    let (desk, defense) = (desk(), ["--defense", "dp-central:epsilon=5.0", "--rounds", "40"]);
    let (dir, secret) = (desk.path("t"), desk.path("t").join("randomness.secret"));
    let mut child = desk
        .command(&training("t", &defense))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !dir.join("records.csv").exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "no round came");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let root = std::fs::read_to_string(&secret).unwrap();
    let hex = root.lines().nth(1).unwrap().to_string();
    let holds = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(16).any(|w| w == &hex.as_bytes()[..16] || w == ROOT)
    };
    let holders = || files(&dir).into_iter().filter(holds).collect::<Vec<PathBuf>>();
    assert!(holders().iter().eq([&secret]), "{:?}", holders());
    // Without it the training cannot go on as it began; with it, it does, and then it is gone.
    std::fs::rename(&secret, desk.path("aside")).unwrap();
    let said = refused(desk.bench(&training("t", &defense)));
    assert!(said.contains("randomness.secret: is missing"), "{said}");
    std::fs::rename(desk.path("aside"), &secret).unwrap();
    desk.bench(&training("t", &defense)).ok();
    assert_eq!(holders(), Vec::<PathBuf>::new());
    desk.bench(&training("t", &defense)).ok();
}

/// A table's spans stand in the model's file so that raw rows can be scored: no training row may
/// set one.
#[test]
fn a_released_model_holds_no_value_of_a_training_row() {
    let desk = desk();
    let defense = ["--defense", "dp-central:epsilon=1.0", "--set", "task={dataset=\"wdbc\"}"];
    desk.bench(&training("t", &defense)).ok();
    let text = checkpoint::description(&desk.path("t/model.safetensors")).unwrap().unwrap();
    let about: Value = serde_json::from_str(&text).unwrap();
    let spans = |key: &str| -> Vec<f64> {
        let columns = about["card"]["columns"].as_array().unwrap();
        columns.iter().map(|column| column[key].as_f64().unwrap()).collect()
    };
    let (low, high) = (spans("low"), spans("high"));
    let data = datasets::open("wdbc", &datasets::Request::default()).unwrap();
    let all: Vec<usize> = (0..data.len(datasets::Split::Train)).collect();
    let x = data.batch(datasets::Split::Train, &all).unwrap().x;
    let rows = Vec::<Vec<f64>>::try_from(x.to_kind(tch::Kind::Double)).unwrap();
    assert_eq!((rows.len(), high.len()), (399, 30));
    for (column, high) in high.iter().enumerate() {
        assert_eq!(low[column], 0.0);
        let nearest = rows.iter().map(|row| (row[column] - 1.0).abs()).fold(f64::MAX, f64::min);
        assert!(nearest > 1e-3, "column {column}: a row is at the span's end, {high}");
    }
}

#[test]
fn a_reproducible_release_says_so_on_everything() {
    let desk = desk();
    let defense = ["--defense", "dp-central:epsilon=5.0"];
    let done = desk.bench(&training("t", &[&defense[..], &["--reproducible"]].concat())).ok();
    let words = "no guarantee outside this run";
    assert!(done.err.contains(words) && done.out.contains(words), "{}\n{}", done.out, done.err);
    for file in ["about.json", "report/report.md", "report/report.tex"] {
        let text = std::fs::read_to_string(desk.path("t").join(file)).unwrap();
        assert!(text.contains(words), "{file}");
    }
    let text = std::fs::read_to_string(desk.path("t/training.json")).unwrap();
    let header: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(header["draws"], "reproducible");
    let model = desk.path("t/model.safetensors");
    assert!(checkpoint::description(&model).unwrap().unwrap().contains(words));
    // Gone on with as it began, or not at all.
    let said = refused(desk.bench(&training("t", &defense)));
    assert!(said.contains("--reproducible"), "{said}");
    // Where nothing is claimed there is nothing to warn of.
    let plain = desk.bench(&training("plain", &["--defense", "none", "--reproducible"])).ok();
    assert!(!plain.err.contains(words) && !plain.out.contains(words));
}
