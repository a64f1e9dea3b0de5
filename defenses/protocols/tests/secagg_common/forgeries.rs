//! Every kind of foul play on every message of a round.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use protocols::secagg::{Delivery, Faults, Graph, Phase};
use protocols::signatures::{Header, Identity, SERVER, Scheme, client, open, seal, server};

use super::{carry_round, plain_sum};

/// What is done to a message, with the words in which it must be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Forged,
    Flipped,
    Truncated,
    Replayed,
    SwappedParty,
    SwappedPhase,
}

impl Kind {
    pub const ALL: [Kind; 6] = [
        Kind::Forged,
        Kind::Flipped,
        Kind::Truncated,
        Kind::Replayed,
        Kind::SwappedParty,
        Kind::SwappedPhase,
    ];

    fn named(self, from_server: bool) -> &'static str {
        match self {
            Kind::Forged | Kind::Flipped => "forged signature",
            Kind::Truncated => "truncated message",
            Kind::Replayed => "replayed message of round 5",
            Kind::SwappedParty if from_server => {
                "swapped message: it is addressed to another recipient"
            }
            Kind::SwappedParty => "swapped message: it names another sender",
            Kind::SwappedPhase => "swapped message: it belongs to another phase",
        }
    }
}

/// Changes the body of a delivery and signs it again with `identity`.
pub fn reseal(d: &mut Delivery, identity: &Identity, change: impl FnOnce(&mut Vec<u8>)) {
    let scheme = identity.public().scheme();
    let signer = if d.from == SERVER { server(scheme) } else { client(scheme, d.from) }.unwrap();
    let header = Header::claimed(d.bytes).unwrap();
    let mut body = open(d.bytes, header, signer.public()).unwrap().to_vec();
    change(&mut body);
    *d.bytes = seal(identity, header, &body).unwrap();
}

type Seen = Mutex<HashMap<(u8, u32, u32), Vec<u8>>>;

/// The client that is played with, and the one whose messages are put in its place.
const VICTIM: u32 = 3;
const DONOR: u32 = 2;

/// Tries each kind on each message from and to one of five clients (threshold 3), and checks that
/// it was named, that this client alone was dropped, and that the sum is right. How many were
/// tried, and how many were caught.
pub fn forgeries(scheme: Scheme) -> (usize, usize) {
    let old = Seen::default();
    let record = |d: Delivery| {
        old.lock().unwrap().insert((d.phase.code(), d.from, d.to), d.bytes.clone());
    };
    carry_round(
        5,
        Graph::complete(5),
        3,
        4,
        scheme,
        &Faults { drops: BTreeMap::new(), tamper: Some(&record) },
    )
    .unwrap();
    let old = old.into_inner().unwrap();
    let (mut tried, mut caught) = (0, 0);
    for kind in Kind::ALL {
        for phase in Phase::ALL {
            for from_server in [false, true] {
                let first = kind == Kind::SwappedPhase && phase == Phase::Keys;
                if first || (from_server && phase == Phase::Unmasking) {
                    continue;
                }
                tried += 1;
                caught += usize::from(attempt(scheme, kind, phase, from_server, &old));
            }
        }
    }
    (tried, caught)
}

fn attempt(
    scheme: Scheme,
    kind: Kind,
    phase: Phase,
    from_server: bool,
    old: &HashMap<(u8, u32, u32), Vec<u8>>,
) -> bool {
    let seen = Seen::default();
    let ends = |party| if from_server { (SERVER, party) } else { (party, SERVER) };
    let tamper = |mut d: Delivery| {
        seen.lock().unwrap().insert((d.phase.code(), d.from, d.to), d.bytes.clone());
        if d.phase != phase || (d.from, d.to) != ends(VICTIM) {
            return;
        }
        let code = phase.code();
        let earlier =
            |code: u8, party| seen.lock().unwrap()[&(code, ends(party).0, ends(party).1)].clone();
        match kind {
            Kind::Forged => reseal(&mut d, &client(scheme, 4).unwrap(), |_| ()),
            Kind::Flipped => d.bytes[30] ^= 4,
            Kind::Truncated => d.bytes.truncate(d.bytes.len() - 1),
            Kind::Replayed => *d.bytes = old[&(code, d.from, d.to)].clone(),
            Kind::SwappedParty => *d.bytes = earlier(code, DONOR),
            Kind::SwappedPhase => *d.bytes = earlier(code - 1, VICTIM),
        }
    };
    let faults = Faults { drops: BTreeMap::new(), tamper: Some(&tamper) };
    let outcome = carry_round(6, Graph::complete(5), 3, 4, scheme, &faults).unwrap();
    // A client's last message but two carries its input; a server's message is read one phase
    // later.
    let lost = if from_server { phase < Phase::Masked } else { phase <= Phase::Masked };
    let stay: Vec<u32> = (0..5).filter(|&c| c != VICTIM || !lost).collect();
    assert_eq!(outcome.sum, plain_sum(&stay, 4), "{kind:?} {phase:?} {from_server}");
    let [failure] = &outcome.failures[..] else {
        panic!("{kind:?} {phase:?} {from_server}: {:?}", outcome.failures)
    };
    failure.client == VICTIM as usize && failure.what.contains(kind.named(from_server))
}
