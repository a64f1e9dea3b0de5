//! The work that `speed` and the criterion bench measure: one gradient-matching iteration.

use learning::gradients::{FirstPass, Pass, Step};
use learning::init::fresh;
use learning::loss::cross_entropy;
use learning::models::{ENTRIES, Shape};
use learning::{Form, LayerGrad, Mode, Network, Params, gradients, noise};
use suites::{Init, rng};
use tch::{Kind, Tensor};

/// One network, the capture it is attacked with, and the images so far.
pub struct Work {
    net: Network,
    params: Params,
    target: Vec<Tensor>,
    /// Squared norm of each target.
    norms: Vec<f64>,
    labels: Tensor,
    cosine: bool,
    /// The images so far, `[T, 1, C, H, W]`.
    pub images: Tensor,
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
    /// A fresh network with a capture of one random image; `None` for an unknown case.
    pub fn new(case: &str, lanes: i64) -> Option<Work> {
        let (net, cosine) = network(case)?;
        let mut rng = rng::stream(0, case, "speed");
        let params = fresh(net.layout(), Init::Pytorch, &mut rng);
        let size: Vec<i64> = [lanes, 1].into_iter().chain(net.input()).collect();
        let truth = noise::normal(&mut rng, &[&[1, 1], &size[2..]].concat());
        let label = Tensor::from_slice(&[1i64]).unsqueeze(0);
        let grads = gradients(&net, &params, &truth, Mode::Eval, Form::Dense, false, |z| {
            cross_entropy(z, &label)
        });
        let target: Vec<Tensor> = grads.layers.iter().map(|g| g.to_dense().detach()).collect();
        let norms = target.iter().map(|t| t.square().sum(Kind::Double).double_value(&[])).collect();
        let images = noise::normal(&mut rng, &size);
        Some(Work {
            net,
            params,
            target,
            norms,
            labels: label.expand([lanes, 1], true),
            cosine,
            images,
        })
    }

    /// [`Work::iterate`] by a difference of first derivatives.
    pub fn differ(&self, prior: bool) -> Tensor {
        let size = self.images.size();
        let x = self.images.flatten(1, -1).detach().set_requires_grad(true);
        let (net, params, mode, form) = (&self.net, &self.params, Mode::Eval, Form::Auto);
        let pass = Pass { net, params, mode, form };
        let pictures = || x.reshape(&size[..]);
        let loss = |z: &Tensor| cross_entropy(z, &self.labels);
        let first = FirstPass::new(pass, &x, &pictures(), loss);
        let layers = &first.gradients.layers;
        let value = if self.cosine { self.cosine(layers) } else { self.l2(layers) };
        let slopes = first.slopes(&value);
        let step = Step { size: Tensor::from_slice(&[1e-4f32]), central: false };
        let again = || (pictures(), loss);
        let (mut gradient, _) = first.derivative(pass, &slopes, &step, &x, again);
        if prior {
            let value = total_variation(&pictures()).sum(Kind::Float) * 0.1;
            gradient += Tensor::run_backward(&[value], &[&x], false, false).remove(0);
        }
        gradient.reshape(size)
    }

    /// The gradient of the objective with respect to the images.
    pub fn iterate(&self, prior: bool) -> Tensor {
        let x = self.images.detach().set_requires_grad(true);
        let grads = gradients(&self.net, &self.params, &x, Mode::Eval, Form::Auto, true, |z| {
            cross_entropy(z, &self.labels)
        });
        let mut value =
            if self.cosine { self.cosine(&grads.layers) } else { self.l2(&grads.layers) };
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
        (x.narrow(dim, 1, n) - x.narrow(dim, 0, n)).abs().mean_dim(
            &[1i64, 2, 3, 4][..],
            false,
            None,
        )
    };
    step(3) + step(4)
}
