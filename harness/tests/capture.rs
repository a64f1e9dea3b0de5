//! What plain PyTorch captured (`golden/capture/capture.py`), attacked through the binary.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::Desk;
use learning::models::Shape;
use learning::{Mode, Network, Params, checkpoint, client};
use serde_json::{Value, json};
use tch::Tensor;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/capture").join(name)
}

fn load(net: &Network, name: &str) -> Params {
    Params::from_named(net.layout().clone(), checkpoint::load(&golden(name)).unwrap()).unwrap()
}

fn lenet() -> Arc<Network> {
    let architecture = suites::find("model", learning::models::ENTRIES, "lenet-zhu").unwrap();
    let architecture = (architecture.build)(&serde_json::Map::new()).unwrap();
    let model = architecture.build(&Shape { input: vec![3, 16, 16], classes: 10 }).unwrap();
    Arc::new(Network::new(model, vec![0.5; 3], vec![0.5; 3]))
}

/// Largest difference of a tensor relative to its largest value.
fn differ(ours: &Tensor, theirs: &Tensor) -> f64 {
    ((ours - theirs).abs().max() / theirs.abs().max()).double_value(&[])
}

#[test]
fn our_gradient_of_these_weights_is_theirs() {
    tch::set_num_threads(1);
    let net = lenet();
    let weights = load(&net, "before.pt");
    let x = harness::artifacts::read_picture(&golden("truth.png"), 3).unwrap().reshape([1, 1, 3, 16, 16]);
    let y = Tensor::from_slice(&[7i64]).reshape([1, 1]);
    let (ours, theirs) =
        (client::batch_gradient(&net, &weights, &x, &y, Mode::Train), load(&net, "gradient.safetensors"));
    for (spec, (a, b)) in net.layout().specs().iter().zip(ours.tensors.iter().zip(&theirs.tensors)) {
        assert!(differ(a, b) < 1e-5, "{}: {}", spec.name, differ(a, b));
    }
    // The step was one of plain SGD at 1.0.
    let after = load(&net, "after.pt");
    for (a, b) in weights.sub(&ours).tensors.iter().zip(&after.tensors) {
        assert!(differ(a, b) < 1e-5);
    }
}

fn attacked(desk: &Desk, more: &[&str]) -> Value {
    let (before, truth) = (golden("before.pt"), golden("truth.png"));
    let mut args = vec!["attack", "--model", "lenet-zhu", "--input", "3x16x16", "--classes", "10"];
    args.extend(["--device", "cpu", "--json", "--set", "iterations=60"]);
    args.extend(["--weights", before.to_str().unwrap(), "--truth", truth.to_str().unwrap()]);
    args.extend(more);
    desk.bench(&args).ok().json()
}

#[track_caller]
fn recovered(desk: &Desk, answer: &Value) {
    let psnr = answer["scores"][0]["psnr"].as_f64().unwrap();
    assert!(psnr >= 30.0, "{answer}");
    for file in answer["files"].as_array().unwrap() {
        assert!(desk.path(file.as_str().unwrap()).is_file(), "{file}");
    }
}

#[test]
fn a_gradient_gives_the_image_away() {
    let (desk, update) = (Desk::new(), golden("gradient.safetensors"));
    let update = update.to_str().unwrap();
    let answer = attacked(&desk, &["--update", update, "--attack", "idlg"]);
    assert_eq!(answer["labels"], json!([7]), "{answer}");
    recovered(&desk, &answer);
    // Labels that are given are not guessed.
    let known =
        attacked(&desk, &["--update", update, "--attack", "idlg", "--labels", "7", "--set", "labels=known"]);
    assert!(known["labels"].is_null(), "{known}");
    recovered(&desk, &known);

    // The picture that was written is the one that was scored.
    let guess = desk.path("attack-out/reconstruction-0.png");
    let truth = golden("truth.png");
    let table =
        desk.bench(&["score", truth.to_str().unwrap(), guess.to_str().unwrap(), "--json"]).ok().json();
    assert!(table["mean"]["psnr"].as_f64().unwrap() > 30.0, "{table}");
}

#[test]
fn weights_before_and_after_give_the_image_away() {
    let (desk, after) = (Desk::new(), golden("after.pt"));
    let pair = ["--update", after.to_str().unwrap(), "--holds", "weights", "--lr", "1.0"];
    let answer = attacked(&desk, &[&pair[..], &["--attack", "dlg", "--out", "elsewhere"]].concat());
    assert_eq!(answer["labels"], json!([7]), "{answer}");
    recovered(&desk, &answer);
    assert!(desk.path("elsewhere/reconstruction.safetensors").is_file());
    assert!(!desk.path("attack-out").exists());
}
