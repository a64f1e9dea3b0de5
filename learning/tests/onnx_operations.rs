//! Single operations of ONNX against PyTorch's gradients (`golden/graphs/make_onnx_ops.py`), and
//! attributes that would change what an operation does: refused where they are not read.

mod common;

use std::path::{Path, PathBuf};

use common::numbers;
use learning::{Form, Mode, Network, gradients, graph, init};
use rten_onnx::onnx::{AttributeProto, ModelProto};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/graphs")
}

#[test]
fn operations_give_pytorchs_gradients() {
    let text = std::fs::read_to_string(folder().join("onnx-ops.txt")).expect("text");
    assert!(text.lines().count() >= 6);
    for line in text.lines() {
        let golden: Value = serde_json::from_str(line).expect("JSON");
        let name = golden["name"].as_str().expect("a name");
        let found = graph::read(&folder().join(format!("onnx-ops/{name}.onnx")));
        let found = found.unwrap_or_else(|e| panic!("{e}"));
        let net = Network::new(found.into_model(), vec![0.0; 6], vec![1.0; 6]);
        let mut rng = suites::rng::stream(0, "onnx", "weights");
        let weights = init::fresh(net.layout(), suites::Init::Pytorch, &mut rng);
        let weights = weights.map(|t| t.to_kind(Kind::Double));
        let options = (Kind::Double, Device::Cpu);
        let x = Tensor::linspace(0.05, 0.95, 6, options).reshape([1, 1, 6]);
        let label = Tensor::from_slice(&[1i64]).reshape([1, 1]);
        for form in [Form::Auto, Form::Factored, Form::Dense] {
            let loss = |z: &Tensor| net.training_loss(z, &label, false);
            let all = gradients(&net, &weights, &x, Mode::Train, form, false, loss);
            let layout = net.layout();
            for (i, layer) in layout.trainable().into_iter().zip(&all.layers) {
                let own = &layout.specs()[i].name;
                let wanted = Tensor::from_slice(&numbers(&golden["gradients"][own]));
                let off = (layer.to_dense().reshape([-1]) - &wanted).norm().double_value(&[]);
                let size = wanted.norm().double_value(&[]);
                assert!(off <= 1e-9 * size, "{name}: {own}: off by {off:.2e} of {size:.2e}");
            }
        }
    }
}

/// The activation of a golden network as another operation with one attribute.
fn said(op: &str, attribute: AttributeProto) -> String {
    let path = folder().join("onnx/mlp-script.onnx");
    let mut model = ModelProto::parse_buf(&std::fs::read(path).expect("a file")).expect("ONNX");
    let nodes = &mut model.graph.as_mut().expect("a graph").node;
    let relu = nodes.iter_mut().find(|n| n.op_type.as_deref() == Some("Relu")).expect("a ReLU");
    relu.op_type = Some(op.into());
    relu.attribute = vec![attribute];
    match graph::onnx_from_bytes(&model.write_buf().expect("written")) {
        Ok(_) => "read".into(),
        Err(e) => e.to_string(),
    }
}

#[test]
fn attributes_that_are_not_read_are_refused() {
    let real = |name: &str, f: f32| AttributeProto {
        name: Some(name.into()),
        f: Some(f),
        ..Default::default()
    };
    assert_eq!(said("Elu", real("alpha", 0.5)), "read");
    for (op, attribute) in [("Selu", real("alpha", 2.0)), ("Swish", real("alpha", 0.5))] {
        let line = said(op, attribute);
        assert!(line.contains(op) && line.contains("not read"), "{line}");
    }
    let line = said("HardSigmoid", real("alpha", 0.3));
    assert!(line.contains("a hard sigmoid of slope 0.3"), "{line}");
    let line = said("Add", real("alpha", 0.5));
    assert!(line.contains("too little"), "{line}");
    let mut ceil = AttributeProto { name: Some("kernel_shape".into()), ..Default::default() };
    ceil.ints = vec![2, 2, 2];
    assert!(said("AveragePool", ceil).contains("a pool of 3 dimensions"));
}
