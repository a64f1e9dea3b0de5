//! Labels of one example a signal behind noise: how often each reading is right, for few classes
//! and many.

mod common;

use attacks::matching::labels::{infer, read_signs, read_through_noise};
use common::{capture, counted_labels, digits, network, weights};
use learning::{Observation, Signal, noise};
use serde_json::json;
use suites::{Init, rng};
use tch::{Kind, Tensor};

/// Digits, one a signal.
const SIGNALS: i64 = 64;

/// Noise in multiples of the gradient's root mean square.
const RATIOS: [f64; 5] = [0.0, 0.01, 0.1, 1.0, 10.0];

/// Signals of the sigmoid LeNet with `classes` outputs, for labels of their own.
fn world(classes: i64, init: Init, labels: &Tensor) -> Observation {
    tch::set_num_threads(1);
    let net = network("lenet-zhu", json!({}), &[1, 8, 8], classes);
    let (x, _) = digits(SIGNALS, 1);
    capture(&net, &weights(&net, init, 4), &x, labels, false)
}

/// The same with noise of `ratio` root mean squares, and its standard deviation.
fn noisy(seen: &Observation, ratio: f64) -> (Observation, f64) {
    let params = seen.signal.params();
    let square = params.norm().square().mean(Kind::Double).double_value(&[]);
    let std = ratio * (square / params.layout().trainable_len() as f64).sqrt();
    let mut place = 0..;
    let add = |t: &Tensor| {
        let purpose = format!("noise-{}", place.next().unwrap());
        t + noise::normal(&mut rng::stream(5, "labels", &purpose), &t.size()) * std
    };
    let signal = Signal::Gradient(params.map(add));
    (Observation { signal, ..seen.clone() }, std)
}

fn right(found: &[i64], labels: &Tensor) -> f64 {
    let labels: Vec<i64> = Vec::try_from(labels.reshape([-1])).unwrap();
    let hits = found.iter().zip(&labels).filter(|(a, b)| a == b).count();
    hits as f64 / labels.len() as f64
}

/// Share of right labels by all evidence and by the bias's sign alone, and labels left open.
fn accuracy(seen: &Observation, ratio: f64, labels: &Tensor) -> (f64, f64, f64) {
    let (seen, std) = noisy(seen, ratio);
    let params = seen.signal.params();
    let mut rng = rng::stream(1, "labels", "pictures");
    let ranked = read_through_noise(&seen, params, std, &mut rng).unwrap();
    let first: Vec<i64> = ranked.iter().map(|r| r[0]).collect();
    let open = ranked.iter().map(Vec::len).sum::<usize>() as f64 / ranked.len() as f64;
    let bias: Vec<i64> = Vec::try_from(infer(params, 1).reshape([-1])).unwrap();
    (right(&first, labels), right(&bias, labels), open)
}

#[test]
fn all_evidence_of_the_last_layer_names_the_label_behind_noise() {
    for (classes, least) in [
        (2, [1.0, 1.0, 1.0, 1.0, 0.98]),
        (3, [1.0, 1.0, 1.0, 1.0, 0.98]),
        (10, [1.0, 1.0, 1.0, 1.0, 0.95]),
    ] {
        for init in [Init::DlgUniform, Init::Pytorch] {
            let labels = counted_labels(&[SIGNALS, 1], classes);
            let seen = world(classes, init, &labels);
            for (ratio, least) in RATIOS.into_iter().zip(least) {
                let (all, bias, open) = accuracy(&seen, ratio, &labels);
                let what = format!("{classes} classes, {init:?}, {ratio} rms: {all:.3} right, ");
                println!("{what}{bias:.3} by the bias alone, {open:.1} open");
                assert!(all >= least, "{what}at least {least}");
                assert!(all >= bias, "{what}{bias:.3} by the bias alone");
            }
        }
    }
}

/// Heavy noise leaves every label open, none leaves one.
#[test]
fn what_noise_leaves_open_is_left_open() {
    let labels = counted_labels(&[SIGNALS, 1], 3);
    let seen = world(3, Init::DlgUniform, &labels);
    let [clear, drowned] = [0.01, 1000.0].map(|ratio| accuracy(&seen, ratio, &labels).2);
    assert!(clear == 1.0 && drowned > 2.9, "{clear} {drowned}");
}

#[test]
fn forty_labels_an_example_are_read_by_their_signs() {
    let classes = 40;
    let uniform = noise::uniform(
        &mut rng::stream(2, "labels", "attributes"),
        &[SIGNALS, 1, classes],
        0.0,
        1.0,
    );
    let labels = uniform.lt(0.3).to_kind(Kind::Float);
    let seen = world(classes, Init::DlgUniform, &labels);
    for (ratio, least) in RATIOS.into_iter().zip([1.0, 1.0, 1.0, 0.99, 0.85]) {
        let (seen, _) = noisy(&seen, ratio);
        let mut rng = rng::stream(1, "labels", "pictures");
        let found = read_signs(&seen, seen.signal.params(), 1, &mut rng).unwrap();
        assert_eq!(found.size(), labels.size());
        let same = found.eq_tensor(&labels).to_kind(Kind::Double).mean(Kind::Double);
        let same = same.double_value(&[]);
        println!("40 attributes, {ratio} rms: {same:.3} right");
        assert!(same >= least, "{ratio} rms: {same:.3}");
    }
    // The gradient of a softmax is none of several labels.
    let one = world(10, Init::DlgUniform, &counted_labels(&[SIGNALS, 1], 10));
    let mut rng = rng::stream(1, "labels", "pictures");
    let refused = read_signs(&one, one.signal.params(), 1, &mut rng).unwrap_err().to_string();
    assert!(refused.contains("idlg"), "{refused}");
}
