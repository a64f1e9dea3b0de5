//! PRECODE's bottleneck: its gradient, its randomness, and that what was drawn stays with the
//! client.

use std::collections::HashMap;

use learning::client::{self, GradientRule, LocalTraining, Rules};
use learning::loss::cross_entropy;
use learning::models::{ENTRIES, Shape};
use learning::{Form, Mode, Network, Params, gradients};
use rand_chacha::ChaCha12Rng;
use serde_json::json;
use suites::rng::stream;
use tch::{Device, Kind, Tensor};

const SEED: &str = "bottleneck.seed";

/// 12 inputs, 5 hidden units, a bottleneck of 3, 10 classes.
fn net() -> Network {
    let model = suites::find("model", ENTRIES, "mlp").unwrap();
    let model = (model.build)(json!({ "hidden": [5] }).as_object().unwrap()).unwrap();
    let model = model.build(&Shape { input: vec![12], classes: 10 }).unwrap();
    precode(Network::new(model, vec![0.0], vec![1.0])).unwrap()
}

fn precode(net: Network) -> Result<Network, defenses::DefenseError> {
    let entry = suites::find("defense", defenses::ENTRIES, "precode").unwrap();
    (entry.build)(json!({ "width": 3, "beta": 0.05 }).as_object().unwrap()).unwrap().model(net)
}

fn wave(shape: &[i64], k: f64) -> Tensor {
    let i = Tensor::arange(shape.iter().product::<i64>(), (Kind::Double, Device::Cpu));
    ((i * 0.7 + k).sin() / 2.0).reshape(shape)
}

/// Value i of trainable parameter k is sin(0.7 i + k)/2; the seed is 0.
fn weights(net: &Network) -> Params {
    let mut k = -1.0;
    let tensors = net.layout().specs().iter().map(|spec| {
        let shape: Vec<i64> = std::iter::once(1).chain(spec.shape.iter().copied()).collect();
        k += f64::from(u8::from(spec.trainable));
        if spec.trainable {
            wave(&shape, k)
        } else {
            Tensor::zeros(shape, (Kind::Double, Device::Cpu))
        }
    });
    Params::new(net.layout().clone(), tensors.collect()).unwrap()
}

fn seeded(mut params: Params, words: &[f64]) -> Params {
    let slot = params.layout().position(SEED).unwrap();
    params.tensors[slot] = Tensor::from_slice(words).reshape([-1, 4]);
    params
}

fn x() -> Tensor {
    wave(&[1, 2, 12], 0.5)
}

fn y() -> Tensor {
    Tensor::from_slice(&[3i64, 8]).reshape([1, 2])
}

fn streams(n: usize) -> Vec<ChaCha12Rng> {
    (0..n).map(|i| stream(5, "test", &format!("client-{i}"))).collect()
}

fn close(a: &Tensor, b: &Tensor, tolerance: f64) -> bool {
    (a - b).abs().max().double_value(&[]) <= tolerance
}

fn golden() -> HashMap<(String, String), Tensor> {
    let line = |line: &str| {
        let mut fields = line.split(' ').map(String::from);
        let key = (fields.next().unwrap(), fields.next().unwrap());
        (key, Tensor::from_slice(&fields.map(|v| v.parse().unwrap()).collect::<Vec<f64>>()))
    };
    include_str!("golden/precode_golden.txt").lines().map(line).collect()
}

