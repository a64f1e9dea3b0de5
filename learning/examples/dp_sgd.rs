//! Seconds of one step of DP-SGD on one thread: forward, per-example clipping at 1, noise of
//! multiplier 1, division, update.
//!
//! `dp_sgd CASE BATCH STEPS` prints two numbers: the fastest step by the clock, and the mean in
//! processor time (Linux; else NaN), which other programs on a busy machine disturb less.
//! `benches/dp_sgd_compare.py` runs it beside Opacus.

use std::time::Instant;

use learning::client::{GradientRule, LocalTraining, Rules, train};
use learning::models::{ENTRIES, Model, Shape};
use learning::tape::{Conv, Tape, max_pool};
use learning::{Mode, Network, init};
use suites::rng::stream;
use tch::{Kind, Tensor};

/// The network of Opacus' MNIST example.
struct Mnist;

impl Model for Mnist {
    fn input(&self) -> Vec<i64> {
        vec![1, 28, 28]
    }

    fn classes(&self) -> i64 {
        10
    }

    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Tensor {
        let conv = |input, output, kernel, padding| Conv {
            input,
            output,
            kernel,
            stride: 2,
            padding,
            bias: true,
            groups: 1,
        };
        let x = max_pool(&tape.conv("conv1", x, conv(1, 16, 8, 3)).relu(), 2, 1, 0);
        let x = max_pool(&tape.conv("conv2", &x, conv(16, 32, 4, 0)).relu(), 2, 1, 0);
        let x = tape.linear("fc1", &x.flatten(2, -1), 32).relu();
        tape.linear("fc2", &x, 10)
    }
}

fn registered(name: &str, side: i64, classes: i64) -> Box<dyn Model> {
    let entry = suites::find("model", ENTRIES, name).expect("registered");
    let shape = Shape { input: vec![3, side, side], classes };
    (entry.build)(&serde_json::Map::new())
        .expect("no parameters")
        .build(&shape)
        .expect("a possible shape")
}

fn model(case: &str) -> Option<Box<dyn Model>> {
    Some(match case {
        "lenet-zhu" => registered("lenet-zhu", 32, 10),
        "mnist" => Box::new(Mnist),
        "simple-cnn-32" => registered("simple-cnn", 32, 2),
        "simple-cnn-64" => registered("simple-cnn", 64, 2),
        _ => return None,
    })
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize| args.get(i).and_then(|a| a.parse::<i64>().ok());
    let (Some(model), Some(batch), Some(steps)) =
        (args.first().and_then(|c| model(c)), number(1), number(2))
    else {
        return eprintln!("usage: dp_sgd lenet-zhu|mnist|simple-cnn-32|simple-cnn-64 BATCH STEPS");
    };
    tch::set_num_threads(1);
    let channels = model.input()[0] as usize;
    let net = Network::new(model, vec![0.0; channels], vec![1.0; channels]);
    let mut rngs = [stream(0, "dp-sgd", "client")];
    let mut params = init::fresh(net.layout(), suites::Init::Pytorch, &mut rngs[0]);
    let size: Vec<i64> = [1, batch].into_iter().chain(net.input()).collect();
    let x = Tensor::rand(&size[..], (Kind::Float, tch::Device::Cpu));
    let y = Tensor::arange(batch, (Kind::Int64, tch::Device::Cpu))
        .remainder(net.classes())
        .unsqueeze(0);
    let rule =
        GradientRule { clip: 1.0, noise_multiplier: 1.0, rate: 1.0, expected_batch: batch as f64 };
    let rules = Rules { private: Some(rule), ..Rules::default() };
    let setting = LocalTraining {
        epochs: 1,
        batch_size: batch as usize,
        lr: 0.01,
        ..LocalTraining::default()
    };
    let (mut best, mut first) = (f64::INFINITY, f64::NAN);
    for i in 0..=steps {
        if i == 1 {
            first = processor_seconds();
        }
        let start = Instant::now();
        params = train(&net, &params, &x, &y, &setting, &rules, Mode::Eval, &mut rngs);
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{best:.6} {:.6}", (processor_seconds() - first) / steps as f64);
}

/// Seconds that this thread has run, as the Linux scheduler counts them.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|t| t.parse::<f64>().ok());
    nanoseconds.map_or(f64::NAN, |n| n / 1e9)
}
