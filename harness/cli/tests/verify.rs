//! `bench embed` and `bench verify`: numbers that agree with each other, and what is refused.

mod common;

use std::path::PathBuf;

use common::{Desk, Done};
use image::{Rgb, RgbImage};

const TASK: &str = r#"
name = "faces"
description = "who is it"
rounds = 1
task = { dataset = "synthfaces", label = "identity", size = 32, limit = 60 }
model = "simple-cnn"
regime = "centralised"

[local]
batch_size = 20
lr = 0.05

[evaluation]
examples = 20
"#;

/// A folder with a trained model `t/model.safetensors` and four pictures `a/a_0001.png`, ...
fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("task.toml", TASK);
    desk.bench(&["train", "task.toml", "--device", "cpu", "--out", "t"]).ok();
    for (name, shade) in [("a/a_0001", 10), ("a/a_0002", 30), ("b/b_0001", 200), ("b/b_0002", 230)]
    {
        let picture =
            RgbImage::from_fn(40, 40, |x, y| Rgb([shade, (x * 6) as u8, (y * 3) as u8 ^ shade]));
        let path: PathBuf = desk.path(&format!("p/{name}.png"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        picture.save(path).unwrap();
    }
    desk
}

fn with<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [args, &["--model", "t/model.safetensors", "--device", "cpu"]].concat()
}

/// Refused with exit code 2 on one line that says all of this.
#[track_caller]
fn refused(done: Done, says: &[&str]) {
    assert_eq!(done.code, Some(2), "{done:#?}");
    assert_eq!(done.err.trim_end().lines().count(), 1, "{done:#?}");
    says.iter().for_each(|part| assert!(done.err.contains(part), "`{part}` is missing: {done:#?}"));
}

