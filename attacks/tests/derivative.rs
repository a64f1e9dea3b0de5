//! Matching by differences of first derivatives: the same attack for every setting, what says that
//! it ran, and where it is refused.

mod common;

use std::sync::Arc;

use attacks::matching::engine::Matching;
use attacks::matching::labels::Labels;
use attacks::matching::objective::Objective;
use attacks::matching::weights::{LayerWeights, Pick};
use attacks::matching::{MatchingConfig, derivative::Derivative};
use attacks::{AttackError, Reconstruction};
use common::{Single, attack, build, capture, digits, lenet, mse, network, off, pixels, weights};
use learning::{Mode, Network, Observation, Signal};
use serde_json::json;
use suites::{FlagKind, Init};
use tch::Tensor;

fn run(config: &MatchingConfig, derivative: Derivative, seen: &Observation) -> Reconstruction {
    attack(&Matching { config: MatchingConfig { derivative, ..config.clone() } }, seen, 7).unwrap()
}

/// What the flags say of the derivative, signal by signal.
fn said(found: &Reconstruction) -> Vec<String> {
    let own = |f: &&suites::Flag| f.is(FlagKind::Derivative);
    let rows =
        found.flags.iter().map(|row| row.iter().filter(own).map(|f| f.to_string()).collect());
    rows.collect::<Vec<Vec<_>>>().concat()
}

/// Two pictures on a network with BatchNorm, ReLU, max pools, factored and formed gradients.
fn convnet(mode: Mode) -> (Observation, Tensor) {
    let net = network("convnet64", json!({ "width": 4 }), &[3, 12, 12], 5);
    let truth = pixels(&[2, 2, 3, 12, 12], 1);
    let labels = Tensor::from_slice(&[0i64, 1, 2, 3]).reshape([2, 2]);
    // He's scale: PyTorch's own lets what eight layers pass on vanish without batch statistics.
    let own =
        weights(&net, Init::Pytorch, 1).map(|w| if w.dim() == 5 { w * 2.45 } else { w * 1.0 });
    let seen = capture(&net, &own, &truth, &labels, true);
    (Observation { mode, ..seen }, truth)
}

/// A few plain steps in f64: where every step agrees, so do the pictures behind them.
fn steps() -> MatchingConfig {
    MatchingConfig {
        iterations: 4,
        restarts: 2,
        optimizer: "sgd".into(),
        momentum: 0.0,
        lr: 1.0,
        double: Some(true),
        labels: Labels::Known,
        clip_grad: Some(1.0),
        ..MatchingConfig::default()
    }
}

#[test]
fn every_setting_takes_the_same_steps() {
    let plain = steps();
    let settings = [
        ("l2", plain.clone()),
        ("cosine", MatchingConfig { objective: Objective::Cosine, ..plain.clone() }),
        ("relative", MatchingConfig { objective: Objective::Relative, ..plain.clone() }),
        ("l1", MatchingConfig { objective: Objective::L1, ..plain.clone() }),
        ("both", MatchingConfig { objective: Objective::Both, ..plain.clone() }),
        ("priors", MatchingConfig { tv_weight: 0.1, l2_weight: 0.1, ..plain.clone() }),
        ("boxed", MatchingConfig { boxed: true, ..plain.clone() }),
        (
            "layers",
            MatchingConfig { layers: vec![Pick::Index(0), Pick::Index(-2)], ..plain.clone() },
        ),
        ("weights", MatchingConfig { layer_weights: LayerWeights::EarlyLinear, ..plain.clone() }),
        ("joint", MatchingConfig { labels: Labels::Joint, ..plain }),
    ];
    for mode in [Mode::Train, Mode::Eval] {
        let (seen, _) = convnet(mode);
        for (name, config) in &settings {
            let exact = run(config, Derivative::Exact, &seen);
            let found = run(config, Derivative::Difference, &seen);
            let still =
                run(&MatchingConfig { lr: 1e-12, ..config.clone() }, Derivative::Exact, &seen);
            let moved = off(&still.pixels, &exact.pixels);
            assert!(moved > 1e-3, "{mode:?} {name}: the steps move the pictures: {moved:e}");
            let apart = off(&found.pixels, &exact.pixels);
            println!("{mode:?} {name}: {apart:.1e}");
            assert!(apart < 1e-5, "{mode:?} {name}: pictures are {apart:e} apart");
            for (a, b) in found.objective.iter().zip(&exact.objective) {
                assert!((a - b).abs() < 1e-5 * b.abs(), "{mode:?} {name}: {a} and {b}");
            }
            assert_eq!(said(&found), ["derivative: difference"; 2]);
            assert!(said(&exact).is_empty(), "what is exact as ever says nothing");
        }
    }
}

