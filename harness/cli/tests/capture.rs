//! What plain PyTorch captured (`golden/capture/capture.py`), attacked through the binary.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::Desk;
use learning::client::Rules;
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
    let x = harness::artifacts::read_picture(&golden("truth.png"), 3)
        .unwrap()
        .reshape([1, 1, 3, 16, 16]);
    let y = Tensor::from_slice(&[7i64]).reshape([1, 1]);
    let (ours, theirs) = (
        client::batch_gradient(&net, &weights, &x, &y, &Rules::default(), Mode::Train, &mut []),
        load(&net, "gradient.safetensors"),
    );
    for (spec, (a, b)) in net.layout().specs().iter().zip(ours.tensors.iter().zip(&theirs.tensors))
    {
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
    args.extend(["--device", "cpu", "--json", "--set", "iterations=60", "--seed", "1"]);
    args.extend(["--weights", before.to_str().unwrap(), "--truth", truth.to_str().unwrap()]);
    args.extend(more);
    desk.bench(&args).ok().json()
}

#[track_caller]
fn recovered(desk: &Desk, answer: &Value) {
    let psnr = answer["scores"][0]["psnr"].as_f64().unwrap();
    assert!(psnr >= 30.0, "{answer}");
    let verdict = answer["verdicts"][0].as_str().unwrap();
    assert!(verdict.contains("dB better than a plain grey picture"), "{answer}");
    let files = answer["files"].as_array().unwrap();
    assert!(files.last().unwrap().as_str().unwrap().ends_with("truth-beside-reconstruction.png"));
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
    // Truth to the left, reconstruction to the right, two white columns between.
    let both = image::open(desk.path("attack-out/truth-beside-reconstruction.png")).unwrap();
    let (both, truth) = (both.into_rgb8(), image::open(golden("truth.png")).unwrap().into_rgb8());
    assert_eq!(both.dimensions(), (2 * 16 + 2, 16));
    for (x, y, pixel) in truth.enumerate_pixels() {
        assert_eq!((both.get_pixel(x, y), both.get_pixel(x + 18, y)), (pixel, pixel));
    }
    // An attack that did nothing is called so.
    let failed = attacked(
        &desk,
        &["--update", update, "--attack", "inverting-gradients", "--set", "iterations=1"],
    );
    let verdict = failed["verdicts"][0].as_str().unwrap();
    assert!(verdict.contains("nothing of it was recovered"), "{failed}");
    // Labels that are given are not guessed.
    let known = attacked(
        &desk,
        &["--update", update, "--attack", "idlg", "--labels", "7", "--set", "labels=known"],
    );
    assert!(known["labels"].is_null(), "{known}");
    recovered(&desk, &known);

    // The picture that was written is the one that was scored, and the client's own.
    let guess = desk.path("attack-out/reconstruction-0.png");
    let truth = golden("truth.png");
    let table = desk
        .bench(&["score", truth.to_str().unwrap(), guess.to_str().unwrap(), "--json"])
        .ok()
        .json();
    assert_eq!(table["mean"]["mse"], 0.0, "to the last bit of the picture: {table}");
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

/// With a batch, files, labels and scores are in the order of the truth that was given.
#[test]
fn a_batch_is_put_in_the_order_of_its_truth() {
    tch::set_num_threads(1);
    let (desk, net) = (Desk::new(), lenet());
    let weights = load(&net, "before.pt");
    let portrait = harness::artifacts::read_picture(&golden("truth.png"), 3).unwrap();
    let flipped = portrait.flip([2]);
    harness::artifacts::write_png(&desk.path("flipped.png"), &flipped).unwrap();
    let x = Tensor::stack(&[&portrait, &flipped], 0).unsqueeze(0);
    let y = Tensor::from_slice(&[3i64, 8]).reshape([1, 2]);
    let gradient =
        client::batch_gradient(&net, &weights, &x, &y, &Rules::default(), Mode::Train, &mut [])
            .map(Tensor::detach);
    checkpoint::save_safetensors(&desk.path("two.safetensors"), &gradient.named(0)).unwrap();

    let (before, portrait) = (golden("before.pt"), golden("truth.png"));
    let (before, portrait) = (before.to_str().unwrap(), portrait.to_str().unwrap());
    let mut args =
        vec!["attack", "--model", "lenet-zhu", "--input", "3x16x16", "--classes", "10", "--json"];
    args.extend([
        "--weights",
        before,
        "--update",
        "two.safetensors",
        "--batch-size",
        "2",
        "--device",
        "cpu",
    ]);
    args.extend(["--attack", "idlg", "--set", "iterations=60"]);
    for (truth, labels) in
        [([portrait, "flipped.png"], [3, 8]), (["flipped.png", portrait], [8, 3])]
    {
        let answer = desk.bench(&[&args[..], &["--truth"], &truth[..]].concat()).ok().json();
        assert_eq!(answer["labels"], json!(labels), "{answer}");
        for (b, truth) in truth.iter().enumerate() {
            let file = format!("attack-out/reconstruction-{b}.png");
            let table = desk.bench(&["score", truth, &file, "--json"]).ok().json();
            let (said, found) = (&answer["scores"][b]["ssim"], &table["mean"]["ssim"]);
            assert!(
                (said.as_f64().unwrap() - found.as_f64().unwrap()).abs() < 0.02,
                "{said} {found}"
            );
            assert!(found.as_f64().unwrap() > 0.9, "{found}");
        }
    }
}
