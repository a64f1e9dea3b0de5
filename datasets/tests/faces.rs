//! Faces by person and by several attributes: RecordIO read where it lies, CelebA, and which split
//! holds whom.

mod common;
#[allow(dead_code)]
#[path = "common/files.rs"]
mod files;

use std::collections::BTreeSet;
use std::path::Path;

use common::data_root;
use datasets::{Dataset, DatasetError, LabelKind, Request, Split, open, verify};
use files::{jpeg, npz, put, recordio};
use tempfile::{TempDir, tempdir};

const SPLITS: [Split; 3] = [Split::Train, Split::Val, Split::Test];

fn req<'a>(root: &'a Path, label: Option<&'a str>) -> Request<'a> {
    Request { root: Some(root), label, ..Default::default() }
}

fn opened(name: &str, req: &Request) -> Box<dyn Dataset> {
    open(name, req).unwrap_or_else(|e| panic!("{e}"))
}

fn persons(data: &dyn Dataset, split: Split) -> BTreeSet<u64> {
    (0..data.len(split)).map(|id| data.identity(split, id).unwrap()).collect()
}

/// The red of a picture of one colour says who is in it.
fn red(data: &dyn Dataset, split: Split, id: usize) -> u64 {
    (data.batch(split, &[id]).unwrap().x.double_value(&[0, 0, 4, 4]) * 255.0 / 9.0).round() as u64
}

/// Twenty persons 100, 103, ... of ten images each, in an order that is neither that of keys nor of
/// persons.
fn twenty() -> TempDir {
    let dir = tempdir().unwrap();
    let at = |i: u64| (i * 77 + 5) % 200;
    let one =
        |i| (at(i), (100 + 3 * (at(i) / 10)) as f32, jpeg(16, [(at(i) / 10 * 9) as u8, 99, 99]));
    let (rec, idx) = recordio(&(0..200).map(one).collect::<Vec<_>>());
    put(dir.path(), "faces/train.rec", rec);
    put(dir.path(), "faces/train.idx", idx);
    dir
}

#[test]
fn a_record_file_is_a_closed_set_and_persons_it_never_sees() {
    let dir = twenty();
    let name = "recordio:faces/train.rec";
    let data = opened(name, &req(dir.path(), None));
    assert_eq!(SPLITS.map(|s| data.len(s)), [18 * 7, 18, 18 * 2]);
    assert_eq!((data.card().classes, data.card().class_names[1].as_str()), (18, "103"));
    for split in SPLITS {
        for id in 0..data.len(split) {
            let (class, who) =
                (data.label(split, id).unwrap() as usize, data.identity(split, id).unwrap());
            assert_eq!(data.card().class_names[class], who.to_string());
            assert_eq!(red(data.as_ref(), split, id), (who - 100) / 3);
        }
    }
    let other = opened(name, &req(dir.path(), Some("unseen")));
    assert_eq!(SPLITS.map(|s| other.len(s)), [0, 0, 20]);
    assert_eq!(persons(other.as_ref(), Split::Test), BTreeSet::from([127, 157]));
    assert_eq!(other.batch(Split::Test, &[0, 19]).unwrap().y.int64_value(&[1]), 1);
    assert!(persons(data.as_ref(), Split::Train).is_disjoint(&BTreeSet::from([127, 157])));
    assert_eq!(other.batch(Split::Test, &[0]).unwrap().x.size(), [1, 3, 112, 112]);
    let few = opened(name, &Request { limit: Some(15), size: Some(8), ..req(dir.path(), None) });
    assert_eq!((few.len(Split::Train), few.card().classes), (15, 3));
    assert!((0..few.len(Split::Test)).all(|id| few.label(Split::Test, id).unwrap() < 3));
    assert_eq!(few.batch(Split::Train, &[0]).unwrap().x.size(), [1, 3, 8, 8]);
}

#[test]
fn a_small_real_file_serves_and_says_that_it_is_too_small() {
    let Some(root) = data_root("recordio/train.rec") else { return };
    let data = opened("casia-webface", &req(&root, None));
    assert_eq!(SPLITS.map(|s| data.len(s)), [6, 0, 2]);
    assert_eq!(data.card().class_names, ["man", "woman"]);
    assert!(
        data.card().notes.iter().any(|n| n.contains("only 2 persons")),
        "{:?}",
        data.card().notes
    );
    assert!(verify("casia-webface", &req(&root, None)).unwrap().is_sound());
    let fault = open("casia-webface", &req(&root, Some("unseen"))).err().unwrap().to_string();
    assert!(fault.contains("only 2 persons") && fault.contains("10 persons or more"), "{fault}");
}

