//! The matching engine end to end on small networks: what each setting promises.

mod common;

use attacks::matching::config::Tv;
use attacks::matching::engine::Matching;
use attacks::matching::init::Start;
use attacks::matching::labels::{self, Labels};
use attacks::matching::objective::Objective;
use attacks::matching::{MatchingConfig, init};
use attacks::optim::Decay;
use attacks::{Attack, AttackError, Reconstruction};
use common::{
    attack, build, capture, counted_labels, digits, lenet, mse, network, off, pixels, weights,
};
use learning::Signal;
use serde_json::json;
use suites::{Init, rng};
use tch::{Kind, Tensor};

fn matching(config: MatchingConfig) -> Matching {
    Matching { config }
}

fn few(iterations: usize) -> MatchingConfig {
    MatchingConfig { iterations, labels: Labels::Known, ..MatchingConfig::default() }
}

/// The same in f64, for what holds to rounding: batches of other sizes add in other orders, and a
/// first step of Adam turns the rounding of a small slope in f32 into a whole step.
fn exact(iterations: usize) -> MatchingConfig {
    MatchingConfig { double: Some(true), ..few(iterations) }
}

/// Machine epsilon of f64 (2.2e-16) times the terms of a sum (below 1e4) times what a dozen steps
/// make of it (below 1e3).
const ROUNDING: f64 = 2.2e-9;

/// Pictures are handed over in f32: two that are equal to [`ROUNDING`] may be apart by one unit in
/// the last place, 1.2e-7 of a value.
const SAME_PICTURE: f64 = 1.3e-7;

/// Two digits, one a signal, on the sigmoid LeNet, with their labels granted.
fn two() -> (learning::Observation, Tensor) {
    let net = lenet();
    let (x, y) = digits(2, 1);
    (capture(&net, &weights(&net, Init::DlgUniform, 1), &x, &y, true), x)
}

fn run(config: MatchingConfig, seen: &learning::Observation) -> Reconstruction {
    attack(&matching(config), seen, 7).unwrap()
}

#[test]
fn lbfgs_recovers_every_digit_and_reports_what_it_spent() {
    let (seen, truth) = two();
    let found =
        run(MatchingConfig { optimizer: "lbfgs".into(), lr: 1.0, restarts: 2, ..few(25) }, &seen);
    assert_eq!(found.pixels.size(), [2, 1, 1, 8, 8]);
    assert!(mse(&found.pixels, &truth) < 1e-3, "{}", mse(&found.pixels, &truth));
    assert!(found.labels.is_none(), "granted labels are not guesses");
    assert_eq!((found.restarts, found.objective.len(), found.flags.len()), (2, 2, 2));
    assert!(found.iterations <= 50 && found.evaluations > found.iterations);
    let traced: Vec<f64> = found.trace.iter().map(|(_, best)| best[0]).collect();
    assert!(traced.windows(2).all(|w| w[1] <= w[0]), "the best so far never rises: {traced:?}");
    assert!(found.objective[0] <= traced[traced.len() - 1]);
}

/// Fresh weights of PyTorch's have gradients so small that absolute tolerances ended the search at
/// its start; measured against the start, nothing does.
#[test]
fn lbfgs_goes_on_where_gradients_are_small() {
    let net = lenet();
    let (x, y) = digits(2, 1);
    let seen = capture(&net, &weights(&net, Init::Pytorch, 1), &x, &y, true);
    for objective in [Objective::L2, Objective::Relative, Objective::Cosine] {
        let lbfgs = MatchingConfig { optimizer: "lbfgs".into(), lr: 1.0, restarts: 2, ..few(60) };
        let found = run(MatchingConfig { objective, ..lbfgs }, &seen);
        let error = mse(&found.pixels, &x);
        println!("{objective:?}: {error:.2e} after {} evaluations", found.evaluations);
        assert!(error < 1e-6, "{objective:?}: {error:.2e}");
    }
}

/// What breaching's `beyond-infering` asks for: second order in a box, squared variation.
#[test]
fn lbfgs_works_in_a_box_under_squared_variation() {
    let (seen, truth) = two();
    for (boxed, tv) in [(true, Tv::Squared), (true, Tv::Anisotropic), (false, Tv::Squared)] {
        let config = MatchingConfig {
            optimizer: "lbfgs".into(),
            lr: 1.0,
            restarts: 2,
            boxed,
            tv,
            tv_weight: 1e-6,
            objective: Objective::Relative,
            ..few(40)
        };
        let error = mse(&run(config, &seen).pixels, &truth);
        println!("boxed {boxed}, {tv:?}: {error:.2e}");
        assert!(error < 1e-3, "boxed {boxed}, {tv:?}: {error:.2e}");
    }
}

