//! What a lying server, a lying client and whoever sits on the wire can try, and how it ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocols::ProtocolError;
use protocols::secagg::{
    Advert, Client, ClientError, Delivery, Directory, Faults, Graph, Member, Phase, Reveal, Server,
    Session, Set, decode_bundle, decode_reveals, encode_bundle, encode_reveals,
};
use protocols::signatures::{
    EVERYONE, Header, Identity, Rejected, SERVER, Scheme, client, open, seal, server,
};
use suites::rng::stream;

mod secagg_common;
use secagg_common::forgeries::{forgeries, reseal};
use secagg_common::{FEDERATION, MODEL, carry, plain_sum, session};

const ED: Scheme = Scheme::Ed25519;

fn tampered(
    n: usize,
    threshold: usize,
    drops: BTreeMap<u32, Phase>,
    tamper: &(dyn Fn(Delivery) + Sync),
) -> Result<protocols::secagg::Outcome, ProtocolError> {
    carry(Graph::complete(n), threshold, 4, ED, &Faults { drops, tamper: Some(tamper) })
}

#[test]
fn every_forged_replayed_swapped_or_cut_message_is_caught_and_named() {
    for scheme in [Scheme::Ed25519, Scheme::RsaPss] {
        assert_eq!(forgeries(scheme), (52, 52));
    }
}

/// The server puts its own public key in the place of client 1's, to read the shares meant for it:
/// it cannot sign for client 1.
#[test]
fn an_altered_public_key_is_detected() {
    let mallory = Identity::generate(ED).unwrap();
    let swap = |mut d: Delivery| {
        if d.phase == Phase::Keys && d.from == SERVER && d.to == 0 {
            reseal(&mut d, &server(ED).unwrap(), |body| {
                let mut adverts: Vec<Vec<u8>> =
                    decode_bundle(body).unwrap().iter().map(|m| m.to_vec()).collect();
                let header = Header::claimed(&adverts[0]).unwrap();
                assert_eq!((header.sender, header.recipient), (1, EVERYONE));
                let advert = Advert { sealing: [9; 32], masking: [9; 32] };
                adverts[0] = seal(&mallory, header, &advert.encode()).unwrap();
                *body = encode_bundle(&adverts.iter().map(Vec::as_slice).collect::<Vec<_>>());
            });
        }
    };
    let outcome = tampered(5, 4, BTreeMap::new(), &swap).unwrap();
    assert_eq!(outcome.survivors, [1, 2, 3, 4]);
    assert_eq!(outcome.failures[0].client, 0);
    assert_eq!(outcome.failures[0].what, "refuses a message of client 1: forged signature");
}

/// A client reveals a wrong share, properly signed: of a survivor's seed, and of a dropped client's
/// mask key.
#[test]
fn a_wrong_share_is_excluded_and_its_sender_named() {
    let lie = |mut d: Delivery| {
        if d.phase == Phase::Unmasking && d.from == 2 {
            reseal(&mut d, &client(ED, 2).unwrap(), |body| {
                let mut reveals = decode_reveals(body).unwrap();
                for (_, reveal) in &mut reveals {
                    if let Reveal::MaskKey(share) | Reveal::Seed(share) = reveal {
                        share[7] ^= 1;
                    }
                }
                *body = encode_reveals(&reveals).to_vec();
            });
        }
    };
    let drops = BTreeMap::from([(4, Phase::Masked)]);
    let outcome = tampered(6, 4, drops.clone(), &lie).unwrap();
    assert_eq!(outcome.sum, plain_sum(&[0, 1, 2, 3, 5], 4));
    let named: Vec<_> =
        outcome.failures.iter().filter(|f| f.what.contains("does not fit")).collect();
    assert!(named.len() == 6 && named.iter().all(|f| f.client == 2), "{:?}", outcome.failures);
    assert_eq!(named[1].what, "share of client 0 held by client 2 does not fit: 0 or 2 lied");
    // With no share to spare the round ends, and says whose secret is lost.
    let line = tampered(6, 5, drops, &lie).err().unwrap().to_string();
    assert!(line.contains("phase `unmasking`") && line.contains("cannot be recovered"), "{line}");
}

