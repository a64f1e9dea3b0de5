//! The simulated local training beside the real one, in f64 so that nothing but the mathematics
//! differs.

use std::sync::Arc;

use learning::client::{LocalTraining, Rules, StepRule, batch_gradient, train};
use learning::{Form, Known, Mode, Network, Observation, Params, Signal, init, noise};
use suites::{Init, rng};
use tch::{Device, Kind, Tensor};

use super::super::objective::Target;
use super::super::problem::{DummyLabels, Problem};
use super::super::{MatchingConfig, signal};

const EXAMPLES: i64 = 3;

/// What `clients` clients sent after training on `EXAMPLES` examples each, `[2 signals]`, and the
/// true batches.
struct Capture {
    seen: Observation,
    truth: Tensor,
    labels: Tensor,
}

fn network() -> Arc<Network> {
    let entry = suites::find("model", learning::models::ENTRIES, "lenet-zhu").unwrap();
    let model = (entry.build)(&serde_json::Map::new()).unwrap();
    let shape = learning::models::Shape { input: vec![1, 8, 8], classes: 4 };
    Arc::new(Network::new(model.build(&shape).unwrap(), vec![0.5], vec![0.5]))
}

fn local(epochs: usize) -> LocalTraining {
    LocalTraining { epochs, batch_size: 9, lr: 0.3, ..LocalTraining::default() }
}

fn capture(local: LocalTraining, clients: i64) -> Capture {
    let net = network();
    let mut rng = rng::stream(5, "unroll", "all");
    let weights =
        init::fresh(net.layout(), Init::DlgUniform, &mut rng).to(Device::Cpu, Kind::Double);
    let all = 2 * clients;
    let pixels =
        noise::uniform(&mut rng, &[all, EXAMPLES, 1, 8, 8], 0.0, 1.0).to_kind(Kind::Double);
    let labels = Tensor::arange(all * EXAMPLES, (Kind::Int64, Device::Cpu))
        .remainder(4)
        .reshape([all, EXAMPLES]);
    let mut rngs: Vec<_> =
        (0..all).map(|c| rng::stream(5, "unroll", &format!("client {c}"))).collect();
    let trained =
        train(&net, &weights, &pixels, &labels, &local, &Rules::default(), Mode::Train, &mut rngs);
    let delta = trained.sub(&weights).map(|t| {
        let size = [&[2, clients], &t.size()[1..]].concat();
        t.reshape(size).mean_dim(1, false, None::<Kind>)
    });
    let known = Known {
        batch_size: Some(EXAMPLES * clients),
        lr: Some(local.lr),
        local: Some(local),
        local_examples: Some(EXAMPLES as usize),
        contributors: clients,
        ..Known::default()
    };
    let seen =
        Observation { net, weights, signal: Signal::Update(delta), mode: Mode::Train, known };
    let batch = EXAMPLES * clients;
    Capture { seen, truth: pixels.reshape([2, batch, 1, 8, 8]), labels: labels.reshape([2, batch]) }
}

impl Capture {
    /// The objective over the captured gradient's squared norm, `[T]`, at images in `[0, 1]` (`[T,
    /// B, ...]`, two or more a signal).
    fn relative(&self, images: &Tensor, unroll: bool) -> Tensor {
        let gradient = signal::gradient(&self.seen).unwrap();
        let tensors: Vec<Tensor> = gradient.trainable().map(Tensor::shallow_clone).collect();
        let ones = tensors.iter().map(|_| Tensor::ones([2], (Kind::Double, Device::Cpu))).collect();
        let each = images.size()[0] / 2;
        let config = MatchingConfig { unroll, ..MatchingConfig::default() };
        let local =
            self.seen.known.local.as_ref().map(|l| (l, signal::step_scale(&self.seen).unwrap()));
        let mut problem = Problem {
            seen: &self.seen,
            config: &config,
            weights: self.seen.weights.clone(),
            target: Target::new(tensors, (0..8).collect(), ones),
            labels: DummyLabels::Fixed(self.labels.repeat_interleave_self_int(each, 0, None)),
            shape: images.size()[1..].to_vec(),
            form: Form::Auto,
            unroll: if unroll { local } else { None },
            channel: None,
            draws: (Vec::new(), 0),
            features: None,
            statistics: None,
            bounds: None,
            way: super::super::derivative::Way::Exact,
        };
        let norm = gradient.norm().square().repeat_interleave_self_int(each, 0, None);
        problem.distance(&self.seen.net.normalise(images), None, Form::Auto) / norm
    }

