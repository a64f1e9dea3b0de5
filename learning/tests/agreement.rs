//! One oracle for every layer kind and model: plain autograd with respect to the weights, one lane
//! at a time. Against it: lanes side by side (shared weights or each its own), dense and factored
//! gradients, every objective, and what the objectives' gradients with respect to the input are.

mod common;

use common::{cosine, hashed, hashed_params, l2, near, network, sim};
use learning::loss::cross_entropy;
use learning::models::Model;
use learning::tape::{Conv, Tape};
use learning::{Form, LayerGrad, Mode, Network, Params, gradients};
use serde_json::json;
use tch::{Kind, Tensor};

type Objective = (&'static str, fn(&[LayerGrad], &[Tensor]) -> Tensor);
const FORMS: [Form; 3] = [Form::Dense, Form::Factored, Form::Auto];
const OBJECTIVES: [Objective; 3] = [("l2", l2), ("cosine", cosine), ("sim", sim)];

/// One convolution (then optionally BatchNorm), a sigmoid and a linear layer.
struct Single {
    conv: Option<Conv>,
    norm: bool,
}

impl Model for Single {
    fn input(&self) -> Vec<i64> {
        self.conv.map_or(vec![12], |c| vec![c.input, 7, 6])
    }

    fn classes(&self) -> i64 {
        4
    }

    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Tensor {
        let mut z = match self.conv {
            Some(conv) => tape.conv("layer", x, conv),
            None => tape.linear("layer", x, 9),
        };
        if self.norm {
            z = tape.batch_norm("norm", &z);
        }
        tape.linear("head", &z.sigmoid().flatten(2, -1), 4)
    }
}

/// A grouped convolution, GroupNorm, PReLU and a cosine classifier.
struct Face {
    conv: Conv,
}

impl Model for Face {
    fn input(&self) -> Vec<i64> {
        vec![self.conv.input, 7, 6]
    }

    fn classes(&self) -> i64 {
        4
    }

    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Tensor {
        let z = tape.conv("layer", x, self.conv);
        let z = tape.group_norm("norm", &z, 2);
        let z = tape.prelu("slope", &z);
        tape.cosine("head", &z.flatten(2, -1), 4, 3.0)
    }
}

/// A setting in which all agree.
struct Case {
    lanes: i64,
    own_weights: bool,
    batch: i64,
    /// Targets, each for `lanes / targets` lanes.
    targets: i64,
    mode: Mode,
    kind: Kind,
}

impl Case {
    fn tolerance(&self) -> f64 {
        if self.kind == Kind::Double { 1e-9 } else { 1e-5 }
    }

    fn labels(&self, classes: i64) -> Tensor {
        Tensor::arange(self.lanes * self.batch, (Kind::Int64, tch::Device::Cpu))
            .remainder(classes)
            .reshape([self.lanes, self.batch])
    }
}

/// Loss, dense gradients, objective values and their gradients by `x`, of one lane, by plain
/// autograd.
fn oracle(
    net: &Network,
    params: &Params,
    x: &Tensor,
    labels: &Tensor,
    targets: &[Tensor],
    mode: Mode,
) -> (Tensor, Vec<Tensor>, Vec<(Tensor, Tensor)>) {
    let leaves = params.map(|t| t.detach().set_requires_grad(true));
    let x = x.detach().set_requires_grad(true);
    let logits = net.forward_normalised(&mut Tape::new(&leaves, mode), &x);
    let loss = cross_entropy(&logits, labels);
    let weights: Vec<&Tensor> = leaves.trainable().collect();
    let grads = Tensor::run_backward(&[&loss], &weights, true, true);
    // A layer whose gradient is rounding noise (a bias before BatchNorm) has no direction to
    // compare.
    let pairs = || grads.iter().zip(targets).filter(|(g, _)| !vanishes(g));
    let total = |f: &dyn Fn(&Tensor, &Tensor) -> Tensor| {
        pairs().map(|(g, t)| f(g, t)).reduce(|a, b| a + b).expect("layers")
    };
    let dot = |g: &Tensor, t: &Tensor| (g * t).sum(g.kind());
    let values = [
        total(&|g, t| dot(&(g - t), &(g - t))),
        1.0 - total(&dot) / (total(&|g, _| dot(g, g)) * total(&|_, t| dot(t, t))).sqrt(),
        total(&|g, t| 1.0 - dot(g, t) / (dot(g, g) * dot(t, t)).sqrt()),
    ];
    let second = values
        .iter()
        .map(|v| (v.detach(), Tensor::run_backward(&[v], &[&x], true, false).remove(0)))
        .collect();
    (loss.detach(), grads.iter().map(Tensor::detach).collect(), second)
}

fn check(what: &str, net: &Network, case: &Case, forms: &[Form]) {
    let own = if case.own_weights { case.lanes } else { 1 };
    let params = hashed_params(net, own, 100, case.kind);
    let size: Vec<i64> = [case.lanes, case.batch].into_iter().chain(net.input()).collect();
    let x = hashed(&size, 7, case.kind);
    let labels = case.labels(net.classes());
    let targets = targets(net, case);
    let lane = |t: i64| {
        let params = if case.own_weights { params.narrow(t, 1) } else { params.clone() };
        let group = t / (case.lanes / case.targets);
        let targets: Vec<Tensor> = targets.iter().map(|v| v.narrow(0, group, 1)).collect();
        oracle(net, &params, &x.narrow(0, t, 1), &labels.narrow(0, t, 1), &targets, case.mode)
    };
    let expected: Vec<_> = (0..case.lanes).map(lane).collect();
    for &form in forms {
        let x = x.detach().set_requires_grad(true);
        let grads =
            gradients(net, &params, &x, case.mode, form, true, |z| cross_entropy(z, &labels));
        let what = format!(
            "{what}, {form:?}, T {}, own weights {}, B {}, {:?}, {:?}",
            case.lanes, case.own_weights, case.batch, case.mode, case.kind
        );
        let gather = |f: &dyn Fn(usize) -> Tensor| {
            Tensor::cat(&(0..expected.len()).map(f).collect::<Vec<_>>(), 0)
        };
        near(
            &grads.loss,
            &gather(&|t| expected[t].0.reshape([1])),
            case.tolerance(),
            &format!("{what}: loss"),
        );
        for (i, layer) in grads.layers.iter().enumerate() {
            let wanted = gather(&|t| expected[t].1[i].shallow_clone());
            vanishing_or_near(
                &layer.to_dense(),
                &wanted,
                case.tolerance(),
                &format!("{what}: gradient {i}"),
            );
        }
        let compared =
            grads.layers.into_iter().enumerate().filter(|(i, _)| !vanishes(&expected[0].1[*i]));
        let (layers, aims): (Vec<LayerGrad>, Vec<Tensor>) =
            compared.map(|(i, g)| (g, targets[i].shallow_clone())).unzip();
        for (k, (name, objective)) in OBJECTIVES.iter().enumerate() {
            let value = objective(&layers, &aims);
            near(
                &value,
                &gather(&|t| expected[t].2[k].0.reshape([1])),
                case.tolerance(),
                &format!("{what}: {name}"),
            );
            let dx = Tensor::run_backward(&[value.sum(case.kind)], &[&x], true, false).remove(0);
            near(
                &dx,
                &gather(&|t| expected[t].2[k].1.shallow_clone()),
                case.tolerance(),
                &format!("{what}: {name} by x"),
            );
        }
    }
}

/// Targets about as large as the gradients, one for each parameter, `[targets, ...shape]`.
fn targets(net: &Network, case: &Case) -> Vec<Tensor> {
    let specs = net.layout().trainable().into_iter().map(|i| &net.layout().specs()[i]);
    specs
        .enumerate()
        .map(|(i, spec)| {
            let size: Vec<i64> =
                std::iter::once(case.targets).chain(spec.shape.iter().copied()).collect();
            hashed(&size, 900 + i as u32, case.kind) * 0.1
        })
        .collect()
}

fn vanishes(gradient: &Tensor) -> bool {
    gradient.norm().double_value(&[]) < 1e-6
}

/// A gradient that is zero but for rounding (a bias before BatchNorm) has no relative error.
fn vanishing_or_near(found: &Tensor, expected: &Tensor, tolerance: f64, what: &str) {
    if vanishes(expected) {
        assert!(found.norm().double_value(&[]) < 1e-6, "{what}: should vanish");
    } else {
        near(found, expected, tolerance, what);
    }
}

fn every_case(what: &str, net: &Network, modes: &[Mode]) {
    tch::set_num_threads(1);
    for &mode in modes {
        for (lanes, own_weights, batch, targets) in [
            (1, false, 1, 1),
            (1, false, 3, 1),
            (4, false, 1, 2),
            (4, false, 3, 4),
            (4, true, 1, 4),
            (4, true, 3, 1),
        ] {
            check(
                what,
                net,
                &Case { lanes, own_weights, batch, targets, mode, kind: Kind::Double },
                &FORMS,
            );
        }
    }
}

fn single(conv: Option<Conv>, norm: bool) -> Network {
    let channels = conv.map_or(12, |c| c.input as usize);
    Network::new(Box::new(Single { conv, norm }), vec![0.0; channels], vec![1.0; channels])
}

#[test]
fn linear() {
    every_case("linear", &single(None, false), &[Mode::Eval]);
}

#[test]
fn convolutions() {
    for (kernel, stride, padding) in
        [(3, 1, 1), (3, 2, 1), (5, 2, 2), (1, 1, 0), (1, 2, 0), (3, 1, 0), (2, 3, 1)]
    {
        for bias in [true, false] {
            let conv = Conv { input: 3, output: 5, kernel, stride, padding, bias, groups: 1 };
            every_case(&format!("{conv:?}"), &single(Some(conv), false), &[Mode::Eval]);
        }
    }
}

/// Convolutions with so much work that autograd forms their gradient, one lane at a time.
#[test]
fn large_convolutions() {
    let conv =
        Conv { input: 32, output: 96, kernel: 5, stride: 1, padding: 3, bias: true, groups: 1 };
    let net = single(Some(conv), false);
    for (batch, bias) in [(3, true), (4, false)] {
        let net = if bias { &net } else { &single(Some(Conv { bias, ..conv }), false) };
        for (lanes, own_weights, targets) in [(1, false, 1), (4, false, 2), (4, true, 4)] {
            let case =
                Case { lanes, own_weights, batch, targets, mode: Mode::Eval, kind: Kind::Double };
            check("large convolution", net, &case, &[Form::Dense]);
        }
    }
}

#[test]
fn groups_slopes_and_cosines() {
    for (groups, output, kernel, stride, padding) in
        [(4, 4, 3, 2, 1), (4, 8, 3, 1, 1), (2, 6, 1, 1, 0), (4, 4, 6, 1, 0)]
    {
        let conv = Conv { input: 4, output, kernel, stride, padding, bias: stride == 2, groups };
        let net = Network::new(Box::new(Face { conv }), vec![0.0; 4], vec![1.0; 4]);
        every_case(&format!("{conv:?}"), &net, &[Mode::Eval]);
    }
}

#[test]
fn batch_norm_scale() {
    let conv =
        Conv { input: 3, output: 5, kernel: 3, stride: 1, padding: 1, bias: false, groups: 1 };
    every_case("BatchNorm", &single(Some(conv), true), &[Mode::Train, Mode::Eval]);
}

#[test]
fn whole_models() {
    let small = [
        (json!({"name": "lenet-zhu"}), vec![3, 8, 8], false),
        (json!({"name": "simple-cnn"}), vec![3, 8, 8], false),
        (json!({"name": "convnet64", "width": 4}), vec![3, 9, 9], true),
        (json!({"name": "mlp", "hidden": [7, 6]}), vec![10], false),
        (json!({"name": "logistic"}), vec![1, 4, 4], false),
    ];
    for (model, input, normed) in small {
        let modes: &[Mode] = if normed { &[Mode::Train, Mode::Eval] } else { &[Mode::Eval] };
        every_case(&model.to_string(), &network(&model, &input, 5), modes);
    }
}

#[test]
fn resnet18_lanes() {
    tch::set_num_threads(1);
    for stem in ["cifar", "imagenet"] {
        let side = if stem == "cifar" { 8 } else { 32 };
        let net = network(&json!({"name": "resnet18", "stem": stem}), &[3, side, side], 5);
        for (own_weights, mode) in [(false, Mode::Train), (true, Mode::Eval)] {
            check(
                stem,
                &net,
                &Case { lanes: 2, own_weights, batch: 2, targets: 2, mode, kind: Kind::Double },
                &[Form::Auto],
            );
        }
    }
}

/// In f32, on models whose rounding allows 1e-5.
#[test]
fn single_precision() {
    tch::set_num_threads(1);
    for (model, input) in
        [(json!({"name": "lenet-zhu"}), [3, 32, 32]), (json!({"name": "simple-cnn"}), [3, 16, 16])]
    {
        let net = network(&model, &input, 5);
        for (lanes, own_weights, batch, targets) in
            [(1, false, 2, 1), (4, false, 1, 4), (4, true, 1, 1)]
        {
            check(
                &model.to_string(),
                &net,
                &Case { lanes, own_weights, batch, targets, mode: Mode::Eval, kind: Kind::Float },
                &FORMS,
            );
        }
    }
}

/// What a step of training takes: the same gradients, losses and statistics, a few lanes at a time
/// or all at once.
#[test]
fn gradients_for_training() {
    tch::set_num_threads(1);
    let cases = [
        (json!({"name": "convnet64", "width": 4}), vec![3, 40, 40]),
        (json!({"name": "convnet64", "width": 4, "norm": "group"}), vec![1, 9, 9]),
        (json!({"name": "mnist-cnn", "padding": 1}), vec![1, 8, 8]),
        (json!({"name": "mnist-cnn"}), vec![1, 40, 40]),
        (json!({"name": "mobilefacenet", "embedding": 64, "head": "arcface"}), vec![3, 32, 32]),
        (json!({"name": "efficientnet-b2"}), vec![1, 32, 32]),
        (json!({"name": "lenet-zhu"}), vec![3, 8, 8]),
        (json!({"name": "mlp", "hidden": [7, 6]}), vec![10]),
    ];
    for (model, input) in cases {
        let net = network(&model, &input, 5);
        // BatchNorm over the few values of the last layers amplifies rounding.
        let deep = model["name"] == "efficientnet-b2";
        let tolerance = if deep { 1e-7 } else { 1e-9 };
        let settings =
            [(3, 3, Mode::Train), (1, 1, Mode::Train), (3, 1, Mode::Train), (3, 3, Mode::Eval)];
        for (lanes, own, mode) in settings.into_iter().take(if deep { 1 } else { 4 }) {
            let what = format!("{model}, {lanes} lanes, {own} sets of weights, {mode:?}");
            let draw = Tensor::arange(lanes, (Kind::Int64, tch::Device::Cpu)) + 7;
            let params = hashed_params(&net, own, 100, Kind::Double).with_draw(Some(draw));
            let size: Vec<i64> = [lanes, 3].into_iter().chain(input.clone()).collect();
            let x = hashed(&size, 7, Kind::Double);
            let labels = Tensor::arange(lanes * 3, (Kind::Int64, tch::Device::Cpu))
                .remainder(5)
                .reshape([lanes, 3]);
            let run = |form| {
                gradients(&net, &params, &x, mode, form, false, |z| {
                    net.training_loss(z, &labels, false)
                })
            };
            let (expected, found) = (run(Form::Dense), run(Form::Training));
            near(&found.loss, &expected.loss, 1e-9, &what);
            let (a, b) = (found.to_params(&params), expected.to_params(&params));
            assert!(a.draw().is_none());
            let error = (a.sub(&b).norm() / b.norm()).max().double_value(&[]);
            assert!(error < tolerance, "{what}: off by {error:.1e}");
            let largest = b.norm().max().double_value(&[]);
            for ((a, b), spec) in a
                .trainable()
                .zip(b.trainable())
                .zip(net.layout().specs().iter().filter(|s| s.trainable))
            {
                if b.norm().double_value(&[]) > 1e-9 * largest {
                    near(a, b, 100.0 * tolerance, &format!("{what}: {}", spec.name));
                }
            }
            assert_eq!(found.stats.len(), expected.stats.len());
            for (a, b) in found.stats.iter().zip(&expected.stats) {
                assert_eq!(a.running_mean, b.running_mean);
                near(&a.mean, &b.mean, tolerance, &what);
                near(&a.var, &b.var, tolerance, &what);
            }
        }
    }
}

/// Two simulated SGD steps differentiated with respect to the images, against plain autograd.
#[test]
fn through_local_steps() {
    tch::set_num_threads(1);
    let conv =
        Conv { input: 3, output: 5, kernel: 3, stride: 2, padding: 1, bias: true, groups: 1 };
    let net = single(Some(conv), true);
    let (lanes, lr) = (3, 0.3);
    let start = hashed_params(&net, 1, 100, Kind::Double);
    let x = hashed(&[lanes, 2, 3, 7, 6], 7, Kind::Double).set_requires_grad(true);
    let labels = Tensor::from_slice(&[0i64, 1, 2, 3, 0, 1]).reshape([3, 2]);
    let mut params = start.expand(lanes);
    for _ in 0..2 {
        let grads = gradients(&net, &params, &x, Mode::Train, Form::Auto, true, |z| {
            cross_entropy(z, &labels)
        });
        params = params.zip(&grads.to_params(&params), |w, g| w - g * lr);
    }
    let score = |p: &Params| {
        p.trainable().map(|t| t.sin().sum(Kind::Double)).reduce(|a, b| a + b).expect("parameters")
    };
    let ours = Tensor::run_backward(&[score(&params)], &[&x], false, false).remove(0);
    let mut expected = Vec::new();
    for t in 0..lanes {
        let x = x.detach().narrow(0, t, 1).set_requires_grad(true);
        let mut params = start.map(|t| t.detach().set_requires_grad(true));
        for _ in 0..2 {
            let logits = net.forward_normalised(&mut Tape::new(&params, Mode::Train), &x);
            let loss = cross_entropy(&logits, &labels.narrow(0, t, 1));
            let weights: Vec<&Tensor> = params.trainable().collect();
            let mut grads = Tensor::run_backward(&[loss], &weights, true, true).into_iter();
            let trainable: Vec<bool> = net.layout().specs().iter().map(|s| s.trainable).collect();
            let tensors = params.tensors.iter().zip(trainable).map(|(w, trainable)| {
                if trainable { w - grads.next().expect("one each") * lr } else { w.shallow_clone() }
            });
            params = Params::new(net.layout().clone(), tensors.collect()).expect("same shapes");
        }
        expected.push(Tensor::run_backward(&[score(&params)], &[&x], false, false).remove(0));
    }
    near(&ours, &Tensor::cat(&expected, 0), 1e-9, "through two steps");
}
