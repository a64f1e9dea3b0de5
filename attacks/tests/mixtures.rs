//! Examples that a client mixed before it trained on them: told apart by mixed labels, by pairings
//! where classes repeat, and from magnitudes where signs were drawn.

mod common;

use std::sync::Arc;

use attacks::Reconstruction;
use attacks::undo::demix::Mixtures;
use attacks::undo::{Matched, Undo};
use common::{attack, build, digits, lenet, mse, weights};
use learning::client::{Rules, batch_gradient};
use learning::effect::Coefficients;
use learning::models::{ENTRIES, Shape};
use learning::{Effect, Known, Mode, Network, Observation, Published, Signal, noise};
use serde_json::{Map, json};
use suites::{Init, Split, rng};
use tch::{Kind, Tensor};

const BETA: Coefficients = Coefficients::Beta { alpha: 1.0 };

/// `[n, b, 3, side, side]` photographs.
fn photographs(n: i64, b: i64, side: usize) -> Tensor {
    let request = datasets::Request { size: Some(side), ..Default::default() };
    let data = datasets::open("photos", &request).unwrap();
    let ids: Vec<usize> = (0..8).collect();
    let [test, train] = [Split::Test, Split::Train].map(|s| data.batch(s, &ids).unwrap().x);
    let side = side as i64;
    Tensor::cat(&[test, train], 0).narrow(0, 0, n * b).reshape([n, b, 3, side, side])
}

/// A network for photographs with the data's own normalisation.
fn network(side: i64) -> Arc<Network> {
    let entry = suites::find("model", ENTRIES, "lenet-zhu").unwrap();
    let shape = Shape { input: vec![3, side, side], classes: 10 };
    let model = (entry.build)(&Map::new()).unwrap().build(&shape).unwrap();
    let data = datasets::open("photos", &datasets::Request::default()).unwrap();
    Arc::new(Network::new(model, data.card().mean.clone(), data.card().std.clone()))
}

