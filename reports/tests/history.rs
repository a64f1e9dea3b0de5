//! Runs found below a folder, followed from night to night.

use record::testing::nights::{Night, rescore, write, write_as};
use reports::write_history;
use std::path::Path;

/// Four nights of one suite, the third with a weakened attack, and folders of other kinds.
fn nights(dir: &Path) {
    let night = Night { noise: 0.2, ..Night::default() };
    for (number, name) in ["b/first", "a/second", "c/third", "c/fourth"].iter().enumerate() {
        let mut records = night.records(number as u64);
        for record in &mut records {
            record.wall.finished_unix = 1_700_000_000 + 86_400 * number as u64;
            if number == 2 && record.spec.attack.name == "dlg" && record.spec.defenses.is_empty() {
                rescore(record, |psnr| psnr - 4.0);
            }
        }
        write(&dir.join(name), &records);
    }
    let other = night.records(9);
    write_as(&dir.join("other"), &other[..3], |info| info.suite.profile = Some("smoke".into()));
    write_as(&dir.join("empty"), &[], |_| {});
    write_as(&dir.join("newer"), &other, |_| {});
    let run = dir.join("newer/run.json");
    let text = std::fs::read_to_string(&run).unwrap();
    std::fs::write(&run, text.replacen("\"schema\": \"2.0\"", "\"schema\": \"3.0\"", 1)).unwrap();
    std::fs::create_dir_all(dir.join("notes")).unwrap();
    std::fs::write(dir.join("notes/readme.txt"), "no run").unwrap();
}

#[test]
fn nights_are_ordered_compared_and_drawn() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    nights(&dir.path().join("runs"));
    let summary = write_history(&dir.path().join("runs"), &out, None).unwrap();
    assert_eq!((summary.runs, summary.groups, summary.regressed), (5, 2, 1));
    assert_eq!(summary.skipped.len(), 2, "{:?}", summary.skipped);
    assert!(
        summary.skipped.iter().any(|s| s.contains("use a newer bench")),
        "{:?}",
        summary.skipped
    );
    let page = std::fs::read_to_string(&summary.page).unwrap();
    assert!(
        page.contains("Run 3 (c/third) regressed:\n\n- attack dlg: attack weaker: PSNR (dB)"),
        "{page}"
    );
    assert!(page.contains("| 2 | 2023-11-15 22:13 | a/second | 9 | 0 | 11"), "{page}");
    // The regressed night is nobody's reference.
    assert!(page.contains("Run 3 (c/third) regressed since run 1:"), "{page}");
    let csv = std::fs::read_to_string(out.join("history.csv")).unwrap();
    let rows: Vec<&str> = csv.lines().collect();
    // Of the smaller run one attack and three defenses. Three attacks in two quantities, three
    // defenses (none included) in two, seconds, failures: 14 a full night.
    assert_eq!(rows.len(), 1 + 4 * 14 + 10, "{csv}");
    assert!(rows[1].starts_with(
        "night,,1,b/first,1700000000,2023-11-14 22:13,cpu,true,,,undefended-psnr,analytic,"
    ));
    let third =
        rows.iter().find(|r| r.contains("c/third") && r.contains("undefended-psnr,dlg")).unwrap();
    assert!(third.contains(",a/second,regressed,"), "{third}");
    let fourth = rows.iter().find(|r| r.contains("c/fourth")).unwrap();
    assert!(fourth.contains(",a/second,passed,"), "{fourth}");
    for name in [
        "suite-night-undefended-psnr.png",
        "suite-night-worst-case-psnr.svg",
        "suite-night-seconds.svg",
    ] {
        assert!(out.join("figures").join(name).is_file(), "{name}");
    }
}

#[test]
fn the_same_runs_give_the_same_files() {
    let dir = tempfile::tempdir().unwrap();
    nights(&dir.path().join("runs"));
    let written = |name: &str| {
        let out = dir.path().join(name);
        write_history(&dir.path().join("runs"), &out, None).unwrap();
        let file = |f: &str| std::fs::read(out.join(f)).unwrap();
        (file("history.md"), file("history.csv"), file("figures/suite-night-accuracy.png"))
    };
    assert_eq!(written("one"), written("two"));
}

#[test]
fn nothing_found_is_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let said =
        |at: &Path| write_history(at, &dir.path().join("out"), None).unwrap_err().to_string();
    assert!(said(dir.path()).starts_with("no run folder that can be read lies below"));
    assert!(said(&dir.path().join("absent")).starts_with("cannot read folder"));
}

#[test]
fn what_is_not_measurable_is_in_no_worst_case() {
    let dir = tempfile::tempdir().unwrap();
    let night =
        Night { attacks: vec![("dlg", 26.0)], defenses: vec![("prune", 5.0)], ..Night::default() };
    // The same on another data set, where the floor is beyond any attack.
    let (mut easy, mut records) = (night.records(0), night.records(0));
    for record in &mut easy {
        record.spec.task.dataset = "flat".into();
        record.id = record.spec.id();
        rescore(record, |psnr| psnr + 8.0);
        let floor = record.baselines.get_mut("mean").unwrap();
        *floor = vec![record::testing::scores(60.0); floor.len()];
    }
    records.extend(easy);
    write(&dir.path().join("runs/night"), &records);
    let out = dir.path().join("out");
    write_history(&dir.path().join("runs"), &out, None).unwrap();
    let csv = std::fs::read_to_string(out.join("history.csv")).unwrap();
    let value = |of: &str| -> f64 {
        let row = csv.lines().find(|l| l.contains(of)).unwrap_or_else(|| panic!("{of}: {csv}"));
        row.rsplit(',').next().unwrap().parse().unwrap()
    };
    let mean = |at: usize| {
        let scores: Vec<f64> = records[at].scores("psnr").into_iter().flatten().collect();
        scores.iter().sum::<f64>() / scores.len() as f64
    };
    // Behind the defense that of the judged cell alone; of the undefended all say what they are.
    assert!((value("worst-case-psnr,prune,") - mean(1)).abs() < 1e-6, "{csv}");
    let both = (mean(0) + mean(2)) / 2.0;
    assert!((value("undefended-psnr,dlg,") - both).abs() < 1e-6, "{csv}");
}
