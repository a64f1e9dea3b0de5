//! ONNX files that give no network: one line that says what is wrong and what mends it.

use std::path::{Path, PathBuf};

use learning::graph;
use rten_onnx::onnx::{
    DataLocation, ModelProto, NodeProto, StringStringEntryProto, ValueInfoProto,
};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/graphs/onnx/mlp-script.onnx")
}

fn model() -> ModelProto {
    ModelProto::parse_buf(&std::fs::read(golden()).expect("a file")).expect("ONNX")
}

fn said(model: &ModelProto) -> String {
    let bytes = model.write_buf().expect("written");
    match graph::onnx_from_bytes(&bytes) {
        Ok(_) => "read".into(),
        Err(e) => e.to_string(),
    }
}

fn changed(change: impl FnOnce(&mut ModelProto)) -> String {
    let mut own = model();
    change(&mut own);
    said(&own)
}

fn nodes(model: &mut ModelProto) -> &mut Vec<NodeProto> {
    &mut model.graph.as_mut().expect("a graph").node
}

fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: Some(key.into()), value: Some(value.into()) }
}

#[test]
fn an_operation_that_is_not_known_is_named_with_all_others() {
    assert_eq!(said(&model()), "read");
    let line = changed(|m| {
        nodes(m)[0].op_type = Some("NonZero".into());
        nodes(m)[1].op_type = Some("Loop".into());
    });
    assert!(line.contains("NonZero (") && line.contains("Loop ("), "{line}");
    let line = changed(|m| nodes(m)[0].domain = Some("com.other".into()));
    assert!(line.contains("com.other::Gemm"), "{line}");
}

#[test]
fn a_folded_weight_is_refused() {
    let line = changed(|m| {
        let graph = m.graph.as_mut().expect("a graph");
        let own = graph.initializer[0].name.replace("onnx::MatMul_7".into()).expect("a name");
        let uses = graph.node.iter_mut().flat_map(|node| &mut node.input);
        uses.filter(|name| **name == own).for_each(|name| *name = "onnx::MatMul_7".into());
    });
    assert!(line.contains("`onnx::MatMul_7`") && line.contains("do_constant_folding"), "{line}");
}

#[test]
fn another_opset_input_or_output_is_refused() {
    let line = changed(|m| m.opset_import[0].version = Some(9));
    assert!(line.contains("opset 9"), "{line}");
    let line = changed(|m| {
        let graph = m.graph.as_mut().expect("a graph");
        graph.input.push(ValueInfoProto { name: Some("second".into()), ..Default::default() });
    });
    assert!(line.contains("takes 2 inputs"), "{line}");
    let line = changed(|m| m.graph.as_mut().expect("a graph").output.clear());
    assert!(line.contains("gives 0 outputs"), "{line}");
    let line = changed(|m| {
        nodes(m).pop();
    });
    assert!(line.contains("no node's"), "{line}");
}

#[test]
fn bytes_that_do_not_fit_are_refused() {
    let line = changed(|m| m.graph.as_mut().expect("a graph").initializer[0].dims[0] = 1 << 40);
    assert!(line.contains("bytes for"), "{line}");
    let line = changed(|m| {
        let tensor = &mut m.graph.as_mut().expect("a graph").initializer[0];
        tensor.data_location = Some(DataLocation::EXTERNAL);
        tensor.external_data.push(entry("location", "../weights"));
    });
    assert!(line.contains("`../weights`") && line.contains("not beside"), "{line}");
    let whole = std::fs::read(golden()).expect("a file");
    for bytes in [&whole[..whole.len() / 2], b"", b"PK\x03\x04 no model", &[0x3a; 40]] {
        assert!(graph::onnx_from_bytes(bytes).is_err());
    }
}

/// Tensors that the exporter keeps in a file beside the graph.
#[test]
fn weights_beside_the_file_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut own = model();
    let tensor = &mut own.graph.as_mut().expect("a graph").initializer[0];
    let raw = tensor.raw_data.take().expect("raw bytes").into_inner();
    std::fs::write(folder.path().join("net.data"), [&[1u8, 2, 3, 4], &raw[..]].concat()).unwrap();
    tensor.data_location = Some(DataLocation::EXTERNAL);
    for (key, value) in
        [("location", "net.data"), ("offset", "4"), ("length", &raw.len().to_string())]
    {
        tensor.external_data.push(entry(key, value));
    }
    let path = folder.path().join("net.onnx");
    std::fs::write(&path, own.write_buf().expect("written")).unwrap();
    assert_eq!(graph::read(&path).map(|net| net.classes()).ok(), Some(2));
    std::fs::write(folder.path().join("net.data"), [0u8; 7]).unwrap();
    let line = graph::read(&path).err().expect("cut").to_string();
    assert!(line.contains("ends behind the end of `net.data`"), "{line}");
}
