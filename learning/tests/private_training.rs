//! Local training under a [`GradientRule`]: sampling, noise, the step, and clients side by side.

mod common;

use common::{hashed, hashed_params, network};
use learning::client::{LocalTraining, Rules, State, batch_gradient, train, train_on};
use learning::per_example::GradientRule;
use learning::{Mode, Network, Params};
use rand::Rng;
use rand_chacha::ChaCha12Rng;
use serde_json::json;
use suites::rng::stream;
use tch::{Device, Kind, Tensor};

const CLASSES: i64 = 5;

/// Equal relative to the whole vector of each lane.
fn same(found: &Params, expected: &Params, what: &str) {
    let error = (found.sub(expected).norm() / expected.norm()).max().double_value(&[]);
    assert!(error <= 1e-12, "{what}: relative difference {error:.2e}");
}

/// A LeNet in double precision with `lanes` clients of `batch` examples.
fn lenet(lanes: i64, batch: i64) -> (Network, Params, Tensor, Tensor) {
    let net = network(&json!({"name": "lenet-zhu"}), &[3, 12, 12], CLASSES);
    let params = hashed_params(&net, 1, 10, Kind::Double);
    let labels = (Tensor::arange(lanes * batch, (Kind::Int64, Device::Cpu)) * 3).remainder(CLASSES);
    (
        net,
        params,
        hashed(&[lanes, batch, 3, 12, 12], 900, Kind::Double),
        labels.reshape([lanes, batch]),
    )
}

fn rngs(clients: u64) -> Vec<ChaCha12Rng> {
    (0..clients).map(|c| stream(c, "client", "private")).collect()
}

fn setting(epochs: usize) -> LocalTraining {
    LocalTraining {
        epochs,
        batch_size: 2,
        lr: 0.1,
        momentum: 0.9,
        weight_decay: 0.01,
        ..LocalTraining::default()
    }
}

fn private(clip: f64, noise_multiplier: f64, rate: f64) -> Rules {
    let rule = GradientRule { clip, noise_multiplier, rate, expected_batch: 2.5 };
    Rules { private: Some(rule), ..Rules::default() }
}

#[test]
fn small_gradients_are_not_clipped() {
    let (net, params, x, y) = lenet(2, 5);
    let rule = GradientRule { clip: 1e6, noise_multiplier: 0.0, rate: 1.0, expected_batch: 5.0 };
    let private = Rules { private: Some(rule), ..Rules::default() };
    let gradient =
        |rules: &Rules| batch_gradient(&net, &params, &x, &y, rules, Mode::Eval, &mut rngs(2));
    same(&gradient(&private), &gradient(&Rules::default()), "mean gradient");
}

#[test]
fn training_survives_a_broken_example() {
    let (net, params, x, y) = lenet(1, 4);
    let _ = x.get(0).get(2).fill_(f64::NAN);
    let rules = private(0.5, 0.7, 0.5);
    let (mut rngs, fresh) = (rngs(1), State::default());
    let trained =
        train_on(&net, &params, &x, &y, &setting(4), &rules, Mode::Eval, &mut rngs, fresh);
    let (after, dropped) = (trained.params, trained.dropped);
    assert!(after.norm().double_value(&[0]).is_finite());
    assert!((1..=8).contains(&dropped[0]), "dropped {dropped:?} of 8 steps at rate 0.5");
}

/// Clients whose batches differ in size are padded side by side; by themselves they are not.
#[test]
fn side_by_side_as_one_by_one() {
    let (net, params, x, y) = lenet(3, 6);
    let rules = private(0.3, 0.5, 0.4);
    let run = |x: &Tensor, y: &Tensor, rngs: &mut [ChaCha12Rng]| {
        train(&net, &params, x, y, &setting(3), &rules, Mode::Eval, rngs)
    };
    let together = run(&x, &y, &mut rngs(3));
    for (t, rng) in rngs(3).iter_mut().enumerate() {
        let (x, y) = (x.narrow(0, t as i64, 1), y.narrow(0, t as i64, 1));
        let alone = run(&x, &y, std::slice::from_mut(rng));
        same(&together.narrow(t as i64, 1), &alone, &format!("client {t}"));
    }
}

/// Abadi et al.'s step, then momentum and weight decay as `torch.optim.SGD` (and so Opacus) applies
/// them to it.
#[test]
fn momentum_and_decay_follow_the_noise() {
    let (net, start, x, y) = lenet(1, 5);
    let rules = private(0.2, 0.8, 1.0);
    let setting = setting(3);
    let found = train(&net, &start, &x, &y, &setting, &rules, Mode::Eval, &mut rngs(1));
    let (mut params, mut velocity, mut own) = (start.clone(), None::<Params>, rngs(1));
    for _ in 0..setting.epochs {
        for _ in 0..5 {
            let _: f64 = own[0].random(); // the sampling's draws, of which rate 1 takes all
        }
        let noisy = batch_gradient(&net, &params, &x, &y, &rules, Mode::Eval, &mut own);
        let g = noisy.zip(&params, |g, w| g + w * setting.weight_decay);
        let v = velocity.map_or(g.clone(), |v: Params| v.zip(&g, |v, g| v * setting.momentum + g));
        params = params.zip(&v, |w, v| w - v * setting.lr);
        velocity = Some(v);
    }
    same(&found, &params, "three steps");
}

