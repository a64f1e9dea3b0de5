//! `bench train`: interrupted trainings, defenses and protocols in the loop, regimes, and what it
//! refuses.

mod common;

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Desk, Done, training};
use record::{RoundRecord, read_rounds};

/// Three small clients and one that holds fewer examples; a CNN with dropout, so that every stream
/// is drawn from.
const TASK: &str = r#"
name = "small"
description = "digits among four clients"
federation.rounds = 4
task = { dataset = "digits", limit = 230 }
model = { name = "mnist-cnn", params = { padding = 1 } }

[federation.clients]
total = 4
partition = { kind = "dirichlet", alpha = 5.0 }

[federation.local]
batch_size = 8
lr = 0.05
momentum = 0.9

[federation.evaluation]
examples = 60
"#;

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("task.toml", TASK);
    desk
}

fn train(desk: &Desk, out: &str, more: &[&str]) -> Done {
    desk.bench(&training(out, more)).ok()
}

fn rounds(desk: &Desk, out: &str) -> Vec<RoundRecord> {
    read_rounds(&desk.path(out).join("records.csv")).unwrap()
}

/// What two trainings must share: all but the seconds.
fn timeless(desk: &Desk, out: &str) -> Vec<RoundRecord> {
    rounds(desk, out).into_iter().map(|r| RoundRecord { seconds: 0.0, ..r }).collect()
}

#[track_caller]
fn same(desk: &Desk, a: &str, b: &str) {
    assert_eq!(timeless(desk, a), timeless(desk, b), "{a} and {b}");
    let model = |out: &str| std::fs::read(desk.path(out).join("model.safetensors")).unwrap();
    assert!(model(a) == model(b), "{a} and {b}: other models");
}

/// Starts the training and kills it as soon as its folder holds a state of that round.
fn kill_at(desk: &Desk, out: &str, round: usize, more: &[&str]) {
    let mut child = desk
        .command(&training(out, more))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (start, csv) = (Instant::now(), desk.path(out).join("records.csv"));
    let reached = || read_rounds(&csv).is_ok_and(|r| r.last().is_some_and(|r| r.round >= round));
    while !reached() && child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(60), "round {round} never came");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn killed_trainings_end_as_if_nothing_had_happened() {
    let desk = desk();
    // Momentum of the server, noise of a defense with a memory, sampled clients; and an optimiser
    // that lasts.
    let adaptive = r#"defenses=[{ name = "dp-central", epsilon = 50.0, adaptive = true }]"#;
    let federated: &[&str] = &[
        "--reproducible",
        "--set",
        adaptive,
        "--set",
        "server={kind=\"fedadam\",lr=0.01}",
        "--set",
        "federation.clients.per_round=3",
        "--set",
        "federation.clients.dropout=0.2",
    ];
    let alone: &[&str] = &[
        "--regime",
        "centralised",
        "--set",
        "federation.local.optimizer=adam",
        "--set",
        "federation.local.lr=0.002",
        "--rounds",
        "3",
    ];
    for (name, more) in [("federated", federated), ("alone", alone)] {
        let (calm, killed) = (format!("{name}-calm"), format!("{name}-killed"));
        train(&desk, &calm, &[more, &["--jobs", "1"]].concat());
        kill_at(&desk, &killed, 1, &[more, &["--jobs", "2"]].concat());
        kill_at(&desk, &killed, 2, more);
        let before = rounds(&desk, &killed).len();
        train(&desk, &killed, more);
        assert!(before >= 3, "killed after {before} records");
        same(&desk, &calm, &killed);
        assert!(timeless(&desk, &calm).last().unwrap().metrics["loss"].is_finite());
    }
}

