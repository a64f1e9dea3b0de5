//! Heads of face recognition: margins, embeddings, and what they refuse.

mod common;

use common::{hashed, hashed_params, near, network};
use learning::loss::{Margin, cross_entropy, training_loss};
use learning::models::{ENTRIES, Shape};
use learning::{Mode, Network};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

fn face(more: Value) -> Network {
    tch::set_num_threads(1);
    let mut model = json!({"name": "mobilefacenet", "embedding": 16});
    for (key, value) in more.as_object().expect("a table") {
        model[key] = value.clone();
    }
    network(&model, &[3, 16, 16], 5)
}

/// The right class' logit by its angle, in degrees.
fn moved(margin: &Margin, degrees: f64) -> f64 {
    tch::set_num_threads(1);
    let logits = Tensor::from_slice(&[64.0 * degrees.to_radians().cos(), 3.0]).reshape([1, 1, 2]);
    let label = Tensor::zeros([1, 1], (Kind::Int64, Device::Cpu));
    let after = margin.apply(&logits, &label);
    assert_eq!(after.double_value(&[0, 0, 1]), 3.0, "other classes stay");
    after.double_value(&[0, 0, 0]) / 64.0
}

#[test]
fn margins_as_published() {
    let (arc, cos) =
        (Margin::Angle { scale: 64.0, margin: 0.5 }, Margin::Cosine { scale: 64.0, margin: 0.35 });
    let mut last = f64::INFINITY;
    for degrees in 0..=180 {
        let theta = f64::from(degrees).to_radians();
        assert!((moved(&cos, f64::from(degrees)) - (theta.cos() - 0.35)).abs() < 1e-12);
        let found = moved(&arc, f64::from(degrees));
        if degrees > 0 && theta + 0.5 < std::f64::consts::PI {
            assert!((found - (theta + 0.5).cos()).abs() < 1e-9, "{degrees} degrees: {found}");
        }
        assert!(
            found < last && found < theta.cos(),
            "the harder the further away, at {degrees} degrees"
        );
        last = found;
    }
}

#[test]
fn slopes_stay_finite_at_the_poles() {
    for margin in
        [Margin::Angle { scale: 64.0, margin: 0.5 }, Margin::Cosine { scale: 64.0, margin: 0.35 }]
    {
        let logits = Tensor::from_slice(&[64f32, 0.0, -64.0, 1.0])
            .reshape([1, 2, 2])
            .set_requires_grad(true);
        let labels = Tensor::zeros([1, 2], (Kind::Int64, Device::Cpu));
        let loss = cross_entropy(&margin.apply(&logits, &labels), &labels);
        let slope = Tensor::run_backward(&[loss], &[&logits], false, false).remove(0);
        assert_eq!(slope.isfinite().all().int64_value(&[]), 1);
    }
}

#[test]
fn only_hard_labels_meet_the_margin() {
    let net = face(json!({"head": "cosface"}));
    let logits = hashed(&[2, 3, 5], 1, Kind::Double) * 64.0;
    let labels = Tensor::from_slice(&[0i64, 1, 2, 3, 4, 0]).reshape([2, 3]);
    let soft = hashed(&[2, 3, 5], 2, Kind::Double).softmax(-1, None::<Kind>);
    let hard = net.training_loss(&logits, &labels, false);
    assert_eq!(hard.size(), [2]);
    assert!((hard - training_loss(&logits, &labels, false)).min().double_value(&[]) > 0.1);
    assert!(net.training_loss(&logits, &soft, true).equal(&training_loss(&logits, &soft, true)));
    let linear = face(json!({}));
    assert!(
        linear
            .training_loss(&logits, &labels, false)
            .equal(&training_loss(&logits, &labels, false))
    );
}

/// Logits are scaled cosines of the embedding that `embed` gives.
#[test]
fn logits_follow_from_the_embedding() {
    for (head, scale) in [("arcface", 64.0), ("cosface", 8.0)] {
        let net = face(json!({"head": head, "scale": scale}));
        for own in [1, 2] {
            let params = hashed_params(&net, own, 10, Kind::Double);
            let x = hashed(&[2, 3, 3, 16, 16], 900, Kind::Double);
            let unit = |t: &Tensor| t / t.norm_scalaropt_dim(2, &[-1i64][..], true);
            let embedding = net.embed(&params, &x, Mode::Eval);
            assert_eq!(embedding.size(), [2, 3, 16]);
            let weights = params.get("head.weight").expect("a head").expand([2, 5, 16], true);
            let expected = unit(&embedding).bmm(&unit(&weights).transpose(1, 2)) * scale;
            near(&net.logits(&params, &x, Mode::Eval), &expected, 1e-12, head);
        }
    }
}

#[test]
fn what_cannot_be_is_refused_with_a_remedy() {
    let shape = |input: [i64; 3]| Shape { input: input.to_vec(), classes: 5 };
    let build = |model: &str, params: Value, input: [i64; 3]| {
        let entry = suites::find("model", ENTRIES, model).expect("registered");
        let map = params.as_object().expect("a table");
        (entry.build)(map)
            .and_then(|a| a.build(&shape(input)).map(|_| ()))
            .map_err(|e| e.to_string())
    };
    let face = [3, 32, 32];
    for (model, params, input, expected) in [
        ("mobilefacenet", json!({"head": "linear", "scale": 64.0}), face, "head = \"arcface\""),
        ("mobilefacenet", json!({"head": "arcface", "margin": 4.0}), face, "radians"),
        ("mobilefacenet", json!({"head": "cosface", "margin": -0.1}), face, "0.35"),
        ("mobilefacenet", json!({"scale": 0.0, "head": "arcface"}), face, "model.scale"),
        ("mobilefacenet", json!({"embedding": 0}), face, "model.embedding"),
        ("mobilefacenet", json!({"embeding": 3}), face, "embeding"),
        ("mobilefacenet", json!({}), [3, 30, 30], "multiples of 16"),
        ("mobilefacenet", json!({}), [3, 32, 48], "square"),
        ("mnist-cnn", json!({"dropout": 1.0}), [1, 28, 28], "model.dropout"),
        ("mnist-cnn", json!({"padding": 2}), [1, 28, 28], "model.padding"),
        ("mnist-cnn", json!({}), [1, 8, 8], "padding = 1"),
        ("mnist-cnn", json!({"padding": 1}), [1, 3, 8], "at least 4"),
    ] {
        let text =
            build(model, params.clone(), input).expect_err(&format!("{model} {params} {input:?}"));
        assert!(text.contains(expected) && !text.contains('\n'), "{text}");
    }
    assert!(build("mnist-cnn", json!({}), [1, 18, 18]).is_ok());
    assert!(build("mnist-cnn", json!({"padding": 1}), [1, 4, 4]).is_ok());
}