#[test]
fn statistics_of_an_update_are_matched_by_differences_too() {
    let (seen, _) = convnet(Mode::Train);
    let Signal::Gradient(gradient) = &seen.signal else { panic!("a gradient") };
    let mut delta = gradient.scale(-0.1);
    for (spec, t) in seen.net.layout().specs().iter().zip(&mut delta.tensors) {
        if !spec.trainable {
            *t = t.ones_like() * 0.01;
        }
    }
    let known = learning::Known { lr: Some(0.1), ..seen.known.clone() };
    let seen = Observation { signal: Signal::Update(delta), known, ..seen };
    let config = MatchingConfig { bn_weight: 10.0, ..steps() };
    let exact = run(&config, Derivative::Exact, &seen);
    let without = run(&steps(), Derivative::Exact, &seen);
    let found = run(&config, Derivative::Difference, &seen);
    assert!(off(&found.pixels, &exact.pixels) < 1e-5);
    assert!(off(&without.pixels, &exact.pixels) > 1e-3, "statistics move the pictures");
}

#[test]
fn whole_attacks_end_where_exact_ones_do_with_the_same_bits_for_the_same_seed() {
    let net = lenet();
    let (x, y) = digits(2, 1);
    let seen = capture(&net, &weights(&net, Init::DlgUniform, 1), &x, &y, true);
    for name in ["inverting-gradients", "fl-attack"] {
        let given = |derivative: &str| {
            let params = json!({ "iterations": 500, "restarts": 1, "labels": "known",
                "tv_weight": 1e-4, "derivative": derivative });
            attack(build(name, params).as_ref(), &seen, 7).unwrap()
        };
        let (exact, auto) = (given("exact"), given("auto"));
        let psnr = |r: &Reconstruction| -10.0 * mse(&r.pixels, &x).log10();
        println!(
            "{name}: {:.2} dB exact, {:.2} dB auto, {:?}",
            psnr(&exact),
            psnr(&auto),
            said(&auto)
        );
        assert!(psnr(&exact) > 15.0, "{name}: the attack finds something to lose");
        assert!(psnr(&auto) > psnr(&exact) - 1.0, "{name}: {} {}", psnr(&auto), psnr(&exact));
        assert!(said(&auto).iter().all(|s| s.starts_with("derivative: difference")));
        assert!(given("auto").pixels.equal(&auto.pixels), "{name}: the same seed");
    }
}

#[test]
fn lbfgs_is_exact_unless_asked_otherwise() {
    let net = lenet();
    let (x, y) = digits(1, 1);
    let seen = capture(&net, &weights(&net, Init::DlgUniform, 1), &x, &y, true);
    let config = MatchingConfig {
        optimizer: "lbfgs".into(),
        lr: 1.0,
        iterations: 5,
        labels: Labels::Known,
        ..MatchingConfig::default()
    };
    let (exact, auto) =
        (run(&config, Derivative::Exact, &seen), run(&config, Derivative::Auto, &seen));
    assert!(exact.pixels.equal(&auto.pixels), "the same bits");
    assert_eq!(said(&auto).len(), 1);
    assert!(said(&auto)[0].starts_with("derivative: exact, for L-BFGS"), "{:?}", said(&auto));
    assert_eq!(said(&run(&config, Derivative::Difference, &seen)), ["derivative: difference"]);
}

#[test]
fn what_cannot_be_repeated_is_refused_by_name_or_exact() {
    let net = Arc::new(Network::new(Box::new(Single::Linear), vec![0.5; 12], vec![0.5; 12]));
    let truth = pixels(&[1, 1, 12], 1);
    let labels = Tensor::from_slice(&[1i64]).reshape([1, 1]);
    let seen = capture(&net, &weights(&net, Init::Pytorch, 1), &truth, &labels, true);
    let refused = |config: MatchingConfig, seen: &Observation| {
        let config = MatchingConfig { derivative: Derivative::Difference, ..config };
        match attack(&Matching { config }, seen, 7) {
            Err(AttackError::NotApplicable(why)) => why,
            other => panic!("not refused: {:?}", other.map(|r| r.objective)),
        }
    };
    let why = refused(steps(), &seen);
    assert!(why.contains("the model's own code") && why.contains("write \"auto\""), "{why}");
    let auto = run(&steps(), Derivative::Auto, &seen);
    assert!(auto.pixels.equal(&run(&steps(), Derivative::Exact, &seen).pixels));
    assert!(
        said(&auto)[0].starts_with("derivative: exact, for a second pass"),
        "{:?}",
        said(&auto)
    );
}
