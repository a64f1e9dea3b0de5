//! Model inversion on networks trained here: what it finds, what decides it, and where it does not
//! apply.

mod common;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use attacks::{AttackError, Reconstruction, Run};
use common::{attack, build, half_of_digits, mse, network, pixels, trained, values, weights};
use learning::{Known, Mode, Network, Observation, Params, Signal};
use serde_json::{Value, json};
use suites::Init;
use tch::{Device, Kind, Tensor};

fn mlp() -> Arc<Network> {
    network("mlp", json!({ "hidden": [32] }), &[1, 8, 8], 10)
}

/// Whoever holds the model and asks for the classes of `labels` `[N, B]`.
fn holder(net: &Arc<Network>, weights: &Params, labels: &Tensor) -> Observation {
    let nothing = weights.map(Tensor::zeros_like).expand(labels.size()[0]);
    Observation {
        net: net.clone(),
        weights: weights.clone(),
        signal: Signal::Gradient(nothing),
        mode: Mode::Eval,
        known: Known { labels: Some(labels.shallow_clone()), ..Known::default() },
    }
}

fn classes() -> Tensor {
    Tensor::arange(10, (Kind::Int64, Device::Cpu)).unsqueeze(0)
}

fn invert(net: &Arc<Network>, weights: &Params, params: Value) -> Reconstruction {
    attack(build("model-inversion", params).as_ref(), &holder(net, weights, &classes()), 1).unwrap()
}

/// The probability of class `c` in row `c` of `[10, ...]` images.
fn confidence(net: &Network, weights: &Params, images: &Tensor) -> Vec<f64> {
    let p = net.logits(weights, &images.unsqueeze(0), Mode::Eval).softmax(-1, None::<Kind>);
    values(&p.squeeze_dim(0).diag(0))
}

/// Mean image of each class over one half of the data, `[10, 1, 8, 8]`.
fn class_means(half: usize) -> Tensor {
    let (x, y) = half_of_digits(half);
    let mean = |c: i64| {
        let rows = y.squeeze_dim(0).eq(c).nonzero().squeeze_dim(1);
        x.squeeze_dim(0).index_select(0, &rows).mean_dim(&[0i64][..], false, None::<Kind>)
    };
    Tensor::stack(&(0..10).map(mean).collect::<Vec<_>>(), 0)
}

/// For each row of `[10, ...]` images the class whose mean it correlates with most.
fn most_alike(images: &Tensor, means: &Tensor) -> Vec<i64> {
    let unit = |t: &Tensor| {
        let t = t.flatten(1, -1);
        let t = &t - t.mean_dim(&[1i64][..], true, None::<Kind>);
        &t / t.norm_scalaropt_dim(2, &[1i64][..], true)
    };
    Vec::try_from(unit(images).matmul(&unit(means).transpose(0, 1)).argmax(1, false)).unwrap()
}

#[test]
fn a_trained_model_gives_its_classes_away() {
    let net = mlp();
    let model = trained(&net, 0, 1);
    // The defaults' blur is for pictures of 28 pixels; these have eight.
    let found = invert(
        &net,
        &model,
        json!({ "iterations": 200, "restarts": 2, "blur_sigma": 0.5, "sharpen": 0.2 }),
    );
    let images = found.pixels.get(0);
    assert_eq!(images.size(), [10, 1, 8, 8]);
    assert!(found.labels.is_none() && found.flags[0].is_empty());
    let sure = confidence(&net, &model, &images);
    assert!(sure.iter().all(|&p| p > 0.8), "{sure:?}");
    // Chance is one in ten. A model of another seed and other data agrees about most of them; so do
    // the means of pictures that this one never saw.
    let judge = trained(&net, 1, 2);
    let agreed = net.logits(&judge, &found.pixels, Mode::Eval).argmax(2, false);
    let right =
        |guesses: &[i64]| guesses.iter().enumerate().filter(|&(c, &g)| c as i64 == g).count();
    let agreed: Vec<i64> = Vec::try_from(agreed.squeeze_dim(0)).unwrap();
    let alike = most_alike(&images, &class_means(1));
    assert!(right(&agreed) >= 6 && right(&alike) >= 7, "{agreed:?} {alike:?}");
}

#[test]
fn a_fresh_model_has_nothing_to_give() {
    let net = mlp();
    let fresh = weights(&net, Init::Pytorch, 1);
    let found = invert(&net, &fresh, json!({ "iterations": 200, "restarts": 2 }));
    let alike = most_alike(&found.pixels.get(0), &class_means(1));
    let right = alike.iter().enumerate().filter(|&(c, &g)| c as i64 == g).count();
    assert!(right <= 4, "chance is one in ten: {alike:?}");
}

/// Both losses, every optimiser, both total variations, and no prior at all.
#[test]
fn every_setting_raises_the_confidence() {
    let net = mlp();
    let model = trained(&net, 0, 1);
    let start = confidence(&net, &model, &pixels(&[10, 1, 8, 8], 3));
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    for config in [
        json!({ "loss": "confidence" }),
        json!({ "optimizer": "sgd", "lr": 1.0 }),
        json!({ "optimizer": "lbfgs", "lr": 1.0, "iterations": 5, "blur_every": 0 }),
        json!({ "tv": "anisotropic", "schedule": "constant" }),
        json!({
            "tv_weight": 0, "l2_weight": 0, "blur_every": 0, "boxed": false, "init": "uniform"
        }),
    ] {
        let mut all = json!({ "iterations": 60, "restarts": 2 });
        all.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        let found = invert(&net, &model, all.clone());
        let after = confidence(&net, &model, &found.pixels.get(0));
        assert!(mean(&after) > 0.7 && mean(&after) > mean(&start), "{all}: {after:?}");
    }
}

