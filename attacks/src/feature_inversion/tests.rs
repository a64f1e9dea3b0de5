//! The whole attack on real photographs, and its parts on planted problems.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use learning::client::Rules;
use learning::models::{self, Shape};
use learning::{Known, Mode, Network, Observation, Params, Signal, client, init, noise};
use serde_json::{Map, json};
use suites::Split;
use tch::{Device, Kind, Tensor};

use crate::{AttackError, Reconstruction, Run};

/// A captured gradient of the photograph `id` under fresh weights.
fn capture(model: &str, data: &str, id: usize) -> (Observation, Tensor) {
    let request = datasets::Request { root: None, size: None, label: None, limit: None, seed: 0 };
    let data = datasets::open(data, &request).unwrap();
    let card = data.card();
    let mut input = vec![card.channels as i64, card.height as i64, card.width as i64];
    input.truncate(if card.kind == datasets::Kind::Table { 1 } else { 3 });
    let entry = suites::find("model", models::ENTRIES, model).unwrap();
    let architecture = (entry.build)(&Map::new()).unwrap();
    let model = architecture.build(&Shape { input, classes: card.classes as i64 }).unwrap();
    let net = Arc::new(Network::new(model, card.mean.clone(), card.std.clone()));
    let mut rng = suites::rng::stream(id as u64, "feature-inversion", "weights");
    let weights = init::fresh(net.layout(), suites::Init::Pytorch, &mut rng);
    let batch = data.batch(Split::Train, &[id]).unwrap();
    let gradient = client::batch_gradient(
        &net,
        &weights,
        &batch.x.unsqueeze(0),
        &batch.y.unsqueeze(0),
        &Rules::default(),
        Mode::Eval,
        &mut [],
    );
    let known =
        Known { batch_size: Some(1), local_examples: Some(1), contributors: 1, ..Known::default() };
    let seen =
        Observation { net, weights, signal: Signal::Gradient(gradient), mode: Mode::Eval, known };
    (seen, batch.x)
}

fn one_step(seen: &Observation, lr: f64) -> Observation {
    let update = seen.weights.zip(seen.signal.params(), |w, g| (w - g * lr) - w);
    let known = Known { lr: Some(lr), ..seen.known.clone() };
    Observation { signal: Signal::Update(update), known, ..seen.clone() }
}

fn noisy(seen: &Observation, relative: f64) -> Observation {
    let g = seen.signal.params();
    let sigma = relative * g.norm().double_value(&[0]) / (g.layout().trainable_len() as f64).sqrt();
    let mut rng = suites::rng::stream(1, "feature-inversion", "noise");
    let noisy = g.map(|t| t + noise::normal(&mut rng, &t.size()) * sigma);
    Observation { signal: Signal::Gradient(noisy), ..seen.clone() }
}

fn attack(
    seen: &Observation,
    name: &str,
    params: serde_json::Value,
) -> Result<Reconstruction, AttackError> {
    let cancel = AtomicBool::new(false);
    let run = Run {
        seed: suites::rng::AttackSeed::new(0),
        key: "test",
        device: Device::Cpu,
        cancel: &cancel,
        progress: &|_| {},
    };
    let entry = suites::find("attack", crate::ENTRIES, name)?;
    (entry.build)(params.as_object().unwrap())?.reconstruct(seen, &run)
}

fn psnr(found: &Reconstruction, truth: &Tensor) -> f64 {
    let error = found.pixels.reshape(truth.size()) - truth;
    -10.0 * error.square().mean(Kind::Double).double_value(&[]).max(1e-20).log10()
}

fn largest_error(found: &Reconstruction, truth: &Tensor) -> f64 {
    (found.pixels.reshape(truth.size()) - truth).abs().max().double_value(&[])
}

#[test]
fn the_input_of_a_fully_connected_model_is_read_exactly() {
    for (model, data) in [
        ("mlp", "photos"),
        ("logistic", "photos"),
        ("mlp", "digits"),
        ("logistic", "digits"),
        ("mlp", "wdbc"),
    ] {
        let (seen, truth) = capture(model, data, 3);
        let found = attack(&seen, "analytic", json!({})).unwrap();
        assert!(
            largest_error(&found, &truth) < 1e-5,
            "{model} {data}: {}",
            largest_error(&found, &truth)
        );
        assert!(found.flags[0].is_empty(), "{:?}", found.flags);
        let found = attack(&one_step(&seen, 1.0), "analytic", json!({})).unwrap();
        assert!(
            largest_error(&found, &truth) < 1e-4,
            "{model} {data}: {}",
            largest_error(&found, &truth)
        );
    }
}

#[test]
fn a_photograph_is_recovered_from_raw_gradients() {
    let (seen, truth) = capture("simple-cnn", "photos", 3);
    let found = attack(&seen, "feature-inversion", json!({ "rounds": 1 })).unwrap();
    assert!(psnr(&found, &truth) > 50.0, "{} dB {:?}", psnr(&found, &truth), found.flags);
    assert!(found.flags[0].is_empty(), "{:?}", found.flags);
    assert!(found.objective[0] < found.trace[0].1[0]);
    assert!(found.evaluations > 100);
}

