//! Corners in a difference of first derivatives: at a step so long that values cross them, a second
//! pass that repeats the branches of the first still agrees with second-order autograd, and one
//! that chooses its own does not. With short steps nothing crosses, and neither would show.

mod common;

use std::path::Path;

use common::{hashed, l2, network};
use learning::gradients::{FirstPass, Pass, Step};
use learning::loss::cross_entropy;
use learning::{Form, LayerGrad, Mode, Network, Params, gradients, graph, init};
use rten_onnx::onnx::{AttributeProto, ModelProto};
use serde_json::json;
use tch::{Device, Kind, Tensor};

/// Length of a step, relative to the parameters.
const LONG: f64 = 1e-2;

struct Case {
    net: Network,
    params: Params,
    x: Tensor,
    labels: Tensor,
    targets: Vec<Tensor>,
}

impl Case {
    /// Pictures whose values reach `reach`, so that both sides of every corner are met.
    fn new(net: Network, reach: f64) -> Case {
        let mut rng = suites::rng::stream(0, "corners", "weights");
        let params = init::fresh(net.layout(), suites::Init::Pytorch, &mut rng);
        let params = params.map(|t| t.to_kind(Kind::Double));
        let size: Vec<i64> = [1, 12].into_iter().chain(net.input()).collect();
        let x = hashed(&size, 5, Kind::Double) * reach;
        let labels = Tensor::arange(12, (Kind::Int64, Device::Cpu)).remainder(net.classes());
        let targets = params.trainable().map(|w| w * 0.1).collect();
        Case { net, params, x, labels: labels.reshape([1, 12]), targets }
    }

    fn gradients(&self, params: &Params, x: &Tensor, graph: bool) -> learning::Gradients {
        let loss = |z: &Tensor| cross_entropy(z, &self.labels);
        gradients(&self.net, params, x, Mode::Eval, Form::Dense, graph, loss)
    }

    fn exact(&self) -> Tensor {
        let x = self.x.detach().set_requires_grad(true);
        let value = l2(&self.gradients(&self.params, &x, true).layers, &self.targets);
        Tensor::run_backward(&[value.sum(Kind::Double)], &[&x], false, false).remove(0)
    }

    /// On the branches of the first pass, by a step of that length.
    fn repeated(&self, length: f64) -> Tensor {
        let x = self.x.flatten(1, -1).detach().set_requires_grad(true);
        let (net, params) = (&self.net, &self.params);
        let pass = Pass { net, params, mode: Mode::Eval, form: Form::Dense };
        let step = Step { size: Tensor::from_slice(&[length]), central: true };
        let pictures = || x.reshape(self.x.size());
        let loss = |z: &Tensor| cross_entropy(z, &self.labels);
        let first = FirstPass::new(pass, &x, &pictures(), loss);
        let slopes = first.slopes(&l2(&first.gradients.layers, &self.targets));
        let (found, _) = first.derivative(pass, &slopes, &step, &x, || (pictures(), loss));
        found.reshape(self.x.size())
    }

    /// The same difference of two ordinary passes, each on branches of its own.
    fn chosen_anew(&self) -> Tensor {
        let own = self.gradients(&self.params, &self.x, false).layers;
        let leaf = |g: &LayerGrad| g.to_dense().detach().set_requires_grad(true);
        let leaves: Vec<Tensor> = own.iter().map(leaf).collect();
        let dense: Vec<LayerGrad> =
            leaves.iter().map(|g| LayerGrad::Dense(g.shallow_clone())).collect();
        let value = l2(&dense, &self.targets).sum(Kind::Double);
        let v = Tensor::run_backward(&[value], &leaves.iter().collect::<Vec<_>>(), false, false);
        let norm = |all: &mut dyn Iterator<Item = Tensor>| {
            all.map(|t| t.square().sum(Kind::Double).double_value(&[])).sum::<f64>().sqrt()
        };
        let weights = norm(&mut self.params.trainable().map(Tensor::shallow_clone));
        let length = LONG * weights / norm(&mut v.iter().map(Tensor::shallow_clone));
        let slope = |by: f64| {
            let mut v = v.iter();
            let moved = self.params.map(|w| w + v.next().expect("as many") * by);
            let x = self.x.detach().set_requires_grad(true);
            let logits = self.net.logits(&moved, &x, Mode::Eval);
            let loss = cross_entropy(&logits, &self.labels).sum(Kind::Double);
            Tensor::run_backward(&[loss], &[&x], false, false).remove(0)
        };
        (slope(length) - slope(-length)) / (2.0 * length)
    }
}

