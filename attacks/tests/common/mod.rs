//! What the tests share: small networks, and observations of captures that the tests make
//! themselves.
#![allow(dead_code)] // each test binary uses its own part

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use attacks::{Attack, AttackError, Reconstruction, Run};
use learning::client::Rules;
use learning::models::{ENTRIES, Model, Shape};
use learning::tape::{Conv, Tape};
use learning::{Known, Mode, Network, Observation, Params, Signal, client, init, noise};
use serde_json::{Map, Value};
use suites::{Init, rng};
use tch::{Device, Kind, Tensor};

/// One layer of a kind, a sigmoid, and a linear head.
pub enum Single {
    /// 12 features to 9.
    Linear,
    /// 2 channels of 7x6 to 3 channels, 3x3, stride 2.
    Conv,
    /// The same with BatchNorm.
    ConvNorm,
    /// 2 channels of 3x3 to 3 channels of one pixel, with BatchNorm.
    Alone,
}

impl Model for Single {
    fn input(&self) -> Vec<i64> {
        match self {
            Single::Linear => vec![12],
            Single::Alone => vec![2, 3, 3],
            Single::Conv | Single::ConvNorm => vec![2, 7, 6],
        }
    }

    fn classes(&self) -> i64 {
        4
    }

    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Tensor {
        let padding = i64::from(!matches!(self, Single::Alone));
        let conv =
            Conv { input: 2, output: 3, kernel: 3, stride: 2, padding, bias: true, groups: 1 };
        let mut z = match self {
            Single::Linear => tape.linear("layer", x, 9),
            _ => tape.conv("layer", x, conv),
        };
        if matches!(self, Single::ConvNorm | Single::Alone) {
            z = tape.batch_norm("norm", &z);
        }
        tape.linear("head", &z.sigmoid().flatten(2, -1), 4)
    }
}

/// A network of the registry, normalised by mean and standard deviation 0.5.
pub fn network(model: &str, params: Value, input: &[i64], classes: i64) -> Arc<Network> {
    let entry = suites::find("model", ENTRIES, model).unwrap();
    let model = (entry.build)(params.as_object().unwrap()).unwrap();
    let model = model.build(&Shape { input: input.to_vec(), classes }).unwrap();
    Arc::new(Network::new(model, vec![0.5; input[0] as usize], vec![0.5; input[0] as usize]))
}

/// The sigmoid LeNet on 1x8x8 pictures of 10 classes.
pub fn lenet() -> Arc<Network> {
    network("lenet-zhu", Value::Object(Map::new()), &[1, 8, 8], 10)
}

/// Fresh weights.
pub fn weights(net: &Network, init: Init, seed: u64) -> Params {
    init::fresh(net.layout(), init, &mut rng::stream(seed, "test", "weights"))
}

/// `[n, b, 1, 8, 8]` pictures of the embedded digits with their labels `[n, b]`, of different
/// classes within a batch.
pub fn digits(n: i64, b: i64) -> (Tensor, Tensor) {
    let data = datasets::open("digits", &datasets::Request::default()).unwrap();
    let ids: Vec<usize> = (0..(n * b) as usize).collect();
    let batch = data.batch(suites::Split::Train, &ids).unwrap();
    (batch.x.reshape([n, b, 1, 8, 8]), batch.y.reshape([n, b]))
}

/// Uniform pixels.
pub fn pixels(shape: &[i64], seed: u64) -> Tensor {
    noise::uniform(&mut rng::stream(seed, "test", "pixels"), shape, 0.0, 1.0)
}

/// Class indices `0, 1, 2, ...` modulo the number of classes.
pub fn counted_labels(shape: &[i64], classes: i64) -> Tensor {
    let n: i64 = shape.iter().product();
    Tensor::arange(n, (Kind::Int64, Device::Cpu)).remainder(classes).reshape(shape)
}

