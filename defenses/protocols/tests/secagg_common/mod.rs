//! Rounds of any words with any faults, shared by tests and the example.
#![allow(dead_code, missing_docs)]

pub mod forgeries;

use std::collections::BTreeMap;
use std::sync::Arc;

use protocols::secagg::{Faults, Graph, Outcome, Phase, Plan, Session, Setup, run};
use protocols::signatures::Scheme;
use protocols::{Binding, FederationId, ModelHash, ProtocolError};
use suites::rng::stream;

pub const BITS: u32 = 41;

/// The federation of all rounds, the model that all of its clients received, and their numbers.
pub const FEDERATION: FederationId = FederationId([3; 32]);
pub const MODEL: ModelHash = ModelHash([8; 32]);
static MODELS: [ModelHash; 1000] = [MODEL; 1000];
static MEMBERS: [usize; 1000] = {
    let (mut members, mut i) = ([0; 1000], 0);
    while i < 1000 {
        (members[i], i) = (7 * i + 5, i + 1);
    }
    members
};

/// A round of so many clients who all received one model.
pub fn binding(clients: usize) -> Binding<'static> {
    let (members, models) = (&MEMBERS[..clients], &MODELS[..clients]);
    Binding { federation: FEDERATION, members, models }
}

/// A session in which words are whole numbers.
pub fn session(round: u64, graph: Graph, threshold: usize, words: usize, bits: u32) -> Session {
    let clients = graph.clients();
    let plan = Plan { round, clients, threshold, words, bits, scale: 1.0 };
    let members = (0..clients as u64).map(|i| 7 * i + 5).collect();
    Session { plan, members, graph: Arc::new(graph) }
}

/// Any words below the modulus.
pub fn words(client: usize, len: usize) -> Vec<u64> {
    (0..len as u64)
        .map(|i| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ client as u64) >> (64 - BITS))
        .collect()
}

pub fn plain_sum(clients: &[u32], len: usize) -> Vec<u64> {
    let mut sum = vec![0u64; len];
    for &client in clients {
        sum.iter_mut()
            .zip(words(client as usize, len))
            .for_each(|(s, w)| *s = (*s + w) % (1 << BITS));
    }
    sum
}

pub fn carry(
    graph: Graph,
    threshold: usize,
    len: usize,
    scheme: Scheme,
    faults: &Faults,
) -> Result<Outcome, ProtocolError> {
    carry_round(5, graph, threshold, len, scheme, faults)
}

pub fn carry_round(
    round: u64,
    graph: Graph,
    threshold: usize,
    len: usize,
    scheme: Scheme,
    faults: &Faults,
) -> Result<Outcome, ProtocolError> {
    let clients = graph.clients();
    let setup = Setup {
        federation: FEDERATION,
        session: session(round, graph, threshold, len, BITS),
        models: vec![MODEL; clients],
        scheme,
        watched: 0,
        progress: &|_, _, _| (),
    };
    let rngs = (0..clients).map(|i| stream(1, "secagg", &format!("client {i}"))).collect();
    run(&setup, rngs, &|i| Ok(words(i, len)), faults)
}

/// The phase in which too few are left, from the dropouts alone.
fn starving(n: usize, threshold: usize, drops: &BTreeMap<u32, Phase>) -> Option<Phase> {
    Phase::ALL
        .into_iter()
        .find(|phase| n - drops.values().filter(|p| *p <= phase).count() < threshold)
}

pub fn check_pattern(n: usize, threshold: usize, len: usize, drops: BTreeMap<u32, Phase>) -> bool {
    let outcome = carry(
        Graph::complete(n),
        threshold,
        len,
        Scheme::Ed25519,
        &Faults { drops: drops.clone(), tamper: None },
    );
    match (starving(n, threshold, &drops), outcome) {
        (None, Ok(outcome)) => {
            let stayed = |c: &u32| drops.get(c).is_none_or(|p| *p > Phase::Masked);
            let expected: Vec<u32> = (0..n as u32).filter(stayed).collect();
            assert_eq!(outcome.survivors, expected, "{drops:?}");
            assert_eq!(outcome.sum, plain_sum(&expected, len), "{drops:?}");
            assert_eq!(outcome.failures.len(), drops.len(), "{drops:?}");
            true
        }
        (Some(due), Err(ProtocolError::Aborted { round: 5, phase, reason })) => {
            assert_eq!(phase, due.name(), "{drops:?}");
            assert!(
                drops.keys().all(|c| drops[c] > due || reason.contains(&c.to_string())),
                "{reason}"
            );
            false
        }
        (due, outcome) => panic!("{drops:?}: {due:?} and {:?}", outcome.err()),
    }
}

/// Every client stays or drops out in any of the five phases: all `6^n` patterns. How many there
/// were, and how many gave the sum; the others aborted by name.
pub fn every_pattern(n: usize, threshold: usize) -> (usize, usize) {
    let all = 6usize.pow(n as u32);
    let summed = (0..all).filter(|code| {
        let phase = |c: usize| Phase::ALL.get(code / 6usize.pow(c as u32) % 6).copied();
        check_pattern(n, threshold, 3, (0..n).filter_map(|c| Some((c as u32, phase(c)?))).collect())
    });
    (all, summed.count())
}
