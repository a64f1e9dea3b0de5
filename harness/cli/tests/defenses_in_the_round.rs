//! Defenses in the federated round: dropouts, compositions, what a guarantee says, what it costs,
//! and that all of it repeats.

mod common;

use std::collections::BTreeSet;

use common::Desk;
use record::{CellRecord, DefenseNote, Outcome};

const HEAD: &str = r#"[suite]
name = "defenses"
version = "1"
description = "defenses in the round"
[defaults]
task = { dataset = "digits" }
source = "agg_update"
vantage = "aggregate"
"#;

/// For cells whose defense matters, not their attack.
const QUICK: &str = r#"
model = { name = "mlp", params = { hidden = [32] } }
attack = { name = "idlg", iterations = 1 }
"#;

/// Runs a suite of one cell a list of defenses (TOML; further lines are further keys of the cell),
/// in order.
fn run(desk: &Desk, out: &str, defaults: &str, lists: &[&str], code: i32) -> Vec<CellRecord> {
    let quick = if defaults.contains("attack = ") { "" } else { QUICK };
    let mut suite = format!("{HEAD}{quick}{defaults}\n");
    lists.iter().for_each(|list| suite += &format!("[[include]]\ndefenses = {list}\n"));
    desk.write("defenses.toml", suite);
    let args = ["suite", "defenses.toml", "--device", "cpu", "--jobs", "1", "--json", "--out", out];
    let done = desk.bench(&args);
    assert_eq!(done.code, Some(code), "{done:#?}");
    let records = record::store::read_records(&desk.path(out)).unwrap();
    assert_eq!(records.len(), lists.len());
    records
}

/// Of a cell that is done.
#[track_caller]
fn note<'a>(record: &'a CellRecord, name: &str) -> &'a DefenseNote {
    assert_eq!(record.outcome, Outcome::Done);
    let found = record.defenses.iter().find(|d| d.name == name);
    found.unwrap_or_else(|| panic!("{name} is not among {:?}", record.defenses))
}

#[track_caller]
fn failed<'a>(record: &'a CellRecord, at: &str) -> &'a str {
    match &record.outcome {
        Outcome::Failed { stage, message } if stage == at => message,
        other => panic!("{other:?}"),
    }
}

/// Clients whose images were attacked in a trial.
fn attacked(record: &CellRecord, trial: usize) -> BTreeSet<usize> {
    record.images.iter().filter(|i| i.trial == trial).map(|i| i.client).collect()
}

/// The client and phase of each trial's dropout, from the record's notes.
fn dropped(record: &CellRecord) -> Vec<(usize, String)> {
    let of = |n: &String| {
        let (_, rest) = n.split_once(": client ")?;
        let (client, rest) = rest.split_once(" in phase `")?;
        Some((client.parse().ok()?, rest.strip_suffix("`: dropped out")?.to_string()))
    };
    record.notes.iter().filter_map(of).collect()
}

