//! Determinism, identities, attributes. What faces look like is seen with `cargo run --release -p
//! datasets --example contact-sheet`.

use std::collections::BTreeMap;

use suites::Split;

use super::{ATTRIBUTES, PER_PERSON, attributes, open};
use crate::dataset::SPLITS;
use crate::{Dataset, Request};

fn faces(seed: u64, limit: usize) -> Box<dyn Dataset> {
    open(&Request { seed, limit: Some(limit), ..Request::default() }).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_faces_in_any_batch() {
    let (a, b) = (faces(7, 40), faces(7, 9));
    let whole = a.batch(Split::Train, &[2, 8, 5]).unwrap();
    let one = b.batch(Split::Train, &[5]).unwrap();
    assert!(whole.x.get(2).equal(&one.x.get(0)));
    assert!(!faces(8, 9).batch(Split::Train, &[5]).unwrap().x.equal(&one.x));
}

#[test]
fn persons_have_five_pictures_and_stay_in_one_split() {
    let data = faces(1, 50);
    let mut owner = BTreeMap::new();
    for split in SPLITS {
        for id in 0..data.len(split) {
            let who = data.identity(split, id).unwrap();
            assert_eq!(*owner.entry(who).or_insert(split), split);
            assert_eq!(Some(who), data.identity(split, id / PER_PERSON * PER_PERSON));
        }
    }
    assert_eq!(owner.len(), 30);
}

#[test]
fn pictures_of_one_person_are_nearer_than_those_of_others() {
    let data = faces(3, 200);
    let ids: Vec<usize> = (0..200).collect();
    let x = data.batch(Split::Train, &ids).unwrap().x.slice(3, 20, 44, 1).slice(2, 20, 48, 1);
    let means: Vec<Vec<f64>> = (0..200)
        .map(|i| {
            Vec::try_from(x.get(i).mean_dim([1i64, 2].as_slice(), false, tch::Kind::Double))
                .unwrap()
        })
        .collect();
    let distance = |a: usize, b: usize| {
        means[a].iter().zip(&means[b]).map(|(p, q)| (p - q).powi(2)).sum::<f64>()
    };
    let average =
        |step: usize| (0..200 - step).step_by(5).map(|i| distance(i, i + step)).sum::<f64>() / 40.0;
    assert!(average(1) < 0.5 * average(25), "{} {}", average(1), average(25));
}

#[test]
fn every_attribute_occurs_and_is_absent() {
    for (index, name) in attributes().enumerate() {
        let req = Request { label: Some(name), limit: Some(1000), ..Request::default() };
        let data = open(&req).unwrap();
        let share =
            (0..1000).map(|id| data.label(Split::Train, id).unwrap()).sum::<i64>() as f64 / 1000.0;
        assert!((0.1..0.7).contains(&share), "{name}: {share}");
        let (person, shot) =
            (super::Person::new(0, 0), super::Shot::new(0, 0, &super::Person::new(0, 0)));
        assert_eq!(
            i64::from((ATTRIBUTES[index].holds)(&person, &shot)),
            data.label(Split::Train, 0).unwrap()
        );
    }
}

#[test]
fn any_size_shows_the_same_picture() {
    let at = |size| {
        let data =
            open(&Request { size: Some(size), limit: Some(8), ..Request::default() }).unwrap();
        data.batch(Split::Test, &(0..8).collect::<Vec<_>>()).unwrap().x
    };
    let shrunk = at(128).avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None::<i64>);
    let error = (shrunk - at(64)).square().mean(tch::Kind::Double).double_value(&[]);
    assert!(error < 1e-3, "mean square difference {error}");
}

#[test]
fn wrong_requests_name_the_remedy() {
    let fault = |req: &Request| open(req).err().unwrap().to_string();
    let label = fault(&Request { label: Some("glases"), ..Request::default() });
    assert!(label.contains("did you mean `glasses`?"), "{label}");
    let size = fault(&Request { size: Some(4000), ..Request::default() });
    assert!(size.contains("ask for 8 to 1024"), "{size}");
}

#[test]
fn all_attributes_are_the_single_ones_side_by_side() {
    let with = |label| {
        open(&Request { label: Some(label), limit: Some(6), ..Request::default() }).unwrap()
    };
    let all = with("attributes");
    assert_eq!((all.card().classes, all.card().labels), (8, crate::LabelKind::MultiLabel));
    let marks = all.batch(Split::Val, &[3, 5]).unwrap().y;
    assert_eq!(marks.size(), [2, 8]);
    for (k, name) in attributes().enumerate() {
        assert_eq!(all.card().class_names[k], name);
        assert_eq!(
            marks.double_value(&[1, k as i64]) as i64,
            with(name).label(Split::Val, 5).unwrap()
        );
    }
    let first = (0..8).find(|&k| marks.double_value(&[0, k]) == 1.0).unwrap_or(-1);
    assert_eq!(all.label(Split::Val, 3).unwrap(), first);
}

#[test]
fn persons_of_train_are_classes_in_every_split_and_others_are_unseen() {
    let with =
        |label, limit| open(&Request { label: Some(label), limit, ..Request::default() }).unwrap();
    let data = with("identity", Some(23));
    assert_eq!((data.card().classes, data.len(Split::Test)), (5, 23));
    for split in SPLITS {
        let labels: std::collections::BTreeSet<i64> =
            (0..23).map(|id| data.label(split, id).unwrap()).collect();
        assert_eq!(labels.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4], "{split}");
    }
    // The same person, another picture.
    let (a, b) = (data.label(Split::Train, 7).unwrap(), data.label(Split::Test, 6).unwrap());
    assert_eq!((a, b, data.identity(Split::Train, 7)), (1, 1, data.identity(Split::Test, 6)));
    let x = |split, id| data.batch(split, &[id]).unwrap().x;
    assert!(
        !x(Split::Train, 6).equal(&x(Split::Test, 6))
            && !x(Split::Val, 6).equal(&x(Split::Test, 6))
    );
    let other = with("unseen", None);
    assert_eq!(SPLITS.map(|s| other.len(s)), [0, 0, 2500]);
    assert_eq!((other.card().classes, other.label(Split::Test, 2499).unwrap()), (500, 499));
    let seen: std::collections::BTreeSet<_> =
        (0..23).map(|id| data.identity(Split::Train, id)).collect();
    assert!((0..2500).all(|id| !seen.contains(&other.identity(Split::Test, id))));
}
