//! Networks from exported programs against PyTorch: logits, loss, parameter gradients and
//! second-order gradients, in f64 to 1e-9, in f32 to 1e-4 of what f64 gives; lanes against each
//! other; examples apart.
//!
//! `BENCH_GRAPHS=FOLDER` checks the files of another folder too, such as that of
//! `make.py --large`.

mod common;

use std::path::{Path, PathBuf};

use common::{close, digest, hashed, integers, near, number, numbers};
use learning::{Form, Mode, Network, Params, gradients, graph, init};
use serde_json::Value;
use tch::{Kind, Tensor};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/graphs")
}

struct Case {
    golden: Value,
    net: Network,
    name: String,
}

/// Every JSON file of a folder with the network that it is of.
fn cases(folder: &Path) -> Vec<Case> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    paths.sort();
    let case = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).expect("text");
        let golden: Value = serde_json::from_str(&text).expect("JSON");
        let file = folder.join(golden["file"].as_str().expect("a name"));
        let net = network(&file);
        Case { golden, net, name: path.display().to_string() }
    };
    paths.iter().map(case).collect()
}

fn network(file: &Path) -> Network {
    let found = graph::read(file).unwrap_or_else(|e| panic!("{e}"));
    let channels = found.input()[0] as usize;
    Network::new(found.into_model(), vec![0.0; channels], vec![1.0; channels])
}

fn weights(net: &Network, kind: Kind) -> Params {
    let mut rng = suites::rng::stream(0, "graphs", "weights");
    init::fresh(net.layout(), suites::Init::Pytorch, &mut rng).map(|t| t.to_kind(kind))
}

impl Case {
    fn mode(&self) -> Mode {
        if self.golden["mode"] == "train" { Mode::Train } else { Mode::Eval }
    }

    fn input(&self, kind: Kind) -> Tensor {
        let batch = self.golden["batch"].as_i64().expect("batch");
        let shape = [vec![1, batch], integers(&self.golden["input"])].concat();
        match self.golden["tokens"].as_f64() {
            Some(words) => ((hashed(&shape, 1, Kind::Double) + 1.0) / 2.0 * words).floor(),
            None => hashed(&shape, 1, kind),
        }
        .to_kind(kind)
    }

    fn check(&self, kind: Kind, form: Form, tolerance: f64) {
        let (golden, net, name) = (&self.golden, &self.net, &self.name);
        let params = weights(net, kind);
        let tokens = golden["tokens"].is_number();
        let x = self.input(kind).set_requires_grad(!tokens);
        let labels = Tensor::from_slice(&integers(&golden["labels"])).unsqueeze(0);
        let mut logits = None;
        let grads = gradients(net, &params, &x, self.mode(), form, !tokens, |z| {
            logits = Some(z.detach());
            net.training_loss(z, &labels, false)
        });
        let logits = logits.expect("ran");
        let expected = Tensor::from_slice(&numbers(&golden["logits"])).reshape(logits.size());
        near(&logits, &expected, tolerance, &format!("{name}: logits"));
        let loss = number(&golden["loss"]);
        close(grads.loss.double_value(&[0]), loss, loss, tolerance, "loss");
        if tokens && !name.ends_with(".json") {
            return;
        }
        let targets = self.first_order(&grads, kind, tolerance);
        if tokens {
            return;
        }
        for (key, objective, value) in [
            (3000, "l2", common::l2(&grads.layers, &targets)),
            (3001, "cosine", common::cosine(&grads.layers, &targets)),
        ] {
            let (wanted, what) = (&golden[objective], format!("{name}: {objective}"));
            let exact = number(&wanted["value"]);
            close(value.double_value(&[0]), exact, exact, tolerance, &what);
            let dx = Tensor::run_backward(&[value], &[&x], true, false);
            digest(&dx[0], wanted, key, 0.0, tolerance, &format!("{what} by x"));
        }
    }

