//! What a protocol must hold for a private mechanism, and how many shares of its noise may be
//! missing from a sum.

use std::sync::atomic::AtomicBool;

use federation::{Examples, Execution, Federation, FederationError, Registries};
use suites::{FederationSpec, Named, Regime, Source, TrainSpec};
use tch::Device;

/// Five clients with eight digits each, who train softmax regression for two rounds.
fn prepared(defenses: Vec<Named>) -> Result<Federation, FederationError> {
    let mut spec = TrainSpec::new("shares", "digits", "logistic");
    spec.federation = FederationSpec::new(Regime::Federated);
    let f = &mut spec.federation;
    (f.clients.total, f.clients.examples, f.local.batch_size) = (5, Some(8), 4);
    f.rounds = 2;
    (spec.source, spec.defenses) = (Source::LocalUpdate, defenses);
    federation::prepare(&Registries::builtin(), &spec, None, &AtomicBool::new(false))
}

fn line(result: Result<impl Sized, FederationError>) -> String {
    result.err().map_or("accepted".into(), |error| error.to_string())
}

/// Too few bits end a training before its first round, with the number to write.
#[test]
fn bits_that_a_grid_does_not_fit_are_refused_before_the_first_round() {
    let secagg = |bits: u32| Named::new("secagg").with("bits", bits);
    for bits in [14, 22] {
        let said = line(prepared(vec![secagg(bits), Named::new("dp-central")]));
        let problem = format!("is {bits}: the private mechanism sends values of up to 4194304");
        assert!(said.contains("protocol.secagg.bits") && said.contains(&problem), "{said}");
        assert!(said.contains("write bits = 23 or more") && !said.contains('\n'), "{said}");
    }
    assert_eq!(line(prepared(vec![secagg(23), Named::new("dp-central")])), "accepted");
    let shares = || Named::new("dp-distributed");
    let said = line(prepared(vec![shares(), secagg(8)]));
    let (_, needed) = said.split_once("write bits = ").unwrap();
    let needed: u32 = needed.split(' ').next().unwrap().parse().unwrap();
    assert!((9..23).contains(&needed), "{said}");
    assert_eq!(line(prepared(vec![shares(), secagg(needed)])), "accepted");
    assert_eq!(line(prepared(vec![secagg(16)])), "accepted");
    // The number is enough: the round carries every value.
    let federation = prepared(vec![shares(), secagg(needed)]).unwrap();
    assert_eq!(line(played(&federation, 0)), "accepted");
}

/// A round in which the last `gone` clients never deliver.
fn played(federation: &Federation, gone: usize) -> Result<usize, FederationError> {
    tch::set_num_threads(1);
    let state = federation::start(federation, Device::Cpu)?;
    let mut plan = federation.plan(0);
    plan.cohort.dropped = plan.cohort.invited[plan.cohort.invited.len() - gone..].to_vec();
    let (mut examples, never) = (Examples::new(federation), AtomicBool::new(false));
    let execution = Execution::quiet(Device::Cpu, &never);
    let played =
        federation::play(federation, &state, &plan, None, &mut examples, &execution)?.unwrap();
    Ok(played.outcome.survivors)
}

/// Who decrypts the sum knows its own share of the noise, so that `tolerate = 1` is used up by
/// that: with a dropout besides, the shares that are left are one too few.
#[test]
fn a_key_holder_and_a_dropout_are_two_missing_shares() {
    let shares = |tolerate: u32| Named::new("dp-distributed").with("tolerate", tolerate);
    let paillier = || Named::new("paillier").with("key_bits", 512).with("precision", 100_000);
    let ckks = || Named::new("ckks");
    for holder in [ckks as fn() -> Named, paillier] {
        let name = holder().name;
        let one = prepared(vec![shares(1), holder()]).unwrap();
        assert_eq!(played(&one, 0).unwrap(), 5, "{name}");
        let said = line(played(&one, 1));
        for words in ["1 client(s) took", "whoever decrypts the sum", "the budget tolerates 1"] {
            assert!(said.contains(words) && !said.contains('\n'), "{name}: {said}");
        }
        let two = prepared(vec![shares(2), holder()]).unwrap();
        assert_eq!(played(&two, 1).unwrap(), 4, "{name}");
        assert!(line(played(&two, 2)).contains("2 client(s) took"), "{name}");
    }
    // Where the server reads the sum, nobody inside the round knows a share of it.
    let secagg = prepared(vec![shares(1), Named::new("secagg")]).unwrap();
    assert_eq!(played(&secagg, 1).unwrap(), 4);
    let said = line(played(&prepared(vec![shares(0), Named::new("secagg")]).unwrap(), 1));
    assert!(said.contains("the budget tolerates 0") && !said.contains("decrypts"), "{said}");
}