/// Until a client's masked words have arrived, its images are not behind the sum; from then on they
/// are.
#[test]
fn dropouts_leave_the_survivors() {
    let phases = ["keys", "shares", "masked", "consistency", "unmasking"];
    let list = |p: &str| {
        format!(r#"{{ name = "secagg", threshold = 2, dropouts = 1, drop_phase = "{p}" }}"#)
    };
    let lists: Vec<String> = phases.iter().map(|p| list(p)).collect();
    let lists: Vec<&str> = lists.iter().map(String::as_str).collect();
    let defaults = "federation = { clients = { total = 3 }, local = { lr = 0.1 } }\ntrials = 2";
    let records = run(&Desk::new(), "run", defaults, &lists, 0);
    for (record, phase) in records.iter().zip(phases) {
        let dropped = dropped(record);
        assert_eq!(dropped.len(), 2, "{:?}", record.notes);
        let left = if ["consistency", "unmasking"].contains(&phase) { 3 } else { 2 };
        for (trial, (client, when)) in dropped.iter().enumerate() {
            assert_eq!(when, phase);
            assert_eq!(attacked(record, trial).len(), left, "{phase}: {:?}", record.images);
            assert_eq!(attacked(record, trial).contains(client), left == 3, "{phase}");
            assert_ne!(*client, trial, "the watched client stays");
        }
        assert_eq!(note(record, "secagg").values["clients_in_sum"], left as f64);
    }
}

/// What is reconstructed is the survivors' mean, divided by their number: a sum that still held the
/// third client would not fit. (The survivors hold two digits: of two examples of one label the
/// mean gradient of a linear layer shows only a blend.)
#[test]
fn the_survivors_sum_is_exact() {
    let defaults = r#"federation = { clients = { total = 3 }, local = { lr = 0.1 } }
model = { name = "mlp" }
attack = { name = "idlg", iterations = 60 }
seed = 1"#;
    let list = r#"{ name = "secagg", threshold = 2, dropouts = 1 }"#;
    let records = run(&Desk::new(), "run", defaults, &[list], 0);
    let psnr: Vec<f64> = records[0].scores("psnr").into_iter().flatten().collect();
    let labels = records[0].images.iter().map(|i| i.label).collect::<BTreeSet<_>>();
    assert_eq!(labels.len(), 2);
    assert!(psnr.len() == 2 && psnr.iter().all(|v| *v > 40.0), "{psnr:?}");
}

#[test]
fn a_round_below_its_threshold_is_refused_by_name() {
    let defaults = "federation = { clients = { total = 4 }, local = { lr = 0.1 } }";
    let lists = [
        r#"{ name = "secagg", dropouts = 2 }"#,
        r#"{ name = "secagg", dropouts = 2, drop_phase = "unmasking" }"#,
        r#"{ name = "secagg-plus", dropouts = 3 }"#,
        r#"{ name = "secagg", threshold = 5 }"#,
    ];
    let desk = Desk::new();
    let records = run(&desk, "run", defaults, &lists, 1);
    for (record, says) in records.iter().zip([
        ["protocol.secagg.dropouts", "is 2, but 3 of 4 clients must stay", "at most 1"],
        ["protocol.secagg.dropouts", "is 2, but 3 of 4 clients must stay", "at most 1"],
        ["dropouts", "is 3, but", "of 4 clients must stay"],
        ["protocol.secagg.threshold", "5", "4 clients"],
    ]) {
        let line = failed(record, "training");
        assert!(says.iter().all(|part| line.contains(part)) && !line.contains('\n'), "{line}");
        assert!(
            record.images.is_empty() && record.cost.bytes_up == 0,
            "nothing comes of a round that cannot be"
        );
    }
    let done = desk.bench(&["check", "defenses.toml"]);
    assert!(
        done.code == Some(2) && done.out.contains("4 with problems"),
        "known before a run: {done:#?}"
    );
}

/// Four clients that all take part in every round.
const FOUR: &str = r#"federation.regime = "federated"
federation.rounds = 1
federation.clients = { total = 4, examples = 16 }
federation.local = { batch_size = 8, lr = 0.1 }"#;

#[test]
fn compositions_act_in_the_order_in_which_they_happen() {
    let lists = [
        r#"["prune", "dp-local", "secagg"]"#,
        r#"["prune", "secagg", "dp-central"]"#,
        r#"["dp-sgd", "quantise", "ckks"]"#,
        r#"[{ name = "dp-distributed", tolerate = 1 }, { name = "paillier", key_bits = 512 }]"#,
        r#"[{ name = "dp-distributed", tolerate = 1 }, "secagg"]"#,
    ];
    let defaults = "federation = { clients = { total = 4 }, local = { batch_size = 2, lr = 0.1 } }";
    let records = run(&Desk::new(), "run", defaults, &lists, 0);
    for record in &records {
        assert_eq!(record.outcome, Outcome::Done);
        let names = |d: &[String]| d.join(" then ");
        let asked: Vec<String> = record.spec.defenses.iter().map(|d| d.name.clone()).collect();
        let noted: Vec<String> = record.defenses.iter().map(|d| d.name.clone()).collect();
        assert_eq!(asked, noted);
        assert!(record.threat.contains(&names(&asked)), "{}", record.threat);
    }
    // Pruning ran on the client's own update, before the noise that fills the zeroes again.
    let kept = note(&records[0], "prune").values["kept_share"];
    assert!((0.05..0.15).contains(&kept), "{kept}");
    // Secure aggregation and encryption sum the very same integers.
    let measured = |at: usize| &note(&records[at], "dp-distributed").values;
    assert_eq!(measured(3), measured(4));
    assert_eq!(records[3].scores("psnr"), records[4].scores("psnr"));
}

#[test]
fn protocols_cost_bytes_and_seconds() {
    let lists = [
        r#""plain""#,
        r#""secagg""#,
        r#"{ name = "secagg", signature = "rsa-pss" }"#,
        r#""secagg-plus""#,
        r#""ckks""#,
        r#"{ name = "ckks", key = "shared" }"#,
        r#"{ name = "paillier", key_bits = 512 }"#,
        r#"{ name = "prune", fraction = 0.9 }"#,
    ];
    let records = run(&Desk::new(), "run", FOUR, &lists, 0);
    let plain = &records[0];
    let values = plain.cost.bytes_up / 4;
    assert_eq!(plain.cost.bytes_down, 4 * values, "the next model");
    for record in &records {
        let (cost, name) = (record.cost, &record.spec.defenses[0].name);
        // Clients differ by a few bytes, so a client's share of all is rounded.
        assert_eq!(
            (cost.bytes_up_all.div_ceil(4), cost.bytes_down_all.div_ceil(4)),
            (cost.bytes_up, cost.bytes_down)
        );
        assert!(record.wall.rounds.values().all(|s| s.is_finite() && *s >= 0.0), "{name}");
        assert_eq!(record.task["trained_rounds"], 1.0, "{name}");
        assert!(
            (0.0..=1.0).contains(&record.task["trained_accuracy"]),
            "{name}: {:?}",
            record.task
        );
    }
    let secagg = ["keys", "shares", "masked", "consistency", "unmasking", "unmask", "aggregate"];
    let encryption = ["keys", "encrypt", "aggregate", "decrypt"];
    for (at, record) in records.iter().enumerate().take(7).skip(1) {
        let (name, cost) = (&record.spec.defenses[0].name, record.cost);
        assert!(cost.bytes_up > plain.cost.bytes_up, "{name}: {cost:?}");
        assert!(cost.bytes_down > plain.cost.bytes_down, "{name}: {cost:?}");
        let note = note(record, name);
        assert_eq!(note.values["bytes_up"], cost.bytes_up as f64);
        let phases: BTreeSet<&str> = record.wall.rounds.keys().map(String::as_str).collect();
        let expected = if at < 4 { secagg.iter() } else { encryption.iter() };
        assert_eq!(phases, expected.copied().collect(), "{name}");
        assert!(record.wall.rounds.values().sum::<f64>() > 0.0);
        // Protocols are lossless up to their rounding: the trained model is as good as the plain
        // one.
        let lost = record.task["trained_loss"] - plain.task["trained_loss"];
        assert!(lost.abs() < 1e-3, "{name}: {lost}");
    }
    assert!(
        records[2].cost.bytes_up > records[1].cost.bytes_up,
        "an RSA signature is longer than an Ed25519 one"
    );
    let toy = &note(&records[6], "paillier").claim;
    assert!(toy.contains("toy key, no security"), "{toy}");
    assert!(records[7].cost.bytes_up < plain.cost.bytes_up, "what is pruned is not sent");
    assert_eq!(note(&records[7], "prune").claim, "no guarantee");
}

/// Epsilon, delta, unit, neighbouring relation and accountants of every mechanism, in words and in
/// numbers.
#[test]
fn every_guarantee_is_complete() {
    let (client, example) = ("unit: all of a client's data", "unit: one example");
    let (zero_out, add_remove) =
        ("neighbouring: present or replaced by a zero", "neighbouring: added or removed");
    let cases: &[(&str, &str, &str, &str, &[&str])] = &[
        (
            r#"{ name = "dp-local", epsilon = 3.0, delta = 1e-6 }"#,
            "dp-local",
            client,
            zero_out,
            &["analytic"],
        ),
        (
            r#"{ name = "dp-local", epsilon = 3.0, mechanism = "laplace" }"#,
            "dp-local",
            client,
            zero_out,
            &["pure"],
        ),
        (
            r#"{ name = "dp-central", epsilon = 3.0, delta = 1e-6 }"#,
            "dp-central",
            client,
            zero_out,
            &["analytic"],
        ),
        (
            concat!(
                r#"{ name = "dp-central", epsilon = 3.0, delta = 1e-6, adaptive = true"#,
                ", count_noise = 10.0 }"
            ),
            "dp-central",
            client,
            zero_out,
            &["analytic"],
        ),
        (
            r#"{ name = "dp-sgd", epsilon = 3.0, delta = 1e-6 }"#,
            "dp-sgd",
            example,
            add_remove,
            &["rdp", "prv"],
        ),
        (
            r#"[{ name = "dp-distributed", epsilon = 3.0, delta = 1e-6 }, "secagg"]"#,
            "dp-distributed",
            client,
            zero_out,
            &["rdp"],
        ),
        (
            r#"[{ name = "dp-distributed", epsilon = 3.0, delta = 1e-6, mechanism = "skellam" },
                "secagg"]"#,
            "dp-distributed",
            client,
            zero_out,
            &["rdp"],
        ),
    ];
    let lists: Vec<&str> = cases.iter().map(|c| c.0).collect();
    let defaults = FOUR.replace("rounds = 1", "rounds = 3");
    let records = run(&Desk::new(), "run", &defaults, &lists, 0);
    for (record, (list, name, unit, neighbouring, accountants)) in records.iter().zip(cases) {
        let note = note(record, name);
        let (epsilon, delta) = (note.values["epsilon"], note.values["delta"]);
        assert!(epsilon > 2.9 && epsilon <= 3.0 + 1e-9, "{list}: {epsilon}");
        assert_eq!(delta, if list.contains("laplace") { 0.0 } else { 1e-6 }, "{list}");
        let claim = &note.claim;
        for part in [*unit, *neighbouring, "epsilon by", "against ", "sampling rate"] {
            assert!(claim.contains(part), "`{part}` is missing: {claim}");
        }
        let delta = if delta == 0.0 { "0".to_string() } else { format!("{delta:e}") };
        assert!(claim.contains(&format!("({epsilon:.4}, {delta})-DP")), "{claim}");
        let each: Vec<f64> =
            accountants.iter().map(|a| note.values[&format!("epsilon_{a}")]).collect();
        assert!(accountants.iter().all(|a| claim.contains(a)), "{claim}");
        assert_eq!(
            each.iter().copied().fold(f64::INFINITY, f64::min),
            epsilon,
            "the tighter is reported"
        );
        assert!(note.values["sigma"] > 0.0, "{list}");
        assert_eq!(note.adaptive.as_deref(), Some("adaptive-matching"), "{list}");
        let releases = if *name == "dp-sgd" { "6 release(s)" } else { "3 release(s)" };
        assert!(claim.contains(releases), "three rounds are composed: {claim}");
    }
    let strict = |at: usize| note(&records[at], cases[at].1).values["sigma"];
    assert!(strict(0) > strict(2), "noise at every client is more than noise once");
}