    /// Compares every parameter gradient and returns the objectives' targets.
    fn first_order(&self, grads: &learning::Gradients, kind: Kind, tolerance: f64) -> Vec<Tensor> {
        let records = self.golden["gradients"].as_array().expect("a list");
        assert_eq!(records.len(), grads.layers.len(), "{}: parameters", self.name);
        let total: f64 = records.iter().map(|r| number(&r["norm"]).powi(2)).sum::<f64>().sqrt();
        let layout = self.net.layout();
        let typical = total / (layout.trainable_len() as f64).sqrt();
        let specs = layout.trainable().into_iter().map(|i| &layout.specs()[i]);
        let mut targets = Vec::new();
        for (layer, spec) in grads.layers.iter().zip(specs) {
            let of = |(_, r): &(usize, &Value)| r["name"] == spec.name.as_str();
            let (i, record) = records.iter().enumerate().find(of).expect("in PyTorch too");
            // A gradient that vanishes exactly is judged by the size of the others.
            let floor = if number(&record["norm"]) < 1e-9 * total { typical } else { 0.0 };
            let what = format!("{}: d loss / d {}", self.name, spec.name);
            digest(&layer.to_dense(), record, 2000 + i as u32, floor, tolerance, &what);
            let size = [vec![1], spec.shape.clone()].concat();
            let scale = number(&record["target_scale"]);
            targets.push((hashed(&size, 5000 + i as u32, Kind::Double) * scale).to_kind(kind));
        }
        targets
    }
}

#[test]
fn networks_from_files_agree_with_pytorch() {
    tch::set_num_threads(1);
    let all = cases(&folder());
    assert!(all.len() >= 18, "{} cases", all.len());
    if let Some(more) = std::env::var_os("BENCH_GRAPHS") {
        for case in cases(Path::new(&more)) {
            case.check(Kind::Double, Form::Auto, 1e-9);
            println!("{}", case.name);
        }
    }
    for case in &all {
        for form in [Form::Auto, Form::Factored, Form::Dense] {
            case.check(Kind::Double, form, 1e-9);
        }
        case.check(Kind::Float, Form::Auto, 2e-3);
        println!("{}", case.name);
    }
}

/// The same networks as ONNX, by both exporters of PyTorch, against the same golden values.
/// Numbers that the exporters write into the graph (epsilons, the root of 2) are of 32 bits. Rows
/// of padding are not marked in ONNX: of networks on tokens the logits are compared.
#[test]
fn networks_from_onnx_agree_with_pytorch() {
    tch::set_num_threads(1);
    let folder = folder();
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder.join("onnx"))
        .expect("a folder")
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 14, "{} files", paths.len());
    for path in paths {
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let name = stem.split('-').next().expect("a part");
        for mode in ["eval", "train"] {
            let golden = folder.join(format!("{name}-{mode}.json"));
            let Ok(text) = std::fs::read_to_string(golden) else { continue };
            let golden: Value = serde_json::from_str(&text).expect("JSON");
            let case =
                Case { net: trained(&path, &golden), golden, name: format!("{stem} {mode}") };
            println!("{}", case.name);
            let exact = ["mlp", "densenet"].contains(&name);
            let tolerance = match name {
                "signal" => 1e-5, // RMSNorm adds 1e-7 there, and 2e-16 in f64.
                _ if exact => 1e-9,
                _ => 1e-6,
            };
            for form in [Form::Auto, Form::Factored, Form::Dense] {
                case.check(Kind::Double, form, tolerance);
            }
        }
    }
}

/// A network whose trainable parameters are those that have a golden gradient.
fn trained(file: &Path, golden: &Value) -> Network {
    let mut found = graph::read(file).unwrap_or_else(|e| panic!("{e}"));
    let records = golden["gradients"].as_array().expect("a list");
    let names: Vec<String> =
        records.iter().map(|r| r["name"].as_str().expect("a name").to_owned()).collect();
    found.train_only(&names).expect("every parameter by its name");
    let channels = found.input()[0] as usize;
    Network::new(found.into_model(), vec![0.0; channels], vec![1.0; channels])
}

