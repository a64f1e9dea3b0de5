//! Weights and updates as people keep them (`golden/foreign-updates/make.py`), through the binary.

mod common;

use std::path::Path;

use common::{Desk, Done};

fn golden(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/foreign-updates");
    folder.join(name).display().to_string()
}

/// `bench attack` on the two files; names that are not in the golden folder are below the desk.
fn attack(desk: &Desk, weights: &str, update: &str, more: &[&str]) -> Done {
    let place = |name: &str| {
        let golden = golden(name);
        if Path::new(&golden).exists() { golden } else { desk.path(name).display().to_string() }
    };
    let (weights, update, truth) = (place(weights), place(update), golden("truth.png"));
    let fixed = [
        "attack",
        "--device",
        "cpu",
        "--model",
        "mlp",
        "--model-params",
        r#"{"hidden":[5,4,4,4,4,4]}"#,
        "--input",
        "1x3x3",
        "--classes",
        "3",
        "--attack",
        "analytic",
        "--json",
        "--out",
        "found",
        "--truth",
        &truth,
        "--weights",
        &weights,
        "--update",
        &update,
    ];
    desk.bench(&[&fixed[..], more].concat())
}

/// The picture and its label came out; returns what was said.
fn recovered(done: Done, least: f64) -> String {
    let done = done.ok();
    let found = done.json();
    assert_eq!(found["labels"], serde_json::json!([2]), "{done:#?}");
    assert!(found["scores"][0]["psnr"].as_f64().unwrap() > least, "{done:#?}");
    done.err
}

/// One line that says all of these.
fn refused(done: &Done, says: &[&str]) {
    assert_eq!(done.code, Some(2), "{done:#?}");
    let lines = done.err.lines().filter(|line| !line.starts_with("note: ")).count();
    assert_eq!(lines, 1, "{done:#?}");
    says.iter().for_each(|word| assert!(done.err.contains(word), "{word}: {done:#?}"));
}

#[test]
fn values_beside_the_weights_are_named() {
    let desk = Desk::new();
    let plain = recovered(attack(&desk, "weights.pt", "gradient.pt", &[]), 60.0);
    assert!(!plain.contains("note"), "{plain}");
    let said = recovered(attack(&desk, "checkpoint.pt", "beside.safetensors", &[]), 60.0);
    let over = "checkpoint.pt: `args` (argparse.Namespace), `epoch` (an integer), \
        `rng` (torch.ByteStorage), `loss` (a tensor of [])";
    assert!(said.contains(over), "{said}");
    assert!(said.contains("checkpoint.pt: its tensors lie under `net`"), "{said}");
    assert!(said.contains("beside.safetensors: `steps` (U8)"), "{said}");
}

#[test]
fn code_is_refused_and_never_run() {
    let desk = Desk::new();
    refused(&attack(&desk, "evil.pt", "gradient.pt", &[]), &["system`, which runs code"]);
    assert!(!desk.path("evil-ran").exists());
}

#[test]
fn tensors_without_names_are_taken_in_order() {
    let desk = Desk::new();
    for update in ["list.pt", "arrays", "half.npz"] {
        let said = recovered(attack(&desk, "weights.pt", update, &[]), 40.0);
        assert!(said.contains("14 arrays without names are taken in the model's order"), "{said}");
    }
    let short = attack(&desk, "weights.pt", "short.npz", &[]);
    refused(&short, &["13 tensors without names", "`fc1.bias` of [5] is missing"]);
    let objects = attack(&desk, "weights.pt", "objects.npz", &[]);
    refused(&objects, &["pickled objects, which are never unpickled", "numpy.savez"]);
    let said = recovered(attack(&desk, "weights.pt", "words.npz", &[]), 60.0);
    assert!(said.contains("words.npz: `client` (NumPy's <U5)"), "{said}");
    // What is inside counts, and not the name.
    std::fs::copy(golden("words.npz"), desk.path("npz.pt")).unwrap();
    std::fs::copy(golden("weights.pt"), desk.path("pt.npz")).unwrap();
    recovered(attack(&desk, "pt.npz", "npz.pt", &[]), 60.0);
    desk.write("pointer.npz", "version https://git-lfs.github.com/spec/v1\n");
    refused(&attack(&desk, "weights.pt", "pointer.npz", &[]), &["a Git LFS pointer"]);
    std::fs::create_dir(desk.path("empty")).unwrap();
    refused(&attack(&desk, "weights.pt", "empty", &[]), &["a folder without .npy files"]);
}