/// Where the adversary is one whom the guarantee does not cover, no epsilon is claimed, and the
/// reason is given.
#[test]
fn a_guarantee_is_not_claimed_against_whom_it_does_not_cover() {
    let distributed = |tolerate: usize, more: &str| {
        format!(
            r#"[{{ name = "dp-distributed", tolerate = {tolerate} }}, {{ name = "secagg"{more} }}]"#
        )
    };
    let lists = [
        distributed(0, "") + "\nvantage = \"colluding-1\"",
        r#"["dp-central"]"#.to_string() + "\nvantage = \"server\"",
        distributed(1, ", dropouts = 1"),
        distributed(1, "") + "\nvantage = \"colluding-1\"",
        r#"["dp-central"]"#.to_string(),
        // A key holder knows its own share: it is the one that is tolerated.
        r#"[{ name = "dp-distributed", tolerate = 1 }, "ckks"]"#.to_string()
            + "\nvantage = \"key-holder\"",
    ];
    let lists: Vec<&str> = lists.iter().map(String::as_str).collect();
    let records = run(&Desk::new(), "run", FOUR, &lists, 0);
    for (at, record) in records.iter().enumerate() {
        let note = note(record, &record.spec.defenses[0].name);
        let covered = at > 1;
        assert_eq!(note.values.contains_key("epsilon"), covered, "{}", note.claim);
        assert_eq!(note.claim.starts_with("no guarantee here: "), !covered, "{}", note.claim);
        assert_eq!(record.flags.is_empty(), covered, "{:?}", record.flags);
    }
    let says = |at: usize, why: &str| {
        assert!(records[at].flags[0].to_string().contains(why), "{:?}", records[at].flags)
    };
    says(0, "the noise of 1 client(s) is missing or known");
    says(1, "before the server adds its noise");
    // A federation whose rounds lose shares of the noise has no guarantee left to state.
    let lost = distributed(0, ", dropouts = 1");
    let records = run(&Desk::new(), "run", FOUR, &[&lost], 1);
    match &records[0].outcome {
        Outcome::Failed { message, .. } => assert!(message.contains("shares of the noise")),
        other => panic!("{other:?}"),
    }
}