    fn noise(&self) -> Tensor {
        let size = [&[4], &self.truth.size()[1..]].concat();
        noise::uniform(&mut rng::stream(6, "unroll", "dummy"), &size, 0.0, 1.0)
            .to_kind(Kind::Double)
    }
}

fn largest(t: &Tensor) -> f64 {
    t.abs().max().double_value(&[])
}

#[test]
fn one_step_is_the_approximation() {
    for clients in [1, 2] {
        let c = capture(local(1), clients);
        let x = c.noise();
        let (unrolled, read) = (c.relative(&x, true), c.relative(&x, false));
        // One client: the same sum divided by the step size again. Two: the mean of two gradients
        // is that of the joint batch.
        assert!(
            largest(&(&unrolled / &read - 1.0)) < 1e-12,
            "{clients} clients: {unrolled:?} {read:?}"
        );
        assert!(largest(&c.relative(&c.truth, true)) < 1e-20);
    }
}

#[test]
fn several_steps_match_only_when_they_are_simulated() {
    let momentum = LocalTraining { momentum: 0.9, weight_decay: 0.05, ..local(3) };
    let falling = LocalTraining { lr_schedule: vec![0.5, 0.3, 0.05], ..momentum.clone() };
    let pulled = LocalTraining { prox: 0.7, ..local(3) };
    let adam = LocalTraining {
        rule: StepRule::Adam { beta1: 0.8, beta2: 0.95 },
        weight_decay: 0.01,
        lr: 0.02,
        ..local(3)
    };
    let mut cases = vec![(local(3), 1), (local(3), 2), (momentum.clone(), 1), (momentum, 2)];
    cases.extend([(falling, 1), (pulled, 1), (adam, 2)]);
    for (config, clients) in cases {
        let c = capture(config.clone(), clients);
        let (unrolled, read) = (c.relative(&c.truth, true), c.relative(&c.truth, false));
        assert!(largest(&unrolled) < 1e-20, "{config:?}, {clients}: {unrolled:?}");
        assert!(read.min().double_value(&[]) > 1e-6, "{config:?}, {clients}: {read:?}");
    }
}

/// Clients of one and two examples, weighed by these.
#[test]
fn clients_of_several_sizes_weigh_by_their_examples() {
    let mut c = capture(local(2), 1);
    let (weights, config) = (&c.seen.weights, local(2));
    let sent = |from: i64, share: i64| {
        let (x, y) = (c.truth.narrow(1, from, share), c.labels.narrow(1, from, share));
        let mut rngs = [rng::stream(1, "unroll", "a"), rng::stream(1, "unroll", "b")];
        let (rules, mode) = (Rules::default(), Mode::Train);
        let after = train(&c.seen.net, weights, &x, &y, &config, &rules, mode, &mut rngs);
        after.sub(weights)
    };
    let mean = sent(0, 1).zip(&sent(1, 2), |a, b| (a + b * 2.0) / 3.0);
    c.seen.signal = Signal::Update(mean);
    (c.seen.known.contributors, c.seen.known.shares) = (2, vec![1, 2]);
    assert!(largest(&c.relative(&c.truth, true)) < 1e-20, "{:?}", c.relative(&c.truth, true));
    c.seen.known.shares = vec![2, 1];
    assert!(c.relative(&c.truth, true).min().double_value(&[]) > 1e-6);
}

/// Rates 0.5, 0.3, 0.05 and velocities 1, 1.9, 2.71.
#[test]
fn a_schedule_divides_an_update_step_by_step() {
    let rates = vec![0.5, 0.3, 0.05];
    let config = LocalTraining { momentum: 0.9, lr_schedule: rates, ..local(3) };
    let scale = signal::step_scale(&capture(config, 1).seen).unwrap();
    assert!((scale - 1.2055).abs() < 1e-12, "{scale}");
}

/// Clients of 4 and 12 examples in batches of 4 take one step and three.
#[test]
fn clients_of_several_sizes_take_several_numbers_of_steps() {
    let mut c = capture(LocalTraining { batch_size: 4, ..local(1) }, 1);
    (c.seen.known.contributors, c.seen.known.shares) = (2, vec![4, 12]);
    let scale = signal::step_scale(&c.seen).unwrap();
    assert!((scale - 0.3 * (0.25 + 0.75 * 3.0)).abs() < 1e-12, "{scale}");
}

