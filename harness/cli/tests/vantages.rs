//! Who sees what: the same attack from every vantage of every protocol, beside the same cell
//! without a defense.

mod common;

use common::Desk;
use record::{CellRecord, Outcome};

/// PSNR above which the report no longer tells reconstructions apart.
const CAP: f64 = 100.0;

/// A cell: defenses as TOML, source, vantage.
type Row = (&'static str, &'static str, &'static str);

const NONE: &str = r#""none""#;
const SECAGG: &str = r#""secagg""#;
const PLUS: &str = r#""secagg-plus""#;
const CKKS: &str = r#""ckks""#;
const SHARED: &str = r#"{ name = "ckks", key = "shared" }"#;
/// A toy key: what a vantage sees does not depend on the key's length, and the tests must not take
/// minutes.
const PAILLIER: &str = r#"{ name = "paillier", key_bits = 512 }"#;

/// Runs a suite of these cells in order.
fn run(attack: &str, clients: usize, rows: &[Row]) -> Vec<CellRecord> {
    let desk = Desk::new();
    let mut suite = format!(
        r#"[suite]
name = "vantages"
version = "1"
description = "who sees what"
[defaults]
task = {{ dataset = "digits" }}
model = {{ name = "mlp" }}
federation = {{ clients = {{ total = {clients} }}, local = {{ lr = 0.1 }} }}
attack = {attack}
seed = 3
"#
    );
    for (defenses, source, vantage) in rows {
        suite += &format!(
            "[[include]]\ndefenses = {defenses}\nsource = \"{source}\"\nvantage = \"{vantage}\"\n"
        );
    }
    desk.write("vantages.toml", suite);
    desk.bench(&[
        "suite",
        "vantages.toml",
        "--device",
        "cpu",
        "--jobs",
        "1",
        "--json",
        "--out",
        "run",
    ])
    .ok();
    let records = record::store::read_records(&desk.path("run")).unwrap();
    assert_eq!(records.len(), rows.len());
    for (record, (defenses, source, vantage)) in records.iter().zip(rows) {
        assert_eq!(record.spec.source.to_string(), *source);
        assert_eq!(record.spec.vantage.to_string(), *vantage);
        assert!(
            record.spec.defenses.iter().all(|d| defenses.contains(&d.name)),
            "{defenses}: {record:?}"
        );
    }
    records
}

fn psnr(record: &CellRecord) -> Vec<f64> {
    assert_eq!(record.outcome, Outcome::Done, "{}", what(record));
    record.scores("psnr").into_iter().map(|v| v.unwrap_or(f64::NEG_INFINITY).min(CAP)).collect()
}

fn what(record: &CellRecord) -> String {
    let names: Vec<_> = record.spec.defenses.iter().map(|d| d.name.as_str()).collect();
    format!(
        "{} {} {}: {:?}",
        names.join("+"),
        record.spec.source,
        record.spec.vantage,
        record.outcome
    )
}

fn why(record: &CellRecord) -> &str {
    match &record.outcome {
        Outcome::NotApplicable { why } => why,
        other => panic!("{}: {other:?}", what(record)),
    }
}

/// Each image is recovered as in the undefended twin: better than 60 dB, and the same within a
/// decibel.
#[track_caller]
fn as_without(record: &CellRecord, twin: &CellRecord) {
    let (a, b) = (psnr(record), psnr(twin));
    assert_eq!(a.len(), b.len(), "{}", what(record));
    for (a, b) in a.iter().zip(&b) {
        assert!(*a > 60.0 && (a - b).abs() < 1.0, "{}: {a} dB, without it {b} dB", what(record));
    }
}

/// Each image is recovered no better than by whoever answers with a constant picture or with noise,
/// far below the undefended twin.
#[track_caller]
fn at_chance(record: &CellRecord, twin: &CellRecord) {
    let (found, open) = (psnr(record), psnr(twin));
    let best = |at: usize| {
        let of = |name: &str| record.baselines[name][at]["psnr"].unwrap();
        of("grey").max(of("mean")).max(of("noise"))
    };
    for (at, (found, open)) in found.iter().zip(&open).enumerate() {
        assert!(
            *found < best(at),
            "{}: {found} dB, the null baseline {} dB",
            what(record),
            best(at)
        );
        assert!(*open > best(at) + 40.0, "{}: {open} dB without a defense", what(record));
    }
    assert!(
        record.flags.iter().any(|f| f.is(suites::FlagKind::MaskedSignal)),
        "{}: {:?}",
        what(record),
        record.flags
    );
    assert!(record.threat.contains("only "), "{}", record.threat);
}

const MATCHING: &str = r#"{ name = "idlg", iterations = 60 }"#;

/// Whoever is entitled to the sum attacks it as if there were no protocol; whoever sees its
/// ciphertext has noise.
#[test]
fn the_sum_is_no_safer_for_having_been_hidden_on_the_way() {
    let agg = "agg_update";
    let rows = [
        (NONE, agg, "server"),
        (NONE, agg, "aggregate"),
        (r#""plain""#, agg, "aggregate"),
        (SECAGG, agg, "server"),
        (SECAGG, agg, "aggregate"),
        (SECAGG, agg, "eavesdropper"),
        (PLUS, agg, "server"),
        (PLUS, agg, "aggregate"),
        (CKKS, agg, "aggregate"),
        (CKKS, agg, "key-holder"),
        (SHARED, agg, "aggregate"),
        (SHARED, agg, "key-holder"),
        (PAILLIER, agg, "aggregate"),
        (PAILLIER, agg, "key-holder"),
        // From here on, the sum is seen as a ciphertext.
        (CKKS, agg, "server"),
        (SHARED, agg, "eavesdropper"),
        (PAILLIER, agg, "server"),
    ];
    let records = run(MATCHING, 2, &rows);
    let twin = &records[0];
    assert_eq!(twin.images.len(), 2, "both clients' images are behind the sum");
    for record in &records[1..14] {
        as_without(record, twin);
        assert!(record.flags.is_empty(), "{}: {:?}", what(record), record.flags);
    }
    for record in &records[14..] {
        at_chance(record, twin);
        assert!(record.threat.contains("only the ciphertext"), "{}", record.threat);
    }
    let who = |at: usize, says: &str| {
        assert!(records[at].threat.contains(says), "{}", records[at].threat)
    };
    who(0, "An honest-but-curious server sees the average weight change of 2 client(s)");
    who(0, "undefended");
    who(3, "defended by secagg");
    who(4, "Whoever receives the released aggregate");
    who(5, "An eavesdropper");
    who(9, "The holder of the decryption key");
}

/// One client's upload: exact where the server reads it, chance where it carries masked words or
/// ciphertext.
#[test]
fn a_single_update_is_noise_to_the_server_and_to_the_wire() {
    for source in ["gradients", "one_step_update"] {
        let mut rows = vec![(NONE, source, "server"), (NONE, source, "eavesdropper")];
        for defenses in [SECAGG, PLUS, CKKS, SHARED, PAILLIER] {
            rows.extend([(defenses, source, "server"), (defenses, source, "eavesdropper")]);
        }
        let records = run(r#""analytic""#, 3, &rows);
        as_without(&records[1], &records[0]);
        records[2..].iter().for_each(|record| at_chance(record, &records[0]));
    }
}

/// Pooled secrets open a single update from the threshold on; below it the cell says why it is not
/// applicable.
#[test]
fn colluders_open_an_update_where_their_secrets_suffice() {
    let (one, lower) = ("one_step_update", r#"{ name = "secagg", threshold = 3 }"#);
    let rows = [
        (NONE, one, "server"),
        // Five clients share secrets with a threshold of 4, or of 3.
        (SECAGG, one, "colluding-4"),
        (lower, one, "colluding-3"),
        (PLUS, one, "colluding-4"),
        (SHARED, one, "colluding-1"),
        (SHARED, one, "key-holder"),
        (PAILLIER, one, "colluding-1"),
        (PAILLIER, one, "key-holder"),
        // All others together know the sum and their own updates.
        (CKKS, one, "colluding-4"),
        (SECAGG, one, "colluding-3"),
        (SECAGG, one, "colluding-1"),
        (lower, one, "colluding-2"),
        (CKKS, one, "colluding-3"),
        (CKKS, one, "key-holder"),
        (SECAGG, one, "key-holder"),
        (SECAGG, one, "aggregate"),
    ];
    let records = run(r#""analytic""#, 5, &rows);
    records[1..9].iter().for_each(|record| as_without(record, &records[0]));
    for (record, k) in records[9..13].iter().zip([3, 1, 2, 3]) {
        let reason = format!("the server and {k} of 5 clients do not hold enough secrets");
        assert!(why(record).contains(&reason), "{}", what(record));
    }
    assert!(why(&records[13]).contains("none of them alone"), "{}", what(&records[13]));
    assert!(why(&records[14]).contains("no key to hold"), "{}", what(&records[14]));
    assert!(why(&records[15]).contains("only the aggregate"), "{}", what(&records[15]));
    assert!(
        records[1].threat.contains("together with 4 colluding client(s)"),
        "{}",
        records[1].threat
    );
    let opened = "opened with the pooled secrets";
    assert!(records[2].threat.contains(opened), "{}", records[2].threat);
    // Nothing need be opened where one client is left.
    assert!(records[1].threat.contains("less the colluders' own updates"), "{}", records[1].threat);
}

/// All but one subtract their own updates from the sum: what is left is the last client's, image
/// for image.
#[test]
fn the_rest_of_the_sum_is_attacked_like_the_update_it_is() {
    let mut rows = vec![(NONE, "one_step_update", "server")];
    rows.extend(
        [NONE, SECAGG, PLUS, CKKS, SHARED, PAILLIER].map(|d| (d, "agg_update", "colluding-4")),
    );
    let records = run(r#""analytic""#, 5, &rows);
    for record in &records[1..] {
        as_without(record, &records[0]);
        let of = |r: &CellRecord| (r.images[0].id, r.images[0].client);
        assert_eq!(of(record), of(&records[0]), "{}", what(record));
        assert!(record.threat.contains("less the colluders' own updates"), "{}", record.threat);
    }
    // Two colluders of five leave three clients' images, and none of their own.
    let records =
        run(r#"{ name = "idlg", iterations = 1 }"#, 5, &[(SECAGG, "agg_update", "colluding-2")]);
    let clients: Vec<usize> = records[0].images.iter().map(|i| i.client).collect();
    assert_eq!(clients, [0, 3, 4], "the colluders are those that follow the watched client");
}
