use std::collections::{BTreeMap, BTreeSet, HashSet};

use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use serde_json::Value;

use super::*;

fn golden() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/verification/verification.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn flags(value: &Value) -> Vec<bool> {
    value.as_array().unwrap().iter().map(|v| v.as_bool().unwrap()).collect()
}

#[test]
fn curves_agree_with_scikit_learn() {
    for case in golden() {
        let (scores, same) = (floats(&case["scores"]), flags(&case["same"]));
        let points = roc(&scores, &same).unwrap();
        let wanted = case["roc"].as_array().unwrap();
        assert_eq!(points.len(), wanted.len(), "{}", case["name"]);
        for (point, row) in points.iter().zip(wanted) {
            let (far, tar) = (row[1].as_f64().unwrap(), row[2].as_f64().unwrap());
            assert!((point.far - far).abs() < 1e-12 && (point.tar - tar).abs() < 1e-12);
            assert_eq!(point.threshold, row[0].as_f64().unwrap_or(f64::INFINITY));
        }
        assert!((auc(&points) - case["auc"].as_f64().unwrap()).abs() < 1e-12);
        assert!(
            (equal_error_rate(&points) - case["eer"].as_f64().unwrap()).abs() < 1e-9,
            "{}",
            case["name"]
        );
        let impostors = same.iter().filter(|s| !**s).count();
        for row in case["tar_at_far"].as_array().unwrap() {
            let found = tar_at_far(&points, row[0].as_f64().unwrap(), impostors);
            assert_eq!(found.tar, row[1].as_f64());
        }
    }
}

#[test]
fn folds_agree_with_a_plain_loop() {
    for case in golden() {
        let fold: Vec<usize> = floats(&case["fold"]).iter().map(|f| *f as usize).collect();
        let found = folds(&floats(&case["scores"]), &flags(&case["same"]), &fold).unwrap();
        let thresholds: Vec<f64> = found.folds.iter().map(|f| f.threshold).collect();
        assert_eq!(thresholds, floats(&case["thresholds"]), "{}", case["name"]);
        let near = |a: f64, b: &Value| (a - b.as_f64().unwrap()).abs() < 1e-12;
        assert!(
            found
                .folds
                .iter()
                .zip(case["accuracies"].as_array().unwrap())
                .all(|(f, a)| near(f.accuracy, a))
        );
        assert!(
            near(found.accuracy, &case["accuracy"])
                && near(found.standard_error, &case["standard_error"])
        );
    }
}

#[test]
fn a_far_that_the_pairs_cannot_tell_is_none_with_its_reason() {
    let points = roc(&[0.9, 0.8, 0.3, 0.1], &[true, true, false, false]).unwrap();
    assert_eq!((auc(&points), equal_error_rate(&points)), (1.0, 0.0));
    assert_eq!(tar_at_far(&points, 0.5, 2).tar, Some(1.0));
    let none = tar_at_far(&points, 1e-4, 2);
    assert_eq!(
        (none.tar, none.why.as_deref()),
        (None, Some("takes 10000 pairs of different persons, there are 2"))
    );
}

#[test]
fn pairs_that_cannot_be_judged_are_refused() {
    let text = |result: Result<Vec<Point>, VerificationError>| result.unwrap_err().to_string();
    assert!(text(roc(&[0.1, f64::NAN], &[true, false])).contains("pair 2 is NaN"));
    assert!(text(roc(&[0.1, 0.2], &[true, true])).contains("different persons"));
    assert!(text(roc(&[0.1, 0.2], &[false, false])).contains("same person"));
    assert!(text(roc(&[0.1], &[true, false])).contains("1 scores for 2"));
    assert!(folds(&[0.1, 0.2], &[true, false], &[0, 0]).is_err());
    assert!(
        folds(&[0.1, 0.2, 0.3, 0.4], &[true, false, true, false], &[0, 0, 2, 2])
            .unwrap_err()
            .to_string()
            .contains("fold 2")
    );
}

fn rng(seed: u64) -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(seed)
}

#[test]
fn many_persons_make_balanced_disjoint_folds() {
    let identities: Vec<u64> = (0..500).map(|i| i / 5 * 11).collect();
    let drawn = pairs(&identities, 600, 10, &mut rng(1)).unwrap();
    assert_eq!(drawn, pairs(&identities, 600, 10, &mut rng(1)).unwrap());
    assert_ne!(drawn, pairs(&identities, 600, 10, &mut rng(2)).unwrap());
    assert!(drawn.disjoint && drawn.pairs.len() == 600);
    let mut owner: BTreeMap<u64, usize> = BTreeMap::new();
    for fold in 0..10 {
        let of: Vec<&Pair> = drawn.pairs.iter().filter(|p| p.fold == fold).collect();
        assert_eq!((of.len(), of.iter().filter(|p| p.same).count()), (60, 30));
        for who in of.iter().flat_map(|p| [identities[p.a], identities[p.b]]) {
            assert_eq!(*owner.entry(who).or_insert(fold), fold);
        }
    }
}

#[test]
fn few_persons_still_make_pairs_and_none_is_said_to_be_disjoint() {
    let drawn = pairs(&[1, 1, 1, 1, 2, 2, 2, 2], 6000, 6, &mut rng(3)).unwrap();
    assert!(!drawn.disjoint);
    assert_eq!((drawn.pairs.len(), drawn.pairs.iter().filter(|p| p.same).count()), (24, 12));
    assert_eq!(drawn.pairs.iter().map(|p| p.fold).collect::<BTreeSet<_>>().len(), 6);
    let fails = |identities: &[u64], n, folds| {
        pairs(identities, n, folds, &mut rng(3)).unwrap_err().to_string()
    };
    assert!(fails(&[1, 1], 20, 2).contains("1 persons"));
    assert!(fails(&[1, 2, 3], 20, 2).contains("0 of them"));
    assert!(fails(&[1, 1, 2], 3, 2).contains("two pairs a fold"));
    assert!(fails(&[1, 1, 2], 20, 2).contains("1 pairs of each kind"));
}