#[test]
fn one_value_a_channel_is_not_applicable_and_no_panic() {
    let net = std::sync::Arc::new(learning::Network::new(
        Box::new(common::Single::Alone),
        vec![0.5; 2],
        vec![0.5; 2],
    ));
    let w = weights(&net, Init::Pytorch, 1);
    let (x, y) = (pixels(&[1, 1, 2, 3, 3], 1), counted_labels(&[1, 1], 4));
    // No client could train so; in eval mode one can.
    let gradient = learning::client::batch_gradient(
        &net,
        &w,
        &x,
        &y,
        &learning::client::Rules::default(),
        learning::Mode::Eval,
        &mut [],
    );
    let mut seen = two().0;
    (seen.net, seen.weights, seen.signal) = (net, w, Signal::Gradient(gradient));
    seen.known.labels = Some(y);
    for name in ["dlg", "inverting-gradients", "adaptive-matching", "feature-inversion", "analytic"]
    {
        seen.mode = learning::Mode::Train;
        let refused = attack(build(name, json!({})).as_ref(), &seen, 0).unwrap_err();
        assert!(matches!(refused, AttackError::NotApplicable(_)), "{name}: {refused}");
        let refused = refused.to_string();
        assert!(refused.contains("`norm.weight`") && refused.contains("eval"), "{refused}");
    }
    // Two examples have a mean, and eval mode needs none.
    seen.known.labels = Some(counted_labels(&[1, 2], 4));
    seen.known.batch_size = Some(2);
    assert!(attack(&matching(few(2)), &seen, 0).is_ok());
    seen.mode = learning::Mode::Eval;
    assert!(attack(&matching(few(2)), &seen, 0).is_ok());
}

#[test]
fn first_order_counts_one_evaluation_an_iteration_and_one_at_the_end() {
    let found = run(MatchingConfig { restarts: 3, ..few(7) }, &two().0);
    assert_eq!((found.iterations, found.evaluations), (21, 24));
}

#[test]
fn the_box_keeps_every_step_inside_and_binds() {
    let (mut seen, _) = two();
    let big =
        |boxed| MatchingConfig { lr: 5.0, boxed, optimizer: "sgd".into(), signed: true, ..few(3) };
    // Where pixels end up is only seen after the last clamp, so look at the start of a step: its
    // objective is that of the boxed point.
    let free = run(big(false), &seen);
    let boxed = run(big(true), &seen);
    assert_ne!(free.objective, boxed.objective);
    // A captured gradient that pulls pixels far out: the trajectory ends on the walls, inside.
    if let Signal::Gradient(g) = &seen.signal {
        seen.signal = Signal::Gradient(g.scale(50.0));
    }
    let found = run(big(true), &seen);
    let (low, high) = (found.pixels.min().double_value(&[]), found.pixels.max().double_value(&[]));
    assert!(low >= 0.0 && high <= 1.0 && (low == 0.0 || high == 1.0), "{low} {high}");
}

#[test]
fn a_restart_does_not_depend_on_the_others_and_the_lowest_objective_wins() {
    let (seen, _) = two();
    let results: Vec<Reconstruction> =
        (1..=4).map(|r| run(MatchingConfig { restarts: r, ..exact(12) }, &seen)).collect();
    for n in 0..2 {
        let best: Vec<f64> = results.iter().map(|r| r.objective[n]).collect();
        // One more restart can only lower the winner's objective.
        assert!(best.windows(2).all(|w| w[1] <= w[0] * (1.0 + ROUNDING)), "{best:?}");
        for (few, more) in results.iter().zip(&results[1..]) {
            if (few.objective[n] - more.objective[n]).abs() < ROUNDING * few.objective[n] {
                assert!(
                    off(&more.pixels.get(n as i64), &few.pixels.get(n as i64)) < SAME_PICTURE,
                    "same winner, same picture"
                );
            }
        }
    }
    assert!(
        results[3].objective < results[0].objective,
        "four starts find something better than the first"
    );
}

#[test]
fn signals_are_attacked_independently() {
    let (seen, _) = two();
    let both = run(MatchingConfig { restarts: 2, ..exact(10) }, &seen);
    let mut first = seen.clone();
    first.signal = Signal::Gradient(seen.signal.params().narrow(0, 1));
    first.known.labels = seen.known.labels.as_ref().map(|l| l.narrow(0, 0, 1));
    let alone = run(MatchingConfig { restarts: 2, ..exact(10) }, &first);
    assert!(off(&both.pixels.narrow(0, 0, 1), &alone.pixels) < SAME_PICTURE);
}

