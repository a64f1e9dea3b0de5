//! A user's own network, exported from PyTorch (`golden/own-model/make.py`), through the binary.

mod common;

use std::path::{Path, PathBuf};

use common::{Desk, Done};
use serde_json::Value;

fn golden(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/own-model");
    folder.join(name).display().to_string()
}

fn graph(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../learning/tests/golden/graphs");
    folder.join(name).canonicalize().unwrap()
}

fn attack(desk: &Desk, update: &str, more: &[&str]) -> Done {
    let (vit, update, truth) = (graph("vit.pt2"), golden(update), golden("truth.png"));
    let model = vit.display().to_string();
    let fixed = ["attack", "--device", "cpu", "--model", &model, "--update", &update];
    desk.bench(&[&fixed[..], &["--truth", &truth, "--out", "found"], more].concat())
}

/// Names as torch.compile and DistributedDataParallel write them, weights from the model's own
/// file, no shape and no number of classes given.
#[test]
fn a_transformer_gives_its_image_to_one_gradient() {
    let desk = Desk::new();
    let done = attack(&desk, "gradient.pt", &["--attack", "analytic", "--json"]).ok();
    assert!(done.err.contains("every name begins with `_orig_mod.module.`"), "{done:#?}");
    let found: Value = done.json();
    assert_eq!(found["labels"], serde_json::json!([3]));
    let psnr = found["scores"][0]["psnr"].as_f64().unwrap();
    assert!(psnr > 55.0, "{found}");
    let by_matching = [
        "--attack",
        "inverting-gradients",
        "--batch-norm-eval",
        "--set",
        "iterations=50",
        "--json",
    ];
    let matched: Value = attack(&desk, "gradient.pt", &by_matching).ok().json();
    assert!(matched["objective"][0].as_f64().unwrap().is_finite(), "{matched}");
}

#[test]
fn names_with_and_without_a_prefix_are_refused() {
    let done = attack(&Desk::new(), "mixed-names.pt", &["--attack", "analytic"]);
    assert_eq!(done.code, Some(2), "{done:#?}");
    assert!(done.err.contains("has the prefix `_orig_mod.module.`"), "{done:#?}");
    assert_eq!(done.err.lines().count(), 1, "{done:#?}");
}

/// A suite, a training and a single cell take the file where they take a name; its contents are
/// part of the cells' ids.
#[test]
fn a_file_works_where_a_name_does() {
    let desk = Desk::new();
    std::fs::copy(golden("digits-1.pt2"), desk.path("net.pt2")).unwrap();
    let suite = "[suite]\nname = \"own\"\nversion = \"1\"\ndescription = \"own\"\n\
        [defaults]\ntrials = 2\n\
        attack = { name = \"idlg\", iterations = 3 }\ntask = \"digits\"\n\
        model = { file = \"net.pt2\", batch_norm = \"eval\" }\n\
        [matrix]\ndefenses = [\"none\", { name = \"prune\", fraction = 0.5 }]\n";
    desk.write("own.toml", suite);
    let run = ["suite", "own.toml", "--device", "cpu", "--out", "run"];
    let done = desk.bench(&run);
    assert_eq!(done.code, Some(0), "{done:#?}");
    let cells = std::fs::read_to_string(desk.path("run/cells.jsonl")).unwrap();
    let records: Vec<Value> = cells.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let params = &records[0]["spec"]["model"]["params"];
    assert_eq!(params["file"], "net.pt2");
    assert_eq!(params["sha256"].as_str().unwrap().len(), 64);
    // Another file under the same name is another experiment.
    std::fs::copy(golden("digits-2.pt2"), desk.path("net.pt2")).unwrap();
    desk.bench(&["suite", "own.toml", "--device", "cpu", "--out", "other"]).ok();
    let other = std::fs::read_to_string(desk.path("other/cells.jsonl")).unwrap();
    let other: Value = serde_json::from_str(other.lines().next().unwrap()).unwrap();
    assert_ne!(other["id"], records[0]["id"]);
}