proptest! {
    #[test]
    fn pairs_are_different_balanced_and_say_the_truth(
        identities in prop::collection::vec(0u64..30, 2..120),
        n in 4usize..400,
        count in 1usize..8,
        seed in any::<u64>(),
    ) {
        if let Ok(drawn) = pairs(&identities, n, count, &mut rng(seed)) {
            let mut known = HashSet::new();
            let mut balance = vec![0i64; count];
            for p in &drawn.pairs {
                prop_assert!(p.a < p.b && known.insert((p.a, p.b)) && p.fold < count);
                prop_assert_eq!(p.same, identities[p.a] == identities[p.b]);
                balance[p.fold] += if p.same { 1 } else { -1 };
            }
            prop_assert!(drawn.pairs.len() <= n && balance.iter().all(|b| *b == 0));
        }
    }

    #[test]
    fn the_best_threshold_is_best(of in prop::collection::vec((-9i32..9, any::<bool>()), 2..40)) {
        let scores: Vec<f64> = of.iter().map(|p| f64::from(p.0) / 8.0).collect();
        let same: Vec<bool> = of.iter().map(|p| p.1).collect();
        if let Ok(threshold) = best_threshold(&scores, &same) {
            let reached = accuracy(&scores, &same, threshold);
            for other in (-20..20).map(|t| f64::from(t) / 16.0 + 0.01) {
                prop_assert!(reached >= accuracy(&scores, &same, other));
            }
        }
    }

    #[test]
    fn any_list_is_parsed_or_refused(text in "[a-z0-9 ./\n\t]{0,120}") {
        if let Ok(found) = parse_pairs(&text, None) {
            prop_assert!(!found.is_empty());
        }
    }
}

#[test]
fn lists_of_both_forms_are_read() {
    let lfw = "2\t2\nAnn_Lee\t1\t4\nBo\t2\t3\nAnn_Lee\t1\tBo\t2\nCy\t1\tBo\t1\n\
               Cy\t1\t2\nDi\t1\t2\nCy\t1\tDi\t12\nDi\t1\tEd\t1\n";
    let found = parse_pairs(lfw, None).unwrap();
    assert_eq!(
        (found[0].a.as_str(), found[0].b.as_str()),
        ("Ann_Lee/Ann_Lee_0001.jpg", "Ann_Lee/Ann_Lee_0004.jpg")
    );
    assert_eq!(
        (found[6].b.as_str(), found[6].same, found[6].fold, found[6].line),
        ("Di/Di_0012.jpg", false, 1, 8)
    );
    assert_eq!(found.iter().map(|p| p.fold).collect::<Vec<_>>(), [0, 0, 0, 0, 1, 1, 1, 1]);
    let plain: String = (0..40).map(|i| format!("a/{i}.png b.png {}\n", i % 2)).collect();
    let found = parse_pairs(&plain, None).unwrap();
    assert!((0..10).all(|f| found.iter().filter(|p| p.fold == f && p.same).count() == 2));
    let fault = |text: &str| parse_pairs(text, None).unwrap_err().to_string();
    assert!(fault("2 2\nAnn 1 2\n").contains("states 8 pairs (2 x 2 x 2) and holds 1"));
    assert!(fault("Ann 1 2\nnonsense\n").contains("line 2: `nonsense`"));
    assert!(fault("a.png b.png 2\n").contains("line 1"));
    assert!(fault("\n").contains("empty"));
}

#[test]
fn short_lists_are_dealt_over_fewer_folds_and_the_caller_may_choose() {
    let list = |same: usize, different: usize| {
        "a.png b.png 1\n".repeat(same) + &"a.png c.png 0\n".repeat(different)
    };
    let dealt = |text: &str, folds| {
        let found = parse_pairs(text, folds).map_err(|e| e.to_string())?;
        let count = found.iter().map(|p| p.fold).max().unwrap() + 1;
        assert!((0..count).all(|f| {
            [true, false].iter().all(|kind| found.iter().any(|p| p.fold == f && p.same == *kind))
        }));
        Ok::<usize, String>(count)
    };
    assert_eq!((dealt(&list(3, 50), None), dealt(&list(40, 2), None)), (Ok(3), Ok(2)));
    assert_eq!((dealt(&list(30, 50), None), dealt(&list(30, 50), Some(15))), (Ok(10), Ok(15)));
    assert_eq!(dealt(&("2 2\n".to_string() + &list(4, 4)), Some(4)), Ok(4));
    // A single fold judges nothing, though a list may state it.
    assert_eq!(dealt(&("1 3\n".to_string() + &list(3, 3)), None), Ok(3));
    let fault = |text: &str, folds| dealt(text, folds).unwrap_err();
    assert!(fault(&list(1, 5), None).contains("a single pair of the same person; folds take two"));
    assert!(fault(&list(5, 0), None).contains("no pair of different persons"));
    assert!(
        fault(&list(3, 5), Some(4))
            .contains("3 pairs of the same person for 4 folds; ask for 3 folds at most")
    );
}

#[test]
fn neighbouring_scores_are_told_apart() {
    let low = 0.5_f64;
    // Of one of the two the midpoint rounds down.
    for scores in [[low, low.next_up()], [low.next_up(), low.next_up().next_up()]] {
        let threshold = best_threshold(&scores, &[false, true]).unwrap();
        assert_eq!(accuracy(&scores, &[false, true], threshold), 1.0);
    }
}
