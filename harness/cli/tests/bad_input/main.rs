//! Every mistake is one clear line on standard error, with its exit code, and leaves nothing
//! behind.

#[path = "../common/mod.rs"]
mod common;
mod defenses;

use common::{Desk, Done};
use learning::checkpoint;
use tch::Tensor;

/// A cell of a second or less, by flags.
const CELL: [&str; 9] =
    ["run", "--dataset", "digits", "--model", "mlp", "--attack", "idlg", "--set", "iterations=2"];

const SUITE: &str = r#"
[suite]
name = "small"
version = "1"
description = "one cell"
[defaults]
task = { dataset = "digits" }
model = { name = "mlp" }
attack = { name = "idlg", iterations = 2 }
"#;

#[track_caller]
fn one_line(done: &Done, code: i32, says: &[&str]) {
    let lines: Vec<&str> = done.err.lines().collect();
    assert_eq!(lines.len(), 1, "one line on standard error: {done:#?}");
    assert!(lines[0].starts_with("bench: "), "{done:#?}");
    let accidents = ["panicked", "internal error", "unwrap()", "stack backtrace", "\u{1b}"];
    assert!(!accidents.iter().any(|a| done.err.contains(a)), "{done:#?}");
    assert_eq!(done.code, Some(code), "{done:#?}");
    for part in says {
        assert!(done.err.contains(part), "`{part}` is missing: {done:#?}");
    }
}

/// Runs what must be refused, and looks for anything it left.
#[track_caller]
fn refused(desk: &Desk, args: &[&str], code: i32, says: &[&str]) {
    let before = desk.files();
    let done = desk.bench(args);
    one_line(&done, code, says);
    assert!(done.out.is_empty(), "{done:#?}");
    assert_eq!(desk.files(), before, "something was left behind: {done:#?}");
}

fn with<'a>(base: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [base, more].concat()
}

#[test]
fn unknown_names_are_answered_with_the_nearest() {
    let desk = Desk::new();
    let meant = "did you mean";
    let suite = desk.write("small.toml", SUITE);
    let suite = suite.to_str().unwrap();
    let cases: &[(&[&str], &[&str])] = &[
        (&["run", "--dp_epsilon", "8"], &["'--dp_epsilon'", "here: --defense dp-local"]),
        (&["extract", "x.rec"], &["'extract'", "here: bench data extract"]),
        (&["suite", "smoek"], &["suite `smoek`", meant, "`smoke`"]),
        (&["check", "showcas"], &["`showcas`", meant, "`showcase`"]),
        (&["suite", "showcase", "--profile", "ful"], &["profile `ful`", meant, "`full`"]),
        (&["suite", suite, "--dataset", "digit"], &["data set `digit`", meant, "`digits`"]),
        (&["suite", suite, "--set", "attack.iteration=5"], &["`iteration`", meant, "`iterations`"]),
        (&["suite", suite, "--set", "atack.iterations=5"], &["`atack`", meant, "`attack`"]),
        (&["run", "--attack", "ildg"], &["attack `ildg`", meant, "`idlg`"]),
        (&["run", "--dataset", "digitz"], &["data set `digitz`", meant, "`digits`"]),
        (&["run", "--model", "mpl"], &["model `mpl`", meant, "`mlp`"]),
        (&["run", "--defense", "dp-locl"], &["defense `dp-locl`", meant, "`dp-local`"]),
        (&["run", "--defense", "prune:fractio=0.5"], &["`fractio`", meant, "`fraction`"]),
        (&["run", "--set", "iteratons=5"], &["`iteratons`", meant, "`iterations`"]),
        (&["run", "--source", "gradient"], &["source `gradient`", meant, "`gradients`"]),
        (&["run", "--vantage", "servr"], &["vantage `servr`", meant, "`server`"]),
        (&["run", "--facts", "label"], &["fact `label`", meant, "`labels`"]),
        (&["data", "verify", "digitz"], &["`digitz`", meant, "`digits`"]),
        (&["sute"], &["`sute`", "suite"]),
        (&["run", "--modle", "mlp"], &["--modle", "--model"]),
        (&["list", "attack"], &["attack", "attacks"]),
    ];
    for (args, says) in cases {
        refused(&desk, args, 2, &says.iter().map(|s| s.trim_matches('`')).collect::<Vec<_>>());
    }
}

