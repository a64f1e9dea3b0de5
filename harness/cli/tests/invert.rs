//! `bench invert`, from a training through the built binary: what it writes, what it says of bad
//! input, and that numbers stand for what they are called.

mod common;

use common::{Desk, contents};
use serde_json::Value;

/// A small trained model in `name/model.safetensors`.
fn train(desk: &Desk, name: &str, more: &[&str]) -> String {
    rounds(desk, name, "4", more)
}

fn rounds(desk: &Desk, name: &str, count: &str, more: &[&str]) -> String {
    let args = ["train", "digits-cnn", "--regime", "centralised", "--rounds", count, "--out", name];
    desk.bench(&[&args[..], more].concat()).ok();
    format!("{name}/model.safetensors")
}

const BRIEF: [&str; 4] = ["--set", "iterations=60", "--set", "restarts=2"];

fn invert<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["--device", "cpu", "--json", "invert"], more, &BRIEF].concat()
}

fn means(value: &Value) -> impl Fn(&str, &str) -> f64 + '_ {
    |guess, path| {
        let all = value["means"].as_array().unwrap();
        let row = all.iter().find(|m| m["guess"] == guess).unwrap_or_else(|| panic!("no {guess}"));
        row.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{guess} {path}"))
    }
}

#[test]
fn a_trained_model_is_inverted_and_judged() {
    let desk = Desk::new();
    let model = train(&desk, "a", &[]);
    let other = train(&desk, "b", &["--seed", "1"]);
    let said = desk.bench(&invert(&[&model, "--evaluator", &other, "--out", "o"])).ok().json();
    let of = means(&said);
    assert!(of("model-inversion", "/model/0") > 0.8, "{said}");
    assert!(
        of("model-inversion", "/evaluator/1") >= 0.6 && of("model-inversion", "/identified") >= 0.6,
        "{said}"
    );
    // What a perfect and an empty answer look like.
    assert_eq!((of("class-mean", "/class_mean/mae"), of("class-mean", "/identified")), (0.0, 1.0));
    for blind in ["black", "grey", "best-constant"] {
        assert!(
            of(blind, "/identified") == 0.0 && (of(blind, "/evaluator/1") - 0.1).abs() < 1e-9,
            "{blind}"
        );
    }
    assert!(of("best-constant", "/class_mean/mae") <= of("black", "/class_mean/mae"));
    assert!(of("best-constant", "/class_mean/mae") <= of("grey", "/class_mean/mae"));
    // No picture is its own neighbour, so even a training picture is at some distance.
    assert!(of("training-image", "/nearest/mae") > 0.0);
    for guess in ["model-inversion", "black", "grey", "noise", "training-image"] {
        assert!(
            of(guess, "/nearest/mae") <= of(guess, "/class_mae"),
            "{guess}: the least is below the mean"
        );
    }
    let written: Value =
        serde_json::from_str(&std::fs::read_to_string(desk.path("o/inversion.json")).unwrap())
            .unwrap();
    assert_eq!(
        (written["rows"].as_array().unwrap().len(), &written["means"]),
        (8 * 10, &said["means"])
    );
    let csv = std::fs::read_to_string(desk.path("o/inversion.csv")).unwrap();
    let width = |line: &str| line.split(',').count();
    assert!(
        csv.lines().count() == 81
            && csv.lines().all(|l| width(l) == width(csv.lines().next().unwrap()))
    );
    let markdown = std::fs::read_to_string(desk.path("o/inversion.md")).unwrap();
    assert!(markdown.contains("| `model-inversion` |") && markdown.contains("digits-cnn"));
    let grid = image::open(desk.path("o/grid.png")).unwrap();
    // Three columns and ten lines of 8 x 8 pixels, seven times enlarged, each with a frame of two.
    assert_eq!((grid.width(), grid.height()), (3 * 60, 10 * 60));
}

#[test]
fn the_same_seed_writes_the_same_files() {
    let desk = Desk::new();
    let model = train(&desk, "a", &[]);
    for out in ["x", "y"] {
        desk.bench(&invert(&[&model, "--classes", "7,3", "--out", out])).ok();
    }
    let (x, y) = (contents(&desk.path("x")), contents(&desk.path("y")));
    assert!(x.len() == 5 && x == y);
    desk.bench(&invert(&[&model, "--classes", "7,3", "--seed", "1", "--out", "z"])).ok();
    assert!(contents(&desk.path("z")) != x);
}

