//! `ci/nightly`, the script of the nightly workflow: it begins a baseline, passes what did not
//! change, and stops what got worse.

#![cfg(unix)]

mod common;

use common::{Desk, Done};
use record::store::{RunInfo, RunStore, read_records};

/// 16 images: fewer could not show a difference beside the other hypotheses.
const SUITE: &str = r#"
[suite]
name = "small-night"
version = "1"
description = "two attacks on two defenses, seconds"

[defaults]
task = { dataset = "digits", split = "test" }
model = { name = "lenet-zhu", init = "dlg-uniform" }
attack = "idlg"
trials = 16

[matrix]
attack = [
  { name = "idlg", iterations = 5 },
  { name = "inverting-gradients-cli", iterations = 20, restarts = 1 },
]
defenses = ["none", { name = "gaussian-noise", std = 0.1, unit = "rms" }]

# Machines that run tests do other things beside.
[gate]
slower = 100.0
"#;

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("suite.toml", SUITE);
    desk
}

/// One night into the folder `out`.
fn night(desk: &Desk, out: &str, more: &str) -> Done {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ci/nightly");
    let line =
        format!("'{script}' --suite suite.toml --device cpu --state state --out {out} {more}");
    let summary = desk.path("step-summary.md");
    Done::from(desk.shell(&line).env("GITHUB_STEP_SUMMARY", summary).output().unwrap())
}

fn baseline(desk: &Desk) -> Vec<u8> {
    std::fs::read(desk.path("state/baseline.json")).unwrap()
}

fn nights_kept(desk: &Desk) -> usize {
    std::fs::read_dir(desk.path("state/history")).unwrap().count()
}

/// Makes the baseline one of a run whose reconstructions were all 6 dB better.
fn plant_a_better_past(desk: &Desk, run: &str) {
    let (from, to) = (desk.path(run), desk.path("better"));
    let mut store = RunStore::create(&to, RunInfo::read(&from).unwrap()).unwrap();
    for mut record in read_records(&from).unwrap() {
        for image in &mut record.images {
            let psnr = image.scores.get_mut("psnr").unwrap();
            *psnr = psnr.map(|v| v + 6.0);
        }
        store.append(&record).unwrap();
    }
    drop(store);
    desk.bench(&["baseline", "better", "-o", "state/baseline.json"]).ok();
}

#[test]
fn nights_are_compared_and_a_worse_one_is_stopped() {
    let desk = desk();
    let lost = night(&desk, "lost", "--need-baseline");
    assert_eq!(lost.code, Some(2), "a lost baseline is no green night: {lost:#?}");
    assert!(!desk.path("state/baseline.json").exists());

    let first = night(&desk, "first", "").ok();
    assert!(first.err.contains("no baseline"), "{first:#?}");
    for file in ["run/report/report.md", "run.parquet", "summary.md", "history/history.csv"] {
        assert!(desk.path(&format!("first/{file}")).is_file(), "{file}: {first:#?}");
    }

    let second = night(&desk, "second", "--need-baseline").ok();
    assert!(second.out.contains("4 bit-identical"), "{second:#?}");
    let (before, kept) = (baseline(&desk), nights_kept(&desk));
    night(&desk, "second", "--need-baseline").ok();
    assert_eq!(nights_kept(&desk), kept, "a second call is the same night");
    assert_eq!(baseline(&desk), before);

    plant_a_better_past(&desk, "second/run");
    let planted = baseline(&desk);
    let third = night(&desk, "third", "");
    assert_eq!(third.code, Some(1), "{third:#?}");
    assert!(baseline(&desk) == planted, "a red night leaves the baseline alone");
    let summary = std::fs::read_to_string(desk.path("step-summary.md")).unwrap();
    assert!(summary.contains("attack weaker"), "{summary}");

    let accepted = night(&desk, "third", "--accept").ok();
    assert!(baseline(&desk) != planted && accepted.err.contains("green"), "{accepted:#?}");
}

#[test]
fn mistakes_are_one_line() {
    let desk = desk();
    for (more, word) in [
        ("--profil cpu", "unknown option --profil"),
        ("--keep none", "--keep none"),
        ("--jobs", "needs a value"),
    ] {
        let done = night(&desk, "out", more);
        assert!(
            done.code == Some(2) && done.err.lines().count() == 1 && done.err.contains(word),
            "{done:#?}"
        );
    }
    let unknown = night(&desk, "out", "--profile nothing");
    assert!(unknown.code == Some(2) && unknown.err.contains("unknown profile"), "{unknown:#?}");
    assert!(night(&desk, "out", "--help").ok().out.contains("--need-baseline"));
}
