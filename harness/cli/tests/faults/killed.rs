//! Kills at random moments. `BENCH_KILLS` says how many for each verb (default 3),
//! `BENCH_KILL_SEED` which moments; `tests/resume.rs` kills suites in the same way.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rand::Rng;
use record::{RoundRecord, read_rounds};

use super::common::{Desk, contents, training};
use super::{desk, extract, fingerprints, keys, records, suite, tidy};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |v| v.parse().unwrap())
}

/// Starts a verb that takes about `whole` and kills it, until it was killed often enough; `after`
/// sees what is there after each kill, whether the verb had ended before it, and at times that it
/// shall be ended now.
fn kill(desk: &Desk, args: &[&str], whole: Duration, mut after: impl FnMut(bool, bool)) {
    let mut rng = suites::rng::stream(setting("BENCH_KILL_SEED", 1), "faults", args[0]);
    let (mut kills, most) = (0, setting("BENCH_KILLS", 3));
    while kills < most {
        let mut command = desk.command(args);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let (mut child, start) = (child.unwrap(), Instant::now());
        let moment = whole.mul_f64(rng.random_range(0.0..1.1));
        while start.elapsed() < moment && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_micros(200));
        }
        child.kill().unwrap();
        let ended = child.wait().unwrap().code().is_some();
        kills += u64::from(!ended);
        after(ended, rng.random_bool(0.25));
        if !ended {
            println!("{}: {kills} of {most} kills survived", args[0]);
        }
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

#[test]
fn a_training_goes_on_as_if_nothing_had_happened() {
    let desk = desk();
    let whole = timed(|| drop(desk.bench(&training("calm", &[])).ok()));
    let timeless = |out: &str| -> Vec<RoundRecord> {
        let rounds = read_rounds(&desk.path(out).join("records.csv")).unwrap();
        rounds.into_iter().map(|r| RoundRecord { seconds: 0.0, ..r }).collect()
    };
    let model = |out: &str| std::fs::read(desk.path(out).join("model.safetensors")).unwrap();
    let whole_again = || {
        desk.bench(&training("killed", &[])).ok();
        assert_eq!(timeless("killed"), timeless("calm"));
        assert!(model("killed") == model("calm"), "another model");
        tidy(&desk.path("killed"));
        std::fs::remove_dir_all(desk.path("killed")).unwrap();
    };
    kill(&desk, &training("killed", &[]), whole, |ended, now| {
        // The next kills meet a new one.
        if ended || now {
            whole_again();
        }
    });
    whole_again();
}

#[test]
fn a_merge_is_there_or_begins_anew() {
    let desk = desk();
    for shard in ["1/2", "2/2"] {
        desk.bench(&suite(&shard.replace('/', "-of-"), &["--shard", shard])).ok();
    }
    let merge = |out| vec!["merge", "1-of-2", "2-of-2", "--out", out];
    let whole = timed(|| drop(desk.bench(&merge("calm")).ok()));
    let calm = (records(&desk.path("calm")), contents(&desk.path("calm/artifacts")));
    let same = || {
        let found = (records(&desk.path("killed")), contents(&desk.path("killed/artifacts")));
        assert!(found == calm, "another run");
    };
    kill(&desk, &merge("killed"), whole, |_, _| {
        if !desk.path("killed/run.json").exists() {
            desk.bench(&merge("killed")).ok();
        }
        same();
        std::fs::remove_dir_all(desk.path("killed")).unwrap();
    });
}

#[test]
fn an_extraction_holds_whole_pictures_only() {
    let desk = desk();
    let whole = timed(|| drop(desk.bench(&extract("calm")).ok()));
    let calm = contents(&desk.path("calm"));
    assert!(calm.len() > super::FACES);
    kill(&desk, &extract("killed"), whole, |ended, now| {
        let found = contents(&desk.path("killed"));
        for (name, bytes) in found.iter().filter(|(name, _)| name.ends_with(".png")) {
            assert!(calm.contains(&(name.clone(), bytes.clone())), "{name} is not whole");
        }
        if ended || now {
            desk.bench(&extract("killed")).ok();
            assert!(contents(&desk.path("killed")) == calm, "other files");
            std::fs::remove_dir_all(desk.path("killed")).unwrap();
        }
    });
}

#[test]
fn keys_are_the_old_pair_or_the_new() {
    let desk = desk();
    let whole = timed(|| drop(desk.bench(&keys("keys")).ok()));
    let mut old = fingerprints(&desk, "keys");
    kill(&desk, &keys("keys"), whole, |ended, _| {
        let [secret, public] = fingerprints(&desk, "keys");
        assert_eq!(secret, public, "of two pairs; before it was {old:?}");
        assert!(!ended || secret != old[0], "a verb that ended has made new ones");
        old = [secret, public];
    });
    desk.bench(&keys("keys")).ok();
}
