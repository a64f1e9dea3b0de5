//! Updates as other stacks send them, described by flags or by a folder, through the binary. The
//! weights and the picture are those of `golden/capture`.

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{Desk, Done};
use learning::client::{self, LocalTraining, Rules, StepRule};
use learning::models::Shape;
use learning::{Mode, Network, Params, checkpoint};
use serde_json::{Value, json};
use tch::Tensor;

const MODEL: [&str; 6] = ["--model", "lenet-zhu", "--input", "3x16x16", "--classes", "10"];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/capture").join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn lenet() -> Arc<Network> {
    tch::set_num_threads(1);
    let architecture = suites::find("model", learning::models::ENTRIES, "lenet-zhu").unwrap();
    let architecture = (architecture.build)(&serde_json::Map::new()).unwrap();
    let model = architecture.build(&Shape { input: vec![3, 16, 16], classes: 10 }).unwrap();
    Arc::new(Network::new(model, vec![0.5; 3], vec![0.5; 3]))
}

fn before(net: &Network) -> Params {
    let named = checkpoint::load(&golden("before.pt")).unwrap();
    Params::from_named(net.layout().clone(), named).unwrap()
}

/// The picture and its mirror, `[1, n, ...]`, for classes 7 and 2.
fn examples(desk: &Desk, n: i64) -> (Tensor, Tensor) {
    let picture = harness::artifacts::read_picture(&golden("truth.png"), 3).unwrap();
    let both = [picture.shallow_clone(), picture.flip([2])];
    for (b, picture) in both.iter().enumerate() {
        harness::artifacts::write_png(&desk.path(&format!("truth-{b}.png")), picture).unwrap();
    }
    let x = Tensor::stack(&both, 0).narrow(0, 0, n).unsqueeze(0);
    (x, Tensor::from_slice(&[7i64, 2]).narrow(0, 0, n).unsqueeze(0))
}

/// The weights after local training on the first `n` examples, as `after.safetensors`.
fn train(desk: &Desk, n: i64, local: &LocalTraining) {
    let net = lenet();
    let (x, y) = examples(desk, n);
    let mut rngs = [suites::rng::stream(0, "test", "order")];
    let rules = Rules::default();
    let after = client::train(&net, &before(&net), &x, &y, local, &rules, Mode::Train, &mut rngs);
    checkpoint::save_safetensors(&desk.path("after.safetensors"), &after.named(0)).unwrap();
}

fn attack(desk: &Desk, more: &[&str]) -> Done {
    let before = golden("before.pt");
    let fixed = ["--weights", text(&before), "--device", "cpu", "--json", "--out", "found"];
    desk.bench(&[&["attack"], &MODEL[..], &fixed, more].concat())
}

fn psnr(answer: &Value) -> f64 {
    answer["scores"][0]["psnr"].as_f64().unwrap_or_else(|| panic!("{answer}"))
}

fn refused(done: &Done, said: &[&str]) {
    assert_eq!(done.code, Some(2), "{done:#?}");
    assert_eq!(done.err.lines().count(), 1, "{done:#?}");
    said.iter().for_each(|words| assert!(done.err.contains(words), "{words}: {done:#?}"));
}

const IDLG: [&str; 4] = ["--attack", "idlg", "--set", "iterations=40"];

