//! Files that somebody hands in, through the binary: each is refused in one line that says what,
//! where and how to mend it, with the exit code of bad input, and without the memory it asks for.
#![cfg(target_os = "linux")]

mod common;

use std::io::Cursor;

use common::{Desk, Done};
use learning::checkpoint;
use tch::Tensor;

/// Megabytes of address space that the binary may have: libtorch maps two by itself.
const SPACE: usize = 6_000;

/// Runs the binary with bounded memory, and for a minute at most.
fn bounded(desk: &Desk, args: &str) -> Done {
    let line = format!("ulimit -v {}; exec timeout 60 \"$BENCH\" {args}", SPACE * 1000);
    Done::from(desk.shell(&line).output().unwrap())
}

#[track_caller]
fn refused(desk: &Desk, args: &str, says: &[&str]) {
    let done = bounded(desk, args);
    assert_eq!((done.code, done.err.lines().count()), (Some(2), 1), "{args}: {done:#?}");
    assert!(done.err.starts_with("bench: ") && done.out.is_empty(), "{args}: {done:#?}");
    for part in says {
        assert!(done.err.contains(part), "{args}: `{part}` is missing: {done:#?}");
    }
    let raw = done.err.trim_end().chars().any(char::is_control);
    assert!(!raw, "{args}: control characters reach the terminal: {done:#?}");
}

/// A trained model of logistic regression, and the text of its description.
fn model(desk: &Desk) -> String {
    desk.bench(&["train", "wdbc-logistic", "--profile", "smoke", "--out", "w"]).ok();
    checkpoint::description(&desk.path("w/model.safetensors")).unwrap().unwrap()
}

fn described(desk: &Desk, name: &str, words: &str) {
    let tensors = [("w".to_string(), Tensor::zeros([8], (tch::Kind::Float, tch::Device::Cpu)))];
    checkpoint::save_described(&desk.path(name), &tensors, words).unwrap();
}

#[test]
fn a_model_file_cannot_ask_for_a_larger_model_than_it_holds() {
    let desk = Desk::new();
    let words = model(&desk);
    desk.write("rows.csv", "1,2\n");
    let changed = |path: &[&str], value: serde_json::Value| {
        let mut all: serde_json::Value = serde_json::from_str(&words).unwrap();
        if path.contains(&"params") {
            all["spec"]["model"]["name"] = "mlp".into();
        }
        let place = path.iter().fold(&mut all, |at, key| &mut at[key]);
        *place = value;
        all.to_string()
    };
    let mlp = serde_json::json!({ "hidden": [6_000_000, 6_000_000] });
    let deep = serde_json::json!({ "hidden": vec![1; 300_000] });
    let huge = 1u64 << 40;
    for (name, path, value, says) in [
        ("wide", &["spec", "model", "params"][..], mlp, "model description of"),
        ("deep", &["spec", "model", "params"], deep, "model description may hold"),
        ("classes", &["card", "classes"], huge.into(), "model description of"),
        ("channels", &["card", "channels"], huge.into(), "normalisation"),
        ("none", &["card", "classes"], 0.into(), "which there are not"),
    ] {
        let file = format!("{name}.safetensors");
        described(&desk, &file, &changed(path, value));
        refused(&desk, &format!("predict --model {file} --csv rows.csv"), &[&file, says]);
    }
}

#[test]
fn a_small_picture_of_many_pixels_is_not_decoded() {
    let desk = Desk::new();
    let blank = image::GrayImage::new(18_000, 18_000);
    let mut png = Cursor::new(Vec::new());
    blank.write_to(&mut png, image::ImageFormat::Png).unwrap();
    let path = desk.write("large.png", png.into_inner());
    assert!(path.metadata().unwrap().len() < 3_000_000);
    refused(&desk, "score large.png large.png", &["large.png", "18000x18000 pixels", "BMP"]);
}

#[test]
fn pipes_and_devices_are_no_files() {
    let desk = Desk::new();
    model(&desk);
    Done::from(desk.shell("mkfifo pipe.png pipe.toml pipe.csv").output().unwrap()).ok();
    let no = "no regular file";
    refused(&desk, "score pipe.png pipe.png", &["pipe.png", no]);
    refused(&desk, "score /dev/zero /dev/zero", &["/dev/zero", no]);
    refused(&desk, "check ./pipe.toml", &["pipe.toml", no]);
    refused(&desk, "train ./pipe.toml", &["pipe.toml", no]);
    refused(&desk, "predict --model /dev/zero --csv pipe.csv", &["/dev/zero", no]);
    refused(&desk, "predict --model w/model.safetensors --csv pipe.csv", &["pipe.csv", no]);
    refused(&desk, "compare /dev/zero w", &["/dev/zero"]);
    refused(&desk, "predict --model w --csv pipe.csv", &["w: a folder, not a checkpoint"]);
}

#[test]
fn names_that_become_folders_lead_nowhere() {
    let desk = Desk::new();
    let up = ["..", "..", "escaped"].join("/");
    let suite = |name: &str, profile: &str| {
        format!(
            "[suite]\nname = \"{name}\"\nversion = \"1\"\ndescription = \"d\"\n[defaults]\n\
             task = {{ dataset = \"digits\" }}\nmodel = {{ name = \"mlp\" }}\n\
             attack = {{ name = \"idlg\" }}\n[profiles.\"{profile}\"]\n"
        )
    };
    desk.write("a.toml", suite(&up, "smoke"));
    desk.write("b.toml", suite("b", &up));
    let task = "model = \"logistic\"\ntask = \"wdbc\"\ndescription = \"d\"\n";
    desk.write("c.toml", format!("name = \"{up}\"\n{task}"));
    let says = |file: &str| format!("{file}:");
    let folder = "cannot name a folder";
    refused(&desk, "suite a.toml", &[&says("a.toml"), folder, "letters, digits"]);
    refused(&desk, &format!("suite b.toml --profile {up}"), &[&says("b.toml"), folder]);
    refused(&desk, "train c.toml", &[&says("c.toml"), folder]);
}

#[test]
fn escapes_do_not_reach_the_terminal() {
    let desk = Desk::new();
    let title = "a\\u001b[2Jb";
    desk.write(
        "a.toml",
        format!("[suite]\nname = \"{title}\"\nversion = \"1\"\ndescription = \"d\""),
    );
    refused(&desk, "check a.toml", &["a\\u{1b}[2Jb"]);
    let name = "p\u{1b}[2J.png";
    let mut png = Cursor::new(Vec::new());
    image::GrayImage::new(16, 16).write_to(&mut png, image::ImageFormat::Png).unwrap();
    for folder in ["t", "g"] {
        desk.write(&format!("{folder}/{name}"), png.get_ref());
    }
    let done = desk.bench(&["score", "t", "g"]).ok();
    assert!(done.out.contains("p\\u{1b}[2J.png") && !done.out.contains('\u{1b}'), "{done:#?}");
}
