//! Every model against PyTorch and torchvision: logits, loss, parameter gradients, second-order
//! gradients.
//!
//! The golden values are float64. In f64 we must agree to 1e-9, which leaves no room for a wrong
//! formula. In f32 what remains is rounding: 1e-5, and more only where PyTorch's own f32 is further
//! than that from its own f64 (BatchNorm over few values amplifies rounding); the golden file says
//! how far.

mod common;

use common::{close, digest, golden, hashed, integers, network, number, numbers};
use learning::tape::Tape;
use learning::{Form, Mode, Network, gradients};
use serde_json::Value;
use tch::{Kind, Tensor};

struct Tolerance {
    first: f64,
    second: f64,
}

fn check(name: &str, kind: Kind, form: Form, tolerance: &Tolerance) {
    let golden = golden(name);
    let input = integers(&golden["input"]);
    let net = network(&golden["model"], &input, golden["classes"].as_i64().expect("classes"));
    let params = common::golden_params(&net, &golden, kind);
    let shape: Vec<i64> =
        [1, golden["batch"].as_i64().expect("batch")].into_iter().chain(input).collect();
    let x = hashed(&shape, 1, kind).set_requires_grad(true);
    let labels = Tensor::from_slice(&integers(&golden["labels"])).unsqueeze(0);
    let mode = if golden["mode"] == "train" { Mode::Train } else { Mode::Eval };
    let mut logits = None;
    let grads = gradients(&net, &params, &x, mode, form, true, |z| {
        logits = Some(z.detach());
        net.training_loss(z, &labels, false)
    });
    let expected = Tensor::from_slice(&numbers(&golden["logits"]))
        .reshape(logits.as_ref().expect("ran").size());
    common::near(&logits.expect("ran"), &expected, tolerance.first, &format!("{name}: logits"));
    close(
        grads.loss.double_value(&[0]),
        number(&golden["loss"]),
        number(&golden["loss"]),
        tolerance.first,
        "loss",
    );
    let targets = first_order(name, &golden, &net, &grads, kind, tolerance.first);
    for (objective, value) in [
        ("l2", common::l2(&grads.layers, &targets)),
        ("cosine", common::cosine(&grads.layers, &targets)),
    ] {
        let wanted = &golden[objective];
        let what = format!("{name}: {objective}");
        close(
            value.double_value(&[0]),
            number(&wanted["value"]),
            number(&wanted["value"]),
            tolerance.first,
            &what,
        );
        let key = if objective == "l2" { 3000 } else { 3001 };
        let dx = Tensor::run_backward(&[value], &[&x], true, false);
        digest(&dx[0], wanted, key, 0.0, tolerance.second, &format!("{what} by x"));
    }
}

/// Compares every parameter gradient and returns the targets of the objectives, both in the
/// layout's order.
fn first_order(
    name: &str,
    golden: &Value,
    net: &Network,
    grads: &learning::Gradients,
    kind: Kind,
    tolerance: f64,
) -> Vec<Tensor> {
    let records = golden["gradients"].as_array().expect("a list");
    assert_eq!(records.len(), grads.layers.len());
    let total: f64 = records.iter().map(|r| number(&r["norm"]).powi(2)).sum::<f64>().sqrt();
    let typical = total / (net.layout().trainable_len() as f64).sqrt();
    let mut targets = Vec::new();
    for (layer, spec) in grads
        .layers
        .iter()
        .zip(net.layout().trainable().into_iter().map(|i| &net.layout().specs()[i]))
    {
        let (i, record) = records
            .iter()
            .enumerate()
            .find(|(_, r)| r["name"] == spec.name.as_str())
            .expect("in PyTorch too");
        // A gradient that vanishes exactly (a bias before BatchNorm) is judged by the size of the
        // others.
        let floor = if number(&record["norm"]) < 1e-9 * total { typical } else { 0.0 };
        digest(
            &layer.to_dense(),
            record,
            2000 + i as u32,
            floor,
            tolerance,
            &format!("{name}: d loss / d {}", spec.name),
        );
        let size: Vec<i64> = std::iter::once(1).chain(spec.shape.iter().copied()).collect();
        targets.push(
            (hashed(&size, 5000 + i as u32, Kind::Double) * number(&record["target_scale"]))
                .to_kind(kind),
        );
    }
    targets
}

const EXACT: Tolerance = Tolerance { first: 1e-9, second: 1e-9 };

