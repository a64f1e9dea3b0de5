//! The adaptive attack against each defence that it knows, beside the same attack that does not;
//! signals are defended by hand.

mod common;

use std::sync::Arc;

use attacks::adaptive::{Adapting, plan};
use attacks::matching::adaptation::{Clip, Law, Values};
use common::{attack, build, capture, digits, lenet, mse, network, weights};
use learning::client::{LocalTraining, Rules, batch_gradient};
use learning::models::{Bottleneck, Bottlenecked, ENTRIES, Shape, head};
use learning::{Known, Mode, Network, Observation, PublicDefense, Signal, noise};
use serde_json::{Map, Value, json};
use suites::{Init, rng};
use tch::{Kind, Tensor};

fn public(name: &str, params: Value, values: &[(&str, f64)]) -> PublicDefense {
    let values = values.iter().map(|(name, value)| (name.to_string(), *value)).collect();
    PublicDefense { name: name.into(), params: params.as_object().unwrap().clone(), values }
}

/// The observation after a defence that maps the i-th tensor by `act`.
fn defended(
    seen: &Observation,
    known: PublicDefense,
    act: impl Fn(usize, &Tensor) -> Tensor,
) -> Observation {
    let mut out = seen.clone();
    let mut place = 0..;
    out.signal = Signal::Gradient(seen.signal.params().map(|t| act(place.next().unwrap(), t)));
    out.known.defenses.push(known);
    out
}

fn mlp() -> Arc<Network> {
    network("mlp", json!({ "hidden": [32] }), &[1, 8, 8], 10)
}

/// Four digits, one a signal.
fn world(net: &Arc<Network>, init: Init) -> (Observation, Tensor) {
    let (x, y) = digits(4, 1);
    (capture(net, &weights(net, init, 4), &x, &y, false), x)
}

/// Mean PSNR over the signals, each capped at 50 dB.
fn psnr(found: &Tensor, truth: &Tensor) -> f64 {
    let n = truth.size()[0];
    (0..n).map(|i| -10.0 * mse(&found.get(i), &truth.get(i)).max(1e-5).log10()).sum::<f64>()
        / n as f64
}

/// Asserts that the adaptive attack is better by `margin` dB, and says by how much.
fn gains(margin: f64, iterations: usize, seen: &Observation, truth: &Tensor) {
    let [plain, adaptive] = ["inverting-gradients", "adaptive-matching"].map(|name| {
        attack(build(name, json!({ "iterations": iterations })).as_ref(), seen, 1).unwrap()
    });
    let [before, after] = [&plain, &adaptive].map(|r| psnr(&r.pixels, truth));
    let names: Vec<&str> = seen.known.defenses.iter().map(|d| d.name.as_str()).collect();
    println!("{}: {before:.2} dB, adaptive {after:.2} dB", names.join(" + "));
    assert!(after > before + margin, "{names:?}: {before:.2} dB, adaptive {after:.2} dB");
    assert!(
        plain.flags[0].is_empty() && adaptive.flags[0].iter().any(|f| f.starts_with("adapted: "))
    );
}

fn largest(t: &Tensor, fraction: f64) -> Tensor {
    let rows = t.flatten(1, -1);
    let kept = rows.size()[1] - (fraction * rows.size()[1] as f64) as i64;
    let (_, places) = rows.abs().topk(kept.max(1), 1, true, false);
    (&rows * rows.zeros_like().scatter_value(1, &places, 1.0)).reshape(t.size())
}

fn normal(i: usize, t: &Tensor) -> Tensor {
    noise::normal(&mut rng::stream(5, "test", &format!("normal-{i}")), &t.size())
}

fn laplace(i: usize, t: &Tensor) -> Tensor {
    let u =
        noise::uniform(&mut rng::stream(5, "test", &format!("laplace-{i}")), &t.size(), -0.5, 0.5);
    -u.sign() * (u.abs() * -2.0 + 1.0).clamp_min(1e-12).log()
}

fn rms(seen: &Observation) -> f64 {
    let params = seen.signal.params();
    let squares = params.norm().square().mean(Kind::Double).double_value(&[]);
    (squares / params.layout().trainable_len() as f64).sqrt()
}

