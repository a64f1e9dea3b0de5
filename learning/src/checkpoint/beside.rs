//! What people keep beside, around and instead of a state dict: files that PyTorch wrote
//! (`tests/golden/checkpoint/make_foreign.py`).

use super::tests::golden;
use super::*;
use tch::Kind;

/// The tensors of a file for a model whose names are those.
fn read(name: &str, fits: &[&str]) -> Result<Contents, String> {
    let known = |shapes: Shapes| {
        fits.is_empty() || shapes.iter().any(|(name, _)| name.is_some_and(|n| fits.contains(&n)))
    };
    let wanted = Wanted { keep: &|_| true, fits: &known };
    read_file(&golden(name), &wanted).map_err(|e| e.to_string())
}

fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).reshape([-1])).unwrap()
}

fn is_state_dict(contents: &Contents) {
    let found: Vec<_> = contents.tensors.iter().map(|(n, t)| (n.as_str(), values(t))).collect();
    let weight = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0].to_vec();
    assert_eq!(found[..2], [("fc.weight", weight), ("fc.bias", [0.5, -0.5].to_vec())]);
    assert!(contents.named);
}

fn passed_over(contents: &Contents) -> Vec<(&str, &str, bool)> {
    let values = contents.passed_over.values.iter();
    values.map(|v| (v.name.as_str(), v.what.as_str(), v.among)).collect()
}

#[test]
fn every_value_beside_the_tensors_is_named() {
    for (file, legacy) in [
        ("foreign_2.pt", false),
        ("foreign_4.pt", false),
        ("foreign_5.pt", false),
        ("foreign_legacy.pt", true),
    ] {
        let contents = read(file, &[]).unwrap();
        is_state_dict(&contents);
        assert_eq!(contents.place.as_deref(), Some("state_dict"));
        let over = passed_over(&contents);
        assert_eq!(over.len(), if legacy { 36 } else { 37 }, "{over:?}");
        for (name, what) in [
            ("args", "argparse.Namespace"),
            ("best", "a NumPy scalar"),
            ("classes", "set"),
            ("color", "__main__.Color"),
            ("complex", "complex"),
            ("device", "torch.device"),
            ("dtype", "torch.float32"),
            ("epoch", "an integer"),
            ("frozen", "frozenset"),
            ("generator", "numpy.random.Generator"),
            ("history", "numpy.ndarray"),
            ("long", "an integer"),
            ("meters", "a dict"),
            ("none", "None"),
            ("optimizer", "a dict"),
            ("options", "__main__.Options"),
            ("pair", "__main__.Pair"),
            ("quantised", "a quantised tensor"),
            ("range", "range"),
            ("rng", "torch.ByteStorage"),
            ("short", "torch.ShortStorage"),
            ("size", "torch.Size"),
            ("slice", "slice"),
            ("sparse", "a sparse tensor"),
            ("took", "datetime.timedelta"),
            ("when", "datetime.datetime"),
            ("wide", "torch.ComplexFloatStorage"),
        ] {
            assert!(over.contains(&(name, what, false)), "{file}: {name} {what}: {over:?}");
        }
        assert!(legacy || over.contains(&("u16", "torch.uint16", false)), "{over:?}");
    }
}

#[test]
fn what_runs_code_refuses_the_file() {
    let said = read("container_evil.pt", &[]).unwrap_err();
    assert!(said.contains("system`, which runs code") && said.contains("nothing"), "{said}");
}

#[test]
fn state_dicts_are_found_where_people_put_them() {
    let deep = read("container_deep.pt", &[]).unwrap();
    is_state_dict(&deep);
    assert_eq!(deep.place.as_deref(), Some("state.model"));
    let over = [("loss", "a tensor of []", false), ("state.step", "an integer", false)];
    let mut found = passed_over(&deep);
    found.sort_unstable();
    assert_eq!(found, over);
    let subclass = read("container_subclass.pt", &[]).unwrap();
    is_state_dict(&subclass);
    assert_eq!(passed_over(&subclass), [("loss", "a tensor of []", false)]);
    is_state_dict(&read("container_twice.pt", &[]).unwrap());
    is_state_dict(&read("container_tagged.pt", &[]).unwrap());
}

