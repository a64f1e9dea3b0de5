//! What is random in a pass: statistics of the masks, and that every kind of gradient sees the same
//! one.

mod common;

use common::{hashed, hashed_params, near, network};
use learning::client::{Rules, batch_gradient};
use learning::loss::task_loss;
use learning::models::{Bottleneck, Bottlenecked};
use learning::per_example::{GradientRule, clipped_sum};
use learning::tape::Tape;
use learning::{Form, Mode, Network, Params, gradients};
use rand_chacha::ChaCha12Rng;
use serde_json::json;
use suites::rng::stream;
use tch::{Device, Kind, Tensor};

fn rngs(from: u64, lanes: u64) -> Vec<ChaCha12Rng> {
    (from..from + lanes).map(|t| stream(t, "client", "dropout")).collect()
}

/// A small digit network with `lanes` clients' weights, images and labels.
fn digits(own: i64, lanes: i64, batch: i64, kind: Kind) -> (Network, Params, Tensor, Tensor) {
    let net = network(&json!({"name": "mnist-cnn", "padding": 1}), &[1, 8, 8], 5);
    let params = hashed_params(&net, own, 10, kind);
    let labels = Tensor::arange(lanes * batch, (Kind::Int64, Device::Cpu)).remainder(5);
    (net, params, hashed(&[lanes, batch, 1, 8, 8], 900, kind), labels.reshape([lanes, batch]))
}

/// The factors that random layers apply to ones `[T, B, n]`, one pass a set of seeds.
fn masks(params: &Params, size: [i64; 3], p: f64, layers: usize) -> Vec<Tensor> {
    let mut tape = Tape::new(params, Mode::Train);
    let ones = Tensor::ones(size, (Kind::Float, Device::Cpu));
    (0..layers).map(|_| tape.dropout(&ones, p)).collect()
}

fn mean(x: &Tensor) -> f64 {
    x.to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}

/// Correlation of two masks, in standard errors.
fn correlation(a: &Tensor, b: &Tensor) -> f64 {
    let centred = |x: &Tensor| {
        let x = x.to_kind(Kind::Double).reshape([-1]);
        &x - x.mean(Kind::Double)
    };
    let (a, b) = (centred(a), centred(b));
    let n = a.size()[0] as f64;
    (&a * &b).mean(Kind::Double).double_value(&[]) / (mean(&a.square()) * mean(&b.square())).sqrt()
        * n.sqrt()
}

#[test]
fn masks_are_fair_and_independent() {
    let (net, params, ..) = digits(1, 1, 1, Kind::Float);
    let n = 4 * 16 * 1024;
    for p in [0.2, 0.5, 0.9] {
        let mut streams = rngs(0, 4);
        let first = masks(&net.refresh(params.clone(), &mut streams), [4, 16, 1024], p, 3);
        let second = masks(&net.refresh(params.clone(), &mut streams), [4, 16, 1024], p, 1);
        for mask in first.iter().chain(&second) {
            let kept = mean(&mask.gt(0.0));
            let error = (p * (1.0 - p) / f64::from(n)).sqrt();
            assert!((kept - (1.0 - p)).abs() < 5.0 * error, "kept {kept} at p = {p}");
            assert!((mask.max().double_value(&[]) - 1.0 / (1.0 - p)).abs() < 1e-6);
            for (what, shift, dim) in
                [("lane", 1, 0), ("example", 1, 1), ("feature", 1, 2), ("feature", 32, 2)]
            {
                let score = correlation(mask, &mask.roll([shift], [dim]));
                assert!(
                    score.abs() < 5.0,
                    "p = {p}: next {what} correlates by {score} standard errors"
                );
            }
            // Each feature and each example by itself, too.
            for dim in [&[0i64, 1][..], &[0, 2], &[1, 2]] {
                let kept = mask.gt(0.0).to_kind(Kind::Double).mean_dim(dim, false, None);
                let each = f64::from(n) / kept.numel() as f64;
                let worst = (kept - (1.0 - p)).abs().max().double_value(&[]);
                assert!(
                    worst < 6.0 * (p * (1.0 - p) / each).sqrt(),
                    "p = {p}: a share is off by {worst}"
                );
            }
        }
        for (a, b, what) in [
            (&first[0], &first[1], "layers"),
            (&first[0], &first[2], "layers"),
            (&first[0], &second[0], "steps"),
        ] {
            let score = correlation(a, b);
            assert!(score.abs() < 5.0, "p = {p}: two {what} correlate by {score} standard errors");
        }
    }
}

