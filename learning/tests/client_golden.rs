//! Local training against `torch.optim.SGD` and `torch.optim.Adam`, with and without FedProx, side
//! by side against one by one, and what depends on which stream.

mod common;

use common::{digest, golden, hashed, near, number, numbers};
use learning::client::{
    LocalTraining, Rules, State, StepRule, batch_gradient, evaluate, train, train_on,
};
use learning::models::{ENTRIES, Shape};
use learning::{Mode, Network, Params};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha12Rng;
use serde_json::{Value, json};
use suites::rng::stream;
use tch::{Kind, Tensor};

const EXAMPLES: i64 = 7;

/// A narrow ConvNet (BatchNorm after every convolution) on 9x9 images, five classes.
fn net(mean: Vec<f64>, std: Vec<f64>) -> Network {
    let entry = suites::find("model", ENTRIES, "convnet64").expect("registered");
    let map = json!({"width": 2}).as_object().expect("a table").clone();
    let shape = Shape { input: vec![3, 9, 9], classes: 5 };
    let model = (entry.build)(&map).expect("valid").build(&shape).expect("fits");
    Network::new(model, mean, std)
}

fn golden_net() -> (Network, Params, Value) {
    let golden = golden("client");
    let net = net(numbers(&golden["mean"]), numbers(&golden["std"]));
    let params = common::golden_params(&net, &golden, Kind::Double);
    (net, params, golden)
}

fn data(clients: i64) -> (Tensor, Tensor) {
    let pixels = (hashed(&[clients, EXAMPLES, 3, 9, 9], 50, Kind::Double) + 1.0) / 2.0;
    let factor = (Tensor::arange(clients, (Kind::Int64, tch::Device::Cpu)) + 2).unsqueeze(1);
    let labels = Tensor::arange(EXAMPLES, (Kind::Int64, tch::Device::Cpu)).unsqueeze(0) * factor;
    (pixels, labels.remainder(5))
}

fn rngs(clients: u64) -> Vec<ChaCha12Rng> {
    (0..clients).map(|c| stream(c, "client", "order")).collect()
}

fn setting(record: &Value) -> LocalTraining {
    LocalTraining {
        epochs: 3,
        batch_size: record["batch_size"].as_u64().expect("a size") as usize,
        lr: number(&record["lr"]),
        momentum: number(&record["momentum"]),
        weight_decay: number(&record["weight_decay"]),
        rule: match record["betas"].as_array() {
            Some(betas) => StepRule::Adam { beta1: number(&betas[0]), beta2: number(&betas[1]) },
            None => StepRule::Sgd,
        },
        prox: record["prox"].as_f64().unwrap_or(0.0),
        ..LocalTraining::default()
    }
}

fn plain(augment: bool) -> LocalTraining {
    LocalTraining {
        epochs: 2,
        batch_size: 3,
        lr: 0.05,
        momentum: 0.9,
        weight_decay: 0.01,
        augment,
        ..LocalTraining::default()
    }
}

#[test]
fn streams_order_the_examples() {
    let golden = golden("client");
    let shuffled = |rng: &mut ChaCha12Rng| {
        let mut order: Vec<i64> = (0..EXAMPLES).collect();
        order.shuffle(rng);
        order
    };
    let orders: Vec<Vec<Vec<i64>>> =
        rngs(2).iter_mut().map(|rng| (0..3).map(|_| shuffled(rng)).collect()).collect();
    assert_eq!(json!(orders), golden["orders"]);
}

#[test]
fn local_steps_as_pytorch() {
    let (net, start, golden) = golden_net();
    let (pixels, labels) = data(2);
    for trace in golden["traces"].as_array().expect("a list") {
        let mode = if trace["mode"] == "train" { Mode::Train } else { Mode::Eval };
        let after = train(
            &net,
            &start,
            &pixels,
            &labels,
            &setting(trace),
            &Rules::default(),
            mode,
            &mut rngs(2),
        );
        for client in 0..2 {
            for (name, values) in after.named(client) {
                let record = &trace["clients"][client as usize];
                let key = record
                    .as_object()
                    .expect("a table")
                    .keys()
                    .position(|k| *k == name)
                    .expect("in PyTorch too");
                let what = format!("{}, client {client}, {name}", trace["mode"]);
                digest(&values, &record[&name], 6000 + key as u32, 0.0, 1e-8, &what);
            }
        }
    }
}

