//! Every loader on real files, where these are at hand.

mod common;

use std::time::Instant;

use common::data_root;
use datasets::{DatasetError, Kind, LabelKind, Request, Split, open, verify};
use tch::Kind as Type;

fn req(root: &std::path::Path) -> Request<'_> {
    Request { root: Some(root), ..Default::default() }
}

#[test]
fn celeba_round_starts_in_seconds_and_reads_labels_without_images() {
    let Some(root) = data_root("celeba") else { return };
    let start = Instant::now();
    let data = open("celeba", &req(&root)).unwrap();
    assert_eq!([Split::Train, Split::Val, Split::Test].map(|s| data.len(s)), [1600, 200, 200]);
    let males: i64 = (0..1600).map(|id| data.label(Split::Train, id).unwrap()).sum();
    assert!((400..1000).contains(&males), "{males}");
    let ids: Vec<usize> = (0..200).collect();
    let batch = data.batch(Split::Test, &ids).unwrap();
    println!("200 faces after {:.2} s", start.elapsed().as_secs_f64());
    assert!(start.elapsed().as_secs_f64() < 10.0);
    assert_eq!(batch.x.size(), [200, 3, 64, 64]);
    assert_eq!((batch.x.kind(), batch.y.kind()), (Type::Float, Type::Int64));
    assert!(batch.x.min().double_value(&[]) >= 0.0 && batch.x.max().double_value(&[]) <= 1.0);
    let spread = batch.x.std(true).double_value(&[]);
    assert!(spread > 0.1, "{spread}");
    let levels = &batch.x * 255.0;
    assert!((&levels - levels.round()).abs().max().double_value(&[]) < 1e-4);
    assert!((0..200).all(|id| data.identity(Split::Test, id).is_some()));
}

#[test]
fn celeba_takes_any_attribute_and_size() {
    let Some(root) = data_root("celeba") else { return };
    let smiling = Request { label: Some("Smiling"), size: Some(32), limit: Some(5), ..req(&root) };
    let data = open("celeba", &smiling).unwrap();
    assert_eq!(data.len(Split::Train), 5);
    assert_eq!(data.card().class_names, ["not Smiling", "Smiling"]);
    assert_eq!(data.batch(Split::Train, &[4, 0, 4]).unwrap().x.size(), [3, 3, 32, 32]);
    let unknown = open("celeba", &Request { label: Some("smilin"), ..req(&root) }).err().unwrap();
    assert!(unknown.to_string().contains("did you mean `Smiling`?"), "{unknown}");
}

#[test]
fn mnist_is_whole() {
    let Some(root) = data_root("mnist") else { return };
    let data = open("mnist", &req(&root)).unwrap();
    assert_eq!(
        [Split::Train, Split::Val, Split::Test].map(|s| data.len(s)),
        [55_000, 5_000, 10_000]
    );
    // The published first labels of both files.
    let first = |s| (0..5).map(|id| data.label(s, id).unwrap()).collect::<Vec<_>>();
    assert_eq!(first(Split::Train), [5, 0, 4, 1, 9]);
    assert_eq!(first(Split::Test), [7, 2, 1, 0, 4]);
    let ids: Vec<usize> = (0..10_000).collect();
    let mean = data.batch(Split::Test, &ids).unwrap().x.mean(Type::Double).double_value(&[]);
    assert!((mean - 0.1325).abs() < 1e-3, "{mean}");
    assert_eq!(data.batch(Split::Val, &[0]).unwrap().x.size(), [1, 1, 28, 28]);
    let large = open("mnist", &Request { size: Some(32), ..req(&root) }).unwrap();
    assert_eq!(large.batch(Split::Test, &[0]).unwrap().x.size(), [1, 1, 32, 32]);
}

#[test]
fn a_part_of_cifar10_serves() {
    let Some(root) = data_root("cifar10/data_batch_1_first4000.bin") else { return };
    let data = open("cifar10", &req(&root)).unwrap();
    assert_eq!([Split::Train, Split::Val, Split::Test].map(|s| data.len(s)), [3200, 400, 400]);
    // The first record of data_batch_1 is the well-known frog, its first pixel (59, 62, 63).
    assert_eq!(data.label(Split::Train, 0).unwrap(), 6);
    let x = data.batch(Split::Train, &[0]).unwrap().x;
    let pixel = [0, 1, 2].map(|c| (x.double_value(&[0, c, 0, 0]) * 255.0).round());
    assert_eq!(pixel, [59.0, 62.0, 63.0]);
    assert!(data.card().notes.iter().any(|n| n.contains("partial")));
}

