//! What users get wrong: every fault is one line that names file, place and remedy, and `verify`
//! lists them all.

#[allow(dead_code)]
#[path = "common/files.rs"]
mod files;

use std::path::Path;

use datasets::{Dataset, LabelKind, Request, Split, open, verify};
use files::{celeba, idx, mnist, npz, png, put};
use tempfile::{TempDir, tempdir};

fn req(dir: &TempDir) -> Request<'_> {
    Request { root: Some(dir.path()), ..Default::default() }
}

fn opened(name: &str, dir: &TempDir) -> Box<dyn Dataset> {
    open(name, &req(dir)).unwrap_or_else(|e| panic!("{e}"))
}

/// The message of a failed opening, or else of reading all of train.
fn fault(name: &str, dir: &TempDir) -> String {
    let text = match open(name, &req(dir)) {
        Err(fault) => fault.to_string(),
        Ok(data) => {
            let ids: Vec<usize> = (0..data.len(Split::Train)).collect();
            data.batch(Split::Train, &ids).expect_err("a fault was expected").to_string()
        }
    };
    assert!(!text.contains('\n') && text.contains("; "), "{text}");
    text
}

fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[test]
fn unknown_names_and_impossible_requests() {
    let dir = tempdir().unwrap();
    mnist(dir.path(), 20);
    let fails = |name: &str, req: Request| open(name, &req).err().unwrap().to_string();
    says(&fails("celebA", req(&dir)), &["unknown data set `celebA`", "did you mean `celeba`?"]);
    says(&fails("mnist", Request { limit: Some(0), ..req(&dir) }), &["limit = 0"]);
    says(&fails("mnist", Request { size: Some(0), ..req(&dir) }), &["size 0", "1 to 4096"]);
    says(&fails("mnist", Request { label: Some("Male"), ..req(&dir) }), &["no choice of labels"]);
    says(
        &fails("mnist", Request { root: Some(Path::new("no/such")), ..req(&dir) }),
        &["no/such", "--data"],
    );
    let data = opened("mnist", &dir);
    says(&data.batch(Split::Train, &[18]).unwrap_err().to_string(), &["example 18", "0 to 17"]);
    says(&data.batch(Split::Train, &[]).unwrap_err().to_string(), &["no examples"]);
    says(&data.label(Split::Val, 2).unwrap_err().to_string(), &["val split", "0 to 1"]);
}

#[test]
fn mnist_files() {
    let dir = tempdir().unwrap();
    mnist(dir.path(), 20);
    let x = opened("mnist", &dir).batch(Split::Train, &[1]).unwrap().x;
    let seen: Vec<f64> = [[0, 0], [0, 1], [1, 0], [1, 1]]
        .iter()
        .map(|[r, c]| x.double_value(&[0, 0, *r, *c]))
        .collect();
    assert_eq!(seen, [4, 5, 6, 7].map(|v: u8| f64::from(f32::from(v) / 255.0)));

    put(dir.path(), "mnist/train-images-idx3-ubyte", idx(&[20, 2, 2], &[0; 79]));
    says(
        &fault("mnist", &dir),
        &["train-images", "byte 79", "80 bytes are declared", "get the file again"],
    );
    put(dir.path(), "mnist/train-labels-idx1-ubyte", idx(&[20], &[10; 20]));
    says(&fault("mnist", &dir), &["train-labels", "example 0", "label 10", "0 to 9"]);
    let report = verify("mnist", &req(&dir)).unwrap();
    assert_eq!(report.problems.len(), 2, "{:?}", report.problems);

    put(dir.path(), "mnist/train-labels-idx1-ubyte", idx(&[19], &[1; 19]));
    says(&fault("mnist", &dir), &["19 labels for the 20 images"]);
    put(dir.path(), "mnist/t10k-labels-idx1-ubyte", "<html>404</html>");
    says(&fault("mnist", &dir), &["19 labels", "t10k-labels", "a web page", " | "]);
    put(dir.path(), "mnist/t10k-labels-idx1-ubyte", "RIFF, no index");
    says(&fault("mnist", &dir), &["t10k-labels", "wrong magic"]);
    put(dir.path(), "mnist/t10k-labels-idx1-ubyte", "<html>404</html>");
    assert_eq!(verify("mnist", &req(&dir)).unwrap().problems.len(), 2);
    std::fs::remove_file(dir.path().join("mnist/t10k-labels-idx1-ubyte")).unwrap();
    says(
        &fault("mnist", &dir),
        &["t10k-labels-idx1-ubyte (or .gz) not found", "bench data fetch mnist"],
    );
}