/// A federation trains it, with noise on single examples too: free parameters and layers on many
/// places of an example give gradients of single examples as well.
#[test]
fn a_file_is_trained() {
    let desk = Desk::new();
    let task = format!(
        "name = \"own\"\nmodel = {{ file = \"{}\" }}\n\
         task = {{ dataset = \"digits\", limit = 40 }}\n\
         federation = {{ rounds = 1, clients = {{ total = 2 }}, \
         local = {{ batch_size = 4, lr = 0.01 }} }}\n",
        golden("digits-1.pt2")
    );
    desk.write("task.toml", task);
    let done = desk.bench(&common::training("plain", &[]));
    assert_eq!(done.code, Some(0), "{done:#?}");
    let done = desk.bench(&common::training("private", &["--defense", "dp-sgd"]));
    assert_eq!(done.code, Some(0), "{done:#?}");
}

#[test]
fn what_is_no_network_is_refused_in_one_line() {
    let desk = Desk::new();
    desk.write("empty.pt2", "");
    let whole = std::fs::read(graph("mlp.pt2")).unwrap();
    desk.write("cut.pt2", &whole[..whole.len() / 2]);
    let (unknown, newer) = (golden("unknown.pt2"), golden("newer.pt2"));
    let cases = [
        ("empty.pt2", vec!["empty.pt2"]),
        ("cut.pt2", vec!["no zip that can be read"]),
        ("absent.pt2", vec!["absent.pt2"]),
        (&unknown, vec!["aten.fft_rfft.default (make.py:", "aten.sort.default", "torch.sort("]),
        (&newer, vec!["schema 9.1", "such as 2.11 or 2.15"]),
    ];
    for (file, said) in cases {
        let done = desk.bench(&["model", "show", file]);
        assert_eq!(done.code, Some(2), "{done:#?}");
        assert_eq!(done.err.lines().count(), 1, "{done:#?}");
        said.iter().for_each(|s| assert!(done.err.contains(s), "{s}: {done:#?}"));
    }
    let mlp = graph("mlp.pt2").display().to_string();
    let wrong = ["run", "--dataset", "digits", "--model", &mlp, "--attack", "idlg"];
    let done = desk.bench(&wrong);
    assert_eq!(done.code, Some(2), "{done:#?}");
    assert!(done.err.contains("takes examples of [30]"), "{done:#?}");
}