#[test]
fn faults_of_record_files_are_one_line() {
    let dir = twenty();
    let fails = |name: &str, label| {
        let text = open(name, &req(dir.path(), label)).err().unwrap().to_string();
        assert!(!text.contains('\n') && text.contains("; "), "{text}");
        text
    };
    assert!(fails("recordio:faces/no.rec", None).contains("no.rec"));
    assert!(
        fails("recordio:faces/train.rec", Some("identty")).contains("did you mean `identity`?")
    );
    assert!(fails("casia-webface", None).contains("casia-webface/ below the data folder"));
    // Two records are damaged after the fact: left out, and named by `verify`.
    let rec = dir.path().join("faces/train.rec");
    let mut bytes = std::fs::read(&rec).unwrap();
    bytes[0] = 0;
    let end = bytes.len() - 40;
    bytes[end..].fill(0);
    std::fs::write(&rec, bytes).unwrap();
    let report = verify("recordio:faces/train.rec", &req(dir.path(), None)).unwrap();
    let text: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    assert!(text.len() == 2 && text.iter().all(|t| t.contains("train.rec: record ")), "{text:?}");
    assert!(report.card.unwrap().notes.iter().any(|n| n.contains("2 records cannot be used")));
}

/// Damage in the middle shows only when the picture is decoded: it is named, and the way out that
/// is named is one.
#[test]
fn a_record_that_cannot_be_decoded_is_named_and_can_be_left_out() {
    let dir = twenty();
    let name = "recordio:faces/train.rec";
    let index = dir.path().join("faces/train.idx");
    let lines = std::fs::read_to_string(&index).unwrap();
    let (key, at) = lines.lines().nth(30).unwrap().split_once('\t').unwrap();
    let rec = dir.path().join("faces/train.rec");
    let mut bytes = std::fs::read(&rec).unwrap();
    // Behind the record's head and the JPEG's first marker: the next segment gets an impossible
    // length.
    let from = at.parse::<usize>().unwrap() + 32 + 4;
    bytes[from..from + 2].copy_from_slice(&[0, 0]);
    std::fs::write(&rec, bytes).unwrap();
    let problems = verify(name, &req(dir.path(), None)).unwrap().problems;
    let text = problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    let says = format!("remove the line of key {key} from ");
    assert!(
        text.len() == 1 && text[0].contains(&format!("record {key} at byte {at}, image data")),
        "{text:?}"
    );
    assert!(text[0].contains(&says) && text[0].contains("train.idx"), "{text:?}");
    let others: String = lines
        .lines()
        .filter(|l| !l.starts_with(&format!("{key}\t")))
        .map(|l| format!("{l}\n"))
        .collect();
    std::fs::write(&index, others).unwrap();
    assert!(verify(name, &req(dir.path(), None)).unwrap().is_sound());
}

/// Twelve faces: four of person 9 and five of person 3 in the train part, three of person 5 in the
/// test part.
fn small_celeba(identities: bool) -> TempDir {
    let dir = tempdir().unwrap();
    let (mut marks, mut parts, mut who) =
        ("12\nMale Smiling Young\n".to_string(), String::new(), String::new());
    for i in 0..12 {
        let person = if i >= 9 {
            5
        } else if i % 2 == 0 {
            3
        } else {
            9
        };
        put(
            dir.path(),
            &format!("celeba/img_align_celeba/{i}.jpg"),
            jpeg(20, [person as u8 * 9, 0, 0]),
        );
        marks += &format!(
            "{i}.jpg {} {} -1\n",
            if i % 2 == 0 { 1 } else { -1 },
            if i > 5 { 1 } else { -1 }
        );
        parts += &format!("{i}.jpg {}\n", if i >= 9 { 2 } else { 0 });
        who += &format!("{i}.jpg {person}\n");
    }
    put(dir.path(), "celeba/list_attr_celeba.txt", marks);
    put(dir.path(), "celeba/list_eval_partition.txt", parts);
    if identities {
        put(dir.path(), "celeba/identity_CelebA.txt", who);
    }
    dir
}