#[test]
fn cifar10_files() {
    let dir = tempdir().unwrap();
    put(dir.path(), "cifar10/data_batch_1.bin", vec![1; 3073 * 30]);
    put(dir.path(), "cifar10/test_batch.bin", vec![2; 3073 * 4]);
    let data = opened("cifar10", &dir);
    assert_eq!([Split::Train, Split::Val, Split::Test].map(|s| data.len(s)), [27, 3, 4]);
    assert_eq!(data.label(Split::Test, 3).unwrap(), 2);
    put(dir.path(), "cifar10/data_batch_2.bin", vec![1; 3072]);
    put(dir.path(), "cifar10/data_batch_3.bin", "");
    says(
        &fault("cifar10", &dir),
        &["data_batch_2.bin", "3072 bytes", "data_batch_3.bin", "get the file again"],
    );
    assert_eq!(verify("cifar10", &req(&dir)).unwrap().problems.len(), 2);
    std::fs::remove_file(dir.path().join("cifar10/data_batch_3.bin")).unwrap();
    put(dir.path(), "cifar10/data_batch_2.bin", vec![11; 3073 * 10]);
    says(&fault("cifar10", &dir), &["data_batch_2.bin", "record 0", "label 11", "0 to 9"]);
}

#[test]
fn celeba_files() {
    let dir = tempdir().unwrap();
    celeba(dir.path());
    let data = opened("celeba", &dir);
    assert_eq!([Split::Train, Split::Val, Split::Test].map(|s| data.len(s)), [2, 1, 1]);
    assert_eq!(data.identity(Split::Test, 0), Some(103));
    assert_eq!(data.label(Split::Train, 1).unwrap(), 1);
    assert!(data.card().notes.is_empty(), "{:?}", data.card().notes);

    let images = "celeba/img_align_celeba/img_align_celeba";
    std::fs::remove_file(dir.path().join(format!("{images}/0.jpg"))).unwrap();
    put(dir.path(), &format!("{images}/1.jpg"), "not an image");
    put(dir.path(), &format!("{images}/3.jpg"), &png(178, 218, [1, 2, 3])[..60]);
    let data = opened("celeba", &dir);
    assert_eq!(data.len(Split::Train), 1);
    assert!(data.card().notes[0].contains("1 images are listed but absent"));
    says(&fault("celeba", &dir), &["1.jpg", "byte 0", "not a PNG"]);
    assert_eq!(verify("celeba", &req(&dir)).unwrap().problems.len(), 2);

    put(dir.path(), "celeba/list_eval_partition.txt", "0.jpg 0\n1.jpg 5\n");
    says(&fault("celeba", &dir), &["list_eval_partition.txt", "line 2", "0 (train)"]);
    put(dir.path(), "celeba/list_attr_celeba.txt", "4\nSmiling\n0.jpg 1\n");
    says(
        &fault("celeba", &dir),
        &["list_attr_celeba.txt", "line 2", "no column `Male`", " | ", "line 2"],
    );
    std::fs::remove_file(dir.path().join("celeba/list_attr_celeba.txt")).unwrap();
    says(
        &fault("celeba", &dir),
        &["list_attr_celeba.csv (or .txt) not found", "put img_align_celeba/"],
    );
}

#[test]
fn class_folders() {
    let dir = tempdir().unwrap();
    for i in 0..20u8 {
        put(dir.path(), &format!("folder/cats/{i:02}.png"), png(9, 7, [i, 0, 0]));
        put(dir.path(), &format!("folder/dogs/{i:02}.png"), png(7, 9, [0, i, 0]));
    }
    let data = opened("folder", &dir);
    assert_eq!([Split::Train, Split::Val, Split::Test].map(|s| data.len(s)), [32, 4, 4]);
    for split in [Split::Train, Split::Val, Split::Test] {
        let dogs: i64 = (0..data.len(split)).map(|id| data.label(split, id).unwrap()).sum();
        assert_eq!(dogs as usize * 2, data.len(split));
    }
    assert_eq!(data.card().class_names, ["cats", "dogs"]);
    assert_eq!(data.batch(Split::Test, &[0]).unwrap().x.size(), [1, 3, 64, 64]);
    let named = open("folder:folder", &Request { size: Some(8), ..req(&dir) }).unwrap();
    assert_eq!(named.batch(Split::Test, &[0, 1, 2]).unwrap().x.size(), [3, 3, 8, 8]);
    assert!(open("folder:nowhere", &req(&dir)).is_err());

    put(dir.path(), "folder/dogs/00.png", "text");
    put(dir.path(), "folder/dogs/19.png", b"\x89PNG\r\n\x1a\n");
    assert_eq!(verify("folder", &req(&dir)).unwrap().problems.len(), 2);
}

