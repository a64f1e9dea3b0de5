//! Milliseconds of one gradient-matching iteration for each lane, on one thread.
//!
//! `speed CASE TRIALS REPEATS [loop] [difference]` prints three numbers: the fastest of so many
//! repeats by the clock, their mean processor time, which other programs on a busy machine disturb
//! less, and the peak memory in MB (Linux; else NaN). An iteration is the forward pass, the
//! parameter gradients with their graph, the objective against a fixed target, and its gradient
//! with respect to the images; with `loop` also what an attack does with it: total variation,
//! signed Adam and the box constraint; with `difference` by first derivatives alone.
//! `benches/compare.py` runs it beside PyTorch's own loops.

#[path = "../benches/workload/mod.rs"]
mod workload;

use std::time::Instant;

use tch::Tensor;
use workload::Work;

/// Adam's moments.
struct Adam {
    first: Tensor,
    second: Tensor,
    step: i32,
}

impl Adam {
    /// One step along the gradient's sign, then into the box.
    fn descend(&mut self, x: &Tensor, gradient: &Tensor) -> Tensor {
        let g = gradient.sign();
        self.step += 1;
        self.first = &self.first * 0.9 + &g * 0.1;
        self.second = &self.second * 0.999 + g.square() * 0.001;
        let (b1, b2) = (1.0 - 0.9f64.powi(self.step), 1.0 - 0.999f64.powi(self.step));
        let update = (&self.first / b1) / ((&self.second / b2).sqrt() + 1e-8);
        (x - update * 0.1).clamp(-2.0, 2.0)
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (lanes, repeats) =
        match (args.get(1).map(|a| a.parse::<i64>()), args.get(2).map(|a| a.parse::<u32>())) {
            (Some(Ok(lanes)), Some(Ok(repeats))) => (lanes, repeats),
            _ => {
                return eprintln!(
                    "usage: speed lenet-zhu|convnet64|simple-cnn|resnet18 TRIALS REPEATS [loop] \
                     [difference]"
                );
            }
        };
    let [whole, differ] = ["loop", "difference"].map(|word| args[3..].iter().any(|a| a == word));
    tch::set_num_threads(1);
    let Some(mut work) = Work::new(&args[0], lanes) else {
        return eprintln!("no case `{}`", args[0]);
    };
    let mut adam =
        Adam { first: work.images.zeros_like(), second: work.images.zeros_like(), step: 0 };
    let mut best = f64::INFINITY;
    let mut first = f64::NAN;
    for i in 0..repeats + 2 {
        if i == 2 {
            first = processor_ms();
        }
        let start = Instant::now();
        let gradient = if differ { work.differ(whole) } else { work.iterate(whole) };
        if whole {
            work.images = adam.descend(&work.images, &gradient);
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    let processor = (processor_ms() - first) / f64::from(repeats);
    let peak = peak_mb();
    println!("{:.4} {:.4} {peak:.1}", best * 1e3 / lanes as f64, processor / lanes as f64);
}

/// The most memory that the process has held, in MB, as Linux counts it.
fn peak_mb() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kb = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kb.map_or(f64::NAN, |kb| kb / 1024.0)
}

/// Milliseconds that this thread has run, as the Linux scheduler counts them.
fn processor_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|t| t.parse::<f64>().ok());
    nanoseconds.map_or(f64::NAN, |n| n / 1e6)
}
