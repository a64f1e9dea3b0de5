//! Against files that PyTorch wrote (`tests/golden/checkpoint`, with the script that made them).

use super::*;
use std::collections::BTreeMap;
use tch::{Device, Kind};

pub(super) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/checkpoint").join(name)
}

fn golden_map(name: &str) -> BTreeMap<String, Tensor> {
    load(&golden(name)).unwrap_or_else(|e| panic!("{e}")).into_iter().collect()
}

fn assert_same(got: &BTreeMap<String, Tensor>, want: &BTreeMap<String, Tensor>) {
    assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>());
    for (name, tensor) in got {
        assert_eq!(tensor.kind(), want[name].kind(), "{name}");
        assert_eq!(tensor.size(), want[name].size(), "{name}");
        assert!(tensor.equal(&want[name]), "{name}");
    }
}

#[test]
fn every_container_yields_what_torch_saved() {
    let want = golden_map("expected.safetensors");
    assert_eq!(want.len(), 19);
    for name in ["plain_zip.pt", "plain_legacy.pt", "protocol4_zip.pt", "protocol4_legacy.pt"] {
        assert_same(&golden_map(name), &want);
    }
}

#[test]
fn nested_state_dicts_are_found() {
    let want = golden_map("expected.safetensors");
    assert_same(&golden_map("nested_zip.pt"), &want);
    assert_same(&golden_map("nested_legacy.pt"), &want);
}

#[test]
fn parameters_are_tensors() {
    let want = golden_map("expected.safetensors");
    for name in ["parameters_zip.pt", "parameters_legacy.pt"] {
        let got = golden_map(name);
        assert_eq!(got.len(), 6);
        assert!(got.iter().all(|(name, tensor)| tensor.equal(&want[name])));
    }
}

#[test]
fn order_is_that_of_the_state_dict() {
    let names: Vec<_> =
        load(&golden("plain_zip.pt")).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names[..3], ["0.weight", "0.bias", "1.weight"]);
}

#[test]
fn reads_the_files_of_python_2() {
    let heads = golden_map("python2_legacy.pth");
    let sizes: Vec<_> = heads.values().map(|t| t.size()[1]).collect();
    assert_eq!(sizes, [64, 192, 384, 256, 256]);
    // The first value as torch.load reads it.
    let first = heads["lin0.model.1.weight"].double_value(&[0, 0, 0, 0]);
    assert!((first - 3.787_995_410_675_648_6e-6).abs() < 1e-18, "{first}");
}

#[test]
fn reads_the_heads_of_lpips() {
    let root = std::env::var_os("BENCH_TEST_DATA").map(PathBuf::from);
    let root =
        root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    let folder = root.join("lpips/weights_v0.1");
    if !folder.is_dir() {
        println!("skipped: no {}", folder.display());
        return;
    }
    for (file, tensors) in [("alex.pth", 5), ("vgg.pth", 5), ("squeeze.pth", 7)] {
        assert_eq!(load(&folder.join(file)).unwrap().len(), tensors);
    }
}

#[test]
fn only_what_is_asked_for_is_built() {
    for name in ["plain_zip.pt", "plain_legacy.pt", "expected.safetensors"] {
        let some = load_where(&golden(name), |name| name.starts_with("3.")).unwrap();
        assert_eq!(some.len(), 2, "{name}");
    }
}

#[test]
fn refusals_name_what_they_refuse() {
    for (file, word) in [
        ("refused_module_zip.pt", "torch.nn.modules.container.Sequential"),
        ("refused_uint8_zip.pt", "torch.ByteStorage"),
        ("refused_uint8_legacy.pt", "torch.ByteStorage"),
        ("refused_expanded_zip.pt", "`w`: larger than its storage"),
        ("refused_expanded_legacy.pt", "`w`: larger than its storage"),
    ] {
        let message = load(&golden(file)).unwrap_err().to_string();
        assert!(
            message.contains(word) && message.contains(file) && !message.contains('\n'),
            "{message}"
        );
    }
}

#[test]
fn code_is_never_run() {
    let program = b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.";
    let mut bytes = std::fs::read(golden("plain_legacy.pt")).unwrap();
    let mut at = 0;
    // Magic, version and machine come first.
    for _ in 0..3 {
        at = pickle::Machine::new(&bytes, at).run().unwrap().1;
    }
    bytes.splice(at.., program.iter().copied());
    let message = from_bytes(&bytes, Path::new("evil.pt")).unwrap_err().to_string();
    assert!(message.contains("`os.system`, which runs code"), "{message}");
}

#[test]
fn accidents_have_their_own_words() {
    for (bytes, word) in [
        (&b""[..], "empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!DOCTYPE html>", "web page"),
        (b"\x80\x02]q\x00.", "not one of torch.save"),
    ] {
        let message = from_bytes(bytes, Path::new("w.pth")).unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
    }
    let message = load(Path::new("no-such-file.pt")).unwrap_err().to_string();
    assert!(message.starts_with("no-such-file.pt: "), "{message}");
}

#[test]
fn a_truncated_file_is_an_error_at_every_length() {
    for name in ["plain_zip.pt", "plain_legacy.pt", "expected.safetensors"] {
        let bytes = std::fs::read(golden(name)).unwrap();
        for end in (0..bytes.len()).step_by(7) {
            assert!(from_bytes(&bytes[..end], Path::new(name)).is_err(), "{name} cut at {end}");
        }
    }
}

#[test]
fn safetensors_round_trip() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let want = golden_map("plain_zip.pt");
    let strided = Tensor::arange(6, (Kind::Float, Device::Cpu)).view([2, 3]).transpose(0, 1);
    let mut list: Vec<_> = want.into_iter().collect();
    list.push(("strided".into(), strided));
    save_safetensors(&path, &list).unwrap();
    let got: BTreeMap<_, _> = load(&path).unwrap().into_iter().collect();
    assert_same(&got, &list.into_iter().collect());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file was left");
}

#[test]
fn a_safetensors_header_may_begin_like_a_pickle() {
    // Names are padded until the header's length ends in 0x80, the first byte of every pickle.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let tensor = Tensor::ones([2], (Kind::Float, Device::Cpu));
    let file = (0..256).find_map(|n| {
        save_safetensors(&path, &[("w".repeat(n + 1), tensor.shallow_clone())]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        (bytes[0] == 0x80).then_some(bytes)
    });
    assert!(from_bytes(&file.unwrap(), &path).unwrap()[0].1.equal(&tensor));
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let one = || Tensor::ones([1], (Kind::Float, Device::Cpu));
    let twice = [("a".to_string(), one()), ("a".to_string(), one())];
    assert!(
        save_safetensors(&path, &twice).unwrap_err().to_string().contains("two tensors named `a`")
    );
    let complex = [("c".to_string(), Tensor::ones([1], (Kind::ComplexFloat, Device::Cpu)))];
    assert!(save_safetensors(&path, &complex).unwrap_err().to_string().contains("ComplexFloat"));
    let nowhere = folder.path().join("absent/w.safetensors");
    assert!(matches!(
        save_safetensors(&nowhere, &[("a".into(), one())]),
        Err(CheckpointError::Io { .. })
    ));
    assert!(!path.exists());
}