#[test]
fn side_by_side_as_one_by_one() {
    let (net, start, _) = golden_net();
    let (pixels, labels) = data(3);
    for augment in [false, true] {
        let together = train(
            &net,
            &start,
            &pixels,
            &labels,
            &plain(augment),
            &Rules::default(),
            Mode::Train,
            &mut rngs(3),
        );
        for (t, mut rng) in rngs(3).into_iter().enumerate() {
            let (p, l) = (pixels.narrow(0, t as i64, 1), labels.narrow(0, t as i64, 1));
            let alone = train(
                &net,
                &start,
                &p,
                &l,
                &plain(augment),
                &Rules::default(),
                Mode::Train,
                std::slice::from_mut(&mut rng),
            );
            for ((name, ours), (_, theirs)) in together.named(t as i64).iter().zip(&alone.named(0))
            {
                near(ours, theirs, 1e-9, &format!("client {t}, {name}, augmented {augment}"));
            }
        }
    }
}

#[test]
fn augmentation_follows_the_client_stream() {
    let (net, start, _) = golden_net();
    let (pixels, labels) = data(2);
    let run = |augment, rngs: &mut [ChaCha12Rng]| {
        train(&net, &start, &pixels, &labels, &plain(augment), &Rules::default(), Mode::Train, rngs)
    };
    let same = |a: &Params, b: &Params| a.tensors.iter().zip(&b.tensors).all(|(a, b)| a.equal(b));
    let augmented = run(true, &mut rngs(2));
    assert!(same(&augmented, &run(true, &mut rngs(2))), "same streams, same bits");
    assert!(!same(&augmented, &run(false, &mut rngs(2))), "augmentation changes what is learnt");
    let mut other = vec![stream(0, "client", "order"), stream(9, "client", "order")];
    let changed = run(true, &mut other);
    let weight = |p: &Params, t: i64| p.get("model.conv0.weight").expect("a weight").get(t);
    assert!(!weight(&augmented, 1).equal(&weight(&changed, 1)), "another stream, other draws");
    near(&weight(&augmented, 0), &weight(&changed, 0), 1e-12, "the other client is not touched");
}

#[test]
fn one_step_is_the_batch_gradient() {
    let (net, start, _) = golden_net();
    let (pixels, labels) = data(2);
    let once = LocalTraining { batch_size: 7, lr: 0.1, ..LocalTraining::default() };
    assert_eq!((once.steps(7), plain(false).steps(7)), (1, 6));
    let after =
        train(&net, &start, &pixels, &labels, &once, &Rules::default(), Mode::Train, &mut rngs(2));
    let gradient =
        batch_gradient(&net, &start, &pixels, &labels, &Rules::default(), Mode::Train, &mut []);
    for (i, spec) in net.layout().specs().iter().enumerate().filter(|(_, s)| s.trainable) {
        let step = (&start.tensors[i] - &after.tensors[i]) / 0.1;
        let error = (step - &gradient.tensors[i]).abs().max().double_value(&[]);
        assert!(error < 1e-12, "{}: off by {error:e}", spec.name);
    }
}

#[test]
fn accuracy_and_loss_of_known_logits() {
    let entry = suites::find("model", ENTRIES, "logistic").expect("registered");
    let model = (entry.build)(&json!({}).as_object().expect("a table").clone()).expect("valid");
    let net = Network::new(
        model.build(&Shape { input: vec![2], classes: 2 }).expect("fits"),
        vec![0.0; 2],
        vec![1.0; 2],
    );
    let weights = vec![
        Tensor::eye(2, (Kind::Float, tch::Device::Cpu)).unsqueeze(0),
        Tensor::zeros([1, 2], (Kind::Float, tch::Device::Cpu)),
    ];
    let params = Params::new(net.layout().clone(), weights).expect("fits");
    // 300 examples, so that two chunks of different size are averaged: every third is labelled
    // wrong.
    let labels: Vec<i64> = (0..300).map(|i| i % 2).collect();
    let pixels: Vec<f32> = (0..300)
        .flat_map(|i| if (i % 2 == 1) == (i % 3 != 0) { [0.0, 1.0] } else { [1.0, 0.0] })
        .collect();
    let (accuracy, loss) = evaluate(
        &net,
        &params,
        &Tensor::from_slice(&pixels).reshape([300, 2]),
        &Tensor::from_slice(&labels),
    );
    let right = (1.0 + (-1f64).exp()).ln();
    assert!((accuracy - 2.0 / 3.0).abs() < 1e-9, "{accuracy}");
    assert!((loss - (right * 2.0 + right + 1.0) / 3.0).abs() < 1e-6, "{loss}");
}