/// What frozen branches leave is smooth: its error falls with the step's square, and is far below
/// that of branches chosen anew.
#[track_caller]
fn crosses(name: &str, case: &Case) {
    let exact = case.exact();
    let off = |t: Tensor| (t - &exact).norm().double_value(&[]) / exact.norm().double_value(&[]);
    let [long, short] = [LONG, LONG / 4.0].map(|length| off(case.repeated(length)));
    let anew = off(case.chosen_anew());
    println!(
        "{name}: {long:.1e} and {short:.1e} on the first pass's branches, {anew:.1e} on others"
    );
    assert!(long < 3e-2 && short < long / 8.0, "{name}: {long:e}, {short:e}");
    assert!(anew > 8.0 * long, "{name}: the step crosses too few corners, {anew:e}");
}

/// The ReLU of a golden network as another operation, with more inputs and attributes.
fn swapped(op: &str, inputs: &[&str], attributes: &[(&str, f32)]) -> Network {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/graphs");
    let bytes = std::fs::read(folder.join("onnx/mlp-script.onnx")).expect("a file");
    let mut model = ModelProto::parse_buf(&bytes).expect("ONNX");
    let nodes = &mut model.graph.as_mut().expect("a graph").node;
    let relu = nodes.iter_mut().find(|n| n.op_type.as_deref() == Some("Relu")).expect("a ReLU");
    relu.op_type = Some(op.into());
    relu.input.extend(inputs.iter().map(ToString::to_string));
    let real = |(name, f): &(&str, f32)| AttributeProto {
        name: Some((*name).into()),
        f: Some(*f),
        ..Default::default()
    };
    relu.attribute = attributes.iter().map(real).collect();
    let found = graph::onnx_from_bytes(&model.write_buf().expect("written"));
    let found = found.unwrap_or_else(|e| panic!("{op}: {e}"));
    Network::new(found.into_model(), vec![0.0; 30], vec![1.0; 30])
}

#[test]
fn operations_with_corners_repeat_their_branches() {
    let none: &[&str] = &[];
    for (op, inputs, attributes) in [
        ("Relu", none, &[][..]),
        ("LeakyRelu", none, &[("alpha", 0.2)]),
        ("PRelu", &["body.0.bias"], &[]),
        ("Elu", none, &[("alpha", 0.3)]),
        ("Celu", none, &[("alpha", 1.5)]),
        ("Selu", none, &[]),
        ("HardSigmoid", none, &[("alpha", 1.0 / 6.0)]),
        ("HardSwish", none, &[]),
        ("Abs", none, &[]),
        ("Max", &["body.0.bias"], &[]),
        ("Min", &["body.0.bias"], &[]),
    ] {
        crosses(op, &Case::new(swapped(op, inputs, attributes), 6.0));
    }
}

#[test]
fn layers_with_corners_repeat_their_branches() {
    for (name, layers) in [
        ("relu", json!([{ "type": "relu" }])),
        ("relu6", json!([{ "type": "relu6" }])),
        ("leaky_relu", json!([{ "type": "leaky_relu" }])),
        ("max_pool", json!([{ "type": "max_pool", "kernel": 2 }, { "type": "tanh" }])),
    ] {
        let conv = json!({ "type": "conv", "out": 6, "kernel": 3, "padding": 1 });
        let flat = json!([{ "type": "flatten" }, { "type": "linear" }]);
        let all =
            [vec![conv], layers.as_array().unwrap().clone(), flat.as_array().unwrap().clone()];
        let net = network(&json!({ "name": "layers", "layers": all.concat() }), &[2, 6, 6], 4);
        crosses(name, &Case::new(net, 16.0));
    }
}