/// A client seals nonsense for another: the other has no share to reveal, and says so.
#[test]
fn shares_that_do_not_open_are_named() {
    let spoil = |mut d: Delivery| {
        if d.phase == Phase::Shares && d.from == 1 {
            reseal(&mut d, &client(ED, 1).unwrap(), |body| *body.last_mut().unwrap() ^= 1);
        }
    };
    let outcome = tampered(5, 4, BTreeMap::new(), &spoil).unwrap();
    assert_eq!(outcome.sum, plain_sum(&[0, 1, 2, 3, 4], 4));
    assert_eq!(outcome.failures.len(), 1);
    assert_eq!(
        (outcome.failures[0].client, &*outcome.failures[0].what),
        (1, "the shares that client 1 sealed for client 4 do not open: 1 or 4 lied")
    );
}

/// Client 2 signs another set than the one it got: it alone is dropped, and the sum is right.
#[test]
fn a_signed_lie_about_the_survivors_drops_only_the_liar() {
    let lie = |mut d: Delivery| {
        if d.phase == Phase::Consistency && d.from == 2 {
            let other = Set::new(5, 0..4).digest().to_vec();
            reseal(&mut d, &client(ED, 2).unwrap(), |body| *body = other);
        }
    };
    let outcome = tampered(5, 4, BTreeMap::new(), &lie).unwrap();
    assert_eq!(outcome.sum, plain_sum(&[0, 1, 2, 3, 4], 4));
    let [failure] = &outcome.failures[..] else { panic!("{:?}", outcome.failures) };
    assert_eq!((failure.client, &*failure.what), (2, "signed another set of survivors"));
}

/// Client 2 advertises a key of small order, or one of client 1's, properly signed: it alone is
/// dropped.
#[test]
fn a_signed_unusable_or_copied_key_drops_only_the_liar() {
    type Lie = fn(&mut Advert, &Advert);
    let lies: [(Lie, &str); 4] = [
        (|mine, _| mine.sealing = [0; 32], "advertised an unusable key"),
        (|mine, _| mine.masking = [0; 32], "advertised an unusable key"),
        (|mine, other| mine.masking = other.masking, "advertised a key of client 1"),
        (|mine, other| mine.sealing = other.masking, "advertised a key of client 1"),
    ];
    for (change, says) in lies {
        let other = std::sync::Mutex::new(None);
        let lie = |mut d: Delivery| {
            if d.phase == Phase::Keys && (d.from == 1 || d.from == 2) {
                let identity = client(ED, d.from).unwrap();
                reseal(&mut d, &identity, |body| {
                    let mut advert = Advert::decode(body).unwrap();
                    match *other.lock().unwrap() {
                        None => (),
                        Some(other) => change(&mut advert, &other),
                    }
                    *body = advert.encode();
                    other.lock().unwrap().get_or_insert(advert);
                });
            }
        };
        let outcome = tampered(5, 4, BTreeMap::new(), &lie).unwrap();
        assert_eq!(outcome.sum, plain_sum(&[0, 1, 3, 4], 4));
        let [failure] = &outcome.failures[..] else { panic!("{:?}", outcome.failures) };
        assert_eq!((failure.client, &*failure.what), (2, says));
    }
}