#[test]
fn a_network_is_shown() {
    let vit = graph("vit.pt2").display().to_string();
    let shown = Desk::new().bench(&["model", "show", &vit]).ok().out;
    for line in [
        "vit.pt2: [3x16x16] to 5 classes, 7749 trainable values in 32 tensors, 0 of buffers",
        "conv_proj",
        "`analytic` reads one image in closed form",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    for (file, line) in [
        ("tied.pt2", "`b.weight` is `a.weight`: one parameter, with one gradient"),
        ("decoder.pt2", "it reads tokens: no attack here recovers them"),
    ] {
        let file = graph(file).display().to_string();
        let shown = Desk::new().bench(&["model", "show", &file]).ok().out;
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    let shown = Desk::new().bench(&[
        "model",
        "show",
        "lenet-zhu",
        "--input",
        "3x32x32",
        "--classes",
        "10",
        "--json",
    ]);
    let shown = shown.ok().json();
    assert_eq!(
        (&shown["trainable"], shown["layers"].as_array().unwrap().len()),
        (&15826.into(), 4)
    );
}

/// A gradient that cannot be what it is said to be: said before the attack, or refused.
#[test]
fn impossible_updates_are_doubted() {
    let desk = Desk::new();
    let named = learning::checkpoint::load(Path::new(&golden("gradient.pt"))).unwrap();
    let saved = |name: &str, f: &dyn Fn(&str, &tch::Tensor) -> tch::Tensor| {
        let all: Vec<_> = named.iter().map(|(n, t)| (n.clone(), f(n, t).contiguous())).collect();
        learning::checkpoint::save_safetensors(&desk.path(name), &all).unwrap();
        desk.path(name).display().to_string()
    };
    let vit = graph("vit.pt2").display().to_string();
    let run = |update: &str| {
        desk.bench(&[
            "attack", "--device", "cpu", "--model", &vit, "--attack", "analytic", "--update",
            update,
        ])
    };
    let zero = run(&saved("zero.safetensors", &|_, t| t.zeros_like()));
    assert_eq!(zero.code, Some(2), "{zero:#?}");
    assert!(zero.err.contains("the update is zero"), "{zero:#?}");
    let frozen = |name: &str, t: &tch::Tensor| {
        if name.ends_with("ln.bias") { t.zeros_like() } else { t.shallow_clone() }
    };
    let partial = run(&saved("partial.safetensors", &frozen)).ok();
    assert!(partial.err.contains("zero in `encoder.ln.bias`"), "{partial:#?}");
    let scaled = run(&saved("scaled.safetensors", &|_, t| t * 65536.0)).ok();
    assert!(scaled.err.contains("GradScaler.unscale_"), "{scaled:#?}");
    let reversed = run(&saved("reversed.safetensors", &|_, t| -t)).ok();
    assert!(reversed.err.contains("sign reversed"), "{reversed:#?}");
    let honest = run(&golden("gradient.pt")).ok();
    assert!(!honest.err.contains("doubt"), "{honest:#?}");
}

/// `numpy.savez` of a state dict's values, as Flower keeps a round, in the model's own order.
#[test]
fn arrays_without_names_are_taken_in_order() {
    let desk = Desk::new();
    let (model, before, after) =
        (golden("digits-1.pt2"), golden("round-0.npz"), golden("round-1.npz"));
    let run = |update: &str| {
        let fixed = ["attack", "--device", "cpu", "--model", &model, "--weights", &before];
        let how = ["--update", update, "--holds", "weights", "--lr", "0.1", "--json"];
        desk.bench(&[&fixed[..], &how, &["--attack", "idlg", "--set", "iterations=5"]].concat())
    };
    let done = run(&after).ok();
    assert_eq!(done.json()["labels"], serde_json::json!([7]));
    assert!(
        done.err.contains("8 arrays without names are taken in the model's order"),
        "{done:#?}"
    );
    let short = run(&golden("short.npz"));
    assert_eq!(short.code, Some(2), "{short:#?}");
    let said = "7 tensors without names are given, but state_dict() has 8 and parameters() 8";
    assert!(short.err.contains(said), "{short:#?}");
}

const LAYERS: &str = "[[model.layers]]\ntype = \"conv\"\nout = 6\nkernel = 3\nstride = 2\n\
    [[model.layers]]\ntype = \"sigmoid\"\n\
    [[model.layers]]\ntype = \"residual\"\nlayers = [{ type = \"conv\", out = 6, kernel = 1 }]\n\
    [[model.layers]]\ntype = \"flatten\"\n[[model.layers]]\ntype = \"linear\"\n";

/// A network that a suite writes down is built, attacked and part of the cell's id; the same layers
/// in a file of their own are shown.
#[test]
fn a_network_is_written_down_layer_by_layer() {
    let desk = Desk::new();
    let suite = |layers: &str| {
        let layers = layers.replace("[[model", "[[defaults.model");
        format!(
            "[suite]\nname = \"own\"\nversion = \"1\"\ndescription = \"own\"\n\
             [defaults]\ntrials = 1\ntask = \"digits\"\n\
             attack = \"analytic\"\n{layers}"
        )
    };
    let rows = "[[model.layers]]\ntype = \"flatten\"\n[[model.layers]]\ntype = \"linear\"\n\
        out = 16\n[[model.layers]]\ntype = \"tanh\"\n[[model.layers]]\ntype = \"linear\"\n";
    desk.write("own.toml", suite(rows));
    desk.bench(&["suite", "own.toml", "--device", "cpu", "--out", "run"]).ok();
    let record = |run: &str| -> Value {
        let cells = std::fs::read_to_string(desk.path(&format!("{run}/cells.jsonl"))).unwrap();
        serde_json::from_str(cells.lines().next().unwrap()).unwrap()
    };
    let found = record("run");
    assert_eq!(found["spec"]["model"]["name"], "layers", "{found}");
    assert_eq!(found["spec"]["model"]["params"]["layers"][1]["out"], 16);
    assert!(found["images"][0]["scores"]["mse"].as_f64().unwrap() < 1e-8, "{found}");
    desk.write("own.toml", suite(&rows.replace("16", "15")));
    desk.bench(&["suite", "own.toml", "--device", "cpu", "--out", "other"]).ok();
    assert_ne!(record("other")["id"], found["id"]);
    desk.write("net.toml", LAYERS.replace("model.", ""));
    let shape = ["--input", "1x8x8", "--classes", "10"];
    let shown = desk.bench(&[&["model", "show", "net.toml"], &shape[..]].concat()).ok().out;
    assert!(shown.contains("2.layers.0"), "{shown}");
    let cases = [
        ("out = 6\n", "out = 0\n", "model.layers.0: takes 1 channels to 0"),
        ("stride = 2", "stride = 0", "model.layers.0"),
        ("kernel = 1", "kernel = 2", "model.layers.2: adds [6, 2, 2] to [6, 3, 3]"),
        ("\"flatten\"", "\"relu\"", "model.layers.4: needs rows"),
        ("\"sigmoid\"", "\"sigmod\"", "sigmod"),
        ("out = 6\n", "out = 1099511627776\n", "more than"),
        ("type = \"linear\"", "type = \"linear\"\nout = 7", "end in [7]"),
    ];
    for (good, bad, said) in cases {
        assert!(LAYERS.contains(good), "{good}");
        desk.write("bad.toml", LAYERS.replacen(good, bad, 1).replace("model.", ""));
        let done = desk.bench(&[&["model", "show", "bad.toml"], &shape[..]].concat());
        assert_eq!(done.code, Some(2), "{bad}: {done:#?}");
        assert!(done.err.contains(said) && done.err.lines().count() == 1, "{said}: {done:#?}");
    }
}

/// An ONNX file goes where a `.pt2` goes, with the update of the same network.
#[test]
fn an_onnx_file_is_attacked() {
    let desk = Desk::new();
    let file = |name: &str| graph(name).display().to_string();
    let net = learning::graph::read(&graph("mlp.pt2")).unwrap();
    let net = learning::Network::new(net.into_model(), vec![0.0; 30], vec![1.0; 30]);
    let mut rng = suites::rng::stream(0, "test", "weights");
    let weights = learning::init::fresh(net.layout(), suites::Init::Pytorch, &mut rng);
    let x = learning::noise::uniform(&mut rng, &[1, 1, 30], 0.0, 1.0);
    let y = tch::Tensor::from_slice(&[1i64]).reshape([1, 1]);
    let rules = learning::client::Rules::default();
    let mode = learning::Mode::Train;
    let gradient = learning::client::batch_gradient(&net, &weights, &x, &y, &rules, mode, &mut []);
    let saved = desk.path("gradient.safetensors");
    learning::checkpoint::save_safetensors(&saved, &gradient.named(0)).unwrap();
    let run = |model: &str, more: &[&str]| {
        let fixed = ["attack", "--device", "cpu", "--model", model, "--mean", "0", "--std", "1"];
        let update = ["--update", "gradient.safetensors", "--attack", "analytic", "--json"];
        desk.bench(&[&fixed[..], &update, more].concat())
    };
    for model in ["mlp.pt2", "onnx/mlp-script.onnx", "onnx/mlp-dynamo.onnx"] {
        let answer: Value = run(&file(model), &[]).ok().json();
        assert_eq!(answer["labels"], serde_json::json!([1]), "{model}: {answer}");
        let found = learning::checkpoint::load(&desk.path("attack-out/reconstruction.safetensors"));
        let off = (&found.unwrap()[0].1 - x.get(0)).abs().max().double_value(&[]);
        assert!(off < 1e-4, "{model}: {off}");
    }
    let onnx = file("onnx/mlp-script.onnx");
    let wrong = run(&onnx, &["--trainable", "nobody"]);
    assert_eq!(wrong.code, Some(2), "{wrong:#?}");
    assert!(wrong.err.contains("no parameter `nobody`"), "{wrong:#?}");
    let shown = desk.bench(&["model", "show", &onnx]).ok().out;
    assert!(shown.contains("body.0"), "{shown}");
}
