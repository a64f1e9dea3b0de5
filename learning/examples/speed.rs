//! Milliseconds of one gradient-matching iteration for each trial, on one thread.
//!
//! `speed CASE TRIALS REPEATS [loop]` prints the fastest of so many repeats. An iteration is the forward pass, the
//! parameter gradients with their graph, the objective against a fixed target, and its gradient with respect to the
//! images; with `loop` also what an attack does with it: total variation, signed Adam and the box constraint.
//! `benches/compare.py` runs it beside PyTorch's own loops.

#[path = "../benches/work/mod.rs"]
mod work;

use std::time::Instant;

use tch::Tensor;
use work::Work;

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
    let (trials, repeats) =
        match (args.get(1).map(|a| a.parse::<i64>()), args.get(2).map(|a| a.parse::<u32>())) {
            (Some(Ok(trials)), Some(Ok(repeats))) => (trials, repeats),
            _ => {
                return eprintln!(
                    "usage: speed lenet-zhu|convnet64|simple-cnn|resnet18 TRIALS REPEATS [loop]"
                );
            }
        };
    let whole = args.get(3).is_some_and(|a| a == "loop");
    tch::set_num_threads(1);
    let Some(mut work) = Work::new(&args[0], trials) else { return eprintln!("no case `{}`", args[0]) };
    let mut adam = Adam { first: work.images.zeros_like(), second: work.images.zeros_like(), step: 0 };
    let mut best = f64::INFINITY;
    for _ in 0..repeats + 2 {
        let start = Instant::now();
        let gradient = work.iterate(whole);
        if whole {
            work.images = adam.descend(&work.images, &gradient);
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{:.4}", best * 1e3 / trials as f64);
}