#[test]
fn class_folders_with_splits() {
    let dir = tempdir().unwrap();
    for (split, class) in [("train", "a"), ("train", "b"), ("valid", "b"), ("test", "a")] {
        put(dir.path(), &format!("folder/{split}/{class}/1.png"), png(4, 4, [1, 2, 3]));
    }
    let data = opened("folder", &dir);
    assert_eq!([Split::Train, Split::Val, Split::Test].map(|s| data.len(s)), [2, 1, 1]);
    assert_eq!(data.label(Split::Val, 0).unwrap(), 1);
    put(dir.path(), "folder/test/c/1.png", png(4, 4, [1, 2, 3]));
    says(&fault("folder", &dir), &["test/c", "train lacks", "rename or remove"]);
}

#[test]
fn medmnist_files() {
    let dir = tempdir().unwrap();
    let save = |name: &str, arrays: &[(&str, &[usize], &[u8])]| {
        put(dir.path(), &format!("medmnist/{name}.npz"), npz(arrays))
    };
    let grey = [7u8; 2 * 28 * 28];
    let colour = [7u8; 2 * 28 * 28 * 3];
    let mut many = [0u8; 2 * 14];
    (many[3], many[9]) = (1, 1);
    save("chestmnist", &[("train_images", &[2, 28, 28], &grey), ("train_labels", &[2, 14], &many)]);
    let chest = opened("chestmnist", &dir);
    assert_eq!((chest.card().labels, chest.card().classes), (LabelKind::MultiLabel, 14));
    assert_eq!([0, 1].map(|id| chest.label(Split::Train, id).unwrap()), [3, -1]);
    let y = chest.batch(Split::Train, &[0, 1]).unwrap().y;
    assert_eq!((y.size(), y.kind()), (vec![2, 14], tch::Kind::Float));
    assert_eq!(y.sum(tch::Kind::Float).double_value(&[]), 2.0);
    says(
        &chest.batch(Split::Test, &[0]).unwrap_err().to_string(),
        &["the test split is empty", "choose another split"],
    );
    let report = verify("chestmnist", &req(&dir)).unwrap();
    assert!(report.is_sound() && report.splits[0].unlabelled == 1);

    save(
        "retinamnist",
        &[("train_images", &[2, 28, 28, 3], &colour), ("train_labels", &[2, 1], &[0, 4])],
    );
    let retina = opened("retinamnist", &dir);
    assert_eq!(retina.batch(Split::Train, &[1]).unwrap().x.size(), [1, 3, 28, 28]);
    assert!(retina.card().notes.iter().any(|n| n.contains("ordered")));
    save("own", &[("train_images", &[2, 28, 28, 1], &grey), ("train_labels", &[2], &[0, 2])]);
    assert_eq!(opened("own.npz", &dir).card().classes, 3);

    save("pathmnist", &[("train_images", &[2, 28, 28], &grey), ("train_labels", &[2, 1], &[0, 1])]);
    says(
        &fault("pathmnist", &dir),
        &["pathmnist.npz", "array train_images", "1 colour channels, PathMNIST has 3"],
    );
    save("octmnist", &[("train_images", &[2, 28, 28], &grey), ("train_labels", &[2, 1], &[0, 4])]);
    says(&fault("octmnist", &dir), &["array train_labels, example 1", "label 4", "0 to 3"]);
    save(
        "breastmnist",
        &[("train_images", &[2, 28, 28], &grey), ("train_labels", &[3, 1], &[0, 1, 1])],
    );
    says(&fault("breastmnist", &dir), &["shape [3, 1] for 2 images"]);
    save(
        "bloodmnist",
        &[("train_images", &[2, 28], &grey[..56]), ("train_labels", &[2, 1], &[0, 1])],
    );
    says(&fault("bloodmnist", &dir), &["shape [2, 28]", "[n, height, width]"]);
    save("dermamnist", &[("train_images", &[2, 28, 28, 3], &colour)]);
    says(
        &fault("dermamnist", &dir),
        &["array train_labels", "not in the file", "it holds: train_images"],
    );
    save("tissuemnist", &[("train_images", &[0, 28, 28], &[]), ("train_labels", &[0, 1], &[])]);
    says(&fault("tissuemnist", &dir), &["no examples"]);
    put(dir.path(), "medmnist/organamnist.npz", "PK");
    says(&fault("organamnist", &dir), &["organamnist.npz", "zip"]);
}