/// Four epochs with momentum and decay: read as a gradient they give little, followed step by step
/// the picture; a wrong declaration is doubted without the truth.
#[test]
fn local_training_is_followed_as_it_was_declared() {
    let desk = Desk::new();
    let local = LocalTraining {
        epochs: 4,
        batch_size: 2,
        lr: 0.3,
        momentum: 0.9,
        weight_decay: 0.01,
        ..LocalTraining::default()
    };
    train(&desk, 2, &local);
    let held = ["--update", "after.safetensors", "--holds", "weights", "--lr", "0.3"];
    let truth = ["--examples", "2", "--truth", "truth-0.png", "truth-1.png", "--labels", "7,2"];
    let trained = ["--epochs", "4", "--momentum", "0.9", "--weight-decay", "0.01"];
    let unroll = ["--set", "unroll=true"];
    let all = [&held[..], &truth, &trained, &IDLG].concat();
    let followed = attack(&desk, &[&all[..], &unroll].concat()).ok();
    let answer = followed.json();
    assert!(psnr(&answer) > 40.0, "{answer}");
    assert!(answer["explained"]["cosine"].as_f64().unwrap() > 0.9999, "{answer}");
    assert!((answer["explained"]["size_ratio"].as_f64().unwrap() - 1.0).abs() < 1e-2, "{answer}");
    assert!(answer["doubt"].is_null(), "{answer}");
    let read = attack(&desk, &all).ok();
    assert!(read.err.contains("unroll=true follows the client's steps"), "{read:#?}");
    assert!(psnr(&read.json()) < 30.0, "{read:#?}");
    // Three quarters of the steps and the momentum are not declared.
    let wrong = [&held[..], &truth, &IDLG].concat();
    let wrong = attack(&desk, &wrong).ok().json();
    assert!(wrong["doubt"].as_str().unwrap().contains("times as large"), "{wrong}");
    // Steps alone are told: the attack does not know of the momentum.
    let counted = [&all[..], &unroll, &["--knowledge", "steps"]].concat();
    let counted = attack(&desk, &counted).ok().json();
    assert!(psnr(&counted) < psnr(&answer) - 10.0, "{counted}");
    // Nothing is told: a direction is what cosines need.
    let mut none = [&held[..], &truth, &trained].concat();
    none.extend(["--knowledge", "none", "--attack"]);
    let cosine = ["inverting-gradients", "--set", "iterations=30", "--set", "restarts=1"];
    attack(&desk, &[&none[..], &cosine].concat()).ok();
    refused(&attack(&desk, &[&none[..], &["idlg"]].concat()), &["learning-rate"]);
}

/// Batches are followed, and the result explained, in the order of the found examples; that of a
/// truth comes after.
#[test]
fn minibatches_are_explained_in_their_order() {
    let desk = Desk::new();
    let local = LocalTraining {
        epochs: 2,
        batch_size: 1,
        lr: 0.3,
        momentum: 0.5,
        shuffled: false,
        ..LocalTraining::default()
    };
    train(&desk, 2, &local);
    let held = ["--update", "after.safetensors", "--holds", "weights", "--lr", "0.3"];
    let trained = ["--epochs", "2", "--minibatch", "1", "--momentum", "0.5", "--examples", "2"];
    let truth = ["--truth", "truth-1.png", "truth-0.png", "--labels", "7,2"];
    let all = [&held[..], &trained, &truth, &IDLG, &["--set", "unroll=true"]].concat();
    let answer = attack(&desk, &all).ok().json();
    assert!(psnr(&answer) > 30.0, "{answer}");
    assert!(answer["explained"]["cosine"].as_f64().unwrap() > 0.9999, "{answer}");
}

#[test]
fn one_step_of_adam_leaves_signs() {
    let desk = Desk::new();
    let rule = StepRule::Adam { beta1: 0.9, beta2: 0.999 };
    train(&desk, 1, &LocalTraining { rule, lr: 0.01, ..LocalTraining::default() });
    let held = ["--update", "after.safetensors", "--holds", "weights", "--lr", "0.01"];
    let adam = ["--optimizer", "adam", "--attack", "adaptive-matching", "--set", "iterations=100"];
    let done = attack(&desk, &[&held[..], &adam, &["--truth", "truth-0.png"]].concat()).ok();
    let answer = done.json();
    assert!(answer["flags"].to_string().contains("adam"), "{answer}");
    assert!(answer["explained"]["cosine"].as_f64().unwrap() > 0.9, "{answer}");
    // No other attack takes signs for a gradient, nor reads several labels off them.
    for name in ["idlg", "analytic", "feature-inversion", "strongest"] {
        let read = ["--optimizer", "adam", "--attack", name];
        let line = attack(&desk, &[&held[..], &read].concat());
        refused(&line, &["cannot be read as a gradient", "unroll=true"]);
    }
    let several = ["--examples", "2", "--optimizer", "adam", "--attack", "idlg"];
    let line = attack(&desk, &[&held[..], &several, &["--set", "unroll=true"]].concat());
    refused(&line, &["Adam's steps keep signs"]);
    let counted = [&held[..], &adam, &["--knowledge", "steps"]].concat();
    let counted = attack(&desk, &counted).ok().json();
    assert!(!counted["flags"].to_string().contains("adam"), "{counted}");
    let momentum = [&held[..], &adam, &["--momentum", "0.9"]].concat();
    refused(&attack(&desk, &momentum), &["--betas"]);
}

