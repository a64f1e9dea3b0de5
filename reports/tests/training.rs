//! The report of a synthetic training against its snapshot, trainings in a bad state, and
//! trainings compared.

mod common;

use common::trainings;
use record::{RoundRecord, TrainingInfo};
use reports::{ReportError, compare_trainings, write_training_report};
use std::path::Path;

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// Names of the figures that a text shows; both files of each are there, and no others.
fn figures(folder: &Path, text: &str) -> Vec<String> {
    let names: Vec<String> = text
        .lines()
        .filter_map(|l| Some(l.strip_prefix("![")?.split(':').next()?.to_owned()))
        .collect();
    for name in &names {
        assert_eq!(
            image::open(folder.join(format!("figures/{name}.png"))).unwrap().width(),
            990,
            "{name}"
        );
        assert!(read(&folder.join(format!("figures/{name}.svg"))).ends_with("</svg>\n"), "{name}");
    }
    assert_eq!(
        std::fs::read_dir(folder.join("figures")).map_or(0, Iterator::count),
        2 * names.len()
    );
    names
}

#[test]
fn the_report_of_a_training() {
    let dir = tempfile::tempdir().unwrap();
    let report =
        write_training_report(dir.path(), &trainings::about(), &trainings::rounds(0.95, true))
            .unwrap();
    assert_eq!(report, dir.path().join("report/report.md"));
    let text = read(&report);
    insta::assert_snapshot!("report", text);
    let shown = figures(&dir.path().join("report"), &text);
    assert_eq!(
        shown,
        ["rounds-scores", "rounds-loss", "rounds-bytes", "rounds-epsilon", "robustness"]
    );
}

/// Scores share an axis with each other and with what needs no model, and never with a count: the
/// ticks of the drawn figure end at 1.
#[test]
fn scores_share_no_axis_with_counts() {
    let dir = tempfile::tempdir().unwrap();
    let report =
        write_training_report(dir.path(), &trainings::about(), &trainings::rounds(0.95, false));
    let drawn = read(&report.unwrap().with_file_name("figures/rounds-scores.svg"));
    let words: Vec<&str> = drawn
        .split("<text")
        .skip(1)
        .filter_map(|t| t.split_once('>')?.1.split('<').next())
        .map(str::trim)
        .collect();
    let ticks: Vec<f64> = words.iter().filter_map(|w| w.parse().ok()).collect();
    // Of the horizontal axis, the twelve rounds.
    assert!(ticks.len() > 4 && ticks.iter().all(|v| *v <= 12.0), "{words:?}");
    assert!(words.contains(&"most frequent answer") && !words.contains(&"examples"), "{words:?}");
}