/// One row a mixture: what it holds of each example.
type Matrix = [&'static [f32]];

/// `matrix` times the examples of `[N, B, ...]`.
fn mixed(matrix: &Matrix, of: &Tensor) -> Tensor {
    let size = of.size();
    let rows: Vec<Tensor> = matrix.iter().map(|row| Tensor::from_slice(row)).collect();
    Tensor::stack(&rows, 0).matmul(&of.flatten(2, -1)).reshape(size)
}

/// Mean PSNR over the examples of `[N, B, ...]`, each capped at 60 dB, in the order that suits a
/// signal best.
fn psnr(found: &Tensor, truth: &Tensor) -> f64 {
    let (n, b) = (truth.size()[0], truth.size()[1]);
    let one = |i: i64| {
        let error = |j: i64, k: i64| mse(&found.get(i).get(j), &truth.get(i).get(k)).max(1e-6);
        let score = |order: &Vec<i64>| {
            order.iter().zip(0..).map(|(&j, k)| -10.0 * error(j, k).log10()).sum::<f64>()
        };
        orders(b).iter().map(score).fold(f64::NEG_INFINITY, f64::max) / b as f64
    };
    (0..n).map(one).sum::<f64>() / n as f64
}

fn orders(b: i64) -> Vec<Vec<i64>> {
    (0..b).fold(vec![Vec::new()], |all, _| {
        let longer = |start: Vec<i64>| {
            let left: Vec<i64> = (0..b).filter(|i| !start.contains(i)).collect();
            left.into_iter().map(move |i| [start.clone(), vec![i]].concat())
        };
        all.into_iter().flat_map(longer).collect()
    })
}

/// A result with these pixels in front of what is undone on it.
fn result(pixels: &Tensor) -> Reconstruction {
    let n = pixels.size()[0] as usize;
    Reconstruction {
        pixels: pixels.clamp(0.0, 1.0),
        labels: Some(Tensor::zeros(&pixels.size()[..2], (Kind::Int64, tch::Device::Cpu))),
        certainty: None,
        objective: vec![0.0; n],
        trace: Vec::new(),
        evaluations: 1,
        iterations: 1,
        restarts: 1,
        flags: vec![Vec::new(); n],
    }
}

/// What demixing makes of examples that were matched to within noise of that standard deviation.
fn told(
    of: Mixtures,
    net: &Arc<Network>,
    mixtures: &Tensor,
    soft: &Tensor,
    off: f64,
) -> Reconstruction {
    let w = weights(net, Init::DlgUniform, 4);
    let seen = Observation {
        net: net.clone(),
        weights: w.clone(),
        signal: Signal::Gradient(w),
        mode: Mode::Train,
        known: Known::default(),
    };
    let noise = noise::normal(&mut rng::stream(5, "test", "noise"), &mixtures.size()) * off;
    let matched = Matched { examples: mixtures + noise, soft: Some(soft.shallow_clone()) };
    let mut found = result(&net.to_pixels(&matched.examples));
    Undo::Mixtures { by: "somebody".into(), of }.apply(&seen, &matched, &mut found);
    found
}

fn one_hot(classes: &[i64], n: i64) -> Tensor {
    let row = Tensor::from_slice(classes).one_hot(10).to_kind(Kind::Float);
    row.unsqueeze(0).repeat([n, 1, 1])
}

/// Pairs of photographs: with classes of their own the labels tell the mixture, and with one class
/// for both the pixels do.
#[test]
fn pairs_are_told_apart_by_labels_and_without_them() {
    let (net, x) = (network(32), photographs(8, 2, 32));
    let matrix: [&[f32]; 2] = [&[0.7, 0.3], &[0.2, 0.8]];
    let of = Mixtures { parts: 2, coefficients: BETA, flipped: false };
    let mixtures = mixed(&matrix, &x);
    let before = psnr(&mixtures, &x);
    for (classes, off, least) in
        [([3, 5], 0.0, 59.0), ([3, 5], 0.05, 33.0), ([3, 3], 0.0, 45.0), ([3, 3], 0.05, 28.0)]
    {
        let soft = mixed(&matrix, &one_hot(&classes, 8));
        let found = told(of, &net, &net.normalise(&mixtures), &soft, off);
        let after = psnr(&found.pixels, &x);
        println!("classes {classes:?}, off {off}: {before:.2} dB mixed, {after:.2} dB told apart");
        assert!(after > least, "classes {classes:?}, off {off}: {after} dB");
        let own = |k: i64| found.labels.as_ref().unwrap().eq(k).any().int64_value(&[]) == 1;
        assert!(classes.iter().all(|&k| own(k)), "{:?}", found.labels);
        assert!(found.flags[0][0].to_string().contains("told apart: "), "{:?}", found.flags[0]);
    }
    // One mixture twice cannot be told apart, and says so.
    let twice: [&[f32]; 2] = [&[0.7, 0.3], &[0.7, 0.3]];
    let (mixtures, soft) = (mixed(&twice, &x), mixed(&twice, &one_hot(&[3, 5], 8)));
    let found = told(of, &net, &net.normalise(&mixtures), &soft, 0.0);
    assert!(found.flags[0][0].to_string().contains("not told apart: "), "{:?}", found.flags[0]);
    assert!(mse(&found.pixels, &mixtures) < 1e-9);
}

/// Where fewer classes than examples hide who is in which encoding, its magnitudes are returned and
/// the flag says so.
#[test]
fn encodings_of_one_class_keep_their_magnitudes() {
    let (net, x) = (network(16), photographs(2, 2, 16));
    let matrix: [&[f32]; 2] = [&[0.6, 0.4], &[0.35, 0.65]];
    let plain = net.normalise(&mixed(&matrix, &x));
    let signs = noise::uniform(&mut rng::stream(5, "test", "signs"), &plain.size(), -1.0, 1.0);
    let coefficients = Coefficients::NormalMagnitudes { largest: 0.65 };
    let of = Mixtures { parts: 2, coefficients, flipped: true };
    let soft = mixed(&matrix, &one_hot(&[3, 3], 2));
    let found = told(of, &net, &(&plain * signs.sign()), &soft, 0.0);
    assert!(found.flags[0][0].to_string().contains("not told apart: "), "{:?}", found.flags[0]);
    assert!(mse(&found.pixels, &net.to_pixels(&plain.abs()).clamp(0.0, 1.0)) < 1e-9);
}

/// Three and four examples of which some share a class.
#[test]
fn longer_batches_with_repeated_classes_are_told_apart() {
    let of = Mixtures { parts: 2, coefficients: BETA, flipped: false };
    let net = network(16);
    let three: [&[f32]; 3] = [&[0.7, 0.3, 0.0], &[0.0, 0.6, 0.4], &[0.8, 0.0, 0.2]];
    let four: [&[f32]; 4] = [
        &[0.7, 0.0, 0.3, 0.0],
        &[0.0, 1.0, 0.0, 0.0],
        &[0.0, 0.0, 0.4, 0.6],
        &[0.2, 0.0, 0.0, 0.8],
    ];
    let cases: [(&Matrix, &[i64]); 3] =
        [(&three, &[1, 1, 4]), (&four, &[1, 2, 1, 3]), (&four, &[1, 2, 2, 1])];
    for (matrix, classes) in cases {
        let b = classes.len() as i64;
        let x = photographs(16 / b, b, 16);
        let mixtures = mixed(matrix, &x);
        let soft = mixed(matrix, &one_hot(classes, x.size()[0]));
        let found = told(of, &net, &net.normalise(&mixtures), &soft, 0.0);
        let [before, after] = [psnr(&mixtures, &x), psnr(&found.pixels, &x)];
        println!("{classes:?}: {before:.2} dB mixed, {after:.2} dB told apart");
        assert!(after > before + 20.0, "{classes:?}: {before} to {after} dB");
    }
}

/// InstaHide's encodings: the sign of every value is drawn.
#[test]
fn magnitudes_of_as_many_mixtures_give_the_pictures() {
    let coefficients = Coefficients::NormalMagnitudes { largest: 0.65 };
    let two: [&[f32]; 2] = [&[0.6, 0.4], &[0.35, 0.65]];
    let four: [&[f32]; 4] = [
        &[0.5, 0.2, 0.2, 0.1],
        &[0.1, 0.6, 0.1, 0.2],
        &[0.2, 0.1, 0.55, 0.15],
        &[0.3, 0.1, 0.05, 0.55],
    ];
    let cases: [(&Matrix, usize); 3] = [(&two, 16), (&two, 32), (&four, 16)];
    for (matrix, side) in cases {
        let b = matrix.len() as i64;
        let (net, x) = (network(side as i64), photographs(16 / b, b, side));
        let classes: Vec<i64> = (0..b).collect();
        let soft = mixed(matrix, &one_hot(&classes, x.size()[0]));
        let plain = net.normalise(&mixed(matrix, &x));
        let signs = noise::uniform(&mut rng::stream(5, "test", "signs"), &plain.size(), -1.0, 1.0);
        let encodings = &plain * signs.sign();
        let of = Mixtures { parts: b as usize, coefficients, flipped: true };
        let found = told(of, &net, &encodings, &soft, 0.0);
        let before = psnr(&net.to_pixels(&encodings).clamp(0.0, 1.0), &x);
        let after = psnr(&found.pixels, &x);
        println!("{b} of {side}: {before:.2} dB encoded, {after:.2} dB told apart");
        assert!(after > before + 10.0, "{b} of {side}: {before} to {after} dB");
    }
}

/// What a client that mixes sends, with what it publishes.
fn sent(net: &Arc<Network>, mixtures: &Tensor, soft: &Tensor, effects: Vec<Effect>) -> Observation {
    let w = weights(net, Init::DlgUniform, 4);
    let rules = Rules { soft_labels: true, ..Rules::default() };
    let gradient = batch_gradient(net, &w, mixtures, soft, &rules, Mode::Train, &mut []);
    let published = |effect| Published { by: "somebody".into(), effect };
    Observation {
        net: net.clone(),
        weights: w,
        signal: Signal::Gradient(gradient),
        mode: Mode::Train,
        known: Known {
            batch_size: Some(mixtures.size()[1]),
            defenses: effects.into_iter().map(published).collect(),
            ..Known::default()
        },
    }
}

/// The registered adversary against plain matching with the same budget, on digits.
#[test]
fn the_adversary_of_mixup_gets_the_examples() {
    let net = lenet();
    let (x, y) = digits(8, 2);
    let matrix: [&[f32]; 2] = [&[0.8, 0.2], &[0.3, 0.7]];
    let labels = y.one_hot(10).to_kind(Kind::Float);
    let (mixtures, soft) = (mixed(&matrix, &x), mixed(&matrix, &labels));
    let effects = vec![Effect::Mixed { parts: 2, coefficients: BETA }];
    let seen = sent(&net, &mixtures, &soft, effects);
    let iterations = 4800;
    let adaptive = build("adaptive-matching", json!({ "iterations": iterations }));
    let known = attack(adaptive.as_ref(), &seen, 1).unwrap();
    let mut blind = seen.clone();
    blind.known.defenses.clear();
    let unaware = attack(adaptive.as_ref(), &blind, 1).unwrap();
    let none = sent(&net, &x, &labels, Vec::new());
    let none = attack(adaptive.as_ref(), &none, 1).unwrap();
    let [none, before, after] = [&none, &unaware, &known].map(|r| psnr(&r.pixels, &x));
    println!("mixup: undefended {none:.2} dB, plain {before:.2} dB, told apart {after:.2} dB");
    assert!(after > before + 20.0, "plain {before} dB, told apart {after} dB");
    // Of a task of ten classes the labels come out with the examples.
    let labels = known.labels.unwrap().sort(1, false).0;
    assert_eq!(labels, y.sort(1, false).0);
}