#[test]
fn without_the_rate_an_update_is_a_direction() {
    let mut c = capture(local(1), 1);
    let gradient = signal::gradient(&c.seen).unwrap();
    // Local training that is known does not tell the rate.
    c.seen.known.lr = None;
    assert!(signal::gradient(&c.seen).is_err());
    let direction = signal::direction(&c.seen).unwrap();
    let error = direction.sub(&gradient.scale(0.3)).norm() / gradient.norm();
    assert!(largest(&error) < 1e-12, "{error:?}");
}

#[test]
fn the_approximation_allows_for_momentum() {
    let heavy = LocalTraining { momentum: 0.9, lr: 0.01, ..local(5) };
    let c = capture(heavy, 1);
    assert!(largest(&c.relative(&c.truth, false)) < 0.05, "{:?}", c.relative(&c.truth, false));
    // Dividing by the number of steps alone is off by the velocities' sum: 1 + 1.9 + 2.71 + 3.439 +
    // 4.0951 for 5.
    let scale = signal::step_scale(&c.seen).unwrap();
    assert!((scale - 0.01 * 13.1441).abs() < 1e-12, "{scale}");
}

#[test]
fn one_step_with_weight_decay_is_the_exact_gradient() {
    let c = capture(LocalTraining { momentum: 0.9, weight_decay: 0.1, ..local(1) }, 1);
    let exact = batch_gradient(
        &c.seen.net,
        &c.seen.weights,
        &c.truth,
        &c.labels,
        &Rules::default(),
        Mode::Train,
        &mut [],
    );
    let read = signal::gradient(&c.seen).unwrap();
    let error = largest(&read.sub(&exact).norm()) / largest(&exact.norm());
    assert!(error < 1e-12, "{error:e}");
}

/// Unequal batches within an epoch: three examples as two and one, in the order that the simulation
/// takes.
#[test]
fn the_last_batch_of_an_epoch_may_be_smaller() {
    let mut c = capture(LocalTraining { batch_size: 2, ..local(2) }, 1);
    let mut weights = c.seen.weights.clone();
    let config = c.seen.known.local.clone().unwrap();
    for _ in 0..2 {
        for (from, len) in [(0, 2), (2, 1)] {
            let (x, y) = (c.truth.narrow(1, from, len), c.labels.narrow(1, from, len));
            let g = batch_gradient(
                &c.seen.net,
                &weights,
                &x,
                &y,
                &Rules::default(),
                Mode::Train,
                &mut [],
            );
            weights = weights.zip(&g, |w, g| w - g * config.lr);
        }
    }
    c.seen.signal = Signal::Update(weights.sub(&c.seen.weights));
    assert!(largest(&c.relative(&c.truth, true)) < 1e-20, "{:?}", c.relative(&c.truth, true));
}

/// The engine's own path: an attack that starts anywhere reports the objective of the simulated
/// steps.
#[test]
fn the_engine_recovers_more_through_the_steps_than_by_the_approximation() {
    let c = capture(LocalTraining { lr: 1.0, ..local(4) }, 1);
    let attack = |unroll| {
        let config = MatchingConfig {
            iterations: 20,
            optimizer: "lbfgs".into(),
            lr: 1.0,
            labels: super::super::labels::Labels::Known,
            double: Some(true),
            unroll,
            ..MatchingConfig::default()
        };
        let mut seen = c.seen.clone();
        seen.signal =
            Signal::Update(seen.signal.params().map(|t: &Tensor| t.narrow(0, 0, 1)) as Params);
        seen.known.labels = Some(c.labels.narrow(0, 0, 1));
        let cancel = std::sync::atomic::AtomicBool::new(false);
        let run = crate::Run {
            seed: suites::rng::AttackSeed::new(1),
            key: "unroll",
            device: Device::Cpu,
            cancel: &cancel,
            progress: &|_| (),
        };
        let found =
            crate::Attack::reconstruct(&super::super::Matching { config }, &seen, &run).unwrap();
        found.objective[0]
    };
    let (unrolled, read) = (attack(true), attack(false));
    assert!(unrolled < 0.1 * read, "{unrolled} {read}");
}