/// Both keys of client 1 passed on as client 2's too, signed by client 2: a server that does not
/// look is not believed.
#[test]
fn a_client_refuses_two_with_one_key() {
    let (mut clients, mail) = until(Phase::Keys);
    let header = |sender, recipient| header(Phase::Keys, sender, recipient);
    let body = open(&mail[0], header(SERVER, 0), server(ED).unwrap().public()).unwrap();
    let mut adverts: Vec<Vec<u8>> =
        decode_bundle(body).unwrap().iter().map(|m| m.to_vec()).collect();
    let copied =
        open(&adverts[0], header(1, EVERYONE), client(ED, 1).unwrap().public()).unwrap().to_vec();
    adverts[1] = seal(&client(ED, 2).unwrap(), header(2, EVERYONE), &copied).unwrap();
    let bundle = encode_bundle(&adverts.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let forged = seal(&server(ED).unwrap(), header(SERVER, 0), &bundle).unwrap();
    assert_eq!(clients[0].share(&forged).unwrap_err(), ClientError::SameKey(2));
    assert!(clients[1].share(&mail[1]).is_ok());
}

/// An input of another length than planned is neither cut nor filled up.
#[test]
fn an_input_of_another_length_is_refused() {
    for have in [1, 3] {
        let (mut clients, mail) = until(Phase::Shares);
        let error = clients[0].mask(&mail[0], vec![7; have]).unwrap_err();
        assert_eq!(error, ClientError::Input { have, need: 2 });
    }
}

/// The server tells one half that client 3 dropped out and the other half that it did not, to get
/// both kinds of its shares, and passes on what they signed.
#[test]
fn a_split_view_of_the_survivors_reveals_nothing() {
    let (mut clients, mail) = until(Phase::Masked);
    let without = |to| {
        let header = header(Phase::Masked, SERVER, to);
        seal(&server(ED).unwrap(), header, &Set::new(4, 0..3).encode()).unwrap()
    };
    let signed: Vec<Vec<u8>> = (0..4)
        .map(|i| match i {
            0 | 1 => clients[i].confirm(&without(i as u32)).unwrap(),
            _ => clients[i].confirm(&mail[i]).unwrap(),
        })
        .collect();
    for (to, liar, others) in [(0, 2, [1, 2]), (2, 0, [0, 1]), (3, 1, [1, 2])] {
        let header = header(Phase::Consistency, SERVER, to);
        let bundle = encode_bundle(&others.map(|i: usize| &signed[i][..]));
        let bundle = seal(&server(ED).unwrap(), header, &bundle).unwrap();
        assert_eq!(
            clients[to as usize].reveal(&bundle).unwrap_err(),
            ClientError::Inconsistent(liar)
        );
    }
}

fn terms(round: u64) -> Session {
    session(round, Graph::complete(4), 3, 2, 20)
}

/// Of a message in round 1 of [`until`].
fn header(phase: Phase, sender: u32, recipient: u32) -> Header {
    let session = terms(1).id(FEDERATION, &directory());
    Header { round: 1, phase: phase.code(), sender, recipient, session, model: MODEL.0 }
}

fn directory() -> Arc<Directory> {
    let clients = (0..4).map(|i| client(ED, i).unwrap().public().clone()).collect();
    Arc::new(Directory::new(clients, server(ED).unwrap().public().clone()))
}

/// Four clients after the given phase, with the server's last answers to them.
fn until(last: Phase) -> (Vec<Client>, Vec<Vec<u8>>) {
    let join = |i: u32| {
        let mut member = Member::new(FEDERATION, i, client(ED, i).unwrap(), directory());
        member.join(&terms(1), MODEL, stream(1, "threat", &i.to_string())).unwrap()
    };
    let mut clients: Vec<Client> = (0..4).map(join).collect();
    let (identity, models) = (server(ED).unwrap(), vec![MODEL; 4]);
    let mut peer = Server::new(FEDERATION, &terms(1), models, identity, directory(), 0);
    let mut mail = vec![Vec::new(); 4];
    for phase in Phase::ALL.into_iter().take_while(|p| *p <= last) {
        for (i, client) in clients.iter_mut().enumerate() {
            let message = step(client, phase, &mail[i]).unwrap();
            peer.receive(phase, i as u32, &message).unwrap();
        }
        mail = peer.close(phase).unwrap().into_iter().map(|(_, bytes)| bytes).collect();
    }
    (clients, mail)
}

fn step(client: &mut Client, phase: Phase, mail: &[u8]) -> Result<Vec<u8>, ClientError> {
    match phase {
        Phase::Keys => client.advertise(),
        Phase::Shares => client.share(mail),
        Phase::Masked => client.mask(mail, vec![1, 2]),
        Phase::Consistency => client.confirm(mail),
        Phase::Unmasking => client.reveal(mail),
    }
}

/// A set of survivors, as the server would sign it for client 0.
fn survivors(set: Set) -> Vec<u8> {
    let header = header(Phase::Masked, SERVER, 0);
    seal(&server(ED).unwrap(), header, &set.encode()).unwrap()
}

#[test]
fn a_repeated_round_number_is_refused() {
    let mut member = Member::new(FEDERATION, 0, client(ED, 0).unwrap(), directory());
    let rng = || stream(1, "threat", "round");
    assert!(member.join(&terms(7), MODEL, rng()).is_ok());
    for round in [7, 6, 0] {
        let error = member.join(&terms(round), MODEL, rng()).err().unwrap();
        assert_eq!(error, ClientError::Repeated { round, last: 7 });
    }
    assert!(member.join(&terms(8), MODEL, rng()).is_ok());
}

#[test]
fn both_kinds_of_share_are_never_revealed() {
    let (mut clients, mail) = until(Phase::Masked);
    clients[0].confirm(&mail[0]).unwrap();
    // A second set in which client 3 has dropped out.
    let second = clients[0].confirm(&survivors(Set::new(4, 0..3))).unwrap_err();
    assert_eq!(second, ClientError::OutOfOrder("consistency"));
    let (mut clients, mail) = until(Phase::Consistency);
    let revealed = clients[0].reveal(&mail[0]).unwrap();
    assert!(!revealed.is_empty());
    assert_eq!(clients[0].reveal(&mail[0]).unwrap_err(), ClientError::OutOfOrder("unmasking"));
}

#[test]
fn a_set_that_is_too_small_or_lacks_the_client_is_refused() {
    let error = |set| until(Phase::Masked).0[0].confirm(&survivors(set)).unwrap_err();
    assert_eq!(error(Set::new(4, 0..2)), ClientError::TooFew { have: 2, need: 3 });
    assert_eq!(error(Set::new(4, 1..4)), ClientError::LeftOut);
}

/// The server claims an input of a client that dropped out before it shared.
#[test]
fn a_set_beyond_the_earlier_one_is_refused() {
    let widen = |mut d: Delivery| {
        if d.phase == Phase::Masked && d.from == SERVER && d.to == 0 {
            reseal(&mut d, &server(ED).unwrap(), |body| *body = Set::new(5, 0..5).encode());
        }
    };
    let outcome = tampered(5, 3, BTreeMap::from([(4, Phase::Shares)]), &widen).unwrap();
    let refused = outcome.failures.iter().find(|f| f.client == 0).unwrap();
    assert!(refused.what.contains("client 4 was not among"), "{}", refused.what);
}

#[test]
fn a_message_of_another_server_or_in_the_wrong_order_is_refused() {
    let (mut clients, mail) = until(Phase::Masked);
    let mut cut = mail[1].clone();
    cut.pop();
    let why = clients[1].confirm(&cut).unwrap_err();
    assert_eq!(why, ClientError::Message { from: "the server".into(), why: Rejected::Truncated });
    // One refusal ends the round for it.
    assert_eq!(clients[1].confirm(&mail[1]).unwrap_err(), ClientError::OutOfOrder("consistency"));
    assert_eq!(clients[0].share(&mail[0]).unwrap_err(), ClientError::OutOfOrder("shares"));
    assert_eq!(clients[2].reveal(&mail[2]).unwrap_err(), ClientError::OutOfOrder("unmasking"));
    assert_eq!(
        clients[3].confirm(&mail[2]).unwrap_err(),
        ClientError::Message { from: "the server".into(), why: Rejected::Recipient }
    );
}