fn gradient(keep: impl Fn(&str) -> bool, scale: f64) -> Vec<(String, Tensor)> {
    let named = checkpoint::load(&golden("gradient.safetensors")).unwrap();
    named.into_iter().filter(|(name, _)| keep(name)).map(|(name, t)| (name, t * scale)).collect()
}

/// What is there is matched, what is not is named, and an attack that needs it says so.
#[test]
fn a_part_of_the_model_is_attacked_as_a_part() {
    let desk = Desk::new();
    let save = |file: &str, head: bool| {
        let kept = gradient(|name| name.starts_with("fc.") == head, 1.0);
        checkpoint::save_safetensors(&desk.path(file), &kept).unwrap();
    };
    save("head.safetensors", true);
    save("body.safetensors", false);
    let truth = golden("truth.png");
    let head = ["--update", "head.safetensors", "--truth", text(&truth)];
    let done = attack(&desk, &[&head[..], &IDLG].concat()).ok();
    assert!(done.err.contains("holds 2 of 8 trainable tensors; `body.0.weight`"), "{done:#?}");
    assert_eq!(done.json()["labels"], json!([7]));
    let inverted = [&head[..], &["--attack", "feature-inversion"]].concat();
    let inverted = attack(&desk, &inverted).ok().json();
    assert!(inverted["explained"]["cosine"].as_f64().unwrap() > 0.999, "{inverted}");
    let body = ["--update", "body.safetensors", "--truth", text(&truth)];
    refused_after_notes(
        &attack(&desk, &[&body[..], &IDLG].concat()),
        "the update does not hold it; use labels",
    );
    let joint = ["--labels", "7", "--attack", "idlg", "--set", "iterations=60"];
    let known = attack(&desk, &[&body[..], &joint].concat()).ok().json();
    assert!(psnr(&known) > 25.0, "{known}");
    let first = [&body[..], &["--attack", "feature-inversion"]].concat();
    refused_after_notes(&attack(&desk, &first), "does not hold `fc.0.weight`");
    // Nothing of the model is another model.
    let other = vec![("other.weight".to_owned(), Tensor::from(1.0f32))];
    checkpoint::save_safetensors(&desk.path("other.safetensors"), &other).unwrap();
    refused(&attack(&desk, &["--update", "other.safetensors"]), &["`other.weight`"]);
}

fn refused_after_notes(done: &Done, said: &str) {
    assert_eq!(done.code, Some(2), "{done:#?}");
    let last = done.err.lines().last().unwrap();
    assert!(last.starts_with("bench: ") && last.contains(said), "{done:#?}");
}

/// A gradient before the loss scaler's division cannot be of what was found.
#[test]
fn a_scaled_gradient_is_doubted_by_what_it_gives() {
    let desk = Desk::new();
    let scaled = gradient(|_| true, 65536.0);
    checkpoint::save_safetensors(&desk.path("scaled.safetensors"), &scaled).unwrap();
    let cosine = ["--attack", "inverting-gradients", "--set", "iterations=100"];
    let update = ["--update", "scaled.safetensors", "--set", "restarts=1"];
    let answer = attack(&desk, &[&update[..], &cosine].concat()).ok().json();
    assert!(answer["explained"]["size_ratio"].as_f64().unwrap() > 1e4, "{answer}");
    assert!(answer["doubt"].as_str().unwrap().contains("loss scale"), "{answer}");
}

