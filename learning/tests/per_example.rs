//! Clipped sums of per-example gradients against a loop over the examples, and what privacy rests
//! on.

mod common;

use common::{hashed, hashed_params, near, network};
use learning::loss::task_loss;
use learning::per_example::{Clipped, check_private, clipped_sum};
use learning::{Form, Mode, Network, Params, gradients};
use proptest::prelude::*;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

const CLASSES: i64 = 5;

/// A registered model with its input and the examples of a batch.
fn cases() -> Vec<(Value, Vec<i64>, i64)> {
    vec![
        (json!({"name": "lenet-zhu"}), vec![3, 16, 16], 6),
        (json!({"name": "convnet64", "width": 4}), vec![3, 18, 18], 4),
        (json!({"name": "convnet64", "width": 4, "norm": "group"}), vec![3, 18, 18], 4),
        (json!({"name": "simple-cnn"}), vec![3, 16, 16], 3),
        (json!({"name": "mnist-cnn"}), vec![2, 18, 19], 3),
        (
            json!({
                "name": "mobilefacenet", "norm": "group", "embedding": 256, "head": "arcface",
                "scale": 4.0
            }),
            vec![3, 32, 32],
            2,
        ),
        (json!({"name": "mobilefacenet", "embedding": 16}), vec![1, 16, 16], 2),
        (json!({"name": "efficientnet-b2", "norm": "group"}), vec![1, 32, 32], 2),
        (json!({"name": "mlp", "hidden": [24, 12]}), vec![13], 7),
        (json!({"name": "logistic"}), vec![1, 8, 8], 7),
        (json!({"name": "resnet18"}), vec![3, 32, 32], 3),
        (json!({"name": "resnet18", "stem": "cifar", "norm": "group"}), vec![3, 8, 8], 2),
    ]
}

fn labels(lanes: i64, batch: i64) -> Tensor {
    (Tensor::arange(lanes * batch, (Kind::Int64, Device::Cpu)) * 3)
        .remainder(CLASSES)
        .reshape([lanes, batch])
}

fn images(input: &[i64], lanes: i64, batch: i64, kind: Kind) -> Tensor {
    let size: Vec<i64> = [lanes, batch].into_iter().chain(input.iter().copied()).collect();
    hashed(&size, 900, kind)
}

fn ones(lanes: i64, batch: i64, kind: Kind) -> Tensor {
    Tensor::ones([lanes, batch], (kind, Device::Cpu))
}

fn clipped(net: &Network, params: &Params, x: &Tensor, y: &Tensor, clip: f64) -> Clipped {
    let counted = ones(x.size()[0], x.size()[1], x.kind());
    clipped_sum(net, params, x, &counted, Mode::Eval, clip, |z| task_loss(z, y))
}

/// Example `b` of lane `t` by itself: its gradient as a batch of one.
fn single(net: &Network, params: &Params, x: &Tensor, y: &Tensor, t: i64, b: i64) -> Params {
    let params = if params.lanes() == 1 { params.clone() } else { params.narrow(t, 1) };
    let one = |v: &Tensor| v.narrow(0, t, 1).narrow(1, b, 1);
    let (x, y) = (one(x), one(y));
    gradients(net, &params, &x, Mode::Eval, Form::Dense, false, |z| task_loss(z, &y))
        .to_params(&params)
        .map(Tensor::detach)
}

fn norm(params: &Params) -> f64 {
    params.norm().double_value(&[0])
}

/// Every example's gradient by itself, and their norms `[T, B]`.
fn singles(net: &Network, params: &Params, x: &Tensor, y: &Tensor) -> (Vec<Vec<Params>>, Tensor) {
    let of = |t| (0..x.size()[1]).map(|b| single(net, params, x, y, t, b)).collect();
    let singles: Vec<Vec<Params>> = (0..x.size()[0]).map(of).collect();
    let norms: Vec<f64> = singles.iter().flatten().map(norm).collect();
    (singles, Tensor::from_slice(&norms).reshape(&x.size()[..2]))
}