#[test]
fn values_out_of_range_are_refused() {
    let desk = Desk::new();
    let cases: &[(&[&str], &[&str])] = &[
        (&["--clients", "0"], &["federation.clients.total", "at least 1"]),
        (&["--clients", "100000"], &["more clients than examples", "100000"]),
        (&["--batch-size", "0"], &["federation.local.batch_size", "at least 1"]),
        (&["--batch-size", "5000"], &["federation.local.batch_size", "5000 examples", "client 0"]),
        (&["--trials", "0"], &["trials", "at least 1"]),
        (&["--client-lr=-0.1"], &["federation.local.lr", "above 0"]),
        (&["--client-lr", "nan"], &["federation.local.lr", "above 0"]),
        (&["--defense", "dp-local:epsilon=-1"], &["epsilon", "-1", "above 0"]),
        (&["--defense", "dp-local:delta=2"], &["delta"]),
        (&["--defense", "prune:fraction=1.5"], &["fraction"]),
        (&["--partition", r#"{"kind":"dirichlet","alpha":-1}"#], &["alpha", "above 0"]),
        (&["--set", "restarts=0"], &["restarts", "at least 1"]),
        (&["--set", "lr=fast"], &["lr", "fast"]),
        (&["--set", "nonsense"], &["--set nonsense", "NAME=VALUE"]),
        (&["--label", "Smiling"], &["label"]),
        (&["--size", "0"], &["task.size"]),
        (&["--limit", "0"], &["task.limit"]),
        (&["--vantage", "colluding-3"], &["colluding"]),
        (&["--jobs", "0"], &["--jobs", "0"]),
        (&["--device", "gpu"], &["device `gpu`", "auto, cpu, cuda"]),
        (&["--device", "cuda:x"], &["cuda:x", "number"]),
        (&["--device", "cuda:99"], &["cuda:99", "not here", "--device cpu"]),
    ];
    for (more, says) in cases {
        refused(&desk, &with(&CELL, more), 2, says);
    }
    for shard in ["3/2", "0/2", "x", "1/0", "2"] {
        refused(&desk, &["suite", "showcase", "--shard", shard], 2, &["--shard", shard, "2/8"]);
    }
    refused(&desk, &["suite", "showcase", "--set", "nonsense"], 2, &["PATH=VALUE"]);
}

#[test]
fn weights_must_fit_and_be_finite() {
    let desk = Desk::new();
    let zeros = |shape: &[i64]| Tensor::zeros(shape, (tch::Kind::Float, tch::Device::Cpu));
    let save = |name: &str, tensors: &[(&str, Tensor)]| {
        let tensors: Vec<_> =
            tensors.iter().map(|(n, t)| (n.to_string(), t.shallow_clone())).collect();
        checkpoint::save_safetensors(&desk.path(name), &tensors).unwrap();
    };
    let logistic = names("logistic");
    save("narrow.safetensors", &[(&logistic[0], zeros(&[10, 63])), (&logistic[1], zeros(&[10]))]);
    save("less.safetensors", &[(&logistic[0], zeros(&[10, 64]))]);
    save("more.safetensors", &[(&logistic[0], zeros(&[10, 64])), ("extra", zeros(&[1]))]);
    let poisoned = zeros(&[10]).fill(f64::NAN);
    save("nan.safetensors", &[(&logistic[0], zeros(&[10, 64])), (&logistic[1], poisoned)]);
    desk.write("text.pt", "no checkpoint");

    let cell =
        ["run", "--dataset", "digits", "--model", "logistic", "--attack", "idlg", "--weights"];
    let cases: &[(&str, &[&str])] = &[
        (
            "narrow.safetensors",
            &["narrow.safetensors", logistic[0].as_str(), "[10, 63]", "[10, 64]"],
        ),
        ("less.safetensors", &["less.safetensors", logistic[1].as_str(), "missing"]),
        ("more.safetensors", &["more.safetensors", "extra", "not part of this model"]),
        ("nan.safetensors", &["nan.safetensors", logistic[1].as_str(), "NaN"]),
        ("text.pt", &["text.pt", "not a checkpoint"]),
        ("absent.pt", &["absent.pt", "No such file"]),
    ];
    for (file, says) in cases {
        refused(&desk, &with(&cell, &[file]), 2, says);
    }
}

/// Parameter names of a model of digits.
fn names(model: &str) -> Vec<String> {
    let spec = suites::CellSpec::new("digits", model, "idlg");
    let cell = harness::resolve::resolve(&harness::Registries::builtin(), &spec, None).unwrap();
    cell.net.layout().specs().iter().map(|s| s.name.clone()).collect()
}

#[test]
fn captured_updates_are_checked_before_the_attack() {
    let desk = Desk::new();
    let golden = |name: &str| format!("{}/tests/golden/capture/{name}", env!("CARGO_MANIFEST_DIR"));
    let (before, gradient) = (golden("before.pt"), golden("gradient.safetensors"));
    let tensors = checkpoint::load(std::path::Path::new(&gradient)).unwrap();
    let _ = tensors[0].1.get(0).fill_(f64::NAN);
    checkpoint::save_safetensors(&desk.path("nan.safetensors"), &tensors).unwrap();
    desk.write("photo.png", "no picture");

    let base = |weights: &'static str, update: &'static str| {
        let file = |name: &'static str| match name {
            "before" => before.as_str(),
            "gradient" => gradient.as_str(),
            other => other,
        };
        let args = ["attack", "--model", "lenet-zhu", "--classes", "10", "--weights"];
        with(&args, &[file(weights), "--update", file(update)])
    };
    let sound = base("before", "gradient");
    /// Arguments, more arguments, exit code, what the line must say.
    type Case<'a> = (Vec<&'a str>, &'a [&'a str], i32, &'a [&'a str]);
    let cases: &[Case] = &[
        (
            base("before", "nan.safetensors"),
            &["--input", "3x16x16"],
            2,
            &["nan.safetensors", tensors[0].0.as_str(), "NaN"],
        ),
        (
            sound.clone(),
            &["--input", "1x16x16"],
            2,
            &["before.pt", "[12, 3, 5, 5]", "[12, 1, 5, 5]"],
        ),
        (sound.clone(), &["--input", "16x16"], 2, &["--input 16x16", "CxHxW"]),
        (sound.clone(), &["--input", "3x16x16", "--attack", "dgl"], 2, &["`dgl`", "`dlg`"]),
        (sound.clone(), &["--input", "3x16x16", "--holds", "delta"], 2, &["learning rate", "--lr"]),
        (sound.clone(), &["--input", "3x16x16", "--labels", "10"], 2, &["--labels 10", "0 to 9"]),
        (
            sound.clone(),
            &["--input", "3x16x16", "--labels", "1,2"],
            2,
            &["2 labels for a batch of 1"],
        ),
        (
            sound.clone(),
            &["--input", "3x16x16", "--attack", "idlg", "--set", "labels=known"],
            2,
            &["labels", "--labels"],
        ),
        (sound.clone(), &["--input", "3x16x16", "--std", "0"], 2, &["--std 0"]),
        (sound.clone(), &["--input", "3x16x16", "--mean", "1,2"], 2, &["--mean", "3 channels"]),
        (
            sound.clone(),
            &["--input", "3x16x16", "--truth", "photo.png"],
            2,
            &["photo.png", "not a picture"],
        ),
        (sound.clone(), &["--input", "3x16x16", "--truth", "absent.png"], 2, &["absent.png"]),
        (sound.clone(), &["--input", "3x16x16", "--model-params", "{"], 2, &["--model-params"]),
        (sound.clone(), &["--input", "3x16x16", "--steps", "0"], 2, &["--steps"]),
        (sound.clone(), &["--input", "3x16x16", "--out", "photo.png"], 3, &["photo.png"]),
        (base("absent.pt", "gradient"), &["--input", "3x16x16"], 2, &["absent.pt"]),
        (
            base("photo.png", "gradient"),
            &["--input", "3x16x16"],
            2,
            &["photo.png", "not a checkpoint"],
        ),
    ];
    for (base, more, code, says) in cases {
        refused(&desk, &with(base, more), *code, says);
    }
}