#[test]
fn a_lane_draws_the_same_alone() {
    let (net, params, ..) = digits(1, 1, 1, Kind::Float);
    // Larger than what is hashed at once, and smaller.
    for size in [[5, 3, 40], [5, 64, 1152]] {
        let together = net.refresh(params.clone(), &mut rngs(7, 5));
        let all = masks(&together, size, 0.5, 2);
        for t in 0..5 {
            let alone = net.refresh(params.clone(), &mut rngs(7 + t, 1));
            let one = masks(&alone, [1, size[1], size[2]], 0.5, 2);
            let part =
                masks(&together.expand(5).narrow(t as i64, 1), [1, size[1], size[2]], 0.5, 2);
            for layer in 0..2 {
                assert!(all[layer].narrow(0, t as i64, 1).equal(&one[layer]));
                assert!(part[layer].equal(&one[layer]));
            }
        }
        // Fewer examples (a smaller batch) see the beginning of the same mask.
        let fewer = masks(&together, [5, 2, size[2]], 0.5, 1);
        assert!(all[0].narrow(1, 0, 2).equal(&fewer[0]));
        // Lanes under one seed: the first as if alone, the others apart.
        let shared = net.refresh(params.clone(), &mut rngs(7, 1));
        let restarts = &masks(&shared, size, 0.5, 1)[0];
        assert!(restarts.get(0).equal(&all[0].get(0)) && !restarts.get(1).equal(&restarts.get(0)));
    }
}

/// "Row" mode: an example keeps a branch whole or not at all, fairly, and each block draws by
/// itself.
#[test]
fn stochastic_depth_takes_whole_examples() {
    let (net, params, ..) = digits(1, 1, 1, Kind::Float);
    let params = net.refresh(params, &mut rngs(0, 8));
    let mut tape = Tape::new(&params, Mode::Train);
    let ones = Tensor::ones([8, 512, 3, 2, 2], (Kind::Float, Device::Cpu));
    let layers = [tape.stochastic_depth(&ones, 0.2), tape.stochastic_depth(&ones, 0.2)];
    for layer in &layers {
        let rows = layer.flatten(2, -1);
        assert!(rows.amax([2], false).equal(&rows.amin([2], false)));
        let kept = mean(&rows.gt(0.0));
        assert!((kept - 0.8).abs() < 5.0 * (0.16f64 / 4096.0).sqrt(), "kept {kept}");
        assert!((layer.max().double_value(&[]) - 1.25).abs() < 1e-6);
    }
    let first = |t: &Tensor| t.flatten(2, -1).narrow(2, 0, 1);
    let score = correlation(&first(&layers[0]), &first(&layers[1]));
    assert!(score.abs() < 5.0, "two blocks correlate by {score} standard errors");
}

#[test]
fn a_deep_network_draws_in_train_mode() {
    tch::set_num_threads(1);
    let x = hashed(&[2, 2, 3, 32, 32], 900, Kind::Float);
    for (rates, random) in [((0.0, 0.2), true), ((0.3, 0.0), true), ((0.0, 0.0), false)] {
        let mut model = json!({"name": "efficientnet-b2", "norm": "group", "dropout": rates.0});
        model["stochastic_depth"] = json!(rates.1);
        let net = network(&model, &[3, 32, 32], 5);
        let params = hashed_params(&net, 1, 10, Kind::Float);
        let drawn = net.refresh(params.clone(), &mut rngs(0, 2));
        let plain = net.logits(&params, &x, Mode::Train);
        assert_eq!(!net.logits(&drawn, &x, Mode::Train).equal(&plain), random, "{model}");
        assert!(net.logits(&drawn, &x, Mode::Eval).equal(&net.logits(&params, &x, Mode::Eval)));
    }
}

#[test]
fn the_words_stay_what_they_are() {
    let (_, params, ..) = digits(1, 1, 1, Kind::Float);
    let seeded = params.with_draw(Some(Tensor::from_slice(&[1i64, 0x1234_5678_9ABC_DEF0])));
    let kept = masks(&seeded, [2, 1, 32], 0.5, 1)[0].gt(0.0).to_kind(Kind::Int64);
    let bits =
        |t: i64| (0..32).fold(0u64, |word, i| word << 1 | kept.int64_value(&[t, 0, i]) as u64);
    assert_eq!(
        [bits(0), bits(1)],
        WORDS,
        "a changed mask changes every result that dropout took part in"
    );
}