/// Labels that are given are used; a defense that is told of is adapted to.
#[test]
fn what_is_told_is_used() {
    let desk = Desk::new();
    let update = golden("gradient.safetensors");
    let update = ["--update", text(&update)];
    let idlg = [&update[..], &IDLG].concat();
    let wrong = attack(&desk, &[&idlg[..], &["--labels", "3"]].concat()).ok().json();
    let own = attack(&desk, &idlg).ok().json();
    assert!(wrong["labels"].is_null() && own["labels"] == json!([7]), "{wrong} {own}");
    let misfit = |answer: &Value| answer["objective"][0].as_f64().unwrap();
    assert!(misfit(&wrong) > 1e3 * misfit(&own), "{wrong} {own}");
    let adaptive = ["--attack", "adaptive-matching", "--set", "iterations=20"];
    let plain = attack(&desk, &[&update[..], &adaptive].concat()).ok();
    assert!(plain.err.contains("adapts to nothing"), "{plain:#?}");
    let pruned = ["--defense", "prune:fraction=0.5", "--defense", "gaussian-noise:std=0.01"];
    let told = attack(&desk, &[&update[..], &adaptive, &pruned].concat()).ok();
    let flags = told.json()["flags"].to_string();
    assert!(flags.contains("prune") && flags.contains("gaussian-noise"), "{flags}");
    let unknown = [&update[..], &["--defense", "prun"]].concat();
    refused(&attack(&desk, &unknown), &["did you mean"]);
}

/// Two clients of one example each, weighed alike or by their examples.
#[test]
fn contributors_are_told_apart() {
    let desk = Desk::new();
    let net = lenet();
    let (x, y) = examples(&desk, 2);
    let local = LocalTraining { epochs: 3, lr: 0.5, ..LocalTraining::default() };
    let deal = |t: &Tensor| t.transpose(0, 1);
    let mut rngs = [0, 1].map(|c| suites::rng::stream(c, "test", "order"));
    let (start, rules) = (before(&net), Rules::default());
    let each =
        client::train(&net, &start, &deal(&x), &deal(&y), &local, &rules, Mode::Train, &mut rngs);
    let mean = each.map(|t| t.mean_dim(0, true, None::<tch::Kind>));
    checkpoint::save_safetensors(&desk.path("mean.safetensors"), &mean.named(0)).unwrap();
    let held = ["--update", "mean.safetensors", "--holds", "weights", "--lr", "0.5"];
    let epochs = ["--epochs", "3", "--set", "unroll=true", "--labels", "7,2"];
    let truth = ["--truth", "truth-0.png", "truth-1.png"];
    let all = [&held[..], &epochs, &truth, &IDLG].concat();
    for clients in [&["--contributors", "2"][..], &["--weights-of", "1,1"]] {
        let answer = attack(&desk, &[&all[..], clients].concat()).ok().json();
        assert!(psnr(&answer) > 30.0, "{answer}");
        assert!(answer["explained"]["cosine"].as_f64().unwrap() > 0.999, "{answer}");
    }
    let clients = ["--examples", "3", "--contributors", "2"];
    refused(&attack(&desk, &[&held[..], &clients].concat()), &["--weights-of"]);
    let clients = ["--weights-of", "1,2", "--contributors", "3"];
    refused(&attack(&desk, &[&held[..], &clients].concat()), &["2 clients", "3"]);
}

#[test]
fn contradictions_are_refused_in_one_line() {
    let desk = Desk::new();
    let update = golden("after.pt");
    let held = ["--update", text(&update), "--holds", "weights"];
    let cases: [(&[&str], &str); 8] = [
        (&[], "learning rate"),
        (&["--lr", "0"], "above 0"),
        (&["--lr", "1", "--momentum", "1"], "below 1"),
        (&["--lr", "1", "--examples", "4", "--minibatch", "3", "--steps", "3"], "of 2 steps"),
        (&["--lr", "1", "--minibatch", "2"], "has 1 examples"),
        (&["--lr", "1", "--epochs", "2", "--steps", "3"], "contradict"),
        (&["--lr-schedule", "1,0.5", "--epochs", "3"], "2 rates for 3 steps"),
        (&["--lr", "1", "--betas", "0.9,0.99"], "--optimizer adam"),
    ];
    for (flags, said) in cases {
        refused(&attack(&desk, &[&held[..], flags].concat()), &[said]);
    }
    let gradient = golden("gradient.safetensors");
    let trained = ["--update", text(&gradient), "--epochs", "2"];
    refused(&attack(&desk, &trained), &["--epochs", "a gradient has none"]);
}

fn capture(desk: &Desk, change: impl Fn(&mut Value)) {
    let mut said = json!({
        "schema": "bench-capture/1",
        "made_by": "a test",
        "model": { "name": "lenet-zhu", "input": [3, 16, 16], "classes": 10 },
        "weights": "before.pt",
        "update": "after.pt",
        "holds": "weights",
        "examples": 1,
        "training": { "optimizer": "sgd", "lr": 1.0, "epochs": 1, "minibatch": 1 },
        "batch_norm": "train",
        "normalization": { "mean": [0.5], "std": [0.5] },
    });
    change(&mut said);
    desk.write("capture/capture.json", said.to_string());
}