/// The clipped sum of each lane, `[T, ...]`.
fn clip_and_sum(singles: &[Vec<Params>], clip: f64) -> Params {
    let sums = singles.iter().map(|of_lane| {
        let clipped = of_lane.iter().map(|g| g.scale((clip / norm(g)).min(1.0)));
        clipped.reduce(|a, b| a.zip(&b, |a, b| a + b)).expect("examples")
    });
    let sums: Vec<Params> = sums.collect();
    let sum = (0..sums[0].tensors.len()).map(|i| {
        Tensor::cat(&sums.iter().map(|s| s.tensors[i].shallow_clone()).collect::<Vec<_>>(), 0)
    });
    Params::new(sums[0].layout().clone(), sum.collect()).expect("the layout's shapes")
}

/// Equal relative to the whole vector of each lane; with `each` also parameter by parameter.
fn same(found: &Params, expected: &Params, tolerance: f64, each: bool, what: &str) {
    let error = (found.sub(expected).norm() / expected.norm()).max().double_value(&[]);
    assert!(error <= tolerance, "{what}: relative difference {error:.2e}");
    if !each {
        return;
    }
    for ((spec, a), b) in found.layout().specs().iter().zip(&found.tensors).zip(&expected.tensors) {
        near(a, b, tolerance, &format!("{what}, {}", spec.name));
    }
}

/// A norm with half of the examples above it, half below.
fn median(norms: &Tensor) -> f64 {
    norms.to_kind(Kind::Double).median().double_value(&[])
}

/// A LeNet in double precision with `lanes` clients of `batch` examples.
fn lenet(lanes: i64, batch: i64) -> (Network, Params, Tensor, Tensor) {
    let net = network(&json!({"name": "lenet-zhu"}), &[3, 12, 12], CLASSES);
    let params = hashed_params(&net, 1, 10, Kind::Double);
    (net, params, images(&[3, 12, 12], lanes, batch, Kind::Double), labels(lanes, batch))
}

#[test]
fn as_a_loop_over_the_examples() {
    tch::set_num_threads(1);
    for (model, input, batch) in cases() {
        let net = network(&model, &input, CLASSES);
        let all = [(2, 2), (1, 1), (3, 1)];
        for &(lanes, own) in if model["name"] == "efficientnet-b2" { &all[..1] } else { &all[..] } {
            // Many GroupNorms amplify what single precision rounds away, in the loop as well.
            let (single, double) = match (model["norm"] == "group", model["name"].as_str()) {
                (true, Some("mobilefacenet")) => (1e-3, 1e-11),
                (true, Some("efficientnet-b2")) => (1e-4, 1e-12),
                (true, _) => (1e-5, 1e-12),
                _ => (1e-6, 1e-12),
            };
            for (kind, tolerance) in [(Kind::Float, single), (Kind::Double, double)] {
                let params = hashed_params(&net, own, 10, kind);
                let (x, y) = (images(&input, lanes, batch, kind), labels(lanes, batch));
                let (singles, norms) = singles(&net, &params, &x, &y);
                let clip = median(&norms);
                let found = clipped(&net, &params, &x, &y, clip);
                let what = format!("{model}, {lanes} lanes, {own} sets of weights, {kind:?}");
                near(&found.norms, &norms.to_kind(kind), tolerance, &format!("{what}, norms"));
                same(
                    &found.sum,
                    &clip_and_sum(&singles, clip),
                    tolerance,
                    kind == Kind::Double,
                    &what,
                );
                assert_eq!(found.dropped, vec![0; lanes as usize]);
            }
        }
    }
}

/// Layers too large to keep every example's gradient come to the same sum.
#[test]
fn a_large_batch_is_the_sum_of_its_parts() {
    tch::set_num_threads(1);
    let net = network(&json!({"name": "simple-cnn"}), &[3, 32, 32], CLASSES);
    let params = hashed_params(&net, 1, 10, Kind::Double);
    let (x, y) = (images(&[3, 32, 32], 1, 120, Kind::Double), labels(1, 120));
    let half = |from| clipped(&net, &params, &x.narrow(1, from, 60), &y.narrow(1, from, 60), 0.5);
    let whole = clipped(&net, &params, &x, &y, 0.5);
    let (a, b) = (half(0), half(60));
    near(&whole.norms, &Tensor::cat(&[a.norms, b.norms], 1), 1e-12, "norms");
    same(&whole.sum, &a.sum.zip(&b.sum, |a, b| a + b), 1e-12, true, "sum");
}

