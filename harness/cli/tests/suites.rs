//! Every suite that ships builds, in each of its profiles; and the verbs that only look around
//! answer in words and in JSON.

mod common;

use common::Desk;
use serde_json::Value;
use suites::Suite;

/// Checks one profile of a suite; what is absent must be said to be absent, anything else must be
/// ready.
fn checked(desk: &Desk, suite: &str, profile: Option<&str>) -> (u64, usize) {
    let mut args = vec!["check", suite, "--json"];
    args.extend(profile.into_iter().flat_map(|p| ["--profile", p]));
    let done = desk.bench(&args);
    let answer = done.json();
    let list = |key: &str| answer[key].as_array().unwrap().clone();
    let (problems, skipped) = (list("problems"), list("not_applicable"));
    let cells = answer["cells"].as_u64().unwrap();
    let good = answer["good"].as_u64().unwrap();
    let what = format!("{suite} {profile:?}: {done:#?}");
    assert!(cells > 0, "{what}");
    assert_eq!(good as usize + problems.len() + skipped.len(), cells as usize, "{what}");
    assert_eq!(done.code, Some(if problems.is_empty() { 0 } else { 2 }), "{what}");
    assert!(done.err.is_empty(), "{what}");
    for problem in &problems {
        let text = problem.as_str().unwrap();
        assert!(
            text.contains("not found") && text.contains("--data") && !text.contains('\n'),
            "{what}"
        );
    }
    (good, problems.len())
}

#[test]
fn every_suite_and_profile_builds() {
    let desk = Desk::new();
    let mut absent = Vec::new();
    for name in suites::library().names() {
        let suite = Suite::load(name, None, &[]).unwrap();
        let (good, missing) = checked(&desk, name, None);
        let ready = good > 0 && missing == 0;
        assert!(ready || needs_data(&suite.description), "{name} needs data and does not say so");
        for (profile, text) in suite.profiles() {
            assert!(!text.is_empty(), "{name}: profile {profile} has no description");
            if checked(&desk, name, Some(profile)).1 > 0 {
                assert!(
                    needs_data(text),
                    "{name} {profile} needs data and does not say so: {text}"
                );
                absent.push(format!("{name} --profile {profile}"));
            }
        }
    }
    println!("these need data that are not here: {}", absent.join(", "));
}

/// Whether a profile's description says that it needs files.
fn needs_data(description: &str) -> bool {
    ["CelebA", "CIFAR-10", "ChestMNIST"].iter().any(|set| description.contains(set))
        && description.contains("in place")
}

/// With the data in place the profiles that need them build, too.
#[test]
fn profiles_on_celeba_build_where_celeba_is() {
    let default = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .into_os_string();
    let root = std::path::PathBuf::from(std::env::var_os("BENCH_TEST_DATA").unwrap_or(default));
    if !root.join("celeba").is_dir() {
        return println!("skipped: no celeba/ in {}; set BENCH_TEST_DATA", root.display());
    }
    let desk = Desk::new();
    for name in suites::library().names() {
        let suite = Suite::load(name, None, &[]).unwrap();
        let on_faces = |text: &str| needs_data(text) && text.contains("CelebA");
        for (profile, _) in suite.profiles().iter().filter(|(_, text)| on_faces(text)) {
            let args = ["check", name, "--profile", profile, "--data", root.to_str().unwrap()];
            let done = desk.bench(&args).ok();
            assert!(done.out.contains("0 with problems"), "{done:#?}");
        }
    }
}