fn quantised(t: &Tensor, bits: i32) -> Tensor {
    let rows = t.flatten(1, -1);
    let (low, high) = (rows.amin([1], true), rows.amax([1], true));
    let step = (high - &low) / (2f64.powi(bits) - 1.0);
    (((rows - &low) / &step).round() * &step + low).reshape(t.size())
}

#[test]
fn where_nothing_is_known_it_is_the_plain_attack_to_the_bit() {
    let (mut seen, _) = world(&lenet(), Init::DlgUniform);
    let run = |name, seen: &_| {
        let found =
            attack(build(name, json!({ "iterations": 30, "restarts": 2 })).as_ref(), seen, 3)
                .unwrap();
        (
            common::values(&found.pixels),
            found.objective,
            found.trace,
            found.flags,
            found.evaluations,
        )
    };
    let plain = run("inverting-gradients", &seen);
    assert_eq!(plain, run("adaptive-matching", &seen));
    seen.known.defenses.push(public("ats", json!({}), &[]));
    assert_eq!(plain, run("adaptive-matching", &seen));
}

#[test]
fn pruned_entries_are_left_out() {
    let cases = [
        (mlp(), Init::Pytorch, 0.9, 5.0),
        (mlp(), Init::Pytorch, 0.95, 3.0),
        (lenet(), Init::DlgUniform, 0.95, 10.0),
    ];
    for (net, init, fraction, margin) in cases {
        let (seen, x) = world(&net, init);
        let seen =
            defended(&seen, public("prune", json!({ "fraction": fraction }), &[]), |_, t| {
                largest(t, fraction)
            });
        gains(margin, 300, &seen, &x);
    }
}

#[test]
fn columns_that_soteria_masked_are_left_out() {
    let (seen, x) = world(&mlp(), Init::Pytorch);
    let head = seen.signal.params().tensors.len() - 2;
    let fifth =
        |t: &Tensor| Tensor::arange(t.size()[2], (Kind::Int64, t.device())).remainder(5).eq(0);
    let seen = defended(&seen, public("soteria", json!({ "percent": 80.0 }), &[]), |i, t| {
        if i == head { t * fifth(t).to_kind(Kind::Float) } else { t.shallow_clone() }
    });
    gains(10.0, 300, &seen, &x);
    let whole = build("adaptive-matching", json!({ "iterations": 300, "masked": "layer" }));
    assert!(psnr(&attack(whole.as_ref(), &seen, 1).unwrap().pixels, &x) > 30.0);
}

#[test]
fn the_likelihood_of_noise_is_better_than_the_cosine() {
    let (seen, x) = world(&mlp(), Init::Pytorch);
    let (std, b) = (rms(&seen), rms(&seen) / 2f64.sqrt());
    let noisy = defended(&seen, public("gaussian-noise", json!({}), &[("scale", std)]), |i, t| {
        t + normal(i, t) * std
    });
    gains(1.0, 400, &noisy, &x);
    let noisy = defended(&seen, public("laplace-noise", json!({}), &[("scale", b)]), |i, t| {
        t + laplace(i, t) * b
    });
    gains(2.5, 400, &noisy, &x);
    // A clip that binds leaves the direction alone, which the cosine matches too: nothing may be
    // lost then.
    let norms = seen.signal.params().norm();
    let clip = norms.mean(Kind::Double).double_value(&[]) / 2.0;
    let factor = (norms.reciprocal() * clip).clamp_max(1.0);
    let scale = std / 2.0;
    let known =
        public("dp-local", json!({ "mechanism": "gaussian" }), &[("scale", scale), ("clip", clip)]);
    let noisy = defended(&seen, known, |i, t| {
        let mut shape = vec![1; t.dim()];
        shape[0] = -1;
        t * factor.reshape(shape) + normal(i, t) * scale
    });
    gains(-0.5, 400, &noisy, &x);
}

#[test]
fn signs_cells_and_bounds_are_all_that_is_matched() {
    let (seen, x) = world(&lenet(), Init::DlgUniform);
    let signs = defended(&seen, public("sign", json!({ "scaled": false }), &[]), |_, t| {
        t.ge(0.0).to_kind(Kind::Float) * 2.0 - 1.0
    });
    gains(5.0, 200, &signs, &x);
    let (seen, x) = world(&mlp(), Init::Pytorch);
    let cells =
        defended(&seen, public("quantise", json!({ "bits": 2 }), &[]), |_, t| quantised(t, 2));
    gains(2.0, 400, &cells, &x);
    let bound = rms(&seen) / 2.0;
    let filtered = defended(&seen, public("percentile", json!({}), &[("bound", bound)]), |_, t| {
        largest(t, 0.1).clamp(-bound, bound)
    });
    gains(10.0, 400, &filtered, &x);
}

