//! Label recovery through the built binary: what a record without pictures holds, and what
//! `bench attack` says of a captured update.

mod common;

use common::Desk;
use serde_json::Value;

const CAPTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/capture");

/// The records of `suite`, run in a folder of its own.
fn records(desk: &Desk, suite: &str) -> Vec<Value> {
    desk.write("own.toml", suite);
    desk.bench(&["--device", "cpu", "suite", "own.toml", "--out", "run"]).ok();
    let lines = std::fs::read_to_string(desk.path("run/cells.jsonl")).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn scores(record: &Value) -> Vec<&Value> {
    record["images"].as_array().unwrap().iter().map(|image| &image["scores"]).collect()
}

/// The mean of a null baseline's share of labels.
fn null(record: &Value, name: &str) -> f64 {
    let rows = record["baselines"][name].as_array().unwrap();
    rows.iter().map(|r| r["label_multiset"].as_f64().unwrap()).sum::<f64>() / rows.len() as f64
}

fn told(record: &Value) -> f64 {
    let own = scores(record);
    own.iter().map(|s| s["label_multiset"].as_f64().unwrap()).sum::<f64>() / own.len() as f64
}

#[test]
fn a_record_without_pictures_has_labels_beside_chance_and_the_majority() {
    let desk = Desk::new();
    let suite = r#"
        [suite]
        name = "own"
        version = "1"
        description = "labels of one example and of eight, by the prior and greedily"
        [defaults]
        trials = 8
        task = "digits"
        model = { name = "mlp", params = { hidden = [16] } }
        attack = { name = "labels" }
        [matrix]
        federation.local.batch_size = [1, 8]
        attack = [{ method = "prior" }, { method = "idlg" }]
    "#;
    let all = records(&desk, suite);
    assert_eq!(all.len(), 4);
    for record in &all {
        assert_eq!(record["outcome"]["kind"], "done", "{}", record["outcome"]);
        for own in scores(record) {
            for of_pictures in ["psnr", "mse", "ssim", "identified-top1", "label_match"] {
                assert_eq!(own.get(of_pictures), Some(&Value::Null), "{of_pictures}");
            }
            assert!(own["label_count_error"].is_f64() && own["label_precision"].is_f64());
        }
        let nulls: Vec<&String> = record["baselines"].as_object().unwrap().keys().collect();
        assert_eq!(nulls, ["majority", "prior", "public"]);
        assert!(record["notes"].to_string().contains("no picture"));
        let batch = record["spec"]["federation"]["local"]["batch_size"].as_i64().unwrap();
        // Ten classes, all but equally frequent.
        let chance = null(record, "public");
        assert!(if batch == 1 { chance < 0.2 } else { (0.3..0.6).contains(&chance) }, "{chance}");
        match record["spec"]["attack"]["method"].as_str().unwrap() {
            // The likeliest class of one example is the most frequent one.
            "prior" if batch == 1 => assert_eq!(told(record), null(record, "majority")),
            // Whole counts near to the shares beat drawing, and what knows no more is no attack.
            "prior" => {
                assert!(told(record) > null(record, "majority") && told(record) > chance);
                assert_eq!(told(record), null(record, "prior"));
            }
            _ => assert!(told(record) > 0.9, "{}", told(record)),
        }
    }
    let report = std::fs::read_to_string(desk.path("run/report/report.md")).unwrap();
    let wanted = "No attack drew a picture. 2 of 4 undefended cells surely tell more";
    assert!(report.contains(wanted), "{}", &report[..400]);
    // Nothing of pictures was written.
    assert!(desk.files().iter().all(|f| !f.ends_with(".safetensors") && !f.contains("guess")));
}

#[test]
fn a_captured_update_tells_its_label() {
    let desk = Desk::new();
    let file = |name: &str| format!("{CAPTURE}/{name}");
    let (weights, update, truth) =
        (file("before.pt"), file("gradient.safetensors"), file("truth.png"));
    let attack = |method: &str, more: &[&str]| {
        let set = format!("method={method}");
        let args = ["attack", "--model", "lenet-zhu", "--input", "3x16x16", "--classes", "10"];
        let files = ["--weights", &weights, "--update", &update, "--attack", "labels", "--set"];
        desk.bench(&[&["--json"], &args[..], &files, &[&set], more].concat())
    };
    let with_pictures = {
        let args = ["attack", "--model", "lenet-zhu", "--input", "3x16x16", "--classes", "10"];
        let files = ["--weights", &weights, "--update", &update, "--attack", "idlg", "--set"];
        desk.bench(&[&["--json"], &args[..], &files, &["iterations=1"]].concat()).ok().json()
    };
    for method in ["idlg", "analytic", "yin", "geng", "ilrg"] {
        let said = attack(method, &["--truth", &truth]).ok();
        let value = said.json();
        assert_eq!(value["labels"], with_pictures["labels"], "{method}");
        assert_eq!((&value["files"], &value["scores"]), (&serde_json::json!([]), &Value::Null));
        assert!(said.err.contains("draws no picture"), "{}", said.err);
    }
    let refused = attack("prior", &[]);
    assert!(refused.code == Some(2) && refused.err.contains("public data"), "{refused:?}");
    let refused = attack("signs", &[]);
    assert!(refused.code == Some(2) && refused.err.contains("bias-corrected"), "{refused:?}");
}