#[test]
fn noise_has_the_stated_deviation() {
    let net = network(&json!({"name": "mlp", "hidden": [300]}), &[400], CLASSES);
    let zeros = hashed_params(&net, 2, 10, Kind::Float).scale(0.0);
    let rule = GradientRule { clip: 0.7, noise_multiplier: 1.3, rate: 0.1, expected_batch: 8.0 };
    let noise = rule.noisy_mean(&zeros, &mut rngs(2));
    let flat =
        |t| Tensor::cat(&noise.trainable().map(|p| p.get(t).reshape([-1])).collect::<Vec<_>>(), 0);
    let (a, b) = (flat(0).to_kind(Kind::Double), flat(1).to_kind(Kind::Double));
    let (n, expected) = (a.size()[0] as f64, 1.3 * 0.7 / 8.0);
    for values in [&a, &b] {
        let (mean, std) =
            (values.mean(Kind::Double).double_value(&[]), values.std(false).double_value(&[]));
        // Five standard errors: of the mean s / sqrt(n), of the deviation s / sqrt(2 n).
        assert!(mean.abs() < 5.0 * expected / n.sqrt(), "mean {mean}");
        assert!(
            (std - expected).abs() < 5.0 * expected / (2.0 * n).sqrt(),
            "deviation {std}, not {expected}"
        );
        let beyond = values
            .abs()
            .gt(2.0 * expected)
            .to_kind(Kind::Double)
            .mean(Kind::Double)
            .double_value(&[]);
        assert!((beyond - 0.0455).abs() < 0.004, "share beyond two deviations {beyond}");
    }
    let correlation = (&a * &b).mean(Kind::Double).double_value(&[]) / expected.powi(2);
    assert!(correlation.abs() < 5.0 / n.sqrt(), "two clients' noise correlates by {correlation}");
}

#[test]
fn an_empty_batch_is_pure_noise() {
    let (net, start, x, y) = lenet(1, 1);
    let rate = 1e-3;
    let rule = GradientRule { clip: 1.0, noise_multiplier: 1.0, rate, expected_batch: 2.0 };
    // No draw of this stream's first step takes the only example.
    assert!(rule.sample(1, &mut rngs(1)[0]).is_empty());
    let rules = Rules { private: Some(rule.clone()), ..Rules::default() };
    let once = LocalTraining { momentum: 0.0, weight_decay: 0.0, lr: 1.0, ..setting(1) };
    let mut own = rngs(1);
    let mut expected = start.clone();
    for _ in 0..rule.steps_per_epoch() {
        if rule.sample(1, &mut own[0]).is_empty() {
            let noise = rule.noisy_mean(&start.scale(0.0), &mut own);
            expected = expected.zip(&noise, |w, g| w - g);
        } else {
            expected = expected.zip(
                &batch_gradient(&net, &expected, &x, &y, &rules, Mode::Eval, &mut own),
                |w, g| w - g,
            );
        }
    }
    let found = train(&net, &start, &x, &y, &once, &rules, Mode::Eval, &mut rngs(1));
    same(&found, &expected, "a thousand steps over one example");
}

#[test]
fn every_example_is_drawn_at_the_rate() {
    let (examples, steps) = (200, 5000);
    for rate in [0.03, 0.4] {
        let rule = GradientRule { clip: 1.0, noise_multiplier: 1.0, rate, expected_batch: 1.0 };
        let mut rng = stream(1, "poisson", "rate");
        let (mut hits, mut squares, mut total) = (vec![0.0; examples], 0.0, 0.0);
        for _ in 0..steps {
            let drawn = rule.sample(examples, &mut rng);
            assert!(drawn.is_sorted_by(|a, b| a < b), "no example twice in a step");
            drawn.iter().for_each(|&i| hits[i as usize] += 1.0);
            total += drawn.len() as f64;
            squares += (drawn.len() as f64).powi(2);
        }
        let (n, q) = (steps as f64, rate * (1.0 - rate));
        for (i, hits) in hits.iter().enumerate() {
            assert!((hits / n - rate).abs() < 5.0 * (q / n).sqrt(), "example {i} at {}", hits / n);
        }
        // Independent draws: a batch's size varies as a binomial's does.
        let variance = squares / n - (total / n).powi(2);
        assert!(
            (variance / (examples as f64 * q) - 1.0).abs() < 0.12,
            "variance of the batch size {variance}"
        );
        assert_eq!(rule.steps_per_epoch(), (1.0 / rate).ceil() as usize);
    }
    let all = GradientRule { clip: 1.0, noise_multiplier: 0.0, rate: 1.0, expected_batch: 1.0 };
    assert_eq!(all.sample(9, &mut rngs(1)[0]), (0..9).collect::<Vec<i64>>());
}