#[test]
fn rounded_tensors_are_said_to_be() {
    let desk = Desk::new();
    let said = recovered(attack(&desk, "weights.pt", "bfloat16.pt", &[]), 25.0);
    assert!(said.contains("14 of 14 tensors are bfloat16") && said.contains("2^-8"), "{said}");
    let said = recovered(attack(&desk, "weights.pt", "half.npz", &[]), 40.0);
    assert!(said.contains("14 of 14 tensors are float16") && said.contains("2^-11"), "{said}");
}

#[test]
fn names_of_another_network_are_matched_where_that_is_asked_for() {
    let desk = Desk::new();
    let without = attack(&desk, "theirs.pt", "gradient.pt", &[]);
    refused(&without, &["14 tensors", "(`layers.0.weight` as `fc1.weight`)", "--by-position"]);
    // In the alphabet layers.10 and layers.12 come before layers.2.
    for weights in ["theirs.pt", "theirs.safetensors"] {
        let update = "theirs-gradient.safetensors";
        let said = recovered(attack(&desk, weights, update, &["--by-position"]), 60.0);
        for pair in ["layers.2.weight -> fc2.weight", "layers.12.bias -> fc7.bias"] {
            assert!(said.contains(pair), "{said}");
        }
        assert!(said.contains("14 tensors are named as those before"), "{said}");
    }
    let other = attack(&desk, "keras.pt", "gradient.pt", &["--by-position"]);
    refused(&other, &["tensor 0 without a name is [9, 5] where `fc1.weight` needs [5, 9]"]);
}

#[test]
fn what_does_not_fit_is_said_with_its_remedy() {
    let desk = Desk::new();
    let keras = attack(&desk, "keras.pt", "gradient.pt", &[]);
    refused(&keras, &["`fc1.weight` has shape [9, 5]", "TensorFlow", "permute(1, 0)"]);
    let quantised = attack(&desk, "weights.pt", "quantised.safetensors", &[]);
    refused(&quantised, &["parameter `fc1.bias` is U8 where the model needs float"]);
    let two = attack(&desk, "two.pt", "gradient.pt", &[]);
    refused(&two, &["under `net`, `model`", "they differ", "torch.load(path)[\"net\"]"]);
    let cut = attack(&desk, "weights.pt", "cut.safetensors", &[]);
    refused(&cut, &["the file ends 10 bytes early"]);
}

/// A loss saved in the state dict itself is no parameter; a tensor of a module's name is one.
#[test]
fn a_number_among_the_parameters_is_passed_over() {
    let desk = Desk::new();
    let read = learning::checkpoint::load(Path::new(&golden("gradient.pt"))).unwrap();
    let with = |name: &str| {
        let number = (name.to_owned(), tch::Tensor::from_slice(&[0.7f32]));
        let named: Vec<(String, tch::Tensor)> =
            read.iter().map(|(n, t)| (n.clone(), t.shallow_clone())).chain([number]).collect();
        learning::checkpoint::save_safetensors(&desk.path("more.safetensors"), &named).unwrap();
        attack(&desk, "weights.pt", "more.safetensors", &[])
    };
    let said = recovered(with("loss"), 60.0);
    assert!(said.contains("`loss` (a tensor of [1])"), "{said}");
    refused(&with("other.scale"), &["`other.scale` is not part of this model"]);
}