#[test]
fn records_are_made_again_from_the_state() {
    let desk = desk();
    train(&desk, "a", &["--rounds", "2"]);
    let whole = rounds(&desk, "a");
    let csv = desk.path("a").join("records.csv");
    let text = std::fs::read_to_string(&csv).unwrap();
    let cut = text.trim_end().rfind('\n').unwrap() + 1;
    std::fs::write(&csv, &text[..cut]).unwrap();
    train(&desk, "a", &["--rounds", "2"]);
    assert_eq!(rounds(&desk, "a"), whole);
}

#[test]
fn another_training_in_the_same_folder_is_refused() {
    let desk = desk();
    train(&desk, "a", &["--rounds", "1"]);
    let other = desk.bench(&training("a", &["--rounds", "1", "--seed", "9"]));
    assert_eq!(other.code, Some(2), "{other:#?}");
    assert!(
        other.err.contains("another task or settings") && other.err.contains("--out"),
        "{}",
        other.err
    );
    let threads = desk.bench(&training("a", &["--rounds", "1", "--threads", "2"]));
    assert!(threads.err.contains("another --threads"), "{}", threads.err);
}

/// Another path of MKL stands for another processor.
#[test]
fn a_training_gone_on_with_on_another_processor_says_so() {
    let desk = desk();
    let on = |path: &str| {
        let mut command = desk.command(&training("a", &["--rounds", "1"]));
        Done::from(command.env("MKL_CBWR", path).output().unwrap()).ok()
    };
    assert!(!on("AVX2").err.contains("note:"));
    assert!(!on("AVX2").err.contains("note:"), "the same kind");
    let done = on("COMPATIBLE");
    assert!(done.err.contains("note: this training began on another processor"), "{}", done.err);
    let read = |name: &str| std::fs::read_to_string(desk.path("a").join(name)).unwrap();
    assert!(read("training.json").contains("MKL_CBWR=COMPATIBLE"));
    assert!(read("training.json").contains("MKL_CBWR=AVX2"), "where it began stays said");
    assert!(read("report/report.md").contains("began on another processor"));
}

/// Encoded to 32 bits and summed in masks or ciphertext, updates lose almost nothing.
#[test]
fn protocols_end_where_plain_ends() {
    let desk = desk();
    let logistic = [
        "--set",
        "model={name=\"logistic\",params={}}",
        "--set",
        "federation.local.lr=0.1",
        "--rounds",
        "3",
    ];
    train(&desk, "plain", &[&logistic[..], &["--defense", "none"]].concat());
    let plain = weights(&desk.path("plain"));
    for protocol in ["secagg", "secagg:signature=rsa-pss", "ckks"] {
        let out = protocol.replace([':', '='], "-");
        train(&desk, &out, &[&logistic[..], &["--defense", protocol]].concat());
        let ours = weights(&desk.path(&out));
        let worst = plain.iter().zip(&ours).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-6, "{protocol}: {worst}");
        let (secret, open) = (rounds(&desk, &out), rounds(&desk, "plain"));
        assert!(secret[1].bytes_up > open[1].bytes_up, "{protocol} costs bytes");
    }
}

fn weights(dir: &Path) -> Vec<f32> {
    let named = learning::checkpoint::load(&dir.join("model.safetensors")).unwrap();
    named.iter().flat_map(|(_, t)| Vec::<f32>::try_from(t.reshape([-1])).unwrap()).collect()
}