/// The page holds the same tables and every figure, and asks nothing of any network.
#[test]
fn a_training_has_a_page() {
    let dir = tempfile::tempdir().unwrap();
    let report =
        write_training_report(dir.path(), &trainings::about(), &trainings::rounds(0.95, true));
    let page = read(&report.unwrap().with_extension("html"));
    let data = page.split_once("id=\"data\">").unwrap().1.split_once("</script>").unwrap().0;
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    let titles = |part: &str| -> Vec<String> {
        let all = data[part].as_array().unwrap().iter();
        all.map(|s| s["title"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(titles("main"), ["Reached", "Robustness"]);
    assert_eq!(titles("sections"), ["Training", "Rounds", "Failures", "Notes"]);
    assert!(
        data["verdict"][0].as_str().unwrap().starts_with("After 12 rounds the accuracy on 1000")
    );
    let figures = data["figures"].as_array().unwrap();
    assert!(figures.len() == 5 && figures.iter().all(|f| f[4].is_string()), "{}", figures.len());
    assert!(!page.contains("http://") || page.contains("http://www.w3.org"), "a foreign address");
}

#[test]
fn a_later_report_leaves_nothing_stale() {
    let dir = tempfile::tempdir().unwrap();
    write_training_report(dir.path(), &trainings::about(), &trainings::rounds(0.95, true)).unwrap();
    let plain = TrainingInfo { robustness: Vec::new(), ..trainings::about() };
    let report =
        write_training_report(dir.path(), &plain, &trainings::rounds(0.95, false)).unwrap();
    let text = read(&report);
    assert_eq!(
        figures(&dir.path().join("report"), &text),
        ["rounds-scores", "rounds-loss", "rounds-bytes"]
    );
    assert!(
        !text.contains("epsilon")
            && !text.contains("## Failures")
            && !text.contains("## Robustness")
    );
}

#[test]
fn many_rounds_are_thinned_and_the_last_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let round = |at: usize| RoundRecord {
        round: at,
        clients: 3,
        survivors: 3,
        metrics: if at.is_multiple_of(10) {
            [("accuracy".to_owned(), at as f64 / 3000.0)].into()
        } else {
            Default::default()
        },
        ..Default::default()
    };
    let rounds: Vec<_> = (0..=2995).map(round).collect();
    let text = read(&write_training_report(dir.path(), &TrainingInfo::default(), &rounds).unwrap());
    let rows = text.lines().filter(|l| l.contains("| 3 of 3 |")).count();
    assert!((20..=30).contains(&rows) && text.contains("| 2995 | 3 of 3 |"), "{rows} rows");
    assert!(text.contains(&format!("{rows} of 2996 rounds")));
}

#[test]
fn odd_numbers_and_empty_trainings_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    let text = read(&write_training_report(dir.path(), &TrainingInfo::default(), &[]).unwrap());
    assert!(
        text.contains("No round has been evaluated yet.")
            && text.contains("Nothing has been measured yet.")
    );
    let odd = |(at, value): (usize, &f64)| RoundRecord {
        round: at,
        metrics: [("accuracy", *value), ("loss", -value), ("", 1.0), ("ä|b", 1e300)]
            .map(|(k, v)| (k.to_owned(), v))
            .into(),
        train_loss: Some(*value),
        bytes_up: u64::MAX,
        seconds: *value,
        epsilon: Some(*value),
        failures: vec!["a\n| b".into()],
        ..Default::default()
    };
    let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -3.0, 0.0, 1e300, 5e-324];
    let rounds: Vec<_> = values.iter().enumerate().map(odd).collect();
    let text = read(&write_training_report(dir.path(), &trainings::about(), &rounds).unwrap());
    assert!(text.contains("| 0-6 | a \\| b |"));
}

#[test]
fn trainings_are_compared() {
    let dir = tempfile::tempdir().unwrap();
    let folders = ["plain", "private", "again"].map(|name| dir.path().join(name));
    trainings::write(&folders[0], &trainings::rounds(0.97, false));
    trainings::write(&folders[1], &trainings::rounds(0.8, true));
    trainings::write(&folders[2], &trainings::rounds(0.7, true)[..7]);
    let labels = ["no defense", "dp-sgd", "dp-sgd"].map(String::from);
    let runs: Vec<_> = labels.into_iter().zip(folders).collect();
    let out = dir.path().join("compared");
    let text = read(&compare_trainings(&runs, &out).unwrap());
    insta::assert_snapshot!("compared", text);
    let shown = figures(&out, &text);
    for name in [
        "rounds-score-accuracy",
        "rounds-score-loss",
        "rounds-training-loss",
        "rounds-bytes",
        "rounds-epsilon",
    ] {
        assert!(shown.iter().any(|s| s == name), "no figure {name}");
    }
}

#[test]
fn what_is_no_training_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (runs, out) = ([("x".to_owned(), dir.path().to_owned())], dir.path().join("out"));
    assert!(matches!(compare_trainings(&runs, &out), Err(ReportError::NotATraining(_))));
    assert!(matches!(compare_trainings(&[], &out), Err(ReportError::NothingToCompare)));
    std::fs::write(dir.path().join("records.csv"), "cell,by,trial\n").unwrap();
    let error = compare_trainings(&runs, &out).unwrap_err().to_string();
    assert!(error.contains("no column `round`") && !out.exists(), "{error}");
}