#[test]
fn a_stopped_lane_stays_where_it_was_best() {
    let (seen, _) = two();
    let patient = run(few(400), &seen);
    let stopped =
        run(MatchingConfig { patience: Some(5), min_improvement: 1e9, ..few(400) }, &seen);
    // Nothing improves by 1e9 after the first look: stopped at iteration 6, noticed at the next
    // check.
    assert_eq!((stopped.iterations, stopped.evaluations), (50, 7));
    assert!(patient.objective[0] < stopped.objective[0]);
}

#[test]
fn clipping_bounds_each_step_of_plain_descent() {
    let (seen, _) = two();
    let sgd = |clip| MatchingConfig {
        optimizer: "sgd".into(),
        momentum: 0.0,
        lr: 1.0,
        clip_grad: clip,
        init: Start::Grey,
        ..few(1)
    };
    // From grey, one step of at most 1e-3 in normalised space (0.5e-3 in pixels).
    let moved = |s| (run(s, &seen).pixels - 0.5).get(0).norm().double_value(&[]);
    let clipped = moved(sgd(Some(1e-3)));
    assert!((clipped - 0.5e-3).abs() < 1e-6 && moved(sgd(None)) > 10.0 * clipped, "{clipped}");
}

#[test]
fn schedules_and_optimisers_all_run_in_both_precisions() {
    let (seen, truth) = two();
    for optimizer in ["adam", "adamw", "sgd", "lbfgs"] {
        for (double, signed) in [(false, false), (true, false), (false, true)] {
            let config = MatchingConfig {
                optimizer: optimizer.into(),
                double: Some(double),
                signed,
                lr: if optimizer == "lbfgs" { 1.0 } else { 0.02 },
                schedule: Decay::Step,
                tv_weight: 1e-4,
                l2_weight: 1e-6,
                ..few(4)
            };
            let found = run(config, &seen);
            assert_eq!(found.pixels.kind(), Kind::Float);
            assert!(found.objective.iter().all(|o| o.is_finite()), "{optimizer}");
            assert_eq!(found.pixels.size(), truth.size());
        }
    }
}

#[test]
fn f64_is_f64_all_the_way() {
    let (seen, _) = two();
    let grey = Tensor::zeros([2, 1, 1, 8, 8], (Kind::Double, tch::Device::Cpu));
    let labels = seen.known.labels.as_ref().unwrap();
    let weights = seen.weights.to(tch::Device::Cpu, Kind::Double);
    let grads = learning::gradients(
        &seen.net,
        &weights,
        &grey,
        seen.mode,
        learning::Form::Dense,
        false,
        |z| learning::loss::cross_entropy(z, labels),
    );
    let parts = grads.layers.iter().zip(seen.signal.params().trainable());
    let expected: f64 = parts
        .map(|(g, t)| (g.to_dense() - t).get(0).square().sum(Kind::Double).double_value(&[]))
        .sum();
    let first = |double| {
        run(MatchingConfig { double: Some(double), init: Start::Grey, ..few(1) }, &seen).trace[0].1
            [0]
    };
    let error = |found: f64| (found - expected).abs() / expected;
    assert!(error(first(true)) < 1e-13, "{:e}", error(first(true)));
    assert!((1e-13..1e-5).contains(&error(first(false))), "{:e}", error(first(false)));
}

#[test]
fn idlg_is_exact_for_one_example_on_random_networks() {
    for seed in 0..10 {
        for net in [lenet(), network("mlp", json!({ "hidden": [20] }), &[1, 8, 8], 10)] {
            for init in [Init::Pytorch, Init::DlgUniform] {
                let labels = counted_labels(&[10, 1], 10);
                let seen = capture(
                    &net,
                    &weights(&net, init, seed),
                    &pixels(&[10, 1, 1, 8, 8], seed),
                    &labels,
                    false,
                );
                assert_eq!(
                    labels::read_off(seen.signal.params(), 10, 1).unwrap(),
                    labels,
                    "seed {seed}"
                );
            }
        }
    }
}

#[test]
fn repeated_labels_of_a_batch_are_read_off_a_fresh_network() {
    let net = lenet();
    let labels = Tensor::from_slice(&[3i64, 3, 3, 8, 0, 1, 2, 5]).reshape([2, 4]);
    let seen = capture(
        &net,
        &weights(&net, Init::Pytorch, 0),
        &pixels(&[2, 4, 1, 8, 8], 0),
        &labels,
        false,
    );
    assert_eq!(labels::infer(seen.signal.params(), 4), labels);
}