#[test]
fn one_of_two_sets_is_taken_only_where_one_fits() {
    let said = read("container_two.pt", &[]).unwrap_err();
    assert!(said.contains("`model`, `net`") && said.contains("[\"model\"]"), "{said}");
    let said = read("container_others.pt", &[]).unwrap_err();
    assert!(said.contains("`student`, `teacher`"), "{said}");
    let student = read("container_others.pt", &["fc.bias"]).unwrap();
    is_state_dict(&student);
    assert_eq!(passed_over(&student), [("teacher", "a dict", false)]);
    let teacher = read("container_others.pt", &["head.weight"]).unwrap();
    assert_eq!(teacher.place.as_deref(), Some("teacher"));
}

#[test]
fn a_list_of_tensors_has_no_names() {
    for file in ["container_list.pt", "container_numbers.pt"] {
        let list = read(file, &[]).unwrap();
        assert!(!list.named && passed_over(&list).is_empty());
        assert_eq!(values(&list.tensors[1].1), [0.5, -0.5], "{file}");
    }
    let said = load(&golden("container_list.pt")).unwrap_err().to_string();
    assert!(said.contains("a list of tensors without names"), "{said}");
}

#[test]
fn an_array_among_the_tensors_is_said_to_stand_there() {
    let contents = read("container_array.pt", &[]).unwrap();
    assert_eq!(contents.tensors.len(), 1);
    assert_eq!(passed_over(&contents), [("fc.weight", "numpy.ndarray", true)]);
}

#[test]
fn zips_of_any_kind_are_read_and_checked() {
    for kind in ["plain", "deflated", "no_crc", "rootless"] {
        is_state_dict(&read(&format!("container_{kind}.pt"), &[]).unwrap());
    }
    let said = read("container_bzip2.pt", &[]).unwrap_err();
    assert!(said.contains("compressed by Bzip2, not deflate"), "{said}");
    let said = read("container_flipped.pt", &[]).unwrap_err();
    assert!(said.contains("entry `container_plain/data/0`: its CRC-32"), "{said}");
    assert!(said.ends_with("fetch or save it again"), "{said}");
    let big = read("container_big.pt", &[]).unwrap();
    is_state_dict(&big);
    assert_eq!(values(&big.tensors[2].1), [1.5]);
    assert_eq!(values(&big.tensors[3].1), [3.0]);
}

#[test]
fn a_zip_that_is_none_of_torch_save_says_what_it_holds() {
    let zip = |name: &str| {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.finish().unwrap().into_inner()
    };
    for (name, says) in [
        ("arr_0.npy", "give the file the ending .npz"),
        ("model.safetensors", "it holds `model.safetensors`; unzip it"),
        ("net/models/model.json", "give it with --model"),
    ] {
        let said = from_bytes(&zip(name), Path::new("w.pt")).unwrap_err().to_string();
        assert!(said.contains(says), "{said}");
    }
    let whole = std::fs::read(golden("container_plain.pt")).unwrap();
    let said = from_bytes(&whole[..whole.len() - 200], Path::new("w.pt")).unwrap_err().to_string();
    assert!(said.contains("directory, which stands at its end, is cut off"), "{said}");
}

#[test]
fn kinds_that_are_no_parameters_are_passed_over() {
    let header = concat!(
        r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"#,
        r#""q":{"dtype":"U8","shape":[2],"data_offsets":[4,6]},"#,
        r#""r":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[6,8]}}"#
    );
    let length = (header.len() as u64).to_le_bytes();
    let bytes = [&length[..], header.as_bytes(), &1f32.to_le_bytes(), &[0; 4]].concat();
    let wanted = Wanted { keep: &|_| true, fits: &|_| true };
    let contents = parse(&bytes, &wanted).unwrap();
    assert_eq!(values(&contents.tensors[0].1), [1.0]);
    assert_eq!(passed_over(&contents), [("q", "U8", true), ("r", "F8_E4M3", true)]);
}