#[test]
fn dropouts_are_survived_counted_and_named() {
    let desk = desk();
    let more = [
        "--set",
        "federation.clients.total=8",
        "--set",
        "federation.clients.partition=iid",
        "--set",
        "federation.clients.dropout=0.2",
        "--rounds",
        "3",
    ];
    train(&desk, "secagg", &[&more[..], &["--defense", "secagg:threshold=5"]].concat());
    train(&desk, "plain", &more);
    let (masked, open) = (rounds(&desk, "secagg"), rounds(&desk, "plain"));
    let lost: usize = masked.iter().map(|r| r.clients - r.survivors).sum();
    assert!(lost > 0, "the streams drop somebody");
    for (m, o) in masked.iter().zip(&open) {
        assert_eq!(
            (m.survivors, &m.failures),
            (o.survivors, &o.failures),
            "the same clients fall silent"
        );
        assert_eq!(m.failures.len(), m.clients - m.survivors);
    }
    let (a, b) = (weights(&desk.path("secagg")), weights(&desk.path("plain")));
    let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // 32-bit fixed point on [-8, 8] has steps of 4e-9; three rounds of training carry the rounding
    // on.
    assert!(worst < 1e-3, "{worst}");
    // With a threshold of all, one silent client ends the round: recorded, and the weights stay.
    train(&desk, "all", &[&more[..], &["--defense", "secagg:threshold=8"]].concat());
    let aborted: Vec<_> =
        rounds(&desk, "all").into_iter().filter(|r| r.round > 0 && r.survivors == 0).collect();
    assert!(
        !aborted.is_empty()
            && aborted.iter().all(|r| r.failures.iter().any(|f| f.contains("aborted"))),
        "{aborted:?}"
    );
}

#[test]
fn privacy_is_spent_round_by_round() {
    let desk = desk();
    for (name, defense) in [
        ("sgd", "dp-sgd:epsilon=5.0"),
        ("central", "dp-central:epsilon=5.0,clip=0.01"),
        ("local", "dp-local:epsilon=5.0,mechanism=laplace,clip=0.001"),
    ] {
        train(
            &desk,
            name,
            &["--defense", defense, "--set", "federation.clients.partition=iid", "--rounds", "3"],
        );
        let epsilons: Vec<f64> = rounds(&desk, name).iter().filter_map(|r| r.epsilon).collect();
        assert_eq!(epsilons.len(), 3, "{name}: {epsilons:?}");
        assert!(epsilons.windows(2).all(|w| w[0] < w[1]), "{name}: {epsilons:?}");
        assert!(epsilons[2] <= 5.0 && epsilons[2] > 4.9, "{name} ends at its budget: {epsilons:?}");
    }
    // Poisson sampling of clients: far less noise for the same budget, and rounds of different
    // sizes.
    let sampled = [
        "--defense",
        "dp-central:epsilon=5.0,clip=0.01",
        "--set",
        "federation.clients.total=20",
        "--set",
        "federation.clients.per_round=5",
        "--set",
        "federation.clients.sampling=poisson",
        "--set",
        "federation.clients.partition=iid",
        "--rounds",
        "3",
    ];
    train(&desk, "poisson", &sampled);
    let records = rounds(&desk, "poisson");
    assert!(records[1..].windows(2).any(|w| w[0].clients != w[1].clients), "{records:?}");
    assert!(records[3].epsilon.is_some_and(|e| e <= 5.0));
}

#[test]
fn regimes_differ_in_what_they_hold() {
    let desk = desk();
    let iid = [
        "--set",
        "federation.clients.partition=iid",
        "--defense",
        "secagg",
        "--rounds",
        "2",
        "--keep",
        "0,2",
    ];
    let all = train(&desk, "all", &[&iid[..], &["--regime", "centralised"]].concat());
    assert!(all.err.contains("`secagg` is left out"), "{}", all.err);
    train(&desk, "one", &[&iid[..], &["--regime", "single-client"]].concat());
    let loss = |out: &str| rounds(&desk, out)[2].metrics["loss"];
    // One party holds what the clients hold together, also where each holds only so much.
    train(
        &desk,
        "capped",
        &[&iid[..], &["--regime", "centralised", "--set", "federation.clients.examples=10"]]
            .concat(),
    );
    let report = std::fs::read_to_string(desk.path("capped").join("report/report.md")).unwrap();
    assert!(report.contains("one party with all 40 examples"), "{report}");
    assert!(loss("all") < loss("one"), "{} {}", loss("all"), loss("one"));
    assert!(rounds(&desk, "one").iter().all(|r| r.bytes_up == 0));
    let kept: Vec<String> =
        desk.files().into_iter().filter(|f| f.contains("all/checkpoints/")).collect();
    assert_eq!(
        kept,
        ["all/checkpoints/round-0000.safetensors", "all/checkpoints/round-0002.safetensors"]
    );
    let report = std::fs::read_to_string(desk.path("one").join("report/report.md")).unwrap();
    assert!(report.contains("one of 4 clients, on its own"), "{report}");
}