/// Names and values of a CSV of embeddings.
fn rows(text: &str) -> Vec<(String, Vec<f64>)> {
    let row = |line: &str| {
        let mut fields = line.split(',');
        (fields.next().unwrap().to_string(), fields.map(|f| f.parse().unwrap()).collect())
    };
    text.lines().skip(1).map(row).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[test]
fn embeddings_and_cosines_agree() {
    let desk = desk();
    let unit = rows(&desk.bench(&with(&["embed", "p"])).ok().out);
    assert_eq!(unit.iter().map(|r| r.0.as_str()).collect::<Vec<_>>()[1], "p/a/a_0002.png");
    assert!(unit.len() == 4 && unit.iter().all(|r| (dot(&r.1, &r.1) - 1.0).abs() < 1e-5));
    let raw = rows(&desk.bench(&with(&["embed", "p/a/a_0001.png", "--raw"])).ok().out);
    let length = dot(&raw[0].1, &raw[0].1).sqrt();
    assert!(raw[0].1.iter().zip(&unit[0].1).all(|(r, u)| (r / length - u).abs() < 1e-5));
    let pair = ["verify", "p/a/a_0001.png", "p/b/b_0001.png"];
    let cosine = |more: &[&'static str]| desk.bench(&with(&[&pair, more].concat())).ok().json();
    let found = cosine(&["--json", "--threshold", "-1"]);
    assert!(
        (found["cosine"].as_f64().unwrap() - dot(&unit[0].1, &unit[2].1)).abs() < 1e-5,
        "{found}"
    );
    assert_eq!(
        (&found["same"], &cosine(&["--json", "--threshold", "1"])["same"]),
        (&true.into(), &false.into())
    );
    assert!(cosine(&["--json"])["same"].is_null());
    let flipped = cosine(&["--json", "--flip"])["cosine"].as_f64().unwrap();
    assert!((flipped - found["cosine"].as_f64().unwrap()).abs() > 1e-9);
    desk.bench(&with(&["embed", "p", "--out", "e.npy"])).ok();
    let npy = std::fs::read(desk.path("e.npy")).unwrap();
    let (width, header) = (unit[0].1.len(), u16::from_le_bytes([npy[8], npy[9]]) as usize + 10);
    assert!(header % 64 == 0 && npy.len() == header + 4 * 4 * width);
    assert!(String::from_utf8_lossy(&npy[10..header]).contains(&format!("'shape': (4, {width})")));
    let last = f32::from_le_bytes(npy[npy.len() - 4..].try_into().unwrap());
    assert!((f64::from(last) - unit[3].1[width - 1]).abs() < 1e-6);
}

#[test]
fn a_list_of_pairs_is_judged() {
    let desk = desk();
    desk.write("pairs.txt", "2 1\na 1 2\na 1 b 2\nb 1 2\nb 1 a 2\n");
    let done =
        desk.bench(&with(&["verify", "--pairs", "pairs.txt", "--images", "p", "--out", "v"])).ok();
    let shown =
        done.out.lines().find_map(|l| l.strip_prefix("threshold ")?.split(' ').next()).unwrap();
    let kept: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(desk.path("v/verification.json")).unwrap())
            .unwrap();
    assert_eq!(shown.parse::<f64>().unwrap(), kept["threshold"].as_f64().unwrap());
    for part in
        ["4 pairs (2 same, 2 different) of pairs.txt", "mean of 2 folds", "TAR at FAR 1e-1: none"]
    {
        assert!(done.out.contains(part), "{done:#?}");
    }
    let pairs = std::fs::read_to_string(desk.path("v/pairs.csv")).unwrap();
    let unit = rows(&desk.bench(&with(&["embed", "p"])).ok().out);
    for (line, (a, b)) in pairs.lines().skip(1).zip([(0, 1), (0, 3), (2, 3), (2, 1)]) {
        let cosine: f64 = line.rsplit(',').next().unwrap().parse().unwrap();
        assert!((cosine - dot(&unit[a].1, &unit[b].1)).abs() < 1e-5, "{line}");
    }
    let curve = std::fs::read_to_string(desk.path("v/roc.csv")).unwrap();
    assert!(curve.contains("\ninf,0,0\n") && curve.ends_with(",1,1\n"), "{curve}");
    let list = ["verify", "--pairs", "pairs.txt", "--images"];
    desk.write("pairs.txt", ["p/a.png p/b.png 1\n", "p/a.png p/b.png 0\n"].concat().repeat(2));
    refused(
        desk.bench(&with(&[&list[..], &["p"]].concat())),
        &["pairs.txt: line 1: p/p/a.png is not there", "2 of 2"],
    );
    refused(desk.bench(&with(&[&list[..], &["q"]].concat())), &["--images q", "no such folder"]);
    desk.write("pairs.txt", "a 1 2\nwhat is this now please\n");
    refused(desk.bench(&with(&[&list[..], &["p"]].concat())), &["pairs.txt: line 2", "a line is"]);
    desk.write("pairs.txt", "2 1\na 1 2\na 1 b 2\nb 1 2\nb 1 a 2\n");
    refused(
        desk.bench(&with(&[&list[..], &["p", "--folds", "3"]].concat())),
        &["2 pairs of the same person for 3 folds", "2 folds at most"],
    );
    desk.write("pairs.txt", "a 1 2\nb 1 2\n");
    refused(desk.bench(&with(&[&list[..], &["p"]].concat())), &["no pair of different persons"]);
}

#[test]
fn pairs_are_drawn_from_persons_who_were_not_trained_on() {
    let desk = desk();
    let args =
        ["verify", "--dataset", "synthfaces", "--pairs-count", "200", "--folds", "5", "--json"];
    let run = |more: &[&'static str]| desk.bench(&with(&[&args[..], more].concat())).ok();
    let first = run(&["--out", "v"]);
    let value = first.json();
    assert_eq!((value["genuine"].as_u64(), value["impostor"].as_u64()), (Some(100), Some(100)));
    assert_eq!(value["folds"].as_array().unwrap().len(), 5);
    // Pictures of one person resemble each other even for a model that was hardly trained.
    assert!(
        value["auc"].as_f64().unwrap() > 0.55 && value["accuracy"].as_f64().unwrap() > 0.5,
        "{value}"
    );
    assert!(value["tar_at_far"][3]["tar"].is_null() && value["tar_at_far"][3]["why"].is_string());
    assert_eq!(value["notes"].as_array().unwrap().len(), 0);
    assert_eq!(run(&["--out", "v"]).out, first.out);
    assert_ne!(run(&["--seed", "1"]).out, first.out);
    let files = desk.files();
    assert!(
        ["v/roc.csv", "v/pairs.csv", "v/verification.json"]
            .iter()
            .all(|f| files.contains(&f.to_string()))
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let desk = desk();
    desk.write("p/text.png", "no picture");
    refused(desk.bench(&with(&["embed", "p/text.png"])), &["text.png", "not a PNG"]);
    refused(desk.bench(&with(&["embed", "p/none.png"])), &["none.png"]);
    refused(
        desk.bench(&with(&["embed", "p/a/a_0001.png", "--out", "e.txt"])),
        &["e.txt", ".csv or .npy"],
    );
    std::fs::create_dir(desk.path("empty")).unwrap();
    refused(desk.bench(&with(&["embed", "empty"])), &["empty", "holds no pictures"]);
    refused(desk.bench(&with(&["verify", "p/a/a_0001.png"])), &["2 values"]);
    refused(desk.bench(&with(&["verify"])), &["--dataset"]);
    let two = ["verify", "p/a/a_0001.png", "p/text.png", "--threshold"];
    refused(desk.bench(&with(&[&two[..], &["0.5"]].concat())), &["text.png", "not a PNG"]);
    refused(desk.bench(&with(&[&two[..], &["1.5"]].concat())), &["--threshold", "[-1, 1]"]);
    refused(
        desk.bench(&with(&["verify", "--dataset", "synthface"])),
        &["did you mean `synthfaces`?"],
    );
    refused(desk.bench(&with(&["verify", "--dataset", "wdbc"])), &["wdbc"]);
    refused(
        desk.bench(&with(&["verify", "--dataset", "casia-webface"])),
        &["casia-webface/ below the data folder"],
    );
    let other = ["embed", "p/a/a_0001.png", "--device", "cpu", "--model"];
    refused(desk.bench(&[&other[..], &["none.safetensors"]].concat()), &["none.safetensors"]);
    refused(desk.bench(&[&other[..], &["p/text.png"]].concat()), &["text.png"]);
    let table = ["train", "wdbc-logistic", "--profile", "smoke", "--device", "cpu", "--out", "w"];
    desk.bench(&table).ok();
    refused(desk.bench(&[&other[..], &["w/model.safetensors"]].concat()), &["rows of a table"]);
}
