//! The embedded sets hold what their cards say.

use suites::Split;

use super::ENTRIES;
use crate::dataset::SPLITS;
use crate::{Dataset, DatasetError, Request};

fn open(name: &str, req: &Request) -> Result<Box<dyn Dataset>, DatasetError> {
    let entry = ENTRIES.iter().find(|e| e.name == name).unwrap();
    (entry.open)(req)
}

fn counts(name: &str) -> [usize; 3] {
    let data = open(name, &Request::default()).unwrap();
    SPLITS.map(|s| data.len(s))
}

#[test]
fn sizes_are_as_published() {
    assert_eq!(counts("photos"), [12, 0, 8]);
    assert_eq!(counts("digits").iter().sum::<usize>(), 1797);
    assert_eq!(counts("wdbc").iter().sum::<usize>(), 569);
}

#[test]
fn values_are_in_range_shaped_and_labelled_as_the_card_says() {
    for entry in ENTRIES {
        let data = (entry.open)(&Request { limit: Some(30), ..Request::default() }).unwrap();
        let card = data.card();
        assert_eq!((card.name.as_str(), card.class_names.len()), (entry.name, card.classes));
        assert_eq!((card.mean.len(), card.std.len()), (card.channels, card.channels));
        for split in SPLITS.into_iter().filter(|&s| data.len(s) > 0) {
            let ids: Vec<usize> = (0..data.len(split)).collect();
            let batch = data.batch(split, &ids).unwrap();
            assert_eq!(batch.x.size()[0] as usize, ids.len());
            assert_eq!(batch.x.numel(), ids.len() * card.channels * card.height * card.width);
            assert!(
                batch.x.min().double_value(&[]) >= 0.0 && batch.x.max().double_value(&[]) <= 1.0
            );
            let labels: Vec<i64> = Vec::try_from(&batch.y).unwrap();
            for (&id, label) in ids.iter().zip(labels) {
                assert_eq!(data.label(split, id).unwrap(), label);
                assert!((0..card.classes as i64).contains(&label));
            }
        }
    }
}

#[test]
fn batches_follow_the_ids() {
    let data = open("digits", &Request::default()).unwrap();
    let pair = data.batch(Split::Test, &[5, 3]).unwrap();
    let single = data.batch(Split::Test, &[3]).unwrap();
    assert_eq!(pair.x.size(), [2, 1, 8, 8]);
    assert!(pair.x.get(1).equal(&single.x.get(0)));
    assert_eq!(pair.ids, [5, 3]);
}

#[test]
fn the_first_digit_is_the_zero_of_the_source() {
    let data = open("digits", &Request::default()).unwrap();
    let batch = data.batch(Split::Train, &[0]).unwrap();
    assert_eq!(batch.y.int64_value(&[0]), 0);
    let row: Vec<f32> = Vec::try_from(batch.x.view([64]).slice(0, 0, 8, 1)).unwrap();
    assert_eq!(sixteenths(&row), [0, 0, 5, 13, 9, 1, 0, 0]);
}

fn sixteenths(values: &[f32]) -> Vec<i32> {
    values.iter().map(|v| (v * 16.0) as i32).collect()
}

#[test]
fn wdbc_features_lie_within_spans_that_no_row_sets() {
    let data = open("wdbc", &Request::default()).unwrap();
    let ids: Vec<usize> = (0..data.len(Split::Train)).collect();
    let batch = data.batch(Split::Train, &ids).unwrap();
    assert_eq!(batch.x.size(), [ids.len() as i64, 30]);
    for split in [Split::Train, Split::Val, Split::Test] {
        let ids: Vec<usize> = (0..data.len(split)).collect();
        let high = data.batch(split, &ids).unwrap().x.amax(0, false);
        // Nothing is clamped and every feature takes much of its span.
        assert!(high.max().double_value(&[]) < 1.0 && high.min().double_value(&[]) > 0.15);
    }
    let share = batch.y.to_kind(tch::Kind::Float).mean(None).double_value(&[]);
    assert!((share - 212.0 / 569.0).abs() < 0.01, "{share} of the rows are malignant");
}

#[test]
fn photos_have_both_classes_in_both_splits_and_differ_from_each_other() {
    let data = open("photos", &Request::default()).unwrap();
    for split in [Split::Train, Split::Test] {
        let ids: Vec<usize> = (0..data.len(split)).collect();
        let labels: Vec<i64> = ids.iter().map(|&i| data.label(split, i).unwrap()).collect();
        assert!(labels.contains(&0) && labels.contains(&1));
    }
    let train = data.batch(Split::Train, &(0..12).collect::<Vec<_>>()).unwrap().x;
    let test = data.batch(Split::Test, &(0..8).collect::<Vec<_>>()).unwrap().x;
    let all = tch::Tensor::cat(&[train, test], 0).view([20, -1]);
    let apart = (all.unsqueeze(0) - all.unsqueeze(1)).square().mean_dim(2, false, None);
    let nearest = (apart + tch::Tensor::eye(20, (tch::Kind::Float, tch::Device::Cpu))).min();
    assert!(nearest.double_value(&[]) > 0.004, "two photographs are almost the same");
}

#[test]
fn photos_shrink_on_request() {
    let data = open("photos", &Request { size: Some(32), ..Request::default() }).unwrap();
    assert_eq!((data.card().height, data.card().width), (32, 32));
    assert_eq!(data.batch(Split::Test, &[0]).unwrap().x.size(), [1, 3, 32, 32]);
}

#[test]
fn requests_that_cannot_be_served_say_why() {
    let fault = |name, req: &Request| open(name, req).err().unwrap().to_string();
    let size = |s| Request { size: Some(s), ..Request::default() };
    let label = Request { label: Some("Male"), ..Request::default() };
    let cases = [
        (fault("photos", &size(128)), "ask for 1 to 64"),
        (fault("photos", &size(0)), "ask for 1 to 64"),
        (fault("digits", &size(28)), "leave `size` out or set it to 8"),
        (fault("wdbc", &size(8)), "it is a table; leave `size` out"),
        (fault("photos", &label), "`Male` was asked for; leave `label` out"),
    ];
    for (message, part) in cases {
        assert!(message.contains(part) && !message.contains('\n'), "{message} lacks {part}");
    }
    let data = open("photos", &Request::default()).unwrap();
    assert!(data.batch(Split::Val, &[0]).unwrap_err().to_string().contains("val split is empty"));
    assert!(data.batch(Split::Test, &[8]).unwrap_err().to_string().contains("ids run from 0 to 7"));
}
