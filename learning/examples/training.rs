//! Images a second of local training on one thread: `training MODEL CHANNELS SIDE TRIALS BATCH
//! STEPS` trains so many clients side by side, each with weights of its own, and prints the best of
//! six epochs, in processor time, which other programs on a busy machine disturb less (Linux).
//! `benches/training_compare.py` runs it beside PyTorch.

use learning::client::{LocalTraining, Rules, train};
use learning::models::{ENTRIES, Shape};
use learning::{Mode, Network, init};
use rand_chacha::ChaCha12Rng;
use suites::rng::stream;
use tch::{Device, Kind, Tensor};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<i64> = args.iter().skip(1).filter_map(|a| a.parse().ok()).collect();
    let [channels, side, lanes, batch, steps] = numbers[..] else {
        return eprintln!("usage: training MODEL CHANNELS SIDE TRIALS BATCH STEPS");
    };
    tch::set_num_threads(1);
    let Ok(entry) = suites::find("model", ENTRIES, &args[0]) else {
        return eprintln!("no model `{}`", args[0]);
    };
    let shape = Shape { input: vec![channels, side, side], classes: 10 };
    let built =
        (entry.build)(&serde_json::Map::new()).and_then(|architecture| architecture.build(&shape));
    let net = match built {
        Ok(model) => {
            Network::new(model, vec![0.13; channels as usize], vec![0.31; channels as usize])
        }
        Err(error) => return eprintln!("{error}"),
    };
    let mut rngs: Vec<ChaCha12Rng> =
        (0..lanes as u64).map(|t| stream(t, "training", "speed")).collect();
    let mut params = init::fresh(net.layout(), suites::Init::Pytorch, &mut rngs[0]);
    let examples = batch * steps;
    let x = Tensor::rand([lanes, examples, channels, side, side], (Kind::Float, Device::Cpu));
    let y = Tensor::randint(10, [lanes, examples], (Kind::Int64, Device::Cpu));
    let setting =
        LocalTraining { batch_size: batch as usize, momentum: 0.5, ..LocalTraining::default() };
    let mut best = f64::INFINITY;
    // The first round parts the weights.
    for _ in 0..6 {
        let start = processor_seconds();
        params = train(&net, &params, &x, &y, &setting, &Rules::default(), Mode::Train, &mut rngs);
        best = best.min(processor_seconds() - start);
    }
    println!("{:.0}", (lanes * examples) as f64 / best);
}

/// Seconds that this thread has run, as the Linux scheduler counts them.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|t| t.parse::<f64>().ok());
    nanoseconds.map_or(f64::NAN, |n| n / 1e9)
}
