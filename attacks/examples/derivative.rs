//! Attacks by differences of first derivatives beside exact ones, on the same captures and starts:
//! paired differences of the PSNR and the ratio of processor time.
//!
//! `derivative MODEL MODE ATTACK IMAGES ITERATIONS FILE.bin`, where `MODEL` is a name of the
//! registry with parameters in JSON behind a colon (`convnet64:{"width":16}`), `MODE` is `train` or
//! `eval`, and the file holds records of CIFAR-10 (a label and 3 x 32 x 32 bytes). All images are
//! attacked side by side, each from its own capture, on one thread. Prints one row of a Markdown
//! table; the interval is that of the mean at 95 % (Student's t, normal from 30 images on).

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use attacks::Run;
use learning::client::{self, Rules};
use learning::models::{ENTRIES, Shape};
use learning::{Known, Mode, Network, Observation, Signal, init};
use serde_json::{Map, Value, json};
use suites::{Init, rng};
use tch::{Device, Kind, Tensor};

const RECORD: usize = 3073;

/// Pictures `[N, 1, 3, 32, 32]` in `[0, 1]` and labels `[N, 1]`.
fn pictures(file: &str, count: usize) -> Result<(Tensor, Tensor), Box<dyn Error>> {
    let bytes = std::fs::read(file)?;
    let records: Vec<&[u8]> = bytes.chunks_exact(RECORD).take(count).collect();
    if records.len() < count {
        return Err(format!("{file} holds {} records, not {count}", records.len()).into());
    }
    let labels: Vec<i64> = records.iter().map(|r| i64::from(r[0])).collect();
    let pixels: Vec<u8> = records.iter().flat_map(|r| r[1..].to_vec()).collect();
    let n = count as i64;
    let pixels = Tensor::from_slice(&pixels).to_kind(Kind::Float).reshape([n, 1, 3, 32, 32]);
    Ok((pixels / 255.0, Tensor::from_slice(&labels).reshape([n, 1])))
}

fn network(model: &str) -> Result<Arc<Network>, Box<dyn Error>> {
    let (name, params) = model.split_once(':').unwrap_or((model, "{}"));
    let params: Map<String, Value> = serde_json::from_str(params)?;
    let architecture = (suites::find("model", ENTRIES, name)?.build)(&params)?;
    let model = architecture.build(&Shape { input: vec![3, 32, 32], classes: 10 })?;
    Ok(Arc::new(Network::new(model, vec![0.5; 3], vec![0.25; 3])))
}

/// PSNR of each picture, processor time in seconds and what the flags say of the derivative.
fn attack(
    seen: &Observation,
    truth: &Tensor,
    (name, iterations): (&str, usize),
    derivative: &str,
) -> Result<(Vec<f64>, f64, String), Box<dyn Error>> {
    let params = json!({ "iterations": iterations, "restarts": 1, "labels": "known",
        "derivative": derivative });
    let entry = suites::find("attack", attacks::ENTRIES, name)?;
    let attack = (entry.build)(params.as_object().ok_or("a table")?)?;
    let cancel = AtomicBool::new(false);
    let run = Run {
        seed: suites::rng::AttackSeed::new(0),
        key: "derivative",
        device: Device::Cpu,
        cancel: &cancel,
        progress: &|_| (),
    };
    let start = processor_seconds();
    let found = attack.reconstruct(seen, &run)?;
    let spent = processor_seconds() - start;
    let error = (found.pixels - truth).square().flatten(1, -1).mean_dim(1, false, Kind::Double);
    let psnr = Vec::<f64>::try_from(error.log10() * -10.0)?;
    let flags = found.flags.iter().flatten().map(|f| f.to_string()).collect::<Vec<_>>();
    Ok((psnr, spent, flags.join("; ")))
}

/// Seconds that this thread has run, as the Linux scheduler counts them.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|t| t.parse::<f64>().ok()).map_or(f64::NAN, |n| n / 1e9)
}

/// Mean and half the width of its interval.
fn interval(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    // Student's quantile for 19 degrees of freedom is 2.093.
    let quantile = if n < 30.0 { 2.093 } else { 1.96 };
    (mean, quantile * (variance / n).sqrt())
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, mode, name, images, iterations, file] = &args[..] else {
        return Err("usage: derivative MODEL train|eval ATTACK IMAGES ITERATIONS FILE.bin".into());
    };
    tch::set_num_threads(1);
    let (truth, labels) = pictures(file, images.parse()?)?;
    let net = network(model)?;
    let mode = if mode == "train" { Mode::Train } else { Mode::Eval };
    let mut rng = rng::stream(0, "derivative", "weights");
    let weights = init::fresh(net.layout(), Init::Pytorch, &mut rng);
    let rules = Rules::default();
    let gradient = client::batch_gradient(&net, &weights, &truth, &labels, &rules, mode, &mut []);
    let known = Known { labels: Some(labels), batch_size: Some(1), ..Known::default() };
    let seen = Observation { net, weights, signal: Signal::Gradient(gradient), mode, known };
    let setting = (name.as_str(), iterations.parse()?);
    let (exact, exact_time, _) = attack(&seen, &truth, setting, "exact")?;
    let (auto, auto_time, flags) = attack(&seen, &truth, setting, "auto")?;
    let gains: Vec<f64> = auto.iter().zip(&exact).map(|(a, e)| a - e).collect();
    let ((mean, half), (own, _)) = (interval(&gains), interval(&exact));
    println!(
        "| {model} | {} | {name} | {own:.2} | {mean:+.2} ({:+.2} to {:+.2}) | {:.2} |",
        args[1],
        mean - half,
        mean + half,
        auto_time / exact_time
    );
    eprintln!("{flags}");
    Ok(())
}