fn names(rows: &Value) -> Vec<&str> {
    rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[test]
fn list_names_everything() {
    let desk = Desk::new();
    let (words, json) = (desk.bench(&["list"]).ok(), desk.bench(&["list", "--json"]).ok().json());
    let kinds = ["attacks", "defenses", "datasets", "models", "metrics", "suites", "tasks"];
    assert_eq!(json.as_object().unwrap().len(), kinds.len());
    for kind in kinds {
        let rows = names(&json[kind]);
        assert!(rows.len() > 2, "{kind}: {rows:?}");
        let alone = desk.bench(&["list", kind]).ok().out;
        for row in json[kind].as_array().unwrap() {
            let name = row["name"].as_str().unwrap();
            assert!(words.out.contains(name) && alone.contains(name), "{name}");
            assert!(!row["summary"].as_str().unwrap().is_empty(), "{name} has no summary");
            assert!(!row["reference"].as_str().unwrap().is_empty(), "{name} has no reference");
        }
        // One list does not name what is in another.
        assert_eq!(desk.bench(&["list", kind, "--json"]).ok().json().as_object().unwrap().len(), 1);
    }
    for (kind, some) in [
        ("attacks", "fl-attack"),
        ("defenses", "dp-local"),
        ("suites", "showcase"),
        ("tasks", "mnist-cnn"),
    ] {
        assert!(names(&json[kind]).contains(&some));
    }
    assert_eq!(names(&json["suites"]).len(), suites::library().iter().count());
}

#[test]
fn doctor_says_what_is_missing_and_how_to_mend_it() {
    let desk = Desk::new();
    let answer = desk.bench(&["doctor", "--json"]).ok().json();
    let findings = answer["findings"].as_array().unwrap();
    let find = |name: &str| {
        findings.iter().find(|f| f["name"] == name).unwrap_or_else(|| panic!("{name}"))
    };
    assert_eq!(find("cpu")["present"], true);
    assert!(find("libtorch")["detail"].as_str().unwrap().starts_with("2.11"));
    assert_eq!(find("photos")["present"], true);
    for (absent, remedy) in
        [("data root", "--data"), ("mnist", "bench data fetch mnist"), ("celeba", "celeba/")]
    {
        let finding = find(absent);
        assert_eq!(finding["present"], false, "{finding}");
        assert!(finding["detail"].as_str().unwrap().contains(remedy), "{finding}");
    }
    for net in ["lpips-squeeze", "lpips-alex", "lpips-vgg"] {
        assert_eq!(find(net)["present"], false);
    }
    let words = desk.bench(&["doctor"]).ok().out;
    assert_eq!(words.lines().count(), findings.len() + 1, "one line a finding: {words}");
}

#[test]
fn data_are_listed_and_verified() {
    let desk = Desk::new();
    let words = desk.bench(&["data", "list"]).ok().out;
    let rows = desk.bench(&["data", "list", "--json"]).ok().out;
    let rows: Vec<Value> = rows.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(rows.len(), datasets::builtin().iter().count());
    for row in &rows {
        assert!(words.contains(row["name"].as_str().unwrap()));
        assert!(row["state"] == "embedded" || !row["detail"].as_str().unwrap().is_empty(), "{row}");
        assert!(!row["licence"].as_str().unwrap().is_empty(), "{row}");
    }
    for (name, examples) in [("digits", 1797), ("wdbc", 569), ("photos", 20)] {
        let report = desk.bench(&["data", "verify", name, "--json"]).ok().json();
        let count: u64 = report["splits"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["examples"].as_u64().unwrap())
            .sum();
        assert_eq!((count, &report["sound"]), (examples, &Value::Bool(true)), "{report}");
        assert!(desk.bench(&["data", "verify", name]).ok().out.ends_with("sound\n"));
    }
}

#[test]
fn score_is_a_table_or_json() {
    let desk = Desk::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../metrics/tests/golden/metrics");
    let golden = |name: &str| format!("{folder}/{name}");
    let pictures: Vec<String> = std::fs::read_dir(golden(""))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    let blurred = pictures.iter().find(|p| p.ends_with("_blur2.png")).unwrap();
    let truth = golden(&blurred.replace("_blur2", "_grey"));
    let same = desk.bench(&["score", &truth, &truth, "--json"]).ok().json();
    assert_eq!(same["mean"]["mse"], 0.0);
    assert_eq!(same["mean"]["ssim"], 1.0);
    assert!(same["mean"]["lpips-squeeze"].is_null(), "no weights are set");
    assert!(!same["notes"].as_array().unwrap().is_empty(), "and why is said");

    // A name that is not UTF-8 costs no row.
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let odd = desk.path("t").join(std::ffi::OsStr::from_bytes(b"caf\xe9.png"));
        std::fs::create_dir(desk.path("t")).unwrap();
        std::fs::copy(&truth, odd).unwrap();
        let folder = desk.path("t").display().to_string();
        let scored = desk.bench(&["score", &folder, &folder, "--json"]).ok().json();
        assert!(scored["rows"][0]["truth"].as_str().unwrap().ends_with("caf\u{fffd}.png"));
    }

    let words = desk.bench(&["score", &truth, &golden(blurred)]).ok().out;
    let json = desk.bench(&["score", &truth, &golden(blurred), "--json"]).ok().json();
    let psnr = json["rows"][0]["scores"]["psnr"].as_f64().unwrap();
    assert!(words.contains("psnr") && words.contains(&format!("{psnr:.5}")), "{words}");
}