/// Defenses in training change nothing in how a model is opened.
#[test]
fn federated_and_private_models_are_inverted_alike() {
    let desk = Desk::new();
    let model = [
        "train",
        "digits-cnn",
        "--rounds",
        "1",
        "--defense",
        "dp-sgd:epsilon=8,clip=1.0,delta=1e-5",
    ];
    desk.bench(&[&model[..], &["--out", "dp"]].concat()).ok();
    let said = desk.bench(&invert(&["dp/model.safetensors", "--classes", "0,1"])).ok().json();
    assert!(means(&said)("model-inversion", "/class_mean/mae") > 0.0);
}

/// A table has no pictures to draw and nothing to smooth.
#[test]
fn a_model_of_a_table_is_inverted_too() {
    let desk = Desk::new();
    desk.bench(&[
        "train",
        "wdbc-logistic",
        "--regime",
        "centralised",
        "--rounds",
        "3",
        "--out",
        "t",
    ])
    .ok();
    let said = desk.bench(&invert(&["t/model.safetensors", "--out", "o"])).ok().json();
    let of = means(&said);
    assert!(
        of("model-inversion", "/model/1") == 1.0
            && said["means"][0]["class_mean"]["ssim"].is_null()
    );
    assert!(!desk.path("o/grid.png").exists());
}

#[test]
fn bad_input_is_one_clear_line() {
    let desk = Desk::new();
    let model = train(&desk, "a", &[]);
    let table = "t/model.safetensors";
    desk.bench(&[
        "train",
        "wdbc-logistic",
        "--regime",
        "centralised",
        "--rounds",
        "1",
        "--out",
        "t",
    ])
    .ok();
    std::fs::copy(desk.path(&model), desk.path("copy.safetensors")).unwrap();
    desk.write("text.safetensors", "no model");
    let earlier = rounds(&desk, "earlier", "2", &[]);
    for (args, says) in [
        (vec!["none.safetensors"], "none.safetensors"),
        (vec!["text.safetensors"], "text.safetensors"),
        (vec![&model, "--classes", "3,10"], "10 classes"),
        (vec![&model, "--classes", "-1"], "from 0 to 9"),
        (vec![&model, "--classes", "3,3"], "twice"),
        (vec![&model, "--evaluator", &model], "attacked model itself"),
        (vec![&model, "--evaluator", "copy.safetensors"], "attacked model itself"),
        (vec![&model, "--evaluator", &earlier], "own training (after 2 rounds; attacked after 4)"),
        (vec![&model, "--evaluator", table], "--evaluator"),
        (vec![&model, "--set", "restart=3"], "did you mean"),
        (vec![&model, "--set", "tv_weight=-3"], "attack.tv_weight"),
    ] {
        let done = desk.bench(&[&["invert"], &args[..]].concat());
        assert_eq!((done.code, done.err.lines().count()), (Some(2), 1), "{args:?}: {done:#?}");
        assert!(done.err.contains(says), "{args:?}: {}", done.err);
        assert!(!desk.path("inversion-out").exists(), "nothing is begun");
    }
}

/// The pictures are read before the attack, whose iterations here would take hours.
#[test]
fn a_class_without_pictures_is_refused_before_the_attack() {
    let desk = Desk::new();
    let model = train(&desk, "a", &["--set", "task.limit=5"]);
    let long = ["--device", "cpu", "invert", &model, "--set", "iterations=1000000"];
    let done = desk.bench(&long);
    assert!(done.code == Some(2) && done.err.contains("no example to compare with"), "{done:#?}");
}

/// A model says where its data were; a machine without them is told what is missing.
#[test]
fn absent_data_are_named() {
    let Some(root) = mnist() else {
        return println!("skipped: no MNIST below BENCH_DATA or ../../shared/data");
    };
    let desk = Desk::new();
    let small = [
        "train",
        "mnist-cnn",
        "--profile",
        "smoke",
        "--regime",
        "centralised",
        "--defense",
        "none",
        "--out",
        "m",
    ];
    desk.bench(&[&["--data", root.to_str().unwrap()], &small[..]].concat()).ok();
    let done = desk.bench(&["invert", "m/model.safetensors"]);
    assert!(
        done.code == Some(2) && done.err.contains("mnist") && done.err.lines().count() == 1,
        "{done:#?}"
    );
}

fn mnist() -> Option<std::path::PathBuf> {
    let near = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let root = std::env::var_os("BENCH_DATA").map_or(near, Into::into);
    root.join("mnist/train-images-idx3-ubyte.gz").is_file().then_some(root)
}