/// Lanes with weights of their own give what each gives by itself, in every form.
#[test]
fn lanes_do_not_see_each_other() {
    for case in cases(&folder()) {
        let (net, one) = (&case.net, weights(&case.net, Kind::Double));
        let moved = one.map(|t| t * 1.1);
        let two = one.zip(&moved, |a, b| Tensor::cat(&[a, b], 0));
        let x = case.input(Kind::Double);
        let other = if case.golden["tokens"].is_number() { x.flip([1]) } else { &x * 0.9 + 0.05 };
        let both = Tensor::cat(&[&x, &other], 0);
        let label = Tensor::from_slice(&integers(&case.golden["labels"])).unsqueeze(0);
        let run = |params: &Params, x: &Tensor, form: Form, again: bool| {
            let labels = label.expand([x.size()[0], -1], true);
            let loss = |z: &Tensor| net.training_loss(z, &labels, false);
            gradients(net, params, x, case.mode(), form, again, loss)
        };
        for (form, again) in [(Form::Auto, true), (Form::Dense, false), (Form::Training, false)] {
            // With weights of their own, and with the same weights.
            for (params, second) in [(&two, &moved), (&one, &one)] {
                let together = run(params, &both, form, again);
                let apart = [run(&one, &x, form, again), run(second, &other, form, again)];
                for (i, layer) in together.layers.iter().enumerate() {
                    let expected = apart.each_ref().map(|g| g.layers[i].to_dense());
                    let what = format!("{} {form:?}: layer {i}", case.name);
                    same(&layer.to_dense(), &Tensor::cat(&expected, 0), &together, &what);
                }
            }
        }
    }
}

/// Equal within rounding; a gradient that vanishes is judged by the size of the others.
fn same(found: &Tensor, expected: &Tensor, all: &learning::Gradients, what: &str) {
    let norm = |t: &Tensor| t.norm().double_value(&[]);
    let largest = all.layers.iter().map(|l| norm(&l.to_dense())).fold(0.0, f64::max);
    let scale = norm(expected).max(1e-3 * largest);
    let off = norm(&(found - expected)) / scale;
    assert!(off < 1e-9, "{what}: off by {off:.2e}");
}

/// Gradients of single examples sum to the batch's, where the model treats examples apart.
#[test]
fn examples_apart_sum_to_the_batch() {
    for case in cases(&folder()).into_iter().filter(|c| c.mode() == Mode::Eval) {
        let (net, params) = (&case.net, weights(&case.net, Kind::Double));
        let x = case.input(Kind::Double);
        let labels = Tensor::from_slice(&integers(&case.golden["labels"])).unsqueeze(0);
        let loss = |z: &Tensor| net.training_loss(z, &labels, false);
        let counted = Tensor::ones(&x.size()[..2], (Kind::Double, x.device()));
        let sum =
            learning::per_example::clipped_sum(net, &params, &x, &counted, Mode::Eval, 1e9, loss);
        let whole = gradients(net, &params, &x, Mode::Eval, Form::Dense, false, loss);
        let batch = x.size()[1] as f64;
        for (i, layer) in net.layout().trainable().into_iter().zip(&whole.layers) {
            let expected = layer.to_dense() * batch;
            same(&sum.sum.tensors[i], &expected, &whole, &case.name);
        }
        let one =
            gradients(net, &params, &x.narrow(1, 0, 1), Mode::Eval, Form::Dense, false, |z| {
                net.training_loss(z, &labels.narrow(1, 0, 1), false)
            });
        let squares: f64 = one
            .layers
            .iter()
            .map(|l| l.to_dense().square().sum(Kind::Double).double_value(&[]))
            .sum();
        close(sum.norms.double_value(&[0, 0]), squares.sqrt(), squares.sqrt(), 1e-9, &case.name);
    }
}