#[test]
fn wdbc_rows() {
    let dir = tempdir().unwrap();
    let row = |v: usize| {
        format!(
            "1,{},{}",
            if v.is_multiple_of(2) { "M" } else { "B" },
            vec![v.to_string(); 30].join(",")
        )
    };
    let rows: Vec<String> = (0..20).map(row).collect();
    put(dir.path(), "wdbc.data", rows.join("\n"));
    let data = opened("wdbc-file", &dir);
    assert_eq!([Split::Train, Split::Val, Split::Test].map(|s| data.len(s)), [14, 2, 4]);
    put(dir.path(), "wdbc.data", format!("{}\n1,M,x", rows.join("\n")));
    says(&fault("wdbc-file", &dir), &["wdbc.data", "line 21", "3 fields where 32"]);
}

/// Hidden folders are no classes, pictures in folders of a class are its own, and what is not read
/// is counted by reason: no label moves without a word.
#[test]
fn nothing_is_dropped_from_class_folders_in_silence() {
    let dir = tempdir().unwrap();
    for name in [".ipynb_checkpoints/x", "__MACOSX/._y", "cats/1", "cats/deep/2", "dogs/1"] {
        put(dir.path(), &format!("folder/{name}.png"), png(4, 4, [1, 2, 3]));
    }
    put(dir.path(), "folder/dogs/2.webp", "RIFF");
    let data = opened("folder", &dir);
    assert_eq!(data.card().class_names, ["cats", "dogs"]);
    let labels: Vec<i64> = (0..3).map(|id| data.label(Split::Train, id).unwrap()).collect();
    assert_eq!((data.len(Split::Train), labels.iter().sum::<i64>()), (3, 1));
    let notes = data.card().notes.join("\n");
    assert!(notes.contains("1 file of kinds that are not read: webp 1"), "{notes}");
    // A class of which nothing is read would shift the numbers of those behind it.
    put(dir.path(), "folder/birds/1.webp", "RIFF");
    says(&fault("folder", &dir), &["birds", "no picture that is read: webp 1", "PNG or JPEG"]);
    // Neither would one of any other kind, or an empty one.
    for (name, holds) in [("birds/1.dcm", "dcm 1"), ("birds/.hidden", "it is empty")] {
        std::fs::remove_dir_all(dir.path().join("folder/birds")).unwrap();
        put(dir.path(), &format!("folder/{name}"), "bytes");
        says(&fault("folder", &dir), &["birds", "no picture that is read", holds]);
    }
}

/// Two ways in which the folders of a set are not its classes.
#[test]
fn folders_above_the_classes_are_no_classes() {
    let dir = tempdir().unwrap();
    for split in ["Training", "Testing"] {
        for class in ["a", "b"] {
            put(dir.path(), &format!("folder/{split}/{class}/1.png"), png(4, 4, [1, 2, 3]));
            put(dir.path(), &format!("folder/{split}/{class}/2.jfif"), png(4, 4, [1, 2, 3]));
        }
    }
    let data = opened("folder", &dir);
    assert_eq!(data.card().class_names, ["a", "b"]);
    assert_eq!([Split::Train, Split::Test].map(|s| data.len(s)), [4, 4]);
    let wrapped = tempdir().unwrap();
    for class in ["cat", "dog"] {
        put(wrapped.path(), &format!("folder/pets/{class}/1.png"), png(4, 4, [1, 2, 3]));
    }
    says(&fault("folder", &wrapped), &["pets", "the only class", "folder:PATH"]);
}

#[test]
fn names_of_splits_may_differ_in_case() {
    let dir = tempdir().unwrap();
    for (split, count) in [("Train", 2), ("TEST", 3), ("extra", 1)] {
        for i in 0..count {
            put(dir.path(), &format!("folder/{split}/a/{i}.png"), png(4, 4, [1, 2, 3]));
        }
    }
    let data = opened("folder", &dir);
    assert_eq!([Split::Train, Split::Val, Split::Test].map(|s| data.len(s)), [2, 0, 3]);
    let notes = data.card().notes.join("\n");
    assert!(notes.contains("folders beside those of the splits are not read: extra"), "{notes}");
}

#[test]
fn other_files_in_place_of_data_are_called_what_they_are() {
    let dir = tempdir().unwrap();
    let page = "<!DOCTYPE html><html><title>Quota exceeded</title></html>";
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
    for (file, set) in [
        ("wdbc/wdbc.data", "wdbc-file"),
        ("cifar10/data_batch_1.bin", "cifar10"),
        ("medmnist/chestmnist.npz", "chestmnist"),
    ] {
        for (text, what) in [(page, "a web page"), (pointer, "a Git LFS pointer")] {
            put(dir.path(), file, text);
            says(&fault(set, &dir), &[what]);
        }
    }
}
