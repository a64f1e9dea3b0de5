//! Checkpoints, pickles and model files.

use std::path::Path;
use std::sync::LazyLock;

use federation::Registries;
use federation::randomness::Draws;
use flate2::Compression;
use flate2::write::GzEncoder;
use learning::Params;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// Networks as PyTorch exports them, the small ones.
pub fn programs() -> Vec<Vec<u8>> {
    let files: [&[u8]; 3] = [
        include_bytes!("../../../../learning/tests/golden/graphs/mlp.pt2"),
        include_bytes!("../../../../learning/tests/golden/graphs/signal.pt2"),
        include_bytes!("../../../cli/tests/golden/own-model/digits-1.pt2"),
    ];
    files.map(<[u8]>::to_vec).into()
}

/// The same as ONNX, by both exporters of PyTorch and by tf2onnx.
pub fn onnx_programs() -> Vec<Vec<u8>> {
    let files: [&[u8]; 4] = [
        include_bytes!("../../../../learning/tests/golden/graphs/onnx/mlp-script.onnx"),
        include_bytes!("../../../../learning/tests/golden/graphs/onnx/mixed-script.onnx"),
        include_bytes!("../../../../learning/tests/golden/graphs/onnx/signal-dynamo.onnx"),
        include_bytes!("../../../../learning/tests/golden/graphs/keras.onnx"),
    ];
    files.map(<[u8]>::to_vec).into()
}

/// Golden checkpoints of every form, the small ones.
pub fn checkpoints() -> Vec<Vec<u8>> {
    let files: [&[u8]; 9] = [
        include_bytes!("../../../../learning/tests/golden/checkpoint/expected.safetensors"),
        include_bytes!("../../../../learning/tests/golden/checkpoint/parameters_legacy.pt"),
        include_bytes!("../../../../learning/tests/golden/checkpoint/parameters_zip.pt"),
        include_bytes!("../../../../learning/tests/golden/checkpoint/nested_legacy.pt"),
        include_bytes!("../../../../learning/tests/golden/checkpoint/protocol4_legacy.pt"),
        include_bytes!("../../../../learning/tests/golden/checkpoint/refused_expanded_legacy.pt"),
        include_bytes!("../../../../learning/tests/golden/checkpoint/refused_uint8_zip.pt"),
        include_bytes!("../../../../learning/tests/golden/checkpoint/container_deflated.pt"),
        include_bytes!("../../../../learning/tests/golden/checkpoint/foreign_legacy.pt"),
    ];
    files.map(<[u8]>::to_vec).into()
}

/// A dict of one array, as NumPy pickles it.
fn array() -> Vec<u8> {
    let parts: [&[u8]; 8] = [
        b"\x80\x02}(X\x09\0\0\0AlexNet_0}(X\x06\0\0\0Conv_0}(X\x04\0\0\0bias",
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R",
        b"(K\x01K\x02\x85cnumpy\ndtype\nX\x02\0\0\0f4K\0K\x01\x87R",
        b"(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb",
        b"\x89C\x08",
        b"\0\0\x80?\0\0\0@",
        b"tb",
        b"uuu.",
    ];
    parts.concat()
}

/// Pickles of arrays.
pub fn numpy_pickles() -> Vec<Vec<u8>> {
    vec![array(), checkpoints().swap_remove(1)]
}

/// A package of such pickles: its tar, gzipped, and one of its files.
pub fn packages() -> Vec<Vec<u8>> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(array().len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "models/alexnet.ckpt", array().as_slice()).expect("memory");
    vec![tar.into_inner().and_then(GzEncoder::finish).expect("memory"), array()]
}

/// Where a model file's header ends, its header, and what follows.
fn whole() -> &'static (Value, Vec<u8>) {
    static WHOLE: LazyLock<(Value, Vec<u8>)> = LazyLock::new(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.safetensors");
        write(&path);
        let bytes = std::fs::read(path).expect("a file");
        let length = u64::from_le_bytes(*bytes.first_chunk().expect("eight bytes")) as usize;
        let header = serde_json::from_slice(&bytes[8..8 + length]).expect("JSON");
        (header, bytes[8 + length..].to_vec())
    });
    &WHOLE
}

/// A logistic regression on the embedded table, all zeros.
fn write(path: &Path) {
    let registries = Registries::builtin();
    let spec = suites::train::load("wdbc-logistic", None, &[]).expect("a shipped task").spec;
    let data = federation::init::open(&registries, &spec.task, 0, None);
    let data = data.expect("an embedded table");
    let net = federation::init::network(&registries, &spec.model, data.card()).expect("a model");
    let zeros = net.layout().specs().iter().map(|p| {
        let shape = [&[1], p.shape.as_slice()].concat();
        Tensor::zeros(&shape[..], (Kind::Float, Device::Cpu))
    });
    let params = Params::new(net.layout().clone(), zeros.collect()).expect("the model's shapes");
    federation::model_file::write(path, &params, &spec, Draws::Seeded, 1, data.card())
        .expect("a file");
}

/// A model file that says `description` of itself; `None` for what is no text.
pub fn described(description: &[u8]) -> Option<Vec<u8>> {
    let (header, tensors) = whole();
    let mut header = header.clone();
    header["__metadata__"]["bench"] = std::str::from_utf8(description).ok()?.into();
    let mut text = serde_json::to_vec(&header).ok()?;
    text.resize(text.len().next_multiple_of(8), b' ');
    Some([&(text.len() as u64).to_le_bytes()[..], &text, tensors].concat())
}

/// A description, and the whole file.
pub fn model_files() -> Vec<Vec<u8>> {
    let words = whole().0["__metadata__"]["bench"].as_str().unwrap_or_default().as_bytes().to_vec();
    let file = described(&words);
    [Some(words), file].into_iter().flatten().collect()
}