/// Which of 32 values two seeds keep (golden/make_dropout.py).
const WORDS: [u64; 2] = [1_994_131_095, 2_443_532_416];

#[test]
fn nothing_is_dropped_in_eval_mode_or_without_a_draw() {
    let (net, params, x, _) = digits(1, 2, 3, Kind::Float);
    let plain = net.logits(&params, &x, Mode::Train);
    let drawn = net.refresh(params.clone(), &mut rngs(0, 2));
    assert!(net.logits(&drawn, &x, Mode::Eval).equal(&plain));
    assert!(!net.logits(&drawn, &x, Mode::Train).equal(&plain));
    assert!(net.refresh(params.clone(), &mut []).draw().is_none());
    let off = network(&json!({"name": "mnist-cnn", "padding": 1, "dropout": 0.0}), &[1, 8, 8], 5);
    assert!(off.refresh(params, &mut rngs(0, 2)).draw().is_none());
}

/// Plain, second-order and per-example gradients of one draw are those of one function.
#[test]
fn every_gradient_sees_the_mask() {
    let (net, params, x, y) = digits(2, 2, 6, Kind::Double);
    let drawn = net.refresh(params.clone(), &mut rngs(3, 2));
    let leaves = drawn.map(|w| w.set_requires_grad(true));
    let loss = task_loss(&net.logits(&leaves, &x, Mode::Train), &y).sum(Kind::Double);
    let weights: Vec<&Tensor> = leaves.trainable().collect();
    let expected = Tensor::run_backward(&[loss], &weights, false, false);
    let undropped =
        gradients(&net, &params, &x, Mode::Train, Form::Dense, false, |z| task_loss(z, &y));
    let ones = Tensor::ones([2, 6], (Kind::Double, Device::Cpu));
    let sum = clipped_sum(&net, &drawn, &x, &ones, Mode::Train, 1e9, |z| task_loss(z, &y)).sum;
    assert!(sum.draw().is_none(), "what is sent holds no draw");
    for graph in [false, true] {
        let found =
            gradients(&net, &drawn, &x, Mode::Train, Form::Auto, graph, |z| task_loss(z, &y));
        for (((a, b), c), off) in
            found.layers.iter().zip(&expected).zip(sum.trainable()).zip(&undropped.layers)
        {
            near(&a.to_dense(), b, 1e-12, "batch gradient");
            near(&(c / 6.0), b, 1e-12, "sum of the examples' gradients");
            assert!(
                (off.to_dense() - b).norm().double_value(&[]) > 1e-3 * b.norm().double_value(&[])
            );
        }
    }
}

/// A bottleneck in front of the last layer leaves the model its own draws.
#[test]
fn a_wrapped_model_still_drops() {
    let (net, ..) = digits(1, 2, 6, Kind::Float);
    let bottleneck = Bottleneck { before: "fc2".into(), width: 4, beta: 0.1 };
    let wrapped = net.map_model(|inner| Box::new(Bottlenecked::new(inner, bottleneck)));
    let params = wrapped.refresh(hashed_params(&wrapped, 1, 10, Kind::Float), &mut rngs(0, 2));
    assert_eq!(params.draw().map(Tensor::size), Some(vec![2]));
    assert_eq!(params.get("bottleneck.seed").map(|seed| seed.size()[0]), Some(2));
}

/// A client's step draws; under a private rule as well.
#[test]
fn a_clients_gradient_draws_from_its_stream() {
    let (net, params, x, y) = digits(1, 2, 6, Kind::Double);
    let rule = GradientRule { clip: 1e9, noise_multiplier: 0.0, rate: 1.0, expected_batch: 6.0 };
    let private = Rules { private: Some(rule), ..Rules::default() };
    let gradient = |rules: &Rules, from| {
        batch_gradient(&net, &params, &x, &y, rules, Mode::Train, &mut rngs(from, 2))
    };
    let (plain, again, clipped) =
        (gradient(&Rules::default(), 0), gradient(&Rules::default(), 0), gradient(&private, 0));
    let other = gradient(&Rules::default(), 1);
    for (((a, b), c), d) in
        plain.trainable().zip(again.trainable()).zip(clipped.trainable()).zip(other.trainable())
    {
        assert!(a.equal(b));
        near(c, a, 1e-12, "private gradient without noise");
        assert!((d - a).norm().double_value(&[]) > 1e-3 * a.norm().double_value(&[]));
    }
}