#[test]
fn cifar10_class_folders_serve() {
    let Some(root) = data_root("cifar10/cifar10_jpeg.tar.gz") else { return };
    let place = tempfile::tempdir().unwrap();
    let packed = std::fs::File::open(root.join("cifar10/cifar10_jpeg.tar.gz")).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed));
    let wanted =
        |p: &std::path::Path| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("000"));
    std::fs::create_dir(place.path().join("cifar10")).unwrap();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if wanted(&entry.path().unwrap()) {
            entry.unpack_in(place.path().join("cifar10")).unwrap();
        }
    }
    let data = open("cifar10", &req(place.path())).unwrap();
    assert_eq!([Split::Train, Split::Val, Split::Test].map(|s| data.len(s)), [90, 10, 100]);
    let labels: Vec<i64> = (0..10).map(|id| data.label(Split::Test, id).unwrap()).collect();
    assert_eq!(labels, (0..10).collect::<Vec<_>>());
    assert_eq!(data.batch(Split::Train, &[0, 1]).unwrap().x.size(), [2, 3, 32, 32]);
    assert!(verify("cifar10", &req(place.path())).unwrap().is_sound());
}

#[test]
fn medmnist_files_serve_by_set_and_by_name() {
    let Some(root) = data_root("medmnist") else { return };
    let by_set = open("pneumoniamnist", &req(&root)).unwrap();
    assert_eq!([Split::Train, Split::Val, Split::Test].map(|s| by_set.len(s)), [2428, 270, 468]);
    let by_name = open("pneumoniamnist_varun19424.npz", &req(&root)).unwrap();
    assert_eq!([Split::Train, Split::Val, Split::Test].map(|s| by_name.len(s)), [3882, 524, 624]);
    for data in [by_set, by_name] {
        assert_eq!((data.card().classes, data.card().labels), (2, LabelKind::MultiClass));
        let batch = data.batch(Split::Test, &[0, 1]).unwrap();
        assert_eq!((batch.x.size(), batch.y.size()), (vec![2, 1, 28, 28], vec![2]));
    }
    let whole = root.join("medmnist/pneumoniamnist_aksufatih.npz");
    let limited = Request { limit: Some(3), ..Default::default() };
    let data = open(whole.to_str().unwrap(), &limited).unwrap();
    assert_eq!(data.batch(Split::Train, &[2]).unwrap().x.size(), [1, 1, 28, 28]);
    assert!(data.batch(Split::Train, &[3]).is_err());
}

#[test]
fn the_wdbc_file_serves() {
    let Some(root) = data_root("wdbc/wdbc.data") else { return };
    let data = open("wdbc-file", &req(&root)).unwrap();
    assert_eq!(data.card().kind, Kind::Table);
    let lens = [Split::Train, Split::Val, Split::Test].map(|s| data.len(s));
    assert_eq!(lens.iter().sum::<usize>(), 569);
    let ids: Vec<usize> = (0..lens[0]).collect();
    let batch = data.batch(Split::Train, &ids).unwrap();
    assert_eq!(batch.x.size(), [lens[0] as i64, 30]);
    let high = batch.x.amax([0i64].as_slice(), false);
    assert!(high.max().double_value(&[]) < 1.0 && high.min().double_value(&[]) > 0.5);
    let share = batch.y.mean(Type::Double).double_value(&[]);
    assert!((share - 212.0 / 569.0).abs() < 0.01, "{share}");
}

#[test]
fn real_data_verifies() {
    for (name, what) in [
        ("celeba", "celeba"),
        ("mnist", "mnist"),
        ("cifar10", "cifar10"),
        ("pneumoniamnist", "medmnist"),
        ("wdbc-file", "wdbc"),
    ] {
        let Some(root) = data_root(what) else { continue };
        let report = verify(name, &req(&root)).unwrap();
        assert!(report.is_sound(), "{name}: {:?}", report.problems);
        assert!(
            report
                .splits
                .iter()
                .all(|s| s.per_class.iter().sum::<usize>() == s.examples && s.examples > 0)
        );
        println!("{name}: {:?} {:?}", report.splits, report.card.unwrap().notes);
    }
}

#[test]
fn absent_data_say_where_to_put_what() {
    let empty = tempfile::tempdir().unwrap();
    for name in ["celeba", "mnist", "cifar10", "folder", "wdbc-file", "pathmnist"] {
        for root in [None, Some(empty.path())] {
            let fault = open(name, &Request { root, ..Default::default() }).err().unwrap();
            assert!(matches!(fault, DatasetError::Missing { .. }), "{fault}");
            assert!(fault.to_string().contains("below the data folder"), "{fault}");
        }
    }
}