#[test]
fn labels_cannot_be_read_off_where_the_last_layer_has_no_bias_for_each_class() {
    let (seen, _) = two();
    let error = labels::read_off(seen.signal.params(), 11, 1).unwrap_err();
    assert!(matches!(error, AttackError::NotApplicable(_)), "{error}");
}

#[test]
fn joint_soft_labels_find_the_label() {
    let net = lenet();
    let (x, y) = digits(3, 1);
    let seen = capture(&net, &weights(&net, Init::DlgUniform, 1), &x, &y, false);
    let found = attack(build("dlg", json!({ "iterations": 40, "restarts": 2 })).as_ref(), &seen, 0)
        .unwrap();
    assert_eq!(found.labels.unwrap(), y);
    assert!(mse(&found.pixels, &x) < 1e-2, "{}", mse(&found.pixels, &x));
}

#[test]
fn batches_with_joint_labels_run_and_keep_their_lanes_apart() {
    let net = lenet();
    for batch in 2..=4 {
        let (x, y) = digits(2, batch);
        let seen = capture(&net, &weights(&net, Init::DlgUniform, 1), &x, &y, false);
        let dlg = build("dlg", json!({ "iterations": 4, "restarts": 2 }));
        let found = attack(dlg.as_ref(), &seen, 0).unwrap();
        assert_eq!((found.pixels.size(), found.labels.unwrap().size()), (x.size(), y.size()));
        // The second signal's result is the one it has alone from the same starts.
        let zero = run(MatchingConfig { labels: Labels::Joint, restarts: 2, ..exact(3) }, &seen);
        let mut swapped = seen.clone();
        swapped.signal = Signal::Gradient(
            seen.signal.params().map(|t| Tensor::cat(&[t.narrow(0, 0, 1), t.narrow(0, 0, 1)], 0)),
        );
        let same = run(MatchingConfig { labels: Labels::Joint, restarts: 2, ..exact(3) }, &swapped);
        assert!(
            off(&zero.pixels.get(0), &same.pixels.get(0)) < SAME_PICTURE,
            "the other signal does not matter"
        );
        assert!(off(&zero.pixels.get(1), &same.pixels.get(1)) > 1e-4, "the own signal does");
    }
}

#[test]
fn starts_have_their_moments_and_differ_between_restarts() {
    let shape = [2i64, 3, 64, 64];
    let draw =
        |start, purpose: &str| init::draw(start, &shape, &mut rng::stream(0, "init", purpose));
    let moments = |t: &Tensor| {
        (t.mean(Kind::Double).double_value(&[]), t.square().mean(Kind::Double).double_value(&[]))
    };
    let (mean, square) = moments(&draw(Start::Normal, "a"));
    assert!(mean.abs() < 0.03 && (square - 1.0).abs() < 0.03, "{mean} {square}");
    let uniform = draw(Start::Uniform, "a");
    let (mean, square) = moments(&uniform);
    assert!(mean.abs() < 0.02 && (square - 1.0 / 3.0).abs() < 0.01, "{mean} {square}");
    assert!(uniform.min().double_value(&[]) >= -1.0 && uniform.max().double_value(&[]) < 1.0);
    assert_eq!(moments(&draw(Start::Grey, "a")), (0.0, 0.0));
    for image in 0..2 {
        let (_, square) = moments(&draw(Start::Fft, "a").get(image));
        assert!((square - 1.0).abs() < 1e-4, "{square}");
    }
    for start in [Start::Normal, Start::Uniform, Start::Fft] {
        assert_eq!(draw(start, "a"), draw(start, "a"));
        assert_ne!(draw(start, "a"), draw(start, "b"));
    }
    // Tables have no frequencies.
    assert_eq!(init::draw(Start::Fft, &[2, 30], &mut rng::stream(0, "", "")).size(), [2, 30]);
}