#[test]
fn celeba_serves_all_attributes_at_once() {
    let dir = small_celeba(false);
    let data = opened("celeba", &req(dir.path(), Some("attributes")));
    assert_eq!((data.card().labels, data.card().classes), (LabelKind::MultiLabel, 3));
    assert_eq!(data.card().class_names, ["Male", "Smiling", "Young"]);
    let y = data.batch(Split::Train, &[8, 7, 1]).unwrap().y;
    assert_eq!((y.size(), y.kind()), (vec![3, 3], tch::Kind::Float));
    let flat: Vec<f64> = Vec::try_from(y.to_kind(tch::Kind::Double).reshape([-1])).unwrap();
    assert_eq!(flat, [1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    let labels = [8, 7, 1].map(|id| data.label(Split::Train, id).unwrap());
    assert_eq!(labels, [0, 1, -1]);
}

#[test]
fn celeba_serves_persons() {
    let dir = small_celeba(true);
    let data = opened("celeba", &req(dir.path(), Some("identity")));
    assert_eq!((SPLITS.map(|s| data.len(s)), data.card().classes), ([7, 0, 2], 2));
    assert_eq!(data.card().class_names, ["3", "9"]);
    for split in [Split::Train, Split::Test] {
        assert_eq!(persons(data.as_ref(), split), BTreeSet::from([3, 9]));
        for id in 0..data.len(split) {
            assert_eq!(red(data.as_ref(), split, id), data.identity(split, id).unwrap());
            assert_eq!(
                data.label(split, id).unwrap(),
                i64::from(data.identity(split, id) == Some(9))
            );
        }
    }
    let other = opened("celeba", &req(dir.path(), Some("unseen")));
    assert_eq!((SPLITS.map(|s| other.len(s)), other.card().classes), ([0, 0, 3], 1));
    let fault = open("celeba", &req(small_celeba(false).path(), Some("identity"))).err().unwrap();
    assert!(
        matches!(fault, DatasetError::Missing { .. })
            && fault.to_string().contains("identity_CelebA.txt")
    );
}

#[test]
fn real_celeba_serves_forty_attributes_and_persons() {
    let Some(root) = data_root("celeba") else { return };
    let all = opened("celeba", &req(&root, Some("attributes")));
    assert_eq!(all.batch(Split::Test, &[0, 1, 2]).unwrap().y.size(), [3, 40]);
    let males = opened("celeba", &req(&root, None));
    let ids: Vec<usize> = (0..200).collect();
    let (marks, male) =
        (all.batch(Split::Test, &ids).unwrap().y, males.batch(Split::Test, &ids).unwrap().y);
    assert!(marks.select(1, 20).to_kind(tch::Kind::Int64).equal(&male));
    let closed = opened("celeba", &req(&root, Some("identity")));
    let unseen = opened("celeba", &req(&root, Some("unseen")));
    println!("{:?} {:?}", SPLITS.map(|s| closed.len(s)), closed.card().classes);
    assert!(
        persons(closed.as_ref(), Split::Test).is_subset(&persons(closed.as_ref(), Split::Train))
    );
    assert!(
        persons(unseen.as_ref(), Split::Test).is_disjoint(&persons(closed.as_ref(), Split::Train))
    );
}

#[test]
fn a_size_between_two_files_takes_the_larger_and_enlarging_is_said() {
    let dir = tempdir().unwrap();
    let file = |side: usize| {
        let pixels = vec![side as u8; 2 * side * side];
        let shape = [2, side, side];
        npz(&[("train_images", &shape, &pixels), ("train_labels", &[2, 1], &[0, 1])])
    };
    put(dir.path(), "medmnist/breastmnist.npz", file(28));
    put(dir.path(), "medmnist/breastmnist_64.npz", file(64));
    put(dir.path(), "medmnist/breastmnist_128.npz", file(128));
    for (size, read) in [
        (None, 28),
        (Some(16), 28),
        (Some(28), 28),
        (Some(48), 64),
        (Some(64), 64),
        (Some(65), 128),
        (Some(200), 128),
    ] {
        let data = opened("breastmnist", &Request { size, ..req(dir.path(), None) });
        let value = data.batch(Split::Train, &[0]).unwrap().x.double_value(&[0, 0, 0, 0]) * 255.0;
        assert_eq!(value.round() as usize, read, "{size:?}");
        let told =
            data.card().notes.iter().any(|n| n.contains("128x128 pixels are enlarged to 200x200"));
        assert_eq!(told, size == Some(200), "{:?}", data.card().notes);
    }
}