/// A folder says it all; flags may add to it and must not contradict it.
#[test]
fn a_capture_folder_needs_no_flags() {
    let desk = Desk::new();
    capture(&desk, |_| ());
    for name in ["before.pt", "after.pt"] {
        std::fs::copy(golden(name), desk.path(&format!("capture/{name}"))).unwrap();
    }
    let truth = golden("truth.png");
    let fixed = ["attack", "capture", "--device", "cpu", "--json", "--out", "found"];
    let bench = |more: &[&str]| desk.bench(&[&fixed[..], &IDLG, more].concat());
    let answer = bench(&["--truth", text(&truth)]).ok().json();
    assert_eq!(answer["labels"], json!([7]));
    assert!(psnr(&answer) > 40.0, "{answer}");
    bench(&["--lr", "1"]).ok();
    refused(&bench(&["--lr", "0.5"]), &["--lr", "0.5", "1.0", "capture.json"]);
    capture(&desk, |said| said["defenses"] = json!([{ "name": "prune", "fraction": 0.5 }]));
    let adapted = desk.bench(&[&fixed[..], &["--attack", "adaptive-matching"]].concat()).ok();
    assert!(adapted.json()["flags"].to_string().contains("prune"), "{adapted:#?}");
    let cases: [(&str, Value, &str); 5] = [
        ("schema", json!("bench-capture/2"), "bench-capture/1"),
        ("update", json!("../after.pt"), "`../after.pt`"),
        ("colour", json!(1), "colour"),
        ("holds", json!("secrets"), "secrets"),
        ("model", json!({}), "`file` or `name`"),
    ];
    for (key, value, words) in cases {
        capture(&desk, |said| said[key] = value.clone());
        refused(&bench(&[]), &["capture.json", words]);
    }
    refused(&desk.bench(&["attack", "nowhere"]), &["capture.json"]);
}

/// Weights without BatchNorm's running statistics are enough where the client trained in train
/// mode.
#[test]
fn running_statistics_may_be_left_out() {
    let desk = Desk::new();
    let net = {
        let architecture = suites::find("model", learning::models::ENTRIES, "resnet18").unwrap();
        let params = json!({ "stem": "cifar" });
        let built = (architecture.build)(params.as_object().unwrap()).unwrap();
        let model = built.build(&Shape { input: vec![3, 16, 16], classes: 10 }).unwrap();
        Network::new(model, vec![0.5; 3], vec![0.5; 3])
    };
    let mut rng = suites::rng::stream(0, "test", "weights");
    let weights = learning::init::fresh(net.layout(), suites::Init::Pytorch, &mut rng);
    let (x, y) = examples(&desk, 2);
    let rules = Rules::default();
    let gradient = client::batch_gradient(&net, &weights, &x, &y, &rules, Mode::Train, &mut []);
    let keep = |name: &str| !name.contains("running_");
    let save = |file: &str, params: &Params| {
        let named: Vec<_> = params.named(0).into_iter().filter(|(name, _)| keep(name)).collect();
        checkpoint::save_safetensors(&desk.path(file), &named).unwrap();
    };
    save("before.safetensors", &weights);
    save("gradient.safetensors", &gradient);
    let run = |more: &[&str]| {
        let model = ["attack", "--model", "resnet18", "--model-params", "{\"stem\":\"cifar\"}"];
        let shape = ["--input", "3x16x16", "--classes", "10", "--examples", "2", "--labels", "7,2"];
        let files = ["--weights", "before.safetensors", "--update", "gradient.safetensors"];
        let attack = ["--attack", "inverting-gradients", "--set", "iterations=2", "--json"];
        let fixed = ["--set", "restarts=1", "--device", "cpu"];
        desk.bench(&[&model[..], &shape, &files, &attack, &fixed, more].concat())
    };
    let done = run(&[]).ok();
    assert!(done.err.contains("running statistics are not there"), "{done:#?}");
    refused(&run(&["--batch-norm-eval"]), &["running_mean", "missing"]);
}
