//! The derivative of a matching objective by the pictures as a difference of first derivatives,
//! against second-order autograd: every layer, activation, model and form, shared weights of
//! several lanes, f64 and f32.

mod common;

use std::path::{Path, PathBuf};

use common::{cosine, hashed, hashed_params, l2, network, sim};
use learning::gradients::{FirstPass, Pass, Step};
use learning::loss::{cross_entropy, soft_cross_entropy};
use learning::models::Model;
use learning::tape::Tape;
use learning::{Form, LayerGrad, Mode, Network, Params, gradients, graph, init};
use serde_json::json;
use tch::{Kind, Tensor};

type Objective = fn(&[LayerGrad], &[Tensor]) -> Tensor;

fn step(size: f64, central: bool) -> Step {
    Step { size: Tensor::from_slice(&[size]), central }
}

struct Case<'a> {
    net: &'a Network,
    params: Params,
    x: Tensor,
    labels: Tensor,
    targets: Vec<Tensor>,
    mode: Mode,
    form: Form,
}

impl<'a> Case<'a> {
    fn new(net: &'a Network, params: Params, x: Tensor, mode: Mode, form: Form) -> Case<'a> {
        let (lanes, batch) = (x.size()[0], x.size()[1]);
        let labels = Tensor::arange(lanes * batch, (Kind::Int64, tch::Device::Cpu))
            .remainder(net.classes())
            .reshape([lanes, batch]);
        let case = Case { net, params, x, labels, targets: Vec::new(), mode, form };
        // Another picture's gradients, so that no direction is special.
        let other = hashed(&case.x.size(), 977, case.x.kind()).abs();
        let grads = gradients(net, &case.params, &other, mode, Form::Dense, false, |z| {
            cross_entropy(z, &case.labels)
        });
        let mean = |g: &LayerGrad| g.to_dense().mean_dim(0, true, None::<Kind>);
        Case { targets: grads.layers.iter().map(mean).collect(), ..case }
    }

    fn exact(&self, objective: Objective) -> Tensor {
        let x = self.x.detach().set_requires_grad(true);
        let grads = gradients(self.net, &self.params, &x, self.mode, self.form, true, |z| {
            cross_entropy(z, &self.labels)
        });
        let value = objective(&grads.layers, &self.targets);
        Tensor::run_backward(&[value.sum(x.kind())], &[&x], false, false).remove(0)
    }

    fn difference(&self, objective: Objective, step: &Step) -> (Tensor, Tensor) {
        let x = self.x.flatten(1, -1).detach().set_requires_grad(true);
        let pass = Pass { net: self.net, params: &self.params, mode: self.mode, form: self.form };
        let pictures = || x.reshape(self.x.size());
        let loss = |z: &Tensor| cross_entropy(z, &self.labels);
        let first = FirstPass::new(pass, &x, &pictures(), loss);
        let slopes = first.slopes(&objective(&first.gradients.layers, &self.targets));
        let (found, change) = first.derivative(pass, &slopes, step, &x, || (pictures(), loss));
        (found.reshape(self.x.size()), change)
    }

    /// Distance of difference and derivative relative to the latter, of the worst lane.
    fn off(&self, objective: Objective, step: &Step) -> f64 {
        let (exact, (found, _)) = (self.exact(objective), self.difference(objective, step));
        let norm = |t: &Tensor| t.flatten(1, -1).norm_scalaropt_dim(2, &[1i64][..], false);
        (norm(&(found - &exact)) / norm(&exact)).max().double_value(&[])
    }
}

/// What must agree in f64, for one model and input.
fn agrees(name: &str, net: &Network, params: &Params, objectives: &[Objective]) {
    for (lanes, form) in [(1, Form::Dense), (3, Form::Auto), (2, Form::Factored)] {
        let size: Vec<i64> = [lanes, 2].into_iter().chain(net.input()).collect();
        let x = hashed(&size, 5, Kind::Double);
        for mode in [Mode::Train, Mode::Eval] {
            let case = Case::new(net, params.clone(), x.shallow_clone(), mode, form);
            for (i, objective) in objectives.iter().enumerate() {
                let off = case.off(*objective, &step(1e-7, true));
                assert!(off < 1e-6, "{name}, {mode:?}, {form:?}, objective {i}: {off:e}");
            }
        }
    }
}

#[test]
fn every_activation_and_pool_agrees_with_second_order_autograd() {
    for activation in
        ["relu", "relu6", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh", "softplus"]
    {
        let layers = json!([
            { "type": "conv", "out": 5, "kernel": 3, "padding": 1, "bias": false },
            { "type": "batch_norm" },
            { "type": activation },
            { "type": "max_pool", "kernel": 3, "stride": 2, "padding": 1 },
            { "type": "residual", "layers": [
                { "type": "conv", "out": 5, "kernel": 1 },
                { "type": "group_norm", "groups": 5 },
                { "type": activation },
            ]},
            { "type": "flatten" },
            { "type": "linear", "out": 20 },
            { "type": activation },
            { "type": "linear" },
        ]);
        let net = network(&json!({ "name": "layers", "layers": layers }), &[3, 8, 8], 4);
        assert_eq!(net.model().unfrozen(), None);
        let params = hashed_params(&net, 1, 1, Kind::Double).map(|w| w * 2.0);
        agrees(activation, &net, &params, &[l2, cosine]);
    }
}

#[test]
fn every_model_agrees_with_second_order_autograd() {
    for (model, input) in [
        (json!({ "name": "lenet-zhu" }), vec![3, 8, 8]),
        (json!({ "name": "convnet64", "width": 4 }), vec![3, 16, 16]),
        (json!({ "name": "convnet64", "width": 4, "norm": "group" }), vec![3, 16, 16]),
        (json!({ "name": "simple-cnn" }), vec![3, 8, 8]),
        (json!({ "name": "mnist-cnn", "padding": 1 }), vec![1, 8, 8]),
        (json!({ "name": "mlp", "hidden": [40, 30] }), vec![12]),
        (json!({ "name": "logistic" }), vec![12]),
    ] {
        let net = network(&model, &input, 4);
        assert_eq!(net.model().unfrozen(), None);
        // A bias before BatchNorm has no gradient: `sim` would weigh its rounding as a layer.
        let biased = model["name"] == "convnet64" && model["norm"] != "group";
        let objectives: &[Objective] = if biased { &[l2, cosine] } else { &[l2, cosine, sim] };
        agrees(&model.to_string(), &net, &hashed_params(&net, 1, 3, Kind::Double), objectives);
    }
}

/// Deep networks, in the form that attacks use: factors and formed gradients side by side.
#[test]
fn deep_models_agree_with_second_order_autograd() {
    for (model, input) in [
        (json!({ "name": "resnet18" }), vec![3, 32, 32]),
        (json!({ "name": "mobilefacenet" }), vec![3, 32, 32]),
    ] {
        let net = network(&model, &input, 4);
        assert_eq!(net.model().unfrozen(), None);
        let params = hashed_params(&net, 1, 3, Kind::Double);
        let x = hashed(&[vec![2, 1], input].concat(), 5, Kind::Double);
        let off = Case::new(&net, params, x, Mode::Eval, Form::Auto).off(cosine, &step(1e-6, true));
        assert!(off < 1e-6, "{model}: {off:e}");
    }
}

/// f32 at the steps that attacks take: what a step along the gradient and one along its signs use.
#[test]
fn single_precision_keeps_direction_and_signs() {
    for (model, input, mode, size) in [
        (json!({ "name": "lenet-zhu" }), vec![3, 32, 32], Mode::Eval, 1e-4),
        (json!({ "name": "convnet64", "width": 16 }), vec![3, 32, 32], Mode::Eval, 3e-4),
        (json!({ "name": "convnet64", "width": 16 }), vec![3, 32, 32], Mode::Train, 1e-3),
        (json!({ "name": "simple-cnn" }), vec![3, 16, 16], Mode::Eval, 3e-4),
        (json!({ "name": "resnet18" }), vec![3, 32, 32], Mode::Eval, 1e-3),
    ] {
        let net = network(&model, &input, 10);
        let params = hashed_params(&net, 1, 3, Kind::Float);
        let x = hashed(&[vec![1, 1], input].concat(), 5, Kind::Float);
        let case = Case::new(&net, params, x, mode, Form::Auto);
        let (exact, (found, change)) =
            (case.exact(cosine), case.difference(cosine, &step(size, false)));
        let norm = |t: &Tensor| t.norm().double_value(&[]);
        let along = (&found * &exact).sum(Kind::Double).double_value(&[]);
        let cosine = along / norm(&found) / norm(&exact);
        let same = found.sign().eq_tensor(&exact.sign()).to_kind(Kind::Double);
        let same = same.mean(Kind::Double).double_value(&[]);
        println!("{model} {mode:?}: cosine {cosine:.6}, signs {same:.4}, change {change:?}");
        assert!(cosine > 0.9999 && same > 0.99, "{model} {mode:?}: {cosine}, {same}");
    }
}

/// Label probabilities that are optimised beside the picture have the same derivative.
#[test]
fn labels_are_variables_too() {
    let net = network(&json!({ "name": "lenet-zhu" }), &[3, 8, 8], 4);
    let params = hashed_params(&net, 1, 3, Kind::Double);
    let x = hashed(&[2, 1, 3, 8, 8], 5, Kind::Double).flatten(1, -1);
    let all = Tensor::cat(&[&x, &hashed(&[2, 4], 6, Kind::Double)], 1).set_requires_grad(true);
    let split = || {
        let pictures = all.narrow(1, 0, 192).reshape([2, 1, 3, 8, 8]);
        let soft = all.narrow(1, 192, 4).reshape([2, 1, 4]).softmax(-1, None::<Kind>);
        (pictures, move |z: &Tensor| soft_cross_entropy(z, &soft))
    };
    let target: Vec<Tensor> = params.trainable().map(|w| w * 0.1).collect();
    let (pictures, loss) = split();
    let grads = gradients(&net, &params, &pictures, Mode::Eval, Form::Auto, true, loss);
    let value = l2(&grads.layers, &target).sum(Kind::Double);
    let exact = Tensor::run_backward(&[value], &[&all], false, false).remove(0);
    let pass = Pass { net: &net, params: &params, mode: Mode::Eval, form: Form::Auto };
    let (pictures, loss) = split();
    let first = FirstPass::new(pass, &all, &pictures, loss);
    let slopes = first.slopes(&l2(&first.gradients.layers, &target));
    let (found, _) = first.derivative(pass, &slopes, &step(1e-7, true), &all, split);
    for (from, len) in [(0, 192), (192, 4)] {
        let (own, wanted) = (found.narrow(1, from, len), exact.narrow(1, from, len));
        let off = (&own - &wanted).norm().double_value(&[]) / wanted.norm().double_value(&[]);
        assert!(off < 1e-6, "variables from {from}: {off:e}");
    }
}

/// Networks from files: corners, values that are held fixed, attention.
#[test]
fn networks_from_files_agree_with_second_order_autograd() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/graphs");
    let mut files: Vec<PathBuf> = ["", "onnx", "onnx-ops"]
        .iter()
        .flat_map(|room| std::fs::read_dir(folder.join(room)).expect("a folder"))
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "pt2" || e == "onnx"))
        .collect();
    files.sort();
    let mut compared = 0;
    for file in &files {
        let Ok(found) = graph::read(file) else { continue };
        let (input, name) = (found.input().to_vec(), file.display().to_string());
        let channels = input[0] as usize;
        let net = Network::new(found.into_model(), vec![0.0; channels], vec![1.0; channels]);
        assert_eq!(net.model().unfrozen(), None, "{name}");
        let mut rng = suites::rng::stream(0, "graphs", "weights");
        let params = init::fresh(net.layout(), suites::Init::Pytorch, &mut rng);
        let params = params.map(|t| t.to_kind(Kind::Double));
        // As tokens: 0 and 1.
        let x = hashed(&[vec![2, 1], input].concat(), 5, Kind::Double).abs();
        let case = Case::new(&net, params, x, Mode::Eval, Form::Auto);
        if !case.exact(l2).defined() {
            continue; // tokens have no derivative
        }
        let off = case.off(l2, &step(1e-6, true));
        println!("{name}: {off:e}");
        assert!(off < 1e-5, "{name}: {off:e}");
        compared += 1;
    }
    assert!(compared > 10, "{compared} networks");
}

/// One layer that the tape does not know.
struct Foreign;

impl Model for Foreign {
    fn input(&self) -> Vec<i64> {
        vec![12]
    }

    fn classes(&self) -> i64 {
        4
    }

    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Tensor {
        tape.linear("head", &x.relu(), 4)
    }
}

#[test]
fn a_model_that_says_nothing_is_not_repeated() {
    let said = Foreign.unfrozen().expect("no answer is a refusal");
    assert!(said.contains("own code"), "{said}");
}
