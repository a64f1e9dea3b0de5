//! The matching engine as attacks run it, on one thread: **the time shown is that of one iteration
//! of one lane**.
//!
//! A measured run is a whole attack of a few iterations, set-up and final evaluation included,
//! divided by iterations and lanes. `learning/benches` measures the same inner work without the
//! engine, and beside PyTorch's own loops.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use attacks::{Attack, Run};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use learning::client::Rules;
use learning::models::{ENTRIES, Shape};
use learning::{Known, Mode, Network, Observation, Signal, client, init, noise};
use serde_json::json;
use suites::{Init, rng};
use tch::{Device, Tensor};

/// Iterations of a measured run: enough for set-up to weigh little.
const ITERATIONS: u32 = 20;

/// One captured gradient of one picture, its label known.
fn observe(model: &str, side: i64, classes: i64) -> Observation {
    let architecture =
        (suites::find("model", ENTRIES, model).unwrap().build)(&serde_json::Map::new()).unwrap();
    let model = architecture.build(&Shape { input: vec![3, side, side], classes }).unwrap();
    let net = Arc::new(Network::new(model, vec![0.5; 3], vec![0.5; 3]));
    let mut rng = rng::stream(0, "bench", "all");
    let weights = init::fresh(net.layout(), Init::Pytorch, &mut rng);
    let pixels = noise::uniform(&mut rng, &[1, 1, 3, side, side], 0.0, 1.0);
    let labels = Tensor::from_slice(&[1i64]).unsqueeze(0);
    let gradient = client::batch_gradient(
        &net,
        &weights,
        &pixels,
        &labels,
        &Rules::default(),
        Mode::Eval,
        &mut [],
    );
    let known = Known { labels: Some(labels), batch_size: Some(1), ..Known::default() };
    Observation { net, weights, signal: Signal::Gradient(gradient), mode: Mode::Eval, known }
}

fn preset(name: &str, lanes: u32) -> Box<dyn Attack> {
    let params = json!({ "iterations": ITERATIONS, "restarts": lanes, "labels": "known" });
    let entry = suites::find("attack", attacks::ENTRIES, name).unwrap();
    (entry.build)(params.as_object().unwrap()).unwrap()
}

/// Time of one run.
fn attack(attack: &dyn Attack, seen: &Observation) -> Duration {
    let cancel = AtomicBool::new(false);
    let run = Run {
        seed: suites::rng::AttackSeed::new(0),
        key: "bench",
        device: Device::Cpu,
        cancel: &cancel,
        progress: &|_| (),
    };
    let start = Instant::now();
    attack.reconstruct(seen, &run).unwrap();
    start.elapsed()
}

fn matching(c: &mut Criterion) {
    tch::set_num_threads(1);
    let mut group = c.benchmark_group("lane-iteration");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(8))
        .warm_up_time(Duration::from_secs(1));
    for (model, side, classes, name, lanes) in [
        ("lenet-zhu", 32, 10, "inverting-gradients", 1),
        ("lenet-zhu", 32, 10, "inverting-gradients", 16),
        ("lenet-zhu", 32, 10, "fl-attack", 16),
        ("simple-cnn", 64, 2, "fl-attack", 1),
    ] {
        let (seen, preset) = (observe(model, side, classes), preset(name, lanes));
        group.bench_function(BenchmarkId::new(format!("{model}/{name}"), lanes), |b| {
            b.iter_custom(|runs| {
                let total: Duration = (0..runs).map(|_| attack(preset.as_ref(), &seen)).sum();
                total / (ITERATIONS * lanes)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, matching);
criterion_main!(benches);