/// Least squares of log amplitude over log frequency, all drawings pooled.
#[test]
fn the_fft_start_falls_as_one_over_f() {
    let n = 64i64;
    let image = init::draw(Start::Fft, &[1, 24, n, n], &mut rng::stream(0, "fft", ""));
    let power = image.fft_rfft2(None::<&[i64]>, [-2, -1], "backward").abs().square().mean_dim(
        &[0i64, 1][..],
        false,
        None::<Kind>,
    );
    let mut points = Vec::new();
    for y in 0..n {
        for x in 1..n / 2 {
            let fy = y.min(n - y) as f64;
            let f = (fy * fy + (x * x) as f64).sqrt();
            if f > 2.0 && f < n as f64 / 2.0 {
                points.push((f.ln(), power.double_value(&[y, x]).ln() / 2.0));
            }
        }
    }
    let mean =
        |f: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / points.len() as f64;
    let (mx, my) = (mean(&|p| p.0), mean(&|p| p.1));
    let slope = mean(&|p| (p.0 - mx) * (p.1 - my)) / mean(&|p| (p.0 - mx).powi(2));
    assert!((slope + 1.0).abs() < 0.05, "{slope}");
}

#[test]
fn mistakes_are_one_clear_line() {
    let (seen, _) = two();
    let said = |seen: &learning::Observation, config: MatchingConfig| {
        let error = attack(&matching(config), seen, 0).unwrap_err().to_string();
        assert_eq!(error.lines().count(), 1, "{error}");
        error
    };
    let mut nan = seen.clone();
    nan.signal = Signal::Gradient(seen.signal.params().map(|t| t * f64::NAN));
    assert!(said(&nan, few(1)).contains("NaN"));
    let mut unlabelled = seen.clone();
    unlabelled.known.labels = None;
    assert!(said(&unlabelled, few(1)).contains("labels"));
    let mut short = seen.clone();
    short.known.labels = Some(counted_labels(&[2, 3], 10));
    assert!(said(&short, few(1)).contains("[2, 3] where [2, 1]"));
    let mut outside = seen.clone();
    outside.known.labels = Some(counted_labels(&[2, 1], 10) + 9);
    assert!(said(&outside, few(1)).contains("classes 0 to 9"));
    let mut update = seen.clone();
    update.signal = Signal::Update(seen.signal.params().clone());
    assert!(said(&update, few(1)).contains("learning-rate"), "{}", said(&update, few(1)));
    update.known.lr = Some(0.1);
    assert!(said(&update, MatchingConfig { unroll: true, ..few(1) }).contains("local"));
    let named =
        MatchingConfig { layers: serde_json::from_value(json!(["conv9"])).unwrap(), ..few(1) };
    assert!(said(&seen, named).contains("conv9"));
    for (bad, says) in [
        (json!({ "iterations": 0 }), "attack.iterations"),
        (json!({ "restarts": 0 }), "attack.restarts"),
        (json!({ "iteratoins": 5 }), "did you mean `iterations`"),
        (json!({ "lr": -0.1 }), "lr"),
        (json!({ "momentum": 1.5, "optimizer": "sgd" }), "momentum"),
        (json!({ "optimizer": "adma" }), "adam"),
        (json!({ "tv_weight": -1 }), "attack.tv_weight"),
        (json!({ "l2_weight": -1 }), "attack.l2_weight"),
        (json!({ "both_weight": 2 }), "attack.both_weight"),
        (json!({ "warmup": -1 }), "warmup"),
        (json!({ "patience": 0 }), "patience"),
        (json!({ "patience": 3, "min_improvement": -1 }), "min_improvement"),
        (json!({ "clip_grad": 0 }), "clip"),
        (json!({ "objective": "l3" }), "l2"),
        (json!({ "layer_weights": "late" }), "unknown value `late`"),
        (json!({ "layer_weights": [1, "x"] }), "a list with a number for each"),
        (json!({ "layer_weights": [1, -2] }), "at least 0"),
        (json!({ "layer_weights": [0, 0] }), "at least one of them above"),
        (json!({ "layer_weights": true }), "layer_weights"),
        (json!({ "layers": [true] }), "expected a position"),
    ] {
        for entry in attacks::ENTRIES.iter().filter(|e| ["dlg", "fl-attack"].contains(&e.name)) {
            let error = (entry.build)(bad.as_object().unwrap())
                .err()
                .unwrap_or_else(|| panic!("{bad}"))
                .to_string();
            assert!(error.contains(says) && error.lines().count() == 1, "{bad}: {error}");
        }
    }
}

#[test]
fn cancelling_ends_the_run() {
    let (seen, _) = two();
    let cancel = std::sync::atomic::AtomicBool::new(true);
    let run = attacks::Run {
        seed: suites::rng::AttackSeed::new(0),
        key: "",
        device: tch::Device::Cpu,
        cancel: &cancel,
        progress: &|_| (),
    };
    assert!(matches!(matching(few(1000)).reconstruct(&seen, &run), Err(AttackError::Cancelled)));
}