/// Less epsilon is more noise, more noise to each signal, and less left to the attack; the noise is
/// the same, scaled.
#[test]
fn an_epsilon_grid_is_one_line() {
    let desk = Desk::new();
    let grid = "[matrix]\ndefenses = [{ name = \"dp-local\" }, \
        { name = \"dp-sgd\" }]\n\"defenses.0.epsilon\" = [0.5, 8.0, 1000.0]\n";
    desk.write("grid.toml", format!("{HEAD}{QUICK}{FOUR}\n{grid}"));
    desk.bench(&["suite", "grid.toml", "--device", "cpu", "--json", "--jobs", "1", "--out", "run"])
        .ok();
    let records = record::store::read_records(&desk.path("run")).unwrap();
    assert_eq!(records.len(), 6);
    for name in ["dp-local", "dp-sgd"] {
        let notes = records.iter().filter_map(|r| r.defenses.iter().find(|d| d.name == name));
        let mut points: Vec<(f64, f64)> =
            notes.map(|n| (n.values["epsilon"], n.values["sigma"])).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert_eq!(points.len(), 3, "{name}");
        assert!(
            points.windows(2).all(|p| p[0].0 < p[1].0 && p[0].1 > p[1].1),
            "{name}: {points:?}"
        );
        assert!(
            points.iter().zip([0.5, 8.0, 1000.0]).all(|(p, asked)| p.0 <= asked * (1.0 + 1e-9)),
            "{points:?}"
        );
    }
    let report = std::fs::read_to_string(desk.path("run/report/report.md")).unwrap();
    assert!(report.contains("dp-sgd") && report.contains("dp-local"));
}

