//! Two processes in one folder, and clocks that go backwards.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::common::{Done, training};
use super::{desk, extract, records, suite};

/// The second is refused in one line, or finds the work done; nothing is torn.
#[test]
fn two_processes_in_one_folder_do_not_mix() {
    let desk = desk();
    desk.bench(&suite("calm", &[])).ok();
    let verbs = [suite("both", &[]), training("trained", &["--rounds", "2"]), extract("faces")];
    let mut met = 0;
    for (at, args) in (0..).zip(verbs.iter().cycle().take(9)) {
        let start = || desk.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let first = start().unwrap();
        std::thread::sleep(Duration::from_millis(100 * (at / 3)));
        let second = start().unwrap();
        for child in [first, second] {
            let done = Done::from(child.wait_with_output().unwrap());
            if done.code != Some(0) {
                let last = done.err.lines().last().unwrap_or_default();
                let busy = ["another bench process", "another extraction"];
                assert!(busy.iter().any(|words| last.contains(words)), "{args:?}: {done:#?}");
                met += 1;
            }
        }
        desk.bench(args).ok();
        if args[0] == "suite" {
            assert_eq!(records(&desk.path("both")), records(&desk.path("calm")));
        }
        for out in ["both", "trained", "faces"] {
            let _ = std::fs::remove_dir_all(desk.path(out));
        }
    }
    assert!(met > 0, "no two of them met");
}

/// Records say when they were finished: a clock that was set back changes no other byte, does not
/// stop a run from going on, and puts runs of a history in the order that the clock had.
#[test]
fn a_clock_that_goes_backwards_moves_nothing() {
    let desk = desk();
    desk.bench(&suite("calm", &[])).ok();
    desk.bench(&suite("runs/a", &["--shard", "1/2"])).ok();
    // The second half of the same run, as of 1970 and as of the end of time.
    let cells = desk.path("runs/a/cells.jsonl");
    let text = std::fs::read_to_string(&cells).unwrap();
    let (head, tail) = text.split_once("\"finished_unix\":").unwrap();
    let rest = tail.trim_start_matches(|c: char| c.is_ascii_digit());
    std::fs::write(&cells, format!("{head}\"finished_unix\":{}{rest}", u64::MAX)).unwrap();
    let old = std::fs::File::options().append(true).open(&cells).unwrap();
    old.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    drop(old);
    let begun = Instant::now();
    desk.bench(&["suite", "suite.toml", "--device", "cpu", "--out", "runs/b", "--shard", "2/2"])
        .ok();
    desk.bench(&["merge", "runs/a", "runs/b", "--out", "merged"]).ok();
    assert_eq!(records(&desk.path("merged")), records(&desk.path("calm")));
    for args in [
        vec!["report", "runs/a"],
        vec!["history", "runs", "--out", "history"],
        vec!["export", "runs/a", "--format", "csv", "--output", "table.csv"],
        vec!["compare", "runs/a", "runs/a"],
    ] {
        desk.bench(&args).ok();
    }
    assert!(begun.elapsed() < Duration::from_secs(120));
}
