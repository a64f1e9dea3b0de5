//! What the system does to a run: full disks, limits, folders without rights, kills, clocks, and
//! two processes at once. What is there afterwards is the old or the new, never between.

#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;
mod killed;
mod refused;
mod together;

use std::path::Path;

use common::{Desk, Done, contents};

/// Cells of a tenth of a second.
const SUITE: &str = r#"
[suite]
name = "faults"
version = "1"
description = "small cells"

[defaults]
task = { dataset = "digits", split = "test" }
model = { name = "lenet-zhu", init = "dlg-uniform" }
federation = { clients = { total = 2 }, local = { lr = 0.1 } }
attack = { name = "dlg", iterations = 3 }
trials = 2

[matrix]
seed = [1, 2, 3, 4]
"#;

/// A training of a second.
const TASK: &str = r#"
name = "small"
description = "digits among four clients"
federation.rounds = 4
task = { dataset = "digits", limit = 230 }
model = { name = "mnist-cnn", params = { padding = 1 } }

[federation.clients]
total = 4

[federation.local]
batch_size = 8
lr = 0.05
momentum = 0.9

[federation.evaluation]
examples = 60
"#;

/// Pictures in the records below.
const FACES: usize = 40;

/// A desk with a suite, a task and records of faces.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("suite.toml", SUITE);
    desk.write("task.toml", TASK);
    desk.write("faces.rec", faces());
    desk
}

fn faces() -> Vec<u8> {
    let mut rec = Vec::new();
    for key in 0..FACES {
        let picture = image::RgbImage::from_fn(24, 24, |x, y| {
            image::Rgb([key as u8 * 6, (x * y) as u8, (x + 3 * y) as u8 * 5])
        });
        let mut png = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
        let png = png.into_inner();
        rec.extend(0xced7_230a_u32.to_le_bytes());
        rec.extend((24 + png.len() as u32).to_le_bytes());
        rec.extend([[0; 4], ((key % 4) as f32).to_le_bytes()].concat());
        rec.extend([(key as u64).to_le_bytes(), [0; 8]].concat());
        rec.extend(png);
        rec.resize(rec.len().next_multiple_of(4), 0);
    }
    rec
}

fn suite<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["suite", "suite.toml", "--device", "cpu", "--out", out][..], more].concat()
}

fn keys(out: &str) -> Vec<&str> {
    vec!["keys", "generate", "--scheme", "ckks", "--out", out, "--force"]
}

fn extract(out: &str) -> Vec<&str> {
    vec!["data", "extract", "--rec", "faces.rec", "--out", out]
}

/// The records of a run without what differs between any two.
fn records(dir: &Path) -> Vec<u8> {
    record::fingerprint(&record::store::read_records(dir).unwrap()).unwrap()
}

/// Fingerprints of a folder's secret and public key.
fn fingerprints(desk: &Desk, dir: &str) -> [String; 2] {
    ["ckks-secret.key", "ckks-public.key"].map(|name| {
        let path = format!("{dir}/{name}");
        let said = desk.bench(&["--json", "keys", "inspect", &path]).ok().json();
        said[0]["fingerprint"].as_str().unwrap().to_owned()
    })
}

/// Nothing half-written is left below a folder.
#[track_caller]
fn tidy(dir: &Path) {
    for (name, _) in contents(dir) {
        assert!(![".tmp", ".part", ".new"].iter().any(|end| name.ends_with(end)), "{name} is left");
    }
}

/// One line that says what could not be written, and the code for what the system refused.
#[track_caller]
fn refused(done: &Done, says: &str) {
    let last = done.err.lines().last().unwrap_or_default();
    assert!(done.code == Some(3) && last.contains(says), "{done:#?}");
    assert!(!done.err.contains("panicked"), "{done:#?}");
}