#[test]
fn a_photograph_is_recovered_from_one_step() {
    let (seen, truth) = capture("simple-cnn", "photos", 2);
    let found =
        attack(&one_step(&seen, 0.01), "feature-inversion", json!({ "rounds": 1 })).unwrap();
    assert!(psnr(&found, &truth) > 40.0, "{} dB {:?}", psnr(&found, &truth), found.flags);
}

#[test]
fn noise_gives_a_finite_image_and_a_flag() {
    let (seen, truth) = capture("simple-cnn", "photos", 1);
    let found =
        attack(&noisy(&seen, 1e-2), "feature-inversion", json!({ "retries": 1, "rounds": 1 }))
            .unwrap();
    assert!(crate::analytic::is_finite(&found.pixels));
    assert!(found.objective[0].is_finite());
    assert!(psnr(&found, &truth) > 15.0, "{}", psnr(&found, &truth));
    let lost =
        attack(&noisy(&seen, 1e3), "feature-inversion", json!({ "retries": 0, "rounds": 1 }))
            .unwrap();
    assert!(crate::analytic::is_finite(&lost.pixels));
    assert!(!lost.flags[0].is_empty());
}

#[test]
fn zero_gradients_are_said_and_nothing_panics() {
    let (seen, _) = capture("simple-cnn", "photos", 1);
    let zero = Signal::Gradient(seen.signal.params().map(Tensor::zeros_like));
    let found =
        attack(&Observation { signal: zero, ..seen }, "feature-inversion", json!({})).unwrap();
    assert!(crate::analytic::is_finite(&found.pixels));
    assert!(found.flags[0][0].is(suites::FlagKind::ZeroGradient), "{:?}", found.flags);
}

#[test]
fn lanes_are_attacked_one_by_one_and_side_by_side_alike() {
    let (seen, truth) = capture("lenet-zhu", "photos", 0);
    let (other, second) = capture("lenet-zhu", "photos", 0);
    let stack = |a: &Params, b: &Params| a.zip(b, |a, b| Tensor::cat(&[a, b], 0));
    let both = Signal::Gradient(stack(seen.signal.params(), other.signal.params()));
    let found = attack(
        &Observation { signal: both, ..seen },
        "feature-inversion",
        json!({ "refine_iterations": 20, "restarts": 2 }),
    )
    .unwrap();
    assert_eq!(found.pixels.size()[..2], [2, 1]);
    assert!(truth.equal(&second));
    let apart = (found.pixels.get(0) - found.pixels.get(1)).abs().max().double_value(&[]);
    assert!(apart < 1e-3, "{apart}");
    assert_eq!(found.restarts, 2);
}

#[test]
fn refining_by_matching_never_ends_above_its_start() {
    let (seen, truth) = capture("lenet-zhu", "photos", 4);
    let start = attack(&seen, "feature-inversion", json!({ "refine_iterations": 1 })).unwrap();
    let found = attack(&seen, "feature-inversion", json!({ "refine_iterations": 60 })).unwrap();
    assert!(found.objective[0] <= start.objective[0]);
    let grey = Reconstruction { pixels: Tensor::zeros_like(&found.pixels) + 0.5, ..found };
    assert!(psnr(&start, &truth) > psnr(&grey, &truth));
}

#[test]
fn what_does_not_apply_is_said() {
    let why = |r: Result<Reconstruction, AttackError>| r.unwrap_err().to_string();
    let (mut seen, _) = capture("simple-cnn", "photos", 0);
    assert!(why(attack(&seen, "analytic", json!({}))).contains("`feature-inversion`"));
    let (flat, _) = capture("mlp", "photos", 0);
    assert!(why(attack(&flat, "feature-inversion", json!({}))).contains("`analytic`"));
    seen.known.batch_size = Some(4);
    assert!(why(attack(&seen, "feature-inversion", json!({}))).contains("4 are mixed"));
    seen.known.batch_size = None;
    assert!(matches!(attack(&seen, "feature-inversion", json!({})), Err(AttackError::Missing(_))));
    assert!(why(attack(&flat, "analytic", json!({ "iterations": 3 }))).contains("iterations"));
    for (key, value) in
        [("feature_iterations", json!(0)), ("restarts", json!(0)), ("tv_weight", json!(-1))]
    {
        assert!(
            why(attack(&seen, "feature-inversion", json!({ key: value }))).contains(key),
            "{key}"
        );
    }
}

#[test]
fn a_request_to_stop_is_heard_within_the_first_inversion() {
    let (seen, _) = capture("simple-cnn", "photos", 0);
    let cancel = AtomicBool::new(false);
    let stop =
        |p: crate::Progress| cancel.store(p.iteration >= 5, std::sync::atomic::Ordering::Relaxed);
    let run = Run {
        seed: suites::rng::AttackSeed::new(0),
        key: "test",
        device: Device::Cpu,
        cancel: &cancel,
        progress: &stop,
    };
    let entry = suites::find("attack", crate::ENTRIES, "feature-inversion").unwrap();
    let result = (entry.build)(&Map::new()).unwrap().reconstruct(&seen, &run);
    assert!(matches!(result, Err(AttackError::Cancelled)));
}