#[test]
fn more_restarts_never_raise_the_objective() {
    let net = mlp();
    let model = trained(&net, 0, 1);
    let with = |restarts| {
        invert(&net, &model, json!({ "iterations": 30, "restarts": restarts })).objective[0]
    };
    let (one, four) = (with(1), with(4));
    assert!(four < one, "{four} {one}");
}

#[test]
fn priors_do_what_they_are_for() {
    let net = mlp();
    let model = trained(&net, 0, 1);
    let roughness = |params: Value| {
        let mut all = json!({
            "iterations": 100, "restarts": 1, "blur_every": 0, "tv_weight": 0, "l2_weight": 0
        });
        all.as_object_mut().unwrap().extend(params.as_object().unwrap().clone());
        let images = invert(&net, &model, all).pixels;
        let along = images.narrow(4, 1, 7) - images.narrow(4, 0, 7);
        (
            along.abs().mean(Kind::Double).double_value(&[]),
            mse(&net.normalise(&images), &images.zeros_like()),
        )
    };
    let (bare, far) = roughness(json!({}));
    let (smoothed, _) = roughness(json!({ "tv_weight": 1.0 }));
    let (blurred, _) = roughness(json!({ "blur_every": 5, "blur_sigma": 1.0, "sharpen": 0.0 }));
    let (_, near) = roughness(json!({ "l2_weight": 1.0, "l2": "mean" }));
    let dark = |l2: &str| {
        let all = json!({ "iterations": 100, "restarts": 1, "l2_weight": 1.0, "l2": l2 });
        invert(&net, &model, all).pixels.mean(Kind::Double).double_value(&[])
    };
    assert!(dark("black") < 0.7 * dark("mean"));
    assert!(
        smoothed < 0.7 * bare && blurred < 0.7 * bare && near < 0.7 * far,
        "{bare} {smoothed} {blurred} {far} {near}"
    );
}

/// Two signals of three labels are six images in the labels' order, whatever the signal holds.
#[test]
fn the_signal_decides_nothing() {
    let net = mlp();
    let model = trained(&net, 0, 1);
    let labels = Tensor::from_slice(&[3i64, 1, 4, 1, 5, 9]).reshape([2, 3]);
    let brief = build("model-inversion", json!({ "iterations": 20, "restarts": 2 }));
    let seen = holder(&net, &model, &labels);
    let found = attack(brief.as_ref(), &seen, 1).unwrap();
    assert_eq!((found.pixels.size(), found.objective.len()), (vec![2, 3, 1, 8, 8], 2));
    assert_eq!((found.iterations, found.evaluations), (3 * 2 * 20, 3 * 2 * 21));
    let noisy = seen.signal.params().map(|t| t + 1.0);
    for signal in [Signal::Update(noisy.clone()), Signal::Gradient(noisy)] {
        let other = attack(brief.as_ref(), &Observation { signal, ..seen.clone() }, 1).unwrap();
        assert!(other.pixels.equal(&found.pixels) && other.objective == found.objective);
    }
}

#[test]
fn the_statistics_of_batch_norm_pull_the_images_together() {
    let net = network("resnet18", json!({ "stem": "cifar" }), &[1, 8, 8], 10);
    let model = weights(&net, Init::Pytorch, 1);
    let few = Tensor::from_slice(&[0i64, 1]).reshape([1, 2]);
    let with = |weight: f64| {
        let params =
            json!({ "iterations": 4, "restarts": 2, "bn_weight": weight, "blur_every": 0 });
        attack(build("model-inversion", params).as_ref(), &holder(&net, &model, &few), 1)
    };
    let (without, together) = (with(0.0).unwrap(), with(1.0).unwrap());
    assert_eq!(
        (without.evaluations, together.evaluations),
        (2 * 2 * 5, 2 * 5),
        "one lane for both classes"
    );
    assert!(!without.pixels.equal(&together.pixels));
    let net = mlp();
    let model = weights(&net, Init::Pytorch, 1);
    let params = build("model-inversion", json!({ "bn_weight": 1.0 }));
    let refused = attack(params.as_ref(), &holder(&net, &model, &classes()), 1);
    assert!(
        matches!(refused, Err(AttackError::NotApplicable(why)) if why.contains("bn_weight = 0"))
    );
}

/// Rows of a table have no neighbours to smooth; several labels an image are zeros and ones.
#[test]
fn tables_and_several_labels() {
    let net = network("logistic", json!({}), &[6], 3);
    let model = weights(&net, Init::Pytorch, 2);
    let one_each = Tensor::eye(3, (Kind::Float, Device::Cpu)).unsqueeze(0);
    let params =
        build("model-inversion", json!({ "iterations": 30, "restarts": 2, "l2_weight": 0 }));
    let found = attack(params.as_ref(), &holder(&net, &model, &one_each), 1).unwrap();
    assert_eq!(found.pixels.size(), [1, 3, 6]);
    let p = net.logits(&model, &found.pixels, Mode::Eval).sigmoid().squeeze_dim(0);
    let own = p.diag(0).mean(Kind::Double).double_value(&[]);
    let all = p.mean(Kind::Double).double_value(&[]);
    assert!(own > all, "each row is for its own label: {own} {all}");
}

#[test]
fn a_cancelled_run_stops() {
    let net = mlp();
    let model = weights(&net, Init::Pytorch, 1);
    let cancel = AtomicBool::new(true);
    let run = Run {
        seed: suites::rng::AttackSeed::new(1),
        key: "test",
        device: Device::Cpu,
        cancel: &cancel,
        progress: &|_| (),
    };
    let stopped =
        build("model-inversion", json!({})).reconstruct(&holder(&net, &model, &classes()), &run);
    assert!(matches!(stopped, Err(AttackError::Cancelled)));
}
