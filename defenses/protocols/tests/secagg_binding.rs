//! What the signatures of a round bind: its session and the model that each client was sent.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use protocols::secagg::{
    Delivery, Directory, Faults, Graph, Outcome, Phase, Session, Setup, decode_bundle,
    encode_bundle, run,
};
use protocols::signatures::{Header, SERVER, Scheme, client, open, seal, server};
use protocols::{FederationId, ModelHash, ProtocolError};
use suites::rng::stream;

mod secagg_common;
use secagg_common::forgeries::reseal;
use secagg_common::{BITS, FEDERATION, MODEL, plain_sum, session, words};

const N: usize = 5;
const ED: Scheme = Scheme::Ed25519;

type Tamper<'a> = &'a (dyn Fn(Delivery) + Sync);

/// A round of five clients with threshold 3 and four words.
fn carry(
    federation: FederationId,
    number: u64,
    models: [ModelHash; N],
    tamper: Tamper,
) -> Result<Outcome, ProtocolError> {
    let setup = Setup {
        federation,
        session: session(number, Graph::complete(N), 3, 4, BITS),
        models: models.to_vec(),
        scheme: ED,
        watched: 0,
        progress: &|_, _, _| (),
    };
    let rngs = (0..N).map(|i| stream(1, "binding", &format!("client {i}"))).collect();
    let faults = Faults { drops: BTreeMap::new(), tamper: Some(tamper) };
    run(&setup, rngs, &|i| Ok(words(i, 4)), &faults)
}

type Messages = HashMap<(u8, u32, u32), Vec<u8>>;

fn recorded(federation: FederationId, number: u64) -> Messages {
    let seen = Mutex::new(Messages::new());
    let record = |d: Delivery| {
        seen.lock().unwrap().insert((d.phase.code(), d.from, d.to), d.bytes.clone());
    };
    carry(federation, number, [MODEL; N], &record).unwrap();
    seen.into_inner().unwrap()
}

/// Each message of another federation's round, and of this federation's earlier round, put in the
/// place of client 3's: the server drops client 3, or client 3 refuses.
#[test]
fn messages_of_another_federation_or_round_are_refused_by_name() {
    let foreign = recorded(FederationId([4; 32]), 2);
    let earlier = recorded(FEDERATION, 1);
    let mut tried = 0;
    for (old, name) in [
        (&foreign, "replayed message of another session: another federation"),
        (&earlier, "replayed message of round 1"),
    ] {
        for (phase, from_server) in Phase::ALL.into_iter().flat_map(|p| [(p, false), (p, true)]) {
            let ends = if from_server { (SERVER, 3) } else { (3, SERVER) };
            let Some(replay) = old.get(&(phase.code(), ends.0, ends.1)) else { continue };
            let swap = |d: Delivery| {
                if d.phase == phase && (d.from, d.to) == ends {
                    *d.bytes = replay.clone();
                }
            };
            let outcome = carry(FEDERATION, 2, [MODEL; N], &swap).unwrap();
            let [failure] = &outcome.failures[..] else { panic!("{:?}", outcome.failures) };
            assert_eq!(failure.client, 3);
            assert!(failure.what.contains(name), "{phase:?} {from_server}: {}", failure.what);
            tried += 1;
        }
    }
    // Five of a client and four of the server.
    assert_eq!(tried, 2 * 9);
}

/// The server passes on what a neighbour signed in another federation inside a bundle of its own.
#[test]
fn a_neighbours_key_of_another_federation_is_refused_by_name() {
    let foreign = recorded(FederationId([4; 32]), 2);
    let old = foreign[&(Phase::Keys.code(), 3, SERVER)].clone();
    let swap = |mut d: Delivery| {
        if d.phase == Phase::Keys && (d.from, d.to) == (SERVER, 0) {
            reseal(&mut d, &server(ED).unwrap(), |body| {
                let mut adverts = decode_bundle(body).unwrap();
                adverts[2] = &old;
                *body = encode_bundle(&adverts);
            });
        }
    };
    let outcome = carry(FEDERATION, 2, [MODEL; N], &swap).unwrap();
    let [failure] = &outcome.failures[..] else { panic!("{:?}", outcome.failures) };
    assert_eq!((failure.client, &*failure.phase), (0, "shares"));
    assert!(failure.what.contains("client 3: replayed message of another session"), "{failure:?}");
}

