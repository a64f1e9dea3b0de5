//! What the task is worth: frontiers, and trainings that several attacks watch.

use crate::cells::{ends, noised, number, of_sum, on_the_wire, trained, wilson};
use crate::common::papers::{figure, made, paper, rows, run, said};
use record::Outcome;
use suites::CellSpec;

#[test]
fn a_frontier_has_the_worst_of_its_adversaries_and_no_mean() {
    let dir = tempfile::tempdir().unwrap();
    let noisy = Some(10.0);
    let records = [
        trained(noised("a", None, 0), &[34.0, 36.0, 38.0, 40.0], 0.9),
        trained(of_sum(noised("a", None, 0)), &[14.0, 15.0, 16.0, 17.0], 0.9),
        trained(noised("a", noisy, 0), &[30.0, 32.0, 28.0, 30.0], 0.8),
        trained(noised("b", noisy, 0), &[20.0, 21.0, 22.0, 23.0], 0.8),
        trained(of_sum(noised("a", noisy, 0)), &[10.0, 11.0, 9.0, 10.0], 0.8),
        // Another seed is no other adversary.
        trained(noised("a", noisy, 1), &[31.0, 33.0, 29.0, 31.0], 0.7),
    ];
    run(dir.path(), &records);
    let (summary, out) = paper(dir.path(), &figure("front", "kind = \"frontier\""));
    assert_eq!(summary.errors, Vec::<String>::new());
    let data = rows(&out.join("data/front.csv"));
    assert_eq!(data.len(), 2);
    let point = data.iter().find(|r| r["defense"] != "no defense").unwrap();
    assert_eq!((number(point, "x"), point["strongest attack"].as_str()), (30.5, "a"));
    assert!(point["adversary"].contains("gradients"), "{point:?}");
    assert!((number(point, "y") - 0.75).abs() < 1e-12);
    // Two trainings have no interval, and that of one of them is not theirs.
    assert_eq!((point["y_low"].as_str(), point["y_values"].as_str()), ("", "0.7 0.8"));
    let remarks = said(&out, "front");
    for told in [
        "worst case over adversaries or settings that differ in source, vantage, no mean over them",
        "pools up to 2 cells, which differ in seed",
        "a mean accuracy of 2 to 7 trainings",
        "mean of up to 2, which differ in seed",
    ] {
        assert!(remarks.contains(told), "{told}: {remarks}");
    }
}

#[test]
fn crashed_attacks_are_no_privacy() {
    let dir = tempfile::tempdir().unwrap();
    let crash = |spec: CellSpec| {
        let mut record = trained(spec, &[], 0.8);
        record.outcome =
            Outcome::Failed { stage: "attack".into(), message: "out of memory".into() };
        record
    };
    let records = [
        trained(noised("a", None, 0), &[34.0, 36.0, 18.0, 40.0], 0.9),
        crash(noised("b", None, 0)),
        crash(noised("a", Some(10.0), 0)),
        crash(noised("b", Some(10.0), 0)),
    ];
    run(dir.path(), &records);
    let figures = figure("front", "kind = \"frontier\"\nx = \"success.psnr-20\"");
    let (summary, out) = paper(dir.path(), &figures);
    assert_eq!(summary.errors, Vec::<String>::new());
    let data = rows(&out.join("data/front.csv"));
    let places: Vec<&str> = data.iter().map(|r| r["x"].as_str()).collect();
    assert_eq!(places, ["0.75", ""]);
    assert_eq!((data[0]["optimal"].as_str(), data[1]["optimal"].as_str()), ("too few", ""));
    let remarks = said(&out, "front");
    for told in ["b on no defense has no image with a score", ": no attack on it was scored"] {
        assert!(remarks.contains(told), "{told}: {remarks}");
    }
    assert!(!remarks.contains("count as tries"), "{remarks}");
    assert_eq!(made(&out, "front")["cells"].as_array().unwrap().len(), 4);
}

#[test]
fn a_training_counts_once_whoever_watches_it() {
    let dir = tempfile::tempdir().unwrap();
    let psnrs = [20.0, 21.0, 22.0, 23.0];
    let mut records = Vec::new();
    for attack in ["a", "b"] {
        records.push(trained(noised(attack, None, 0), &psnrs, 0.9));
        records.push(trained(on_the_wire(noised(attack, None, 0)), &psnrs, 0.9));
        for seed in 0..8 {
            let accuracy = [0.3, 0.9, 0.5, 0.7, 0.6, 0.55, 0.65, 0.6][seed as usize];
            records.push(trained(noised(attack, Some(1.0), seed), &psnrs, accuracy));
            records
                .extend((seed < 5).then(|| trained(noised(attack, Some(2.0), seed), &psnrs, 0.6)));
        }
    }
    run(dir.path(), &records);
    let figures =
        figure("worth", "kind = \"bar\"\nx = \"defenses\"\ny = \"task.trained_accuracy\"")
            + &figure("fresh", "kind = \"bar\"\nx = \"task.dataset\"\ny = \"task.accuracy\"")
            + &figure("sent", "kind = \"bar\"\nx = \"task.dataset\"\ny = \"cost.bytes_up\"")
            + &figure("boxes", "kind = \"box\"\nx = \"defenses\"\ny = \"task.trained_accuracy\"");
    let (summary, out) = paper(dir.path(), &figures);
    assert_eq!(summary.errors, Vec::<String>::new());
    let data = rows(&out.join("data/worth.csv"));
    let n: Vec<f64> = data.iter().map(|r| number(r, "n")).collect();
    assert_eq!(n, [1.0, 8.0, 5.0]);
    // One training, and five that came out alike: too few to say how much trainings differ.
    assert_eq!((ends(&data[0]), data[2]["low"].as_str()), (wilson(90, 100), ""));
    assert_eq!(data[2]["values"], "0.6 0.6 0.6 0.6 0.6");
    let (low, high) = ends(&data[1]);
    let tested = wilson(60, 100);
    assert!(low < tested.0 && high > tested.1 && low > 0.3 && high < 0.9, "{low} {high}");
    let remarks = said(&out, "worth");
    assert!(remarks.contains("an accuracy of one training has its Wilson interval"), "{remarks}");
    assert!(remarks.contains("8 trainings or more has a bootstrap interval"), "{remarks}");
    // Fresh weights are those of their seed, behind any defense.
    assert_eq!(number(&rows(&out.join("data/fresh.csv"))[0], "n"), 8.0);
    assert!(said(&out, "fresh").contains("mean of up to 8, which differ in"));
    // Bytes are a matter of the round, whoever watches it.
    let remarks = said(&out, "sent");
    assert!(remarks.contains("mean of up to 14, which differ in defenses, seed"), "{remarks}");
    let boxes = rows(&out.join("data/boxes.csv"));
    assert_eq!(boxes.iter().filter(|r| !r["cell"].is_empty()).count(), 1 + 8 + 5);
}
