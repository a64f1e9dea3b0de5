//! Writes that the system refuses: beyond a limit, on a full disk, in a folder without rights.

use std::process::Command;

use super::common::{Desk, Done, contents, training};
use super::{desk, extract, fingerprints, keys, records, refused, suite, tidy};

/// Every verb that writes, with its folder or file; the ones after `run` read that one.
fn writers() -> Vec<(Vec<&'static str>, &'static str)> {
    vec![
        (suite("new", &[]), "new"),
        (training("trained", &["--rounds", "1"]), "trained"),
        (vec!["merge", "run", "--out", "merged"], "merged"),
        (keys("keys"), "keys"),
        (extract("faces"), "faces"),
        (vec!["baseline", "run", "--output", "baseline.json"], "baseline.json"),
        (vec!["export", "run", "--format", "csv", "--output", "table.csv"], "table.csv"),
    ]
}

fn bench(desk: &Desk, before: &str, args: &[&str]) -> Done {
    let line = format!("{before}\nexec \"$BENCH\" \"$@\"");
    Done::from(desk.shell(&line).arg("bench").args(args).output().unwrap())
}

/// `ulimit -f` sends a signal that would end the process without a word.
#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_no_death() {
    let desk = desk();
    desk.bench(&suite("run", &[])).ok();
    desk.bench(&keys("keys")).ok();
    let old = fingerprints(&desk, "keys");
    for (args, out) in writers() {
        let done = bench(&desk, "ulimit -f 0", &args);
        refused(&done, "File too large");
        assert!(done.err.contains(out), "{args:?}: {done:#?}");
        tidy(&desk.path(out));
    }
    assert_eq!(fingerprints(&desk, "keys"), old, "keys are the old ones");
    for (args, _) in writers() {
        desk.bench(&args).ok();
    }
    assert_eq!(records(&desk.path("new")), records(&desk.path("run")));
    assert_eq!(records(&desk.path("merged")), records(&desk.path("run")));
    assert_ne!(fingerprints(&desk, "keys"), old);
}

/// A small file system of its own, where the test may mount one.
struct Small<'a>(&'a Desk);

impl<'a> Small<'a> {
    fn mount(desk: &'a Desk, bytes: &str) -> Option<Small<'a>> {
        std::fs::create_dir_all(desk.path("disk")).unwrap();
        let options = format!("size={bytes},mode=0777");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "none"]).arg(desk.path("disk"));
        let done = mount.output();
        if done.is_ok_and(|done| done.status.success()) {
            return Some(Small(desk));
        }
        println!("skipped: no file system can be mounted here");
        None
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let done = Command::new("umount").arg(self.0.path("disk")).status();
        assert!(done.is_ok_and(|s| s.success()), "the file system stays mounted");
    }
}

#[test]
fn a_full_disk_is_one_line_and_leaves_what_was_there() {
    let desk = desk();
    desk.bench(&suite("run", &[])).ok();
    let calm = records(&desk.path("run"));
    let Some(_disk) = Small::mount(&desk, "96k") else { return };
    desk.bench(&suite("disk/run", &["--shard", "1/4"]));
    let kept = contents(&desk.path("disk"));
    let full = desk.path("disk/full");
    // Whatever is left is taken.
    let _ = std::fs::write(&full, vec![1; 1 << 20]);
    for (args, out) in [
        (suite("disk/run", &[]), "disk/run"),
        (training("disk/trained", &["--rounds", "1"]), "disk/trained"),
        (vec!["merge", "run", "--out", "disk/merged"], "disk/merged"),
        (keys("disk/keys"), "disk/keys"),
        (extract("disk/faces"), "disk/faces"),
        (vec!["export", "run", "--format", "csv", "--output", "disk/table.csv"], "disk/table.csv"),
    ] {
        let done = desk.bench(&args);
        refused(&done, "No space left");
        tidy(&desk.path(out));
    }
    for (name, bytes) in kept.iter().filter(|(name, _)| name.ends_with("cells.jsonl")) {
        assert_eq!(&std::fs::read(desk.path("disk").join(name)).unwrap(), bytes, "{name}");
    }
    std::fs::remove_file(full).unwrap();
    assert_eq!(calm, records(&desk.path("run")));
}

/// Root writes everywhere: the test is of everybody else.
#[test]
fn a_folder_without_rights_is_one_line() {
    use std::os::unix::fs::PermissionsExt;
    let desk = desk();
    let dir = desk.path("closed");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o555)).unwrap();
    if std::fs::write(dir.join("probe"), "").is_ok() {
        println!("skipped: permissions do not bind this user (root)");
        return;
    }
    for args in [
        suite("closed/run", &[]),
        training("closed/trained", &["--rounds", "1"]),
        keys("closed/keys"),
        extract("closed/faces"),
    ] {
        refused(&desk.bench(&args), "ermission denied");
    }
    assert!(contents(&dir).is_empty());
}
