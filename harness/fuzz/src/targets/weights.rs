//! Weights and updates: what must hold of checkpoints, arrays and model files on any bytes.

use std::path::Path;
use std::sync::LazyLock;

use federation::Registries;
use learning::checkpoint;
use suites::foreign::limits;

use crate::{Target, on_disk, samples};

/// Targets of this room.
pub(super) static TARGETS: &[Target] = &[
    Target {
        name: "exported_program",
        limit: &limits::CHECKPOINT,
        check: read_program,
        samples: samples::programs,
    },
    Target {
        name: "onnx_program",
        limit: &limits::CHECKPOINT,
        check: read_onnx,
        samples: samples::onnx_programs,
    },
    Target {
        name: "checkpoint",
        limit: &limits::CHECKPOINT,
        check: read_checkpoint,
        samples: samples::checkpoints,
    },
    Target {
        name: "numpy_pickle",
        limit: &limits::CHECKPOINT,
        check: numpy_pickle,
        samples: samples::numpy_pickles,
    },
    Target {
        name: "model_file",
        limit: &limits::CHECKPOINT,
        check: model_file,
        samples: samples::model_files,
    },
    Target {
        name: "lpips_package",
        limit: &limits::CHECKPOINT,
        check: lpips_package,
        samples: samples::packages,
    },
];

/// A network from any bytes has an input and an output.
fn read_program(bytes: &[u8]) {
    let Ok(found) = learning::graph::from_bytes(bytes) else { return };
    assert!(found.classes() > 0 && found.input().iter().all(|&n| n > 0));
}

fn read_onnx(bytes: &[u8]) {
    let Ok(found) = learning::graph::onnx_from_bytes(bytes) else { return };
    assert!(found.classes() > 0 && found.input().iter().all(|&n| n > 0));
}

/// safetensors, and what `torch.save` writes: zip and legacy pickles. Captured updates are such.
fn read_checkpoint(bytes: &[u8]) {
    let Ok(tensors) = checkpoint::from_bytes(bytes, Path::new("input")) else { return };
    // Entries of a zip may be compressed.
    let zip = bytes.starts_with(b"PK");
    let most = if zip { limits::CHECKPOINT.most(bytes.len() as u64) as usize } else { bytes.len() };
    for (name, tensor) in tensors {
        let size = tensor.numel() * tensor.kind().elt_size_in_bytes();
        assert!(size <= most, "{name}: {size} bytes from a file of {}", bytes.len());
    }
}

/// Pickled dicts of NumPy arrays.
fn numpy_pickle(bytes: &[u8]) {
    let Ok(arrays) = checkpoint::arrays_from_bytes(bytes, Path::new("input")) else { return };
    assert!(!arrays.is_empty());
}

/// A model of `bench train`: its description, the architecture that it names, its tensors. The
/// input stands in for the description of a sound file, and for a whole file.
fn model_file(bytes: &[u8]) {
    static REGISTRIES: LazyLock<Registries> = LazyLock::new(Registries::builtin);
    let read = |path: &Path| {
        if let Ok(found) = federation::model_file::open(&REGISTRIES, path) {
            assert_eq!(found.classes().len(), found.card.classes);
        }
    };
    on_disk("model.safetensors", bytes, read);
    if let Some(file) = samples::described(bytes) {
        on_disk("model.safetensors", &file, read);
    }
}

/// The package of LPIPS: tar of pickles, gzipped or one of its files.
fn lpips_package(bytes: &[u8]) {
    let folder = std::env::temp_dir().join("never-written");
    for name in ["package.tar.gz", "alexnet.ckpt"] {
        on_disk(name, bytes, |path| {
            assert!(metrics::lpips::import(path, &folder, &[]).is_err(), "no input is a network");
        });
    }
}