#[test]
fn absent_data_are_named_before_a_folder_is_made() {
    let desk = Desk::new();
    refused(&desk, &["run", "--dataset", "celeba"], 2, &["CelebA", "--data", "img_align_celeba"]);
    refused(&desk, &["suite", "showcase", "--profile", "celeba"], 2, &["CelebA", "--data"]);
    refused(&desk, &["--data", "nowhere", "list"], 2, &["data root nowhere", "not a folder"]);
    let done = Done::from(desk.command(&["list"]).env("BENCH_DATA", "nowhere").output().unwrap());
    one_line(&done, 2, &["data root nowhere", "BENCH_DATA"]);
    refused(&desk, &["data", "fetch", "mnist"], 2, &["--data"]);
    refused(&desk, &["data", "verify", "mnist"], 2, &["MNIST", "bench data fetch mnist"]);
    refused(&desk, &["score", "a.png", "b.png"], 2, &["a.png"]);
}

#[test]
fn faults_in_files_are_located() {
    let desk = Desk::new();
    desk.write("broken.toml", "[suite]\nname = \"x\nversion = 1\n");
    refused(&desk, &["suite", "broken.toml"], 2, &["broken.toml:2", "TOML"]);
    desk.write("typo.toml", SUITE.replace("digits", "digitz"));
    refused(&desk, &["suite", "typo.toml"], 2, &["digitz", "digits"]);
    desk.write("key.toml", SUITE.replace("iterations", "iteratoins"));
    refused(&desk, &["suite", "key.toml"], 2, &["key.toml:9", "iteratoins", "iterations"]);
    refused(&desk, &["suite", "absent.toml"], 2, &["absent.toml"]);
    desk.write("bench.toml", "data = \"x\"\njobs = \"many\"\n");
    refused(&desk, &["list"], 2, &["bench.toml:2"]);
    desk.write("bench.toml", "dta = \"x\"\n");
    refused(&desk, &["list"], 2, &["bench.toml:1", "dta", "data, device, jobs"]);
}