/// The gradient of each batch of `pixels` `[N, B, ...]`, captured, with the batch size known and
/// labels where granted.
pub fn capture(
    net: &Arc<Network>,
    weights: &Params,
    pixels: &Tensor,
    labels: &Tensor,
    grant: bool,
) -> Observation {
    let gradient = client::batch_gradient(
        net,
        weights,
        pixels,
        labels,
        &Rules::default(),
        Mode::Train,
        &mut [],
    );
    Observation {
        net: net.clone(),
        weights: weights.clone(),
        signal: Signal::Gradient(gradient),
        mode: Mode::Train,
        known: Known {
            labels: grant.then(|| labels.shallow_clone()),
            batch_size: Some(pixels.size()[1]),
            ..Known::default()
        },
    }
}

/// Runs an attack with a seed.
pub fn attack(
    attack: &dyn Attack,
    seen: &Observation,
    seed: u64,
) -> Result<Reconstruction, AttackError> {
    // Tests already run side by side; libtorch keeps this number for each calling thread.
    tch::set_num_threads(1);
    let cancel = AtomicBool::new(false);
    let run = Run {
        seed: suites::rng::AttackSeed::new(seed),
        key: "test",
        device: Device::Cpu,
        cancel: &cancel,
        progress: &|_| (),
    };
    attack.reconstruct(seen, &run)
}

/// A registered attack with parameters.
pub fn build(name: &str, params: Value) -> Box<dyn Attack> {
    let entry = suites::find("attack", attacks::ENTRIES, name).unwrap();
    (entry.build)(params.as_object().unwrap()).unwrap()
}

/// Mean squared difference.
pub fn mse(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).square().mean(Kind::Double).double_value(&[])
}

/// Difference relative to the second's norm.
pub fn off(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.size(), expected.size(), "shapes");
    let norm = |t: &Tensor| t.to_kind(Kind::Double).norm().double_value(&[]);
    norm(&(found.to_kind(Kind::Double) - expected.to_kind(Kind::Double)))
        / norm(expected).max(1e-30)
}

/// All values.
pub fn values(t: &Tensor) -> Vec<f64> {
    Vec::try_from(t.detach().to_kind(Kind::Double).reshape([-1])).unwrap()
}

/// The embedded digits of a split: `[1, E, 1, 8, 8]` and `[1, E]`, every other example from `first`
/// on.
pub fn half_of_digits(first: usize) -> (Tensor, Tensor) {
    let data = datasets::open("digits", &datasets::Request::default()).unwrap();
    let ids: Vec<usize> = (first..data.len(suites::Split::Train)).step_by(2).collect();
    let batch = data.batch(suites::Split::Train, &ids).unwrap();
    (batch.x.unsqueeze(0), batch.y.unsqueeze(0))
}

/// A network trained on one half of the digits (`half` 0 or 1), from fresh weights of that seed.
pub fn trained(net: &Network, half: usize, seed: u64) -> Params {
    tch::set_num_threads(1);
    let (x, y) = half_of_digits(half);
    let local = client::LocalTraining {
        epochs: 25,
        batch_size: 16,
        lr: 0.005,
        rule: client::StepRule::Adam { beta1: 0.9, beta2: 0.999 },
        ..Default::default()
    };
    let mut rngs = [rng::stream(seed, "test", "training")];
    let start = weights(net, Init::Pytorch, seed);
    let model =
        client::train(net, &start, &x, &y, &local, &Rules::default(), Mode::Train, &mut rngs);
    let (accuracy, _) = client::evaluate(net, &model, &x.squeeze_dim(0), &y.squeeze_dim(0));
    assert!(accuracy > 0.9, "what has learnt nothing has nothing to give: {accuracy}");
    model
}

/// The largest entries of each row of `[N, ...]`, all but `fraction` of them; zero else.
pub fn largest(t: &Tensor, fraction: f64) -> Tensor {
    let rows = t.flatten(1, -1);
    let kept = rows.size()[1] - (fraction * rows.size()[1] as f64) as i64;
    let (_, places) = rows.abs().topk(kept.max(1), 1, true, false);
    (&rows * rows.zeros_like().scatter_value(1, &places, 1.0)).reshape(t.size())
}

/// Root mean square of an entry of the captured gradients.
pub fn rms(seen: &Observation) -> f64 {
    let params = seen.signal.params();
    let squares = params.norm().square().mean(Kind::Double).double_value(&[]);
    (squares / params.layout().trainable_len() as f64).sqrt()
}