/// Two rounds that hand on the optimiser's state are two epochs of one: the same steps at the same
/// rates.
#[test]
fn state_goes_on() {
    let (net, start, _) = golden_net();
    let (pixels, labels) = data(2);
    for rule in [StepRule::Sgd, StepRule::Adam { beta1: 0.9, beta2: 0.999 }] {
        let setting = LocalTraining {
            epochs: 1,
            batch_size: 3,
            momentum: 0.9,
            rule,
            ..LocalTraining::default()
        };
        let twice = LocalTraining { epochs: 2, ..setting.clone() };
        let (mut a, mut b) = (rngs(2), rngs(2));
        let run =
            |start: &Params, setting: &LocalTraining, rngs: &mut [ChaCha12Rng], state: State| {
                train_on(
                    &net,
                    start,
                    &pixels,
                    &labels,
                    setting,
                    &Rules::default(),
                    Mode::Train,
                    rngs,
                    state,
                )
            };
        let whole = run(&start, &twice, &mut a, State::default());
        let first = run(&start, &setting, &mut b, State::default());
        let fresh = run(&first.params, &setting, &mut b.clone(), State::default());
        let second = run(&first.params, &setting, &mut b, first.state);
        for ((name, ours), (_, theirs)) in second.params.named(1).iter().zip(&whole.params.named(1))
        {
            near(ours, theirs, 0.0, &format!("{rule:?}, {name}"));
        }
        assert!(
            fresh.params.sub(&whole.params).norm().double_value(&[0]) > 1e-6,
            "{rule:?} has a state"
        );
    }
}

/// Algorithm 2 of Reddi et al. 2021 by hand on two scalars, two rounds.
#[test]
fn fedadam_by_hand() {
    use learning::server::{ServerRule, ServerState};
    let (net, start, _) = golden_net();
    let weights = start.map(|t| t.zeros_like());
    let rule = ServerRule::FedAdam { lr: 0.1, beta1: 0.9, beta2: 0.99, tau: 0.01 };
    let mut state = ServerState::default();
    let first = rule.step(&weights, &weights.map(|t| t.ones_like() * 0.5), &mut state);
    let second = rule.step(&first, &weights.map(|t| t.ones_like() * -0.2), &mut state);
    let (mut w, mut m, mut v) = (0.0, 0.0, 0.01f64.powi(2));
    for delta in [0.5, -0.2] {
        m = 0.9 * m + 0.1 * delta;
        v = 0.99 * v + 0.01 * delta * delta;
        w += 0.1 * m / (f64::sqrt(v) + 0.01);
    }
    for (spec, value) in net.layout().specs().iter().zip(&second.tensors) {
        // Buffers are averaged: 0.5 - 0.2.
        let wanted = if spec.trainable { w } else { 0.3 };
        let worst = (value - wanted).abs().max().double_value(&[]);
        assert!(worst < 1e-12, "{}: {worst}", spec.name);
    }
}

/// A layer whose running statistics take three tenths of a batch's.
struct Quick;

impl learning::models::Model for Quick {
    fn input(&self) -> Vec<i64> {
        vec![2, 3, 3]
    }

    fn classes(&self) -> i64 {
        2
    }

    fn forward(&self, tape: &mut learning::tape::Tape, x: &Tensor) -> Tensor {
        let x = tape.batch_norm("norm", x);
        tape.linear("head", &x.flatten(2, -1), 2)
    }

    fn running_momentum(&self, running_mean: &str) -> f64 {
        assert_eq!(running_mean, "norm.running_mean");
        0.3
    }
}

#[test]
fn running_statistics_move_by_the_layers_momentum() {
    let net = Network::new(Box::new(Quick), vec![0.0; 2], vec![1.0; 2]);
    let mut rngs = [suites::rng::stream(0, "client", "momentum")];
    let start = learning::init::fresh(net.layout(), suites::Init::Pytorch, &mut rngs[0]);
    let x = learning::noise::uniform(&mut rngs[0], &[1, 4, 2, 3, 3], 0.0, 1.0);
    let y = Tensor::zeros([1, 4], (Kind::Int64, tch::Device::Cpu));
    let one = LocalTraining { batch_size: 4, ..LocalTraining::default() };
    let after = train(&net, &start, &x, &y, &one, &Rules::default(), Mode::Train, &mut rngs);
    let seen = x.mean_dim(&[1i64, 3, 4][..], false, None::<Kind>) * 0.3;
    let off = (after.get("norm.running_mean").unwrap() - seen).abs().max().double_value(&[]);
    assert!(off < 1e-6, "{off}");
}
