//! Fresh parameters follow PyTorch's default distributions, layer by layer.

mod common;

use common::{golden, integers, network, number};
use learning::init::fresh;
use learning::params::InitRule;
use serde_json::Value;
use suites::Init;
use tch::Kind;

/// Our rule and draw beside what one PyTorch draw showed.
fn compare(rule: &InitRule, drawn: &tch::Tensor, seen: &Value, what: &str) {
    let n = drawn.numel() as f64;
    let (max, std) = (drawn.abs().max().double_value(&[]), drawn.std(false).double_value(&[]));
    let (their_max, their_std, their_mean) =
        (number(&seen["max"]), number(&seen["std"]), number(&seen["mean"]));
    // Six standard errors of a sample standard deviation, for the two draws together.
    let noise = |spread: f64| 6.0 * spread * (2.0 / n).sqrt();
    let (expected, spread) = match rule.clone() {
        InitRule::Uniform { bound } => {
            assert!(
                their_max <= bound * (1.0 + 1e-6),
                "{what}: PyTorch reaches {their_max}, our bound is {bound}"
            );
            // n uniform draws miss the outer 20/n of the interval with probability exp(-20).
            assert!(
                their_max >= bound * (1.0 - 20.0 / n),
                "{what}: PyTorch reaches only {their_max} of {bound}"
            );
            assert!(
                max <= bound && max >= bound * (1.0 - 20.0 / n),
                "{what}: we reach {max} of {bound}"
            );
            (bound / 3f64.sqrt(), 0.45)
        }
        InitRule::Stored(_) => panic!("{what}: a built-in model has no file"),
        InitRule::Normal { std } => (std, 0.71),
        InitRule::Constant(value) => {
            assert_eq!(
                (max, std, their_max, their_std, their_mean),
                (value.abs(), 0.0, value.abs(), 0.0, value),
                "{what}"
            );
            return;
        }
    };
    for (whose, found) in [("PyTorch's", their_std), ("our", std)] {
        assert!(
            (found / expected - 1.0).abs() <= noise(spread),
            "{what}: {whose} std {found} is not {expected}"
        );
    }
    let mean = drawn.mean(Kind::Float).double_value(&[]);
    assert!(mean.abs() <= 6.0 * expected / n.sqrt(), "{what}: mean {mean}");
}

#[test]
fn pytorch_defaults() {
    for record in golden("init").as_array().expect("a list") {
        let net = network(
            &record["model"],
            &integers(&record["input"]),
            record["classes"].as_i64().expect("classes"),
        );
        let params =
            fresh(net.layout(), Init::Pytorch, &mut suites::rng::stream(1, "init", "weights"));
        let seen = record["parameters"].as_array().expect("a list");
        assert_eq!(seen.len(), params.tensors.len());
        for (spec, tensor) in net.layout().specs().iter().zip(&params.tensors) {
            let what = format!("{} {}", record["model"], spec.name);
            let seen = seen
                .iter()
                .find(|s| s["name"] == spec.name.as_str())
                .unwrap_or_else(|| panic!("PyTorch lacks {what}"));
            compare(&spec.init, tensor, seen, &what);
        }
    }
}

#[test]
fn dlg_uniform_and_same_seed() {
    let net = network(&serde_json::json!({"name": "convnet64", "width": 8}), &[3, 9, 9], 10);
    let draw = |seed| {
        fresh(net.layout(), Init::DlgUniform, &mut suites::rng::stream(seed, "init", "weights"))
    };
    let (params, again, other) = (draw(1), draw(1), draw(2));
    for (i, spec) in net.layout().specs().iter().enumerate() {
        let t = &params.tensors[i];
        assert!(t.equal(&again.tensors[i]), "{}: same seed, same bits", spec.name);
        if spec.trainable {
            assert!(
                t.abs().max().double_value(&[]) <= 0.5 && !t.equal(&other.tensors[i]),
                "{}",
                spec.name
            );
        } else {
            let plain = if spec.name.ends_with("running_var") { 1.0 } else { 0.0 };
            assert!(
                t.eq(plain).all().int64_value(&[]) == 1,
                "{}: buffers keep their start",
                spec.name
            );
        }
    }
    let weight = params.get("model.conv3.weight").expect("a convolution");
    let std = weight.std(false).double_value(&[]);
    assert!((std - 1.0 / 12f64.sqrt()).abs() < 0.01, "uniform(-0.5, 0.5) has std 0.289, not {std}");
}
