//! Milliseconds of one gradient-matching iteration for each trial, on one thread.
//!
//! `speed CASE TRIALS REPEATS [loop]` prints the fastest of so many repeats. An iteration is the forward pass, the
//! parameter gradients with their graph, the objective against a fixed target, and its gradient with respect to the
//! images; with `loop` also what an attack does with it: total variation, signed Adam and the box constraint.
//! `benches/compare.py` runs it beside PyTorch's own loops.

use std::time::Instant;

use learning::init::fresh;
use learning::loss::cross_entropy;
use learning::models::{ENTRIES, Shape};
use learning::{Form, LayerGrad, Mode, Network, Params, gradients, noise};
use suites::{Init, rng};
use tch::{Kind, Tensor};

/// One network, the capture it is attacked with, and the images so far.
struct Work {
    net: Network,
    params: Params,
    target: Vec<Tensor>,
    /// Squared norm of each target.
    norms: Vec<f64>,
    labels: Tensor,
    cosine: bool,
    images: Tensor,
}

fn network(case: &str) -> Option<(Network, bool)> {
    let (side, classes, cosine) = match case {
        "lenet-zhu" | "convnet64" => (32, 10, true),
        "simple-cnn" => (64, 2, false),
        "resnet18" => (64, 10, true),
        _ => return None,
    };
    let entry = suites::find("model", ENTRIES, case).ok()?;
    let architecture = (entry.build)(&serde_json::Map::new()).ok()?;
    let model = architecture.build(&Shape { input: vec![3, side, side], classes }).ok()?;
    Some((Network::new(model, vec![0.0; 3], vec![1.0; 3]), cosine))
}

impl Work {
    fn new(case: &str, trials: i64) -> Option<Work> {
        let (net, cosine) = network(case)?;
        let mut rng = rng::stream(0, case, "speed");
        let params = fresh(net.layout(), Init::Pytorch, &mut rng);
        let size: Vec<i64> = [trials, 1].into_iter().chain(net.input()).collect();
        let truth = noise::normal(&mut rng, &[&[1, 1], &size[2..]].concat());
        let label = Tensor::from_slice(&[1i64]).unsqueeze(0);
        let grads =
            gradients(&net, &params, &truth, Mode::Eval, Form::Dense, false, |z| cross_entropy(z, &label));
        let target: Vec<Tensor> = grads.layers.iter().map(|g| g.to_dense().detach()).collect();
        let norms = target.iter().map(|t| t.square().sum(Kind::Double).double_value(&[])).collect();
        let images = noise::normal(&mut rng, &size);
        Some(Work { net, params, target, norms, labels: label.expand([trials, 1], true), cosine, images })
    }

    /// The gradient of the objective with respect to the images.
    fn iterate(&self, prior: bool) -> Tensor {
        let x = self.images.detach().set_requires_grad(true);
        let grads = gradients(&self.net, &self.params, &x, Mode::Eval, Form::Auto, true, |z| {
            cross_entropy(z, &self.labels)
        });
        let mut value = if self.cosine { self.cosine(&grads.layers) } else { self.l2(&grads.layers) };
        if prior {
            value += total_variation(&x) * 0.1;
        }
        Tensor::run_backward(&[value.sum(Kind::Float)], &[&x], false, false).remove(0)
    }

    fn cosine(&self, layers: &[LayerGrad]) -> Tensor {
        let size: f64 = self.norms.iter().sum();
        let dot = add(layers.iter().zip(&self.target).map(|(g, t)| g.dot(t)));
        1.0 - dot / (add(layers.iter().map(LayerGrad::norm2)) * size).sqrt()
    }

    fn l2(&self, layers: &[LayerGrad]) -> Tensor {
        let pairs = layers.iter().zip(&self.target).zip(&self.norms);
        add(pairs.map(|((g, t), norm)| match g {
            LayerGrad::Dense(_) => {
                g.residual(t).square().flatten(2, -1).sum_dim_intlist(2, false, None).reshape([-1])
            }
            LayerGrad::Factored { .. } => g.norm2() - g.dot(t) * 2.0 + *norm,
        }))
    }
}

fn add(terms: impl Iterator<Item = Tensor>) -> Tensor {
    terms.reduce(|a, b| a + b).expect("a network has layers")
}

fn total_variation(x: &Tensor) -> Tensor {
    let size = x.size();
    let step = |dim: i64| {
        let n = size[dim as usize] - 1;
        (x.narrow(dim, 1, n) - x.narrow(dim, 0, n)).abs().mean_dim(&[1i64, 2, 3, 4][..], false, None)
    };
    step(3) + step(4)
}

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