/// f64 to 1e-9; then f32 to 1e-5, or to four times the rounding error of PyTorch's own f32 where
/// that is more.
fn both(name: &str) {
    tch::set_num_threads(1);
    check(name, Kind::Double, Form::Auto, &EXACT);
    let rounding = &golden(name)["pytorch_f32_off"];
    let allowed = |order: &str| (4.0 * number(&rounding[order])).max(1e-5);
    check(
        name,
        Kind::Float,
        Form::Auto,
        &Tolerance { first: allowed("first"), second: allowed("second") },
    );
}

#[test]
fn lenet_zhu() {
    both("lenet-zhu");
    check("lenet-zhu", Kind::Double, Form::Factored, &EXACT);
}

#[test]
fn simple_cnn() {
    both("simple-cnn");
}

#[test]
fn mnist_cnn() {
    both("mnist-cnn");
    both("mnist-cnn-padded");
    let net = network(&serde_json::json!({"name": "mnist-cnn"}), &[1, 28, 28], 10);
    assert_eq!(net.layout().trainable_len(), 241_546, "as Keras counts");
}

/// Every kind of layer that a suite can write down, residual blocks among them.
#[test]
fn layers() {
    for name in ["layers-train", "layers-eval", "layers-pooled"] {
        both(name);
        check(name, Kind::Double, Form::Factored, &EXACT);
    }
}

#[test]
fn mobilefacenet() {
    both("mobilefacenet");
    both("mobilefacenet-arcface-train");
    both("mobilefacenet-cosface");
}

/// Table 1 of the paper: the output of every stage at 112x112, and the size with BatchNorm folded
/// into its convolutions.
#[test]
fn mobilefacenet_as_published() {
    let net = network(
        &serde_json::json!({"name": "mobilefacenet", "embedding": 128}),
        &[3, 112, 112],
        10,
    );
    let params = common::hashed_params(&net, 1, 10, Kind::Float);
    let x = hashed(&[1, 1, 3, 112, 112], 900, Kind::Float);
    let mut tape = Tape::per_example(&params, Mode::Eval);
    let _ = net.forward_normalised(&mut tape, &x);
    let stages = [
        ("conv1.conv", [64, 56, 56]),
        ("dw_conv1.conv", [64, 56, 56]),
        ("blocks.0.conv.0", [128, 56, 56]),
        ("blocks.4.conv.6", [64, 28, 28]),
        ("blocks.5.conv.0", [256, 28, 28]),
        ("blocks.5.conv.6", [128, 14, 14]),
        ("blocks.11.conv.6", [128, 14, 14]),
        ("blocks.12.conv.0", [512, 14, 14]),
        ("blocks.12.conv.6", [128, 7, 7]),
        ("blocks.14.conv.6", [128, 7, 7]),
        ("conv2.conv", [512, 7, 7]),
        ("linear7.conv", [512, 1, 1]),
        ("linear1.conv", [128, 1, 1]),
    ];
    for (name, shape) in stages {
        let position = net.layout().position(&format!("{name}.weight"));
        let tap = tape
            .taps
            .iter()
            .find(|tap| Some(tap.weight) == position)
            .expect("a layer of that name");
        assert_eq!(tap.output.size()[2..], shape, "{name}");
    }
    let body = net.layout().specs().iter().filter(|s| s.trainable && !s.name.starts_with("head."));
    let count: i64 = body.map(|s| s.shape.iter().product::<i64>()).sum();
    let normalised: i64 = net
        .layout()
        .specs()
        .iter()
        .filter(|s| s.name.ends_with("running_var"))
        .map(|s| s.shape[0])
        .sum();
    assert_eq!((count, count - normalised), (1_003_136, 993_344), "0.99 M");
    assert_eq!(net.embed(&params, &x, Mode::Eval).size(), [1, 1, 128]);
}

/// torchvision's names, shapes and values; and its 9.11 M parameters.
#[test]
fn efficientnet_b2() {
    both("efficientnet-b2-eval");
    both("efficientnet-b2-train");
    for (classes, count) in [(1000, 9_109_994), (14, 7_720_720)] {
        let net = network(&serde_json::json!({"name": "efficientnet-b2"}), &[3, 32, 32], classes);
        assert_eq!(net.layout().trainable_len(), count);
    }
}

#[test]
fn mlp_and_logistic() {
    for name in ["mlp", "mlp-image", "logistic"] {
        both(name);
        check(name, Kind::Double, Form::Factored, &EXACT);
    }
}

#[test]
fn convnet64() {
    both("convnet64-eval");
    both("convnet64-train");
}

#[test]
fn resnet18_imagenet_stem() {
    both("resnet18-imagenet-eval");
    both("resnet18-imagenet-train");
}

#[test]
fn resnet18_cifar_stem() {
    both("resnet18-cifar-eval");
    both("resnet18-cifar-train");
}