/// A server that sends one client another model than all others gets no share and no masked word:
/// every client sees that a neighbour signed another hash.
#[test]
fn two_models_in_one_round_are_refused_by_name_before_anything_is_revealed() {
    let other = ModelHash([9; 32]);
    for odd in 0..N {
        let (mut models, sent) = ([MODEL; N], Mutex::new(Vec::new()));
        models[odd] = other;
        let watch = |d: Delivery| {
            if d.from != SERVER {
                sent.lock().unwrap().push(d.phase);
            }
        };
        let line = carry(FEDERATION, 1, models, &watch).err().unwrap().to_string();
        let (first, second) = if odd == 0 { (1, 0) } else { (odd, 0) };
        let says = format!(
            "client {first} was sent another model than client {second}: model inconsistency"
        );
        assert!(line.contains(&says) && line.contains("phase `shares`"), "{line}");
        assert!(sent.into_inner().unwrap().iter().all(|phase| *phase == Phase::Keys));
    }
    assert!(carry(FEDERATION, 1, [other; N], &|_| ()).is_ok());
}

/// A client that signs another model than the one it was sent is dropped alone by a server that
/// keeps to the protocol, in every phase.
#[test]
fn a_client_that_lies_about_its_model_is_dropped_alone() {
    for phase in Phase::ALL {
        let lie = |d: Delivery| {
            if d.phase == phase && d.from == 2 {
                let identity = client(ED, 2).unwrap();
                let header = Header::claimed(d.bytes).unwrap();
                let body = open(d.bytes, header, identity.public()).unwrap();
                let header = Header { model: [9; 32], ..header };
                *d.bytes = seal(&identity, header, body).unwrap();
            }
        };
        let outcome = carry(FEDERATION, 1, [MODEL; N], &lie).unwrap();
        let stay: &[u32] = if phase <= Phase::Masked { &[0, 1, 3, 4] } else { &[0, 1, 2, 3, 4] };
        assert_eq!(outcome.sum, plain_sum(stay, 4));
        let [failure] = &outcome.failures[..] else { panic!("{:?}", outcome.failures) };
        assert_eq!(failure.client, 2);
        assert!(failure.what.starts_with("model inconsistency"), "{failure:?}");
    }
}

/// Whoever is told other terms of the round has another session.
#[test]
fn every_term_of_a_round_is_in_its_session() {
    let keys = |last: u32| {
        let key = |i| client(ED, i).unwrap().public().clone();
        Directory::new([0, 1, 2, 3, last].map(key).to_vec(), server(ED).unwrap().public().clone())
    };
    let base = session(1, Graph::complete(N), 3, 4, BITS);
    let id = |session: &Session| session.id(FEDERATION, &keys(4));
    let changes: [fn(&mut Session); 8] = [
        |s| s.plan.round = 2,
        |s| s.plan.threshold = 4,
        |s| s.plan.words = 5,
        |s| s.plan.bits = 40,
        |s| s.plan.scale = 2.0,
        |s| s.plan.clients = 6,
        |s| s.members[4] = 99,
        |s| s.graph = Arc::new(Graph::harary(5, 2, &mut stream(1, "binding", "graph"))),
    ];
    let mut ids = vec![id(&base), base.id(FederationId([4; 32]), &keys(4))];
    ids.push(base.id(FEDERATION, &keys(5)));
    ids.extend(changes.map(|change| {
        let mut session = base.clone();
        change(&mut session);
        id(&session)
    }));
    assert_eq!(id(&base.clone()), ids[0]);
    for (i, a) in ids.iter().enumerate() {
        assert!(ids[..i].iter().all(|b| a != b), "term {i}");
    }
}
