//! Filters, schedule, losses, the BatchNorm prior and the ranges of parameters.

use learning::models::{ENTRIES, Shape};
use learning::tape::Tape;
use learning::{Mode, Network, init, noise};
use serde_json::{Value, json};
use suites::{Init, rng};
use tch::{Device, Kind, Tensor};

use super::filter::{blur, sharpen};
use super::objective::{Loss, running_statistics};
use super::params::ModelInversion;

fn pixels(shape: &[i64]) -> Tensor {
    noise::uniform(&mut rng::stream(1, "inversion", "pixels"), shape, 0.0, 1.0)
}

fn off(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

fn build(value: Value) -> Result<ModelInversion, String> {
    ModelInversion::new(value.as_object().unwrap()).map_err(|e| e.to_string())
}

#[test]
fn a_blur_keeps_what_is_flat_and_the_sum_of_a_point() {
    let flat = Tensor::full([2, 3, 5, 4], 0.3, (Kind::Float, Device::Cpu));
    assert!(off(&blur(&flat, 2.0), &flat) < 1e-6, "borders repeat");
    assert!(off(&sharpen(&flat, 0.7), &flat) < 1e-6);
    let point = Tensor::zeros([1, 1, 15, 15], (Kind::Float, Device::Cpu));
    let _ = point.get(0).get(0).get(7).get(7).fill_(1.0);
    let blurred = blur(&point, 1.0);
    assert!((blurred.sum(Kind::Double).double_value(&[]) - 1.0).abs() < 1e-5);
    // A Gaussian's value one pixel beside its centre is exp(-1/2) of that at the centre.
    let [centre, beside] = [7, 8].map(|c| blurred.double_value(&[0, 0, 7, c]));
    assert!((beside / centre - (-0.5f64).exp()).abs() < 1e-4);
    assert!(sharpen(&blurred, 1.0).double_value(&[0, 0, 7, 7]) > centre, "sharpening lifts a peak");
}

#[test]
fn channels_and_images_are_filtered_apart() {
    let x = pixels(&[2, 3, 6, 7]);
    let one = blur(&x.narrow(0, 1, 1).narrow(1, 2, 1), 1.3);
    assert!(off(&blur(&x, 1.3).narrow(0, 1, 1).narrow(1, 2, 1), &one) < 1e-6);
    assert!(blur(&x, 0.0).equal(&x) && sharpen(&x, 0.0).equal(&x));
}

#[test]
fn the_blur_fades_and_ends() {
    let p =
        build(json!({ "iterations": 100, "blur_every": 10, "blur_sigma": 2.0, "blur_until": 0.5 }))
            .unwrap();
    let sigmas: Vec<(usize, f64)> =
        (0..100).filter_map(|i| p.blur_after(i).map(|s| (i, s))).collect();
    let expected = [(9, 1.6), (19, 1.2), (29, 0.8), (39, 0.4)];
    assert_eq!(sigmas.len(), expected.len());
    for ((i, s), (at, sigma)) in sigmas.into_iter().zip(expected) {
        assert!(i == at && (s - sigma).abs() < 1e-12, "{i} {s}");
    }
    let never = build(json!({ "blur_every": 0 })).unwrap();
    assert!((0..never.iterations).all(|i| never.blur_after(i).is_none()));
}

#[test]
fn losses_are_what_they_are_called() {
    let logits = Tensor::from_slice(&[2.0f64, 0.0, 1.0, 0.0, 3.0, 0.0]).reshape([2, 1, 3]);
    let labels = Tensor::from_slice(&[0i64, 2]).reshape([2, 1]);
    let p = logits.softmax(-1, None::<Kind>);
    for t in 0..2 {
        let p = p.double_value(&[t, 0, labels.int64_value(&[t, 0])]);
        let of = |loss: Loss| loss.value(&logits, &labels).double_value(&[t]);
        assert!((of(Loss::Confidence) - (1.0 - p)).abs() < 1e-12);
        assert!((of(Loss::CrossEntropy) + p.ln()).abs() < 1e-12);
    }
    let several = Tensor::from_slice(&[1.0f32, 0.0, 1.0, 0.0, 1.0, 0.0]).reshape([2, 1, 3]);
    let away = (logits.sigmoid() - several.to_kind(Kind::Double))
        .abs()
        .mean(Kind::Double)
        .double_value(&[]);
    let confidence = Loss::Confidence.value(&logits, &several).mean(Kind::Double).double_value(&[]);
    assert!((confidence - away).abs() < 1e-12);
}

/// By hand: statistics of the first BatchNorm's input, and no distance at all once the running
/// statistics are the images' own.
#[test]
fn statistics_of_the_images_against_the_running_ones() {
    let entry = suites::find("model", ENTRIES, "resnet18").unwrap();
    let model = (entry.build)(json!({ "stem": "cifar" }).as_object().unwrap()).unwrap();
    let model = model.build(&Shape { input: vec![3, 8, 8], classes: 4 }).unwrap();
    let net = Network::new(model, vec![0.5; 3], vec![0.5; 3]);
    let mut weights =
        init::fresh(net.layout(), Init::Pytorch, &mut rng::stream(2, "inversion", "weights"));
    let x = net.normalise(&pixels(&[2, 3, 3, 8, 8]));
    let distance = |weights: &learning::Params| {
        let mut tape = Tape::per_example(weights, Mode::Eval);
        let _ = net.forward_normalised(&mut tape, &x.narrow(0, 0, 1));
        running_statistics(&tape).unwrap().double_value(&[0])
    };
    let before = distance(&weights);
    // A few passes, since each layer's input follows from the layers before it.
    for _ in 0..25 {
        let (taps, places): (Vec<_>, Vec<usize>) = {
            let mut tape = Tape::per_example(&weights, Mode::Eval);
            let _ = net.forward_normalised(&mut tape, &x.narrow(0, 0, 1));
            let norms = tape.taps.into_iter().filter(|t| t.fixed.is_some());
            norms.map(|t| (t.input, t.weight)).unzip()
        };
        for (input, at) in taps.iter().zip(places) {
            let over = &[0i64, 1, 3, 4][..];
            weights.tensors[at + 2] = input.mean_dim(over, false, None::<Kind>).unsqueeze(0);
            weights.tensors[at + 3] = input.var_dim(over, false, false).unsqueeze(0);
        }
    }
    let after = distance(&weights);
    assert!(before > 1.0 && after < 1e-3 * before, "{before} {after}");
}

#[test]
fn ranges_are_checked_by_name() {
    for (bad, says) in [
        (json!({ "iterations": 0 }), "attack.iterations"),
        (json!({ "restarts": 0 }), "attack.restarts"),
        (json!({ "tv_weight": -1 }), "attack.tv_weight"),
        (json!({ "l2_weight": -0.5 }), "attack.l2_weight"),
        (json!({ "bn_weight": -2 }), "attack.bn_weight"),
        (json!({ "blur_sigma": -1 }), "attack.blur_sigma"),
        (json!({ "blur_sigma": 1e9 }), "attack.blur_sigma"),
        (json!({ "blur_until": 1.5 }), "attack.blur_until"),
        (json!({ "sharpen": -1 }), "attack.sharpen"),
        (json!({ "lr": 0 }), "attack.optimizer"),
        (json!({ "optimizer": "adma" }), "attack.optimizer"),
        (json!({ "loss": "confidenc" }), "confidence"),
        (json!({ "blur": 3 }), "unknown key `blur`"),
    ] {
        let said = build(bad.clone()).unwrap_err();
        assert!(said.contains(says) && said.lines().count() == 1, "{bad}: {said}");
    }
}