#[test]
fn what_is_not_finite_is_left_out_and_counted() {
    let (net, params, x, y) = lenet(2, 5);
    let good = clipped(&net, &params, &x.narrow(1, 0, 4), &y.narrow(1, 0, 4), 0.1);
    for poison in [f64::NAN, f64::INFINITY] {
        let bad = x.copy();
        let _ = bad.get(1).get(4).get(0).fill_(poison);
        let counted = ones(2, 5, Kind::Double);
        let _ = counted.get(0).get(4).fill_(0.0);
        let run = |counted: &Tensor| {
            clipped_sum(&net, &params, &bad, counted, Mode::Eval, 0.1, |z| task_loss(z, &y))
        };
        let found = run(&counted);
        same(&found.sum, &good.sum, 1e-12, true, "the sum of the others");
        assert_eq!(found.dropped, [0, 1]);
        // As padding it is nobody's example: it is not counted as dropped, and adds nothing all the
        // same.
        let _ = counted.get(1).get(4).fill_(0.0);
        let found = run(&counted);
        same(&found.sum, &good.sum, 1e-12, true, "padding");
        assert_eq!(found.dropped, [0, 0]);
    }
}

#[test]
fn batch_statistics_are_refused() {
    for (norm, mode, fits) in [
        ("batch", Mode::Train, false),
        ("batch", Mode::Eval, true),
        ("group", Mode::Train, true),
        ("group", Mode::Eval, true),
    ] {
        for name in ["convnet64", "resnet18"] {
            let net = network(&json!({"name": name, "norm": norm}), &[3, 32, 32], CLASSES);
            match check_private(&net, mode) {
                Ok(()) => assert!(fits, "{name} with {norm} norm in {mode:?}"),
                Err(error) => {
                    assert!(!fits, "{name} with {norm} norm in {mode:?}: {error}");
                    let text = error.to_string();
                    assert!(
                        text.contains("norm = \"group\"") && text.contains("batch_norm = \"eval\""),
                        "{text}"
                    );
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What differential privacy rests on: one example more or less moves the sum by at most the
    /// clipping norm.
    #[test]
    fn one_example_moves_the_sum_by_at_most_the_norm(
        which in 0..3usize,
        batch in 2..7i64,
        gone in 0..7i64,
        key in 0..1000u32,
        size in -3.0..3.0f64,
        clip in -3.0..2.0f64,
    ) {
        let (model, input) = [
            (json!({"name": "lenet-zhu"}), vec![3, 8, 8]),
            (json!({"name": "convnet64", "width": 2, "norm": "group"}), vec![3, 9, 9]),
            (json!({"name": "mlp", "hidden": [16]}), vec![10]),
        ][which].clone();
        let (net, gone, clip) = (network(&model, &input, CLASSES), gone % batch, 10f64.powf(clip));
        let params = hashed_params(&net, 1, key, Kind::Double);
        let (x, y) = (images(&input, 1, batch, Kind::Double) * 10f64.powf(size), labels(1, batch));
        let others: Vec<i64> = (0..batch).filter(|&b| b != gone).collect();
        let without = |v: &Tensor| v.index_select(1, &Tensor::from_slice(&others));
        let all = clipped(&net, &params, &x, &y, clip);
        let rest = clipped(&net, &params, &without(&x), &without(&y), clip);
        let moved = all.sum.sub(&rest.sum).norm().double_value(&[0]);
        prop_assert!(moved <= clip * (1.0 + 1e-9), "moved by {moved}, clipped at {clip}");
        let norm = all.norms.double_value(&[0, gone]);
        prop_assert!((moved - norm.min(clip)).abs() <= 1e-9 * clip.max(norm), "moved by {moved}, \
            norm {norm}");
    }
}