/// What the threat model withholds makes a cell not applicable; that is a result, with its reason,
/// and no failure.
#[test]
fn an_impossible_combination_is_not_applicable() {
    let desk = Desk::new();
    let done = desk.bench(&with(&CELL, &["--set", "labels=known", "--out", "run"])).ok();
    let why = "needs labels, which the threat model withholds";
    assert!(done.err.contains("not applicable") && done.err.contains(why), "{done:#?}");
    let records = record::store::read_records(&desk.path("run")).unwrap();
    assert!(
        matches!(&records[0].outcome, record::Outcome::NotApplicable { why: w } if w.contains(why))
    );
    let report = std::fs::read_to_string(desk.path("run/report/report.md")).unwrap();
    assert!(report.contains("withholds"), "the report gives the reason");

    desk.write("known.toml", SUITE.replace("iterations = 2", "iterations = 2, labels = \"known\""));
    let done = desk.bench(&["check", "known.toml"]).ok();
    assert!(done.out.contains("1 not applicable") && done.out.contains(why), "{done:#?}");
    let granted = ["check", "known.toml", "--set", r#"facts=["labels","batch-size"]"#];
    assert!(desk.bench(&granted).ok().out.contains("1 ready"));
}

#[test]
fn check_finds_what_only_the_data_tell() {
    let desk = Desk::new();
    desk.write("small.toml", SUITE);
    for (set, says) in [
        ("federation.clients.total=5000", "more clients than examples"),
        ("federation.local.batch_size=5000", "5000 examples"),
        ("model.weights=absent.pt", "absent.pt"),
        ("vantage=malicious-server", "no attack here alters the model that it sends"),
    ] {
        let done = desk.bench(&["check", "small.toml", "--set", set]);
        assert_eq!(done.code, Some(2), "{done:#?}");
        assert!(done.out.contains("1 with problems") && done.out.contains(says), "{done:#?}");
    }
}

#[test]
fn run_folders_that_cannot_be_used_are_left_alone() {
    let desk = Desk::new();
    let suite = desk.write("small.toml", SUITE);
    let go = ["suite", suite.to_str().unwrap(), "--device", "cpu", "--out"];
    desk.bench(&with(&go, &["run"])).ok();

    desk.write("other.toml", SUITE.replace("iterations = 2", "iterations = 3"));
    refused(
        &desk,
        &["suite", "other.toml", "--out", "run"],
        2,
        &["run", "suite small", "another folder"],
    );
    refused(&desk, &with(&go, &["run", "--set", "seed=1"]), 2, &["run", "command line"]);
    let first = with(&CELL, &["--device", "cpu", "--out", "one"]);
    desk.bench(&first).ok();
    refused(&desk, &with(&first, &["--seed", "1"]), 2, &["one"]);

    let newer = std::fs::read_to_string(desk.path("run/run.json")).unwrap();
    assert!(newer.contains(r#""schema": "2."#), "{newer}");
    desk.write("newer/run.json", newer.replacen(r#""schema": "2."#, r#""schema": "3."#, 1));
    desk.write("newer/cells.jsonl", "from the future\n");
    refused(
        &desk,
        &with(&go, &["newer"]),
        2,
        &["newer/run.json", "schema 3.0", "use a newer bench"],
    );
    refused(&desk, &["report", "newer"], 2, &["newer/run.json", "schema 3.0", "use a newer bench"]);

    desk.write("things/notes.txt", "mine");
    refused(&desk, &with(&go, &["things"]), 2, &["things", "not empty"]);
    refused(&desk, &["report", "things"], 2, &["things", "not a run folder"]);
    refused(&desk, &with(&go, &["small.toml"]), 3, &["small.toml"]);
    refused(&desk, &with(&go, &["small.toml/below"]), 3, &["small.toml/below"]);

    let cells = desk.path("run/cells.jsonl");
    let text = std::fs::read_to_string(&cells).unwrap();
    std::fs::write(&cells, format!("garbage\n{text}")).unwrap();
    refused(&desk, &["report", "run"], 2, &["run/cells.jsonl:1", "resume"]);
}

#[cfg(target_os = "linux")]
#[test]
fn folders_without_permission_are_refused_at_once() {
    let desk = Desk::new();
    refused(&desk, &with(&CELL, &["--out", "/proc/bench-run"]), 3, &["/proc/bench-run"]);
    let busy = with(
        &CELL,
        &[
            "--set",
            "iterations=100000",
            "--set",
            "optimizer=adam",
            "--out",
            "busy",
            "--device",
            "cpu",
        ],
    );
    let quiet = || std::process::Stdio::null();
    let mut child = desk.command(&busy).stdout(quiet()).stderr(quiet()).spawn().unwrap();
    // The folder is locked once its record file is open; until then the second process would be the
    // first.
    let waited = std::time::Instant::now();
    while !locked(&desk.path("busy/cells.jsonl")) && waited.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let done = desk.bench(&busy);
    child.kill().unwrap();
    child.wait().unwrap();
    one_line(&done, 2, &["busy", "in use by another bench process"]);
}

#[cfg(target_os = "linux")]
fn locked(path: &std::path::Path) -> bool {
    std::fs::File::open(path)
        .is_ok_and(|f| matches!(f.try_lock(), Err(std::fs::TryLockError::WouldBlock)))
}

/// A disk that is full after so many blocks of 512 bytes a file: the limit of the shell stands for
/// it.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_stops_the_run_and_loses_nothing() {
    let desk = Desk::new();
    let limited = |blocks: usize, args: &[&str]| {
        let line = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$BENCH\" {}", args.join(" "));
        Done::from(desk.shell(&line).output().unwrap())
    };
    let suite = SUITE.replace("digits", "photos") + "[matrix]\nseed = [0, 1, 2]\n";
    desk.write("photos.toml", suite);
    // The tensors of a photograph do not fit; then the records do not; then not even the
    // description of the run.
    for (blocks, jobs, out) in
        [(60, "1", "tensors"), (60, "2", "both"), (18, "1", "records"), (1, "1", "nothing")]
    {
        let args =
            ["suite", "photos.toml", "--device", "cpu", "--json", "--jobs", jobs, "--out", out];
        let done = limited(blocks, &args);
        one_line(&done, 3, &["File too large"]);
        if blocks > 1 {
            assert!(done.err.contains("finished cells are kept"), "{done:#?}");
            assert!(done.err.contains(&format!("--out {out}")), "{done:#?}");
        }
        desk.bench(&args).ok();
        let records = record::store::read_records(&desk.path(out)).unwrap();
        assert!(records.len() == 3 && records.iter().all(|r| r.outcome == record::Outcome::Done));
    }
    let half: Vec<String> = desk.files().into_iter().filter(|f| f.ends_with(".tmp")).collect();
    assert!(half.is_empty(), "{half:?}");

    let golden = |name: &str| format!("{}/tests/golden/capture/{name}", env!("CARGO_MANIFEST_DIR"));
    let (before, gradient) = (golden("before.pt"), golden("gradient.safetensors"));
    let mut args = vec!["attack", "--model", "lenet-zhu", "--input", "3x16x16", "--classes", "10"];
    args.extend(["--attack", "idlg", "--set", "iterations=1", "--device", "cpu", "--json"]);
    args.extend(["--weights", &before, "--update", &gradient, "--out", "small"]);
    one_line(&limited(1, &args), 3, &["small", "File too large"]);
    assert!(!desk.files().iter().any(|f| f.starts_with("small/")), "{:?}", desk.files());
}

#[cfg(target_os = "linux")]
#[test]
fn standard_output_that_takes_nothing_is_no_internal_error() {
    let desk = Desk::new();
    let done = Done::from(desk.shell("exec \"$BENCH\" list > /dev/full").output().unwrap());
    one_line(&done, 3, &["standard output", "No space left"]);
    let done = Done::from(desk.shell("\"$BENCH\" list | true").output().unwrap());
    assert_eq!(done.err, "", "a reader that has seen enough is no error");
}