/// Keys, masks, noise and dropouts come from the run's seed: the same cells give the same records,
/// bit by bit; another seed does not.
#[test]
fn the_same_seed_gives_the_same_records() {
    let lists = [
        r#"{ name = "secagg", threshold = 3, dropouts = 1 }"#,
        r#"{ name = "secagg", signature = "rsa-pss" }"#,
        r#""secagg-plus""#,
        // Every bit of the ciphertext enters what is reconstructed from it.
        "\"secagg\"\nvantage = \"server\"\nsource = \"one_step_update\"",
        "\"ckks\"\nvantage = \"server\"",
        "{ name = \"ckks\", key = \"shared\" }\nvantage = \"server\"",
        "{ name = \"paillier\", key_bits = 512 }\nvantage = \"server\"",
        r#"["dp-distributed", "secagg"]"#,
        r#"[{ name = "dp-distributed", mechanism = "skellam", tolerate = 1 }, "ckks"]"#,
        r#""dp-sgd""#,
        r#"["dp-local", "secagg"]"#,
        r#"{ name = "dp-central", adaptive = true }"#,
    ];
    let desk = Desk::new();
    let once = |out: &str, seed: &str, lists: &[&str]| {
        run(&desk, out, &format!("{FOUR}\n{seed}"), lists, 0)
    };
    let (first, second) = (once("first", "seed = 7", &lists), once("second", "seed = 7", &lists));
    for (a, b) in first.iter().zip(&second) {
        let name = &a.spec.defenses[0].name;
        let print = |r: &CellRecord| record::fingerprint(std::slice::from_ref(r)).unwrap();
        assert_eq!(a.outcome, Outcome::Done, "{name}");
        assert!(print(a) == print(b), "{name}: two runs differ");
    }
    for (a, c) in first.iter().zip(&once("other", "seed = 8", &lists[..5])) {
        assert_ne!(a.scores("psnr"), c.scores("psnr"), "{}", a.spec.defenses[0].name);
    }
}