#[test]
fn mixtures_are_recovered_with_their_mixed_labels() {
    let net = lenet();
    let (x, y) = digits(4, 2);
    let w = weights(&net, Init::DlgUniform, 4);
    let share = Tensor::from_slice(&[0.8f32, 0.3]);
    let mixed = |t: &Tensor, shape: &[i64]| {
        let share = share.reshape(shape);
        t * &share + t.flip([1]) * (share.neg() + 1.0)
    };
    let mixtures = mixed(&x, &[1, 2, 1, 1, 1]);
    let soft = mixed(&y.one_hot(10).to_kind(Kind::Float), &[1, 2, 1]);
    let rules = Rules { soft_labels: true, ..Rules::default() };
    let mut seen = capture(&net, &w, &x, &y, false);
    seen.signal =
        Signal::Gradient(batch_gradient(&net, &w, &mixtures, &soft, &rules, Mode::Train, &mut []));
    seen.known.defenses.push(public("mixup", json!({ "alpha": 1.0 }), &[]));
    gains(6.0, 250, &seen, &mixtures);
}

/// LeNet with a bottleneck, and a captured gradient `[4, ...]` of batches of `b` digits under draws
/// of its own.
fn random_inside(b: i64) -> (Observation, Tensor) {
    let entry = suites::find("model", ENTRIES, "lenet-zhu").unwrap();
    let shape = Shape { input: vec![1, 8, 8], classes: 10 };
    let model = (entry.build)(&Map::new()).unwrap().build(&shape).unwrap();
    let before = head(lenet().layout()).unwrap();
    let model = Box::new(Bottlenecked::new(model, Bottleneck { before, width: 16, beta: 1e-3 }));
    let net = Arc::new(Network::new(model, vec![0.5], vec![0.5]));
    let (x, y) = digits(4, b);
    let w = weights(&net, Init::DlgUniform, 4);
    let mut rngs: Vec<_> = (0..4).map(|i| rng::stream(9, "test", &format!("draw-{i}"))).collect();
    let mut seen = capture(&net, &w, &x, &y, false);
    seen.signal = Signal::Gradient(batch_gradient(
        &net,
        &w,
        &x,
        &y,
        &Rules::default(),
        Mode::Train,
        &mut rngs,
    ));
    seen.known.defenses.push(public("precode", json!({ "width": 16, "beta": 1e-3 }), &[]));
    (seen, x)
}

#[test]
fn what_lies_before_the_bottleneck_does_not_depend_on_its_draw() {
    let (seen, x) = random_inside(1);
    gains(5.0, 150, &seen, &x);
}

#[test]
fn expectations_over_draws_are_averages_paid_for_and_repeatable() {
    let (seen, _) = random_inside(2);
    let run = |draws: usize, seed| {
        let set = json!({ "iterations": 6, "draws": draws });
        attack(build("adaptive-matching", set).as_ref(), &seen, seed).unwrap()
    };
    let (one, two, again) = (run(1, 1), run(2, 1), run(2, 1));
    assert_eq!((one.evaluations, two.evaluations), (7, 14));
    assert!(two.pixels.equal(&again.pixels) && two.objective == again.objective);
    assert!(!two.pixels.equal(&run(2, 2).pixels) && one.trace != two.trace);
    assert!(two.flags[0][0].contains("expectation over 2 draws"), "{:?}", two.flags);
}