/// A Keras network by tf2onnx against TensorFlow's own logits and gradients, in f64. Keras' dense
/// kernels stay `[in, out]`; the names are tf2onnx's, so gradients are told apart by their shapes.
#[test]
fn a_keras_network_agrees_with_tensorflow() {
    let text = std::fs::read_to_string(folder().join("keras-gradient.txt")).expect("text");
    let golden: Value = serde_json::from_str(&text).expect("JSON");
    let net = network(&folder().join("keras.onnx"));
    let x = hashed(&[1, 3, 3, 8, 8], 1, Kind::Double);
    let labels = Tensor::from_slice(&integers(&golden["labels"])).unsqueeze(0);
    let mut logits = None;
    let params = weights(&net, Kind::Double);
    let grads = gradients(&net, &params, &x, Mode::Train, Form::Auto, true, |z| {
        logits = Some(z.detach());
        net.training_loss(z, &labels, false)
    });
    let logits = logits.expect("ran");
    let expected = Tensor::from_slice(&numbers(&golden["logits"])).reshape(logits.size());
    near(&logits, &expected, 1e-9, "logits");
    let records = golden["gradients"].as_array().expect("a list");
    assert_eq!(records.len(), grads.layers.len());
    for record in records {
        let shape = integers(&record["shape"]);
        let wanted = Tensor::from_slice(&numbers(&record["values"]));
        let off = |found: &Tensor| (found - &wanted).norm().double_value(&[]);
        let alike = grads.layers.iter().map(|layer| layer.to_dense().reshape([-1]));
        let best =
            alike.filter(|g| g.size() == wanted.size()).map(|g| off(&g)).fold(f64::MAX, f64::min);
        let size = wanted.norm().double_value(&[]);
        assert!(best < 1e-9 * size, "{shape:?}: off by {best:.2e} of {size:.2e}");
    }
}

/// Two names of one parameter: a state dict gives both, `parameters()` and safetensors one.
#[test]
fn tied_weights_are_one_parameter() {
    let net = network(&folder().join("tied.pt2"));
    let layout = net.layout();
    let names: Vec<&str> = layout.specs().iter().map(|spec| spec.name.as_str()).collect();
    assert_eq!(names, ["a.weight", "a.bias", "b.bias", "head.weight", "head.bias"]);
    let held = weights(&net, Kind::Float);
    let given = |other: Option<f64>, own: bool| {
        let mut named: Vec<(String, Tensor)> = Vec::new();
        for (name, t) in names.iter().zip(&held.tensors) {
            if own || *name != "a.weight" {
                named.push((name.to_string(), t.get(0)));
            }
        }
        named.extend(other.map(|by| ("b.weight".into(), held.tensors[0].get(0) * by)));
        Params::from_named(layout.clone(), named)
    };
    for (other, own) in [(Some(1.0), true), (None, true), (Some(1.0), false)] {
        assert_eq!(given(other, own).unwrap().tensors, held.tensors);
    }
    let said = given(Some(2.0), true).unwrap_err().to_string();
    assert!(said.contains("`b.weight` and `a.weight` are one parameter"), "{said}");
    assert!(given(None, false).is_err());
    // In the order of `state_dict()` the weight stands at both its places.
    let at = |i: usize| held.tensors[i].get(0);
    let listed = learning::checkpoint::by_position(&net, [0, 1, 0, 2, 3, 4].map(at).into());
    let places: Vec<String> = listed.unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(places, ["a.weight", "a.bias", "a.weight", "b.bias", "head.weight", "head.bias"]);
    // In that of `parameters()` it stands there once.
    let listed = learning::checkpoint::by_position(&net, [0, 1, 2, 3, 4].map(at).into());
    let places: Vec<String> = listed.unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(places, names);
}
