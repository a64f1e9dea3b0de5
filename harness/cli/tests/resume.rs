//! Rule 5: the records and files of a run do not depend on the number of jobs, on shards, or on how
//! often it was killed.

mod common;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use common::{Desk, Done, contents};
use rand::Rng;
use record::{CellRecord, Outcome, RunInfo};

/// Three attacks on two sources, with noise from a defense in half of the cells; and one cell that
/// cannot be allocated.
const SUITE: &str = r#"
[suite]
name = "interrupted"
version = "1"
description = "cells of a fraction of a second"

[defaults]
task = { dataset = "digits", split = "test" }
model = { name = "lenet-zhu", init = "dlg-uniform" }
federation = { clients = { total = 2 }, local = { lr = 0.1 } }
attack = "dlg"
trials = 2
seed = 5

[matrix]
attack = [
  { name = "dlg", iterations = 4 },
  { name = "idlg", iterations = 3, restarts = 2 },
  { name = "inverting-gradients-cli", iterations = 40, restarts = 1 },
]
source = ["gradients", "one_step_update"]
defenses = ["none", "dp-local"]

[[include]]
task = { dataset = "photos", split = "test", size = 16 }
model = { name = "mlp", init = "pytorch" }
attack = { name = "idlg", iterations = 5 }

[[include]]
model = { name = "mlp", params = { hidden = [1000000000000] } }
attack = { name = "idlg", iterations = 5 }
"#;

struct Finished {
    fingerprint: Vec<u8>,
    artifacts: Vec<(String, Vec<u8>)>,
    records: Vec<CellRecord>,
}

fn finished(dir: &Path) -> Finished {
    let records = record::store::read_records(dir).unwrap();
    Finished {
        fingerprint: record::fingerprint(&records).unwrap(),
        artifacts: contents(&dir.join("artifacts")),
        records,
    }
}

#[track_caller]
fn same(a: &Finished, b: &Finished, what: &str) {
    let names = |f: &Finished| f.artifacts.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
    assert_eq!(names(a), names(b), "{what}: other files");
    if a.fingerprint != b.fingerprint {
        let differ = a.fingerprint.iter().zip(&b.fingerprint).take_while(|(a, b)| a == b).count();
        let near = |f: &Finished| {
            let end = f.fingerprint.len().min(differ + 200);
            String::from_utf8_lossy(&f.fingerprint[differ.saturating_sub(200)..end]).into_owned()
        };
        panic!("{what}: records differ:\n{}\n---\n{}", near(a), near(b));
    }
    for ((name, a), (_, b)) in a.artifacts.iter().zip(&b.artifacts) {
        assert!(a == b, "{what}: {name} differs");
    }
}

fn arguments<'a>(suite: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["suite", suite, "--device", "cpu", "--out", out];
    all.extend(more);
    all
}

fn run(desk: &Desk, out: &str, more: &[&str]) -> Done {
    let done = desk.bench(&arguments("suite.toml", out, more));
    assert_eq!(done.code, Some(1), "one cell fails, the rest goes on: {done:#?}");
    done
}

/// The run that nothing disturbed, and how long it took; all tests compare with the same one.
fn undisturbed() -> &'static (Finished, Duration) {
    static CALM: OnceLock<(Finished, Duration)> = OnceLock::new();
    CALM.get_or_init(|| {
        let desk = desk();
        let start = Instant::now();
        run(&desk, "calm", &["--jobs", "1"]);
        (finished(&desk.path("calm")), start.elapsed())
    })
}

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("suite.toml", SUITE);
    desk
}

#[test]
fn jobs_and_shards_change_nothing_and_a_cell_that_breaks_is_failed() {
    let desk = desk();
    let (calm, _) = undisturbed();
    let failed: Vec<&CellRecord> = calm.records.iter().filter(|r| !r.settled()).collect();
    assert_eq!((calm.records.len(), failed.len()), (14, 1));
    match &failed[0].outcome {
        Outcome::Failed { stage, message } => {
            assert!(!message.is_empty() && !message.contains('\n'), "{message}");
            assert!(
                stage == "panic" && message.contains("can't allocate memory"),
                "{stage}: {message}"
            );
        }
        other => panic!("{other:?}"),
    }

    run(&desk, "two", &["--jobs", "2"]);
    same(calm, &finished(&desk.path("two")), "two jobs");

    let dirs: Vec<PathBuf> =
        ["1/2", "2/2"].iter().map(|s| desk.path(&s.replace('/', "-of-"))).collect();
    let codes: Vec<_> = ["1/2", "2/2"]
        .iter()
        .zip(&dirs)
        .map(|(shard, dir)| {
            let out = dir.to_str().unwrap();
            desk.bench(&arguments("suite.toml", out, &["--shard", shard])).code.unwrap()
        })
        .collect();
    assert_eq!(
        codes.iter().sum::<i32>(),
        1,
        "one of the shards holds the cell that fails: {codes:?}"
    );
    assert_eq!(record::merge(&dirs, &desk.path("merged")).unwrap(), 14);
    same(calm, &finished(&desk.path("merged")), "two shards");
}