/// Loss and gradients are PyTorch's (`golden/precode_golden.py`), with a drawn code and with the
/// mean.
#[test]
fn the_gradient_is_pytorchs() {
    let (net, golden) = (net(), golden());
    let mut compared = 0;
    for (case, words) in [("drawn", [1.0, 2.0, 3.0, 4.0]), ("mean", [0.0; 4])] {
        let params = seeded(weights(&net), &words);
        for form in [Form::Dense, Form::Factored, Form::Auto] {
            let out = gradients(&net, &params, &x(), Mode::Train, form, false, |l| {
                cross_entropy(l, &y())
            });
            let expected = |name: &str| &golden[&(case.to_string(), name.to_string())];
            assert!(close(&out.loss, expected("loss"), 1e-12), "{case}");
            let grads = out.to_params(&params);
            for (spec, gradient) in
                net.layout().specs().iter().zip(&grads.tensors).filter(|(s, _)| s.trainable)
            {
                assert!(
                    close(&gradient.flatten(0, -1), expected(&spec.name), 1e-12),
                    "{case} {}",
                    spec.name
                );
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 48);
}

#[test]
fn evaluation_uses_the_mean_and_training_does_not() {
    let net = net();
    let mean = net.logits(&weights(&net), &x(), Mode::Eval);
    assert_eq!(mean, net.logits(&weights(&net), &x(), Mode::Eval));
    let drawn = net.logits(&net.refresh(weights(&net), &mut streams(1)), &x(), Mode::Train);
    assert!(!close(&mean, &drawn, 1e-3));
}

/// A code averages to its mean: over many draws the logits, linear in it, average to those of the
/// evaluation.
#[test]
fn draws_are_standard_normal_about_the_mean() {
    let net = net();
    let params = net.refresh(weights(&net), &mut streams(4000));
    let many = x().narrow(1, 0, 1).expand([4000, 1, 12], true);
    let logits = net.logits(&params, &many, Mode::Eval);
    let mean = net.logits(&weights(&net), &x().narrow(1, 0, 1), Mode::Eval);
    let spread = logits.std_dim(0, true, false);
    let error = (logits.mean_dim(0, false, None) - mean.get(0)).abs() / (&spread + 1e-9);
    assert!(error.max().double_value(&[]) < 4.0 / 4000f64.sqrt(), "{error}");
    assert!(spread.max().double_value(&[]) > 0.05);
}

#[test]
fn examples_steps_and_restarts_draw_for_themselves() {
    let net = net();
    let same = x().narrow(1, 0, 1);
    let twice = Tensor::cat(&[&same, &same], 1);
    let params = net.refresh(weights(&net), &mut streams(1));
    let logits = net.logits(&params, &twice, Mode::Eval);
    assert!(!close(&logits.narrow(1, 0, 1), &logits.narrow(1, 1, 1), 1e-3), "examples of a batch");
    let restarts = net.logits(&params, &same.expand([3, 1, 12], true), Mode::Eval);
    assert!(!close(&restarts.get(0), &restarts.get(1), 1e-3), "trials that share a seed");
    assert!(close(&restarts.get(0), &net.logits(&params, &same, Mode::Eval).get(0), 1e-12));
    let mut rngs = streams(1);
    let step =
        |rngs: &mut [ChaCha12Rng]| net.logits(&net.refresh(weights(&net), rngs), &same, Mode::Eval);
    assert!(!close(&step(&mut rngs), &step(&mut rngs), 1e-3), "steps");
}

#[test]
fn clients_side_by_side_are_clients_alone() {
    let net = net();
    let (pixels, labels) = (x().repeat([3, 1, 1]), y().repeat([3, 1]));
    let run = |pixels: &Tensor, labels: &Tensor, rngs: &mut [ChaCha12Rng]| {
        client::batch_gradient(
            &net,
            &weights(&net),
            pixels,
            labels,
            &Rules::default(),
            Mode::Train,
            rngs,
        )
    };
    let all = run(&pixels, &labels, &mut streams(3));
    assert!(!close(&all.tensors[0].get(0), &all.tensors[0].get(1), 1e-4));
    for t in 0..3 {
        let alone = run(&x(), &y(), &mut streams(3)[t as usize..=t as usize]);
        for (both, single) in all.tensors.iter().zip(&alone.tensors) {
            assert!(close(&both.get(t), &single.get(0), 1e-12));
        }
    }
}

/// Whoever knew the draws could undo them.
#[test]
fn what_was_drawn_never_leaves_the_client() {
    let net = net();
    let setting = LocalTraining {
        epochs: 3,
        batch_size: 1,
        lr: 0.05,
        momentum: 0.9,
        weight_decay: 1e-3,
        ..LocalTraining::default()
    };
    let private = GradientRule { clip: 1.0, noise_multiplier: 0.1, rate: 0.5, expected_batch: 1.0 };
    for rules in [Rules::default(), Rules { private: Some(private), ..Rules::default() }] {
        let trained = client::train(
            &net,
            &weights(&net),
            &x(),
            &y(),
            &setting,
            &rules,
            Mode::Train,
            &mut streams(1),
        );
        assert_eq!(trained.get(SEED).unwrap().abs().max().double_value(&[]), 0.0);
        assert!(!close(
            trained.get("fc2.weight").unwrap(),
            weights(&net).get("fc2.weight").unwrap(),
            1e-3
        ));
    }
    let rules = Rules::default();
    let gradient = client::batch_gradient(
        &net,
        &weights(&net),
        &x(),
        &y(),
        &rules,
        Mode::Train,
        &mut streams(1),
    );
    assert_eq!(gradient.get(SEED).unwrap().abs().max().double_value(&[]), 0.0);
}

/// Without clipping, the sum of per-example gradients is the batch gradient times its size,
/// divergence included.
#[test]
fn per_example_gradients_hold_the_divergence() {
    let net = net();
    let rule = GradientRule { clip: 1e9, noise_multiplier: 0.0, rate: 1.0, expected_batch: 2.0 };
    let private = Rules { private: Some(rule), ..Rules::default() };
    let run = |rules: &Rules| {
        client::batch_gradient(
            &net,
            &weights(&net),
            &x(),
            &y(),
            rules,
            Mode::Train,
            &mut streams(1),
        )
    };
    let (batch, examples) = (run(&Rules::default()), run(&private));
    for (a, b) in batch.trainable().zip(examples.trainable()) {
        assert!(close(a, b, 1e-10));
    }
}

/// An adversary's candidate is differentiated through the bottleneck: the slope along x is that of
/// finite differences.
#[test]
fn the_gradient_is_differentiable_in_the_input() {
    let net = net();
    let params = seeded(weights(&net), &[1.0, 2.0, 3.0, 4.0]);
    let norm = |x: &Tensor, graph: bool| {
        let out = gradients(&net, &params, x, Mode::Train, Form::Dense, graph, |l| {
            cross_entropy(l, &y())
        });
        out.layers.iter().map(|g| g.norm2()).reduce(|a, b| a + b).unwrap()
    };
    let leaf = x().set_requires_grad(true);
    let slope =
        Tensor::run_backward(&[norm(&leaf, true).sum(Kind::Double)], &[&leaf], false, false)
            .remove(0);
    for i in 0..12 {
        let mut step = vec![0.0; 24];
        step[i] = 1e-5;
        let step = Tensor::from_slice(&step).reshape([1, 2, 12]);
        let rise = norm(&(x() + &step), false) - norm(&(x() - &step), false);
        let expected = rise.double_value(&[0]) / 2e-5;
        assert!(
            (slope.double_value(&[0, 0, i as i64]) - expected).abs()
                < 1e-6 * expected.abs().max(1.0),
            "{i}"
        );
    }
}

#[test]
fn it_stands_once_and_before_the_last_layer() {
    let names: Vec<String> = net().layout().specs().iter().map(|s| s.name.clone()).collect();
    assert_eq!(names[2], "bottleneck.encoder.weight");
    assert_eq!(names[names.len() - 1], "fc2.bias");
    let message = precode(net()).err().expect("refused").to_string();
    assert!(message.contains("precode") && !message.contains('\n'), "{message}");
}

/// The other models keep their shapes: inputs go in, ten logits come out.
#[test]
fn every_architecture_takes_it() {
    // A file has its own shapes: below.
    for entry in ENTRIES.iter().filter(|entry| entry.name != "file") {
        let model = (entry.build)(&serde_json::Map::new()).unwrap();
        let Ok(model) = model.build(&Shape { input: vec![3, 32, 32], classes: 10 }) else {
            panic!("{}", entry.name)
        };
        let net = precode(Network::new(model, vec![0.5; 3], vec![0.25; 3])).unwrap();
        let weights =
            learning::init::fresh(net.layout(), suites::Init::Pytorch, &mut streams(1)[0]);
        let x = Tensor::rand([2, 2, 3, 32, 32], (Kind::Float, Device::Cpu));
        let out = net.logits(&net.refresh(weights, &mut streams(2)), &x, Mode::Eval);
        assert_eq!(out.size(), [2, 2, 10], "{}", entry.name);
    }
}

/// A network from a file takes it before its head, with layers that see many places behind it.
#[test]
fn a_network_from_a_file_takes_it() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = folder.join("../learning/tests/golden/graphs/vit.pt2");
    let model = learning::graph::read(&file).unwrap().into_model();
    let net = precode(Network::new(model, vec![0.5; 3], vec![0.25; 3])).unwrap();
    let weights = learning::init::fresh(net.layout(), suites::Init::Pytorch, &mut streams(1)[0]);
    let x = Tensor::rand([2, 2, 3, 16, 16], (Kind::Float, Device::Cpu));
    let out = net.logits(&net.refresh(weights, &mut streams(2)), &x, Mode::Eval);
    assert_eq!(out.size(), [2, 2, 5]);
    let names: Vec<&str> = net.layout().specs().iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names[names.len() - 1], "heads.head.bias");
    assert!(names[names.len() - 3].starts_with("bottleneck."), "{names:?}");
}