#[test]
fn a_training_that_diverges_keeps_its_last_good_model() {
    let desk = desk();
    // The second round's step size makes infinities of the first round's good weights.
    let wild = [
        "--defense",
        "none",
        "--set",
        "federation.local.lr=1e30",
        "--set",
        "federation.local.schedule={kind=\"cosine\",warmup=3}",
    ];
    let done = desk.bench(&training("wild", &wild));
    assert_eq!(done.code, Some(2), "{done:#?}");
    assert!(
        done.err.contains("round 1, client") && done.err.contains("lower federation.local.lr"),
        "{}",
        done.err
    );
    assert!(done.err.contains("the model of round 0 is kept in"), "{}", done.err);
    assert!(weights(&desk.path("wild")).iter().all(|v| v.is_finite()));
}

#[test]
fn bad_input_is_one_line() {
    let desk = desk();
    let cases: [(&[&str], &str); 18] = [
        (&["train", "mnist-cn"], "did you mean `mnist-cnn`"),
        (&["train", "mnist-cnn"], "data fetch mnist"),
        (&["train", "task.toml", "--profile", "smoke"], "unknown profile `smoke`"),
        (&["train", "task.toml", "--rounds", "0"], "federation.rounds: must be at least 1"),
        (&["train", "task.toml", "--set", "federation.clients.totl=3"], "did you mean `total`"),
        (&["train", "task.toml", "--set", "federation.clients.total=100000"], "clients"),
        (&["train", "task.toml", "--regime", "federatd"], "did you mean `federated`"),
        (&["train", "task.toml", "--defense", "secag"], "did you mean `secagg`"),
        (&["train", "task.toml", "--defense", "dp-distributed"], "such as `secagg`"),
        (
            &[
                "train",
                "task.toml",
                "--defense",
                "dp-distributed",
                "--defense",
                "secagg",
                "--set",
                "federation.clients.dropout=0.1",
            ],
            "federation.clients.dropout",
        ),
        (
            &[
                "train",
                "task.toml",
                "--set",
                "model={name=\"resnet18\",params={stem=\"cifar\"}}",
                "--defense",
                "dp-sgd",
            ],
            "group",
        ),
        (
            &["train", "task.toml", "--regime", "centralised", "--defense", "dp-distributed"],
            "write federation.regime = \"federated\"",
        ),
        (
            &[
                "train",
                "task.toml",
                "--set",
                "model={name=\"resnet18\",params={stem=\"cifar\"}}",
                "--defense",
                "dp-local",
            ],
            "write norm = \"group\"",
        ),
        (
            &["train", "task.toml", "--defense", "ckks", "--set", "federation.clients.dropout=0.1"],
            "such as `secagg`",
        ),
        (
            &[
                "train",
                "task.toml",
                "--defense",
                "paillier",
                "--set",
                "federation.clients.per_round=2",
            ],
            "federation.clients.per_round",
        ),
        (&["train", "task.toml", "--keep", "9"], "--keep 9: the training has 4 rounds"),
        (&["train", "task.toml", "--set", "model.weights=task.toml"], "task.toml"),
        (&["train", "task.toml", "--device", "cuda:7"], "cuda"),
    ];
    for (args, wanted) in cases {
        let done = desk.bench(args);
        assert_eq!(done.code, Some(2), "{args:?}: {done:#?}");
        let lines: Vec<&str> = done.err.lines().collect();
        assert!(lines.len() == 1 && lines[0].contains(wanted), "{args:?}: {}", done.err);
    }
    assert_eq!(desk.files(), ["task.toml"], "nothing was left behind");
}