#[test]
fn what_is_planned_follows_from_order_clients_and_steps() {
    let (mut seen, _) = world(&mlp(), Init::Pytorch);
    let prune = public("prune", json!({ "fraction": 0.9 }), &[]);
    let noise = |name, scale| {
        public(name, json!({ "mechanism": "laplace" }), &[("scale", scale), ("clip", 2.0)])
    };
    seen.known.defenses = vec![prune.clone(), noise("dp-local", 0.01)];
    let planned = |seen: &Observation| plan(seen, &Adapting::default()).unwrap();
    let all = planned(&seen);
    let found = all.noise.unwrap();
    assert_eq!(
        (all.pruned, all.kept, all.values, all.clip),
        (Some(0.9), false, Values::Exact, Some(Clip::L1 { at: 2.0 }))
    );
    assert!(
        found.law == Law::Laplace && (found.scale - 0.01).abs() < 1e-12 && all.notes.len() == 4,
        "{:?}",
        all.notes
    );

    // The mean over four clients has half a client's standard deviation, and sums of Laplacians are
    // all but normal.
    seen.known.contributors = 4;
    let all = planned(&seen);
    let found = all.noise.unwrap();
    assert_eq!((all.clip, found.law, all.pruned), (Some(Clip::Unknown), Law::Gaussian, None));
    assert!((found.scale - 0.01 * 2f64.sqrt() / 2.0).abs() < 1e-12, "{}", found.scale);

    // An update of two steps of 0.5 is minus a gradient; dp-sgd's noise is in each step's gradient,
    // others' in the update.
    let local = LocalTraining { epochs: 2, lr: 0.5, ..LocalTraining::default() };
    seen.signal = Signal::Update(seen.signal.params().scale(-1.0));
    seen.known = Known {
        local: Some(local),
        local_examples: Some(1),
        batch_size: Some(1),
        ..Known::default()
    };
    for (name, expected) in [("dp-central", 0.01), ("dp-sgd", 0.01 / 2f64.sqrt())] {
        seen.known.defenses = vec![public(name, json!({}), &[("scale", 0.01), ("clip", 1.0)])];
        assert!((planned(&seen).noise.unwrap().scale - expected).abs() < 1e-12, "{name}");
    }
    seen.known.defenses = vec![prune];
    assert!(
        planned(&seen).kept && planned(&seen).values == Values::Exact,
        "no scale over two steps"
    );
    seen.known.defenses = vec![public("instahide", json!({}), &[])];
    assert!(planned(&seen).is_none());
}

#[test]
fn no_defended_signal_upsets_an_attack() {
    let quick = json!({ "iterations": 3 });
    let features =
        json!({ "feature_iterations": 3, "refine_iterations": 3, "rounds": 1, "retries": 0 });
    let names =
        [("adaptive-matching", &quick), ("feature-inversion", &features), ("analytic", &json!({}))];
    type Act = fn(usize, &Tensor) -> Tensor;
    type Case = (&'static str, Value, &'static [(&'static str, f64)], Act);
    let acts: [Case; 6] = [
        ("prune", json!({ "fraction": 0.999 }), &[], |_, t| largest(t, 0.999)),
        ("percentile", json!({}), &[("bound", 1e-9)], |_, t| t.clamp(-1e-9, 1e-9)),
        ("sign", json!({}), &[], |_, t| t.ge(0.0).to_kind(Kind::Float) * 2.0 - 1.0),
        ("quantise", json!({ "bits": 1 }), &[], |_, t| t.zeros_like()),
        ("qsgd", json!({ "bits": 2, "bucket": 512 }), &[("levels", 1.0)], |_, t| t.zeros_like()),
        ("gaussian-noise", json!({}), &[("scale_over_rms", 1e3)], |i, t| normal(i, t) * 1e3),
    ];
    let small = network("simple-cnn", json!({}), &[3, 16, 16], 10);
    let (x, y) = (common::pixels(&[2, 1, 3, 16, 16], 1), common::counted_labels(&[2, 1], 10));
    let convolutional = capture(&small, &weights(&small, Init::Pytorch, 1), &x, &y, false);
    for seen in [world(&mlp(), Init::Pytorch).0, world(&lenet(), Init::DlgUniform).0, convolutional]
    {
        for (defence, params, values, act) in &acts {
            let seen = defended(&seen, public(defence, params.clone(), values), act);
            for (name, set) in names {
                match attack(build(name, set.clone()).as_ref(), &seen, 1) {
                    Ok(found) => {
                        let inside = found.pixels.ge(0.0).logical_and(&found.pixels.le(1.0)).all();
                        assert_eq!(inside.int64_value(&[]), 1, "{name} under {defence}");
                    }
                    Err(e) => {
                        assert!(
                            matches!(e, attacks::AttackError::NotApplicable(_)),
                            "{name}, {defence}: {e}"
                        )
                    }
                }
            }
        }
    }
}