/// Kills at random moments; `BENCH_KILLS` says how many (default 3), `BENCH_KILL_SEED` which
/// moments.
#[test]
fn killed_at_any_moment_the_records_are_the_same() {
    let setting = |name: &str, default| std::env::var(name).map_or(default, |v| v.parse().unwrap());
    let (kills, seed): (u64, u64) = (setting("BENCH_KILLS", 3), setting("BENCH_KILL_SEED", 1));
    let mut rng = suites::rng::stream(seed, "resume", "kills");
    let desk = desk();
    let (calm, whole) = undisturbed();

    let (mut round, mut left) = (0, kills);
    while left > 0 {
        // A run that has little left to do is finished and compared; the next kills meet a new one.
        let (out, mut stored) = (format!("killed-{round}"), 0);
        while left > 0 && stored < calm.records.len() {
            let moment = whole.mul_f64(rng.random_range(0.02..0.6));
            if !killed_after(&desk, &out, moment, if round % 2 == 0 { "2" } else { "1" }) {
                break;
            }
            left -= 1;
            stored = record::store::read_records(&desk.path(&out)).map_or(0, |r| r.len());
            println!(
                "{out}: killed after {moment:?} with {stored} records stored, {left} kills left"
            );
        }
        run(&desk, &out, &["--jobs", "1"]);
        same(calm, &finished(&desk.path(&out)), &out);
        round += 1;
    }
}

/// Starts or goes on with a run and kills it after a while; false where it was done before that.
fn killed_after(desk: &Desk, out: &str, moment: Duration, jobs: &str) -> bool {
    let mut command = desk.command(&arguments("suite.toml", out, &["--jobs", jobs]));
    let devnull = || std::process::Stdio::null();
    let mut child = command.stdout(devnull()).stderr(devnull()).spawn().unwrap();
    let end = Instant::now() + moment;
    while Instant::now() < end {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

/// Ctrl-C ends with its own code and says how to go on; going on completes the run.
#[cfg(unix)]
#[test]
fn stopped_by_the_user_the_run_says_how_to_go_on() {
    let desk = desk();
    let (calm, _) = undisturbed();
    let args = arguments("suite.toml", "stopped", &["--jobs", "1"]);
    let child = desk.command(&args).stderr(std::process::Stdio::piped()).spawn().unwrap();
    while record::store::read_records(&desk.path("stopped")).map_or(0, |r| r.len()) < 3 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let done = Done::from(child.wait_with_output().unwrap());
    assert_eq!(done.code, Some(130), "{done:#?}");
    let last = done.err.lines().last().unwrap_or_default();
    assert!(last.contains("bench suite suite.toml") && last.contains("--out stopped"), "{done:#?}");
    run(&desk, "stopped", &[]);
    same(calm, &finished(&desk.path("stopped")), "stopped");
}

/// Another path of MKL stands for another processor: what is added to a folder on it, by going on
/// or by merging, is noted in the run, in its report and on standard error.
#[test]
fn another_kind_of_processor_is_noted() {
    let desk = desk();
    let on = |path: &str, args: &[&str]| {
        Done::from(desk.command(args).env("MKL_CBWR", path).output().unwrap())
    };
    let suite = |shard, out| arguments("suite.toml", out, &["--shard", shard]);
    let begun = on("AVX2", &suite("1/14", "a"));
    assert!(begun.code == Some(0) && !begun.err.contains("note:"), "{begun:#?}");
    let other = on("COMPATIBLE", &suite("2/14", "b"));
    assert!(other.code == Some(0) && !other.err.contains("note:"), "{other:#?}");
    let merged = on("AVX2", &["merge", "a", "b", "--out", "both"]).ok();
    let resumed = on("COMPATIBLE", &suite("1/14", "a")).ok();
    for (done, out) in [(merged, "both"), (resumed, "a")] {
        assert!(
            done.err.contains("note: ") && done.err.contains("2 kinds of machine"),
            "{done:#?}"
        );
        let info = RunInfo::read(&desk.path(out)).unwrap();
        assert!(info.processor.contains("MKL_CBWR=AVX2"), "{}", info.processor);
        assert!(info.elsewhere[0].processor.contains("MKL_CBWR=COMPATIBLE"));
        let report = std::fs::read_to_string(desk.path(out).join("report/report.md")).unwrap();
        assert!(report.contains("other kinds of machine") && report.contains("COMPATIBLE"));
    }
}
