//! Defenses and protocols that could not keep what they promise.

use super::common::Desk;
use super::{CELL, SUITE, refused, with};

/// A federation of three whose sum is attacked, by flags.
const SUM: [&str; 4] = ["--clients", "3", "--source", "agg_update"];

/// Parameters under which a defense could not keep what it promises, or a protocol would have to
/// give a wrong sum.
#[test]
fn defenses_refuse_what_they_could_not_keep() {
    let desk = Desk::new();
    for (name, zero) in
        [("dp-local", true), ("dp-central", false), ("dp-sgd", true), ("dp-distributed", false)]
    {
        let (low, delta) = if zero { ("0", "1") } else { ("-1", "0") };
        for (parameter, value) in [("epsilon", low), ("delta", delta), ("clip", low)] {
            let defense = format!("{name}:{parameter}={value}");
            let args = with(&with(&CELL, &SUM), &["--defense", &defense, "--defense", "secagg"]);
            refused(&desk, &args, 2, &[name, parameter, &format!("is {value}; write a")]);
        }
    }
    let cases: &[(&[&str], &[&str])] = &[
        (
            &["dp-local:calibration=classical"],
            &["calibration", "epsilon = 8", "too little noise", "analytic"],
        ),
        (&["dp-local:calibration=classical,epsilon=1.01"], &["epsilon = 1.01", "at most 1"]),
        (&["dp-sgd:epsilon=word"], &["dp-sgd.epsilon", "word"]),
        (&["dp-distributed:tolerate=3", "secagg"], &["tolerate = 3", "3 clients"]),
        (&["secagg:threshold=4"], &["secagg.threshold", "is 4 for 3 clients", "write 2 to 3"]),
        (
            &["secagg:threshold=1"],
            &["secagg.threshold", "is 1 for 3 clients", "both kinds of shares"],
        ),
        (&["secagg-plus:threshold=4"], &["secagg-plus.threshold", "is 4 for 3 clients"]),
        (
            &["secagg:dropouts=1"],
            &["secagg.dropouts", "is 1, but 3 of 3 clients must stay", "at most 0"],
        ),
        (
            &["secagg-plus:dropouts=3"],
            &["secagg-plus.dropouts", "is 3, but 3 of 3 clients must stay"],
        ),
        (&["secagg:range=0"], &["secagg.range", "above 0"]),
        (&["secagg:bits=60"], &["secagg.bits", "is 60", "2 to 52"]),
        (
            &["secagg:bits=22", "dp-central"],
            &["secagg.bits", "is 22", "steps of its grid", "write bits = 23 or more"],
        ),
        (&["secagg:signature=dsa"], &["secagg.signature", "`dsa`", "ed25519, rsa-pss"]),
        (&["secagg:signature=ed2551"], &["did you mean `ed25519`"]),
        (&["secagg:drop_phase=later"], &["secagg.drop_phase", "`later`", "keys, shares, masked"]),
        (&["ckks:parameters=2048/60/40"], &["parameters", "128"]),
        (&["ckks:parameters=1024/27/20"], &["parameters", "1024", "2048 to 32768"]),
        (&["ckks:parameters=strong"], &["parameters", "`strong`", "fedavg, compact, tenseal"]),
        (&["ckks:range=1e9"], &["ckks.range", "1000000000", "write at most"]),
        (&["ckks:flooding_bits=0"], &["flooding_bits", "20..48"]),
        (&["ckks:key=own"], &["ckks.key", "`own`", "shared, threshold"]),
        (&["paillier:key_bits=777"], &["paillier.key_bits", "is 777", "2048 or 3072"]),
        (&["paillier:key_bits=512,precision=0"], &["paillier.precision", "is 0"]),
        (&["paillier:key_bits=512,range=0"], &["paillier.range", "is 0"]),
        (&["secagg", "prune"], &["defenses.1", "`prune` acts", "write it before `secagg`"]),
        (&["dp-central", "dp-local"], &["defenses.1", "write it before `dp-central`"]),
        (&["secagg", "ckks"], &["defenses.1", "`ckks` is a second protocol"]),
        (&["dp-distributed"], &["defenses.0", "only its share of the noise", "such as `secagg`"]),
        (&["dp-distributed", "plain"], &["defenses.0", "only its share of the noise"]),
        (
            &["dp-distributed", "prune", "secagg"],
            &["defenses.1", "after noise was drawn in shares"],
        ),
        (&["ckks", "dp-central"], &["defenses.1", "only its ciphertext"]),
        (&["mixup", "dp-sgd"], &["defenses.1", "puts one example into several"]),
        (
            &["dp-local", "soteria"],
            &["defenses.1", "looks at the private examples", "voids its guarantee"],
        ),
    ];
    for (defenses, says) in cases {
        let flags: Vec<&str> = defenses.iter().flat_map(|d| ["--defense", d]).collect();
        refused(&desk, &with(&with(&CELL, &SUM), &flags), 2, says);
    }
    for protocol in ["secagg", "secagg-plus", "ckks"] {
        let alone = ["--clients", "1", "--source", "agg_update", "--defense", protocol];
        refused(
            &desk,
            &with(&CELL, &alone),
            2,
            &["federation.clients.total", "is 1", "write at least 2"],
        );
    }
    let many = ["--clients", "300", "--source", "agg_update", "--defense", "secagg"];
    refused(
        &desk,
        &with(&CELL, &many),
        2,
        &["federation.clients.total", "at most 255", "secagg-plus"],
    );

    desk.write("small.toml", SUITE);
    for (set, says) in [
        (r#"defenses=[{ name = "dp-local", delta = 2 }]"#, ["dp-local.delta", "is 2"]),
        (r#"defenses=["secagg", "prune"]"#, ["`prune`", "write it before `secagg`"]),
        (r#"defenses=[{ name = "paillier", key_bits = 777 }]"#, ["paillier.key_bits", "is 777"]),
    ] {
        refused(&desk, &["suite", "small.toml", "--set", set], 2, &says);
    }
}

/// Only the round itself tells how large updates are: the cell fails, in one line, and no sum comes
/// of it.
#[test]
fn values_beyond_the_fixed_point_range_fail_by_name() {
    let desk = Desk::new();
    let cases: &[(&str, &[&str])] = &[
        (
            "secagg:range=1e-6",
            &["client 0", "largest magnitude is 0.0", "range = 0.000001", "write range = 0.0"],
        ),
        ("secagg-plus:range=1e-6", &["client 0", "largest magnitude is 0.0", "range = 0.000001"]),
        (
            "ckks:range=1e-6",
            &["client 0", "value ", "at position", "-0.000001 to 0.000001", "raise `range`"],
        ),
        (
            "paillier:key_bits=512,range=1e-6",
            &["client 0", "value ", "-0.000001 to 0.000001", "raise"],
        ),
    ];
    for (at, (defense, says)) in cases.iter().enumerate() {
        let out = format!("run-{at}");
        let done = desk.bench(&with(&with(&CELL, &SUM), &["--defense", defense, "--out", &out]));
        assert_eq!(done.code, Some(1), "{done:#?}");
        let records = record::store::read_records(&desk.path(&out)).unwrap();
        let record::Outcome::Failed { stage, message } = &records[0].outcome else {
            panic!("{defense}: {:?}", records[0].outcome)
        };
        assert!(stage == "capture" && !message.contains('\n'), "{message}");
        for part in *says {
            assert!(message.contains(part), "`{part}` is missing: {message}");
        }
        assert!(done.err.contains(message.as_str()), "{done:#?}");
        assert!(
            records[0].images.is_empty() && records[0].cost.bytes_up == 0,
            "nothing was summed"
        );
    }
    // Cut to the range on request, as written.
    let clip = "secagg:range=1e-6,out_of_range=clip";
    desk.bench(&with(&with(&CELL, &SUM), &["--defense", clip, "--out", "clipped"])).ok();
}
