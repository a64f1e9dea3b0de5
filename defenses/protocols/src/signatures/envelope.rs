//! The envelope of a signed message.
//!
//! Layout, little-endian: version `u8`, scheme `u8`, phase `u8`, round `u64`, sender `u32`,
//! recipient `u32`, body length `u64`, session and model of 32 bytes each, body, signature. Signed
//! are a domain string, these 91 bytes, and SHA-256 of the body, so that a long body is hashed once
//! by either scheme.

use aws_lc_rs::digest::{SHA256, digest};
use thiserror::Error;

use super::{Identity, KeyError, PublicKey};

/// The server, as sender or recipient.
pub const SERVER: u32 = u32::MAX;
/// Recipient of a message that the server passes on to others as it is.
pub const EVERYONE: u32 = u32::MAX - 1;

const VERSION: u8 = 2;
const HEADER: usize = 91;
const DOMAIN: &[u8] = b"federated round message v2";

/// What a message says of itself, and its signature binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Number of the round.
    pub round: u64,
    /// Phase of the protocol.
    pub phase: u8,
    /// Who signed it: a client's index, or [`SERVER`].
    pub sender: u32,
    /// Who shall read it: a client's index, [`SERVER`] or [`EVERYONE`].
    pub recipient: u32,
    /// Hash of what all members of the round agree on: federation, plan, members, directory.
    pub session: [u8; 32],
    /// Hash of the model: a client signs the one that it received, the server the one that it sent
    /// to the recipient.
    pub model: [u8; 32],
}

impl Header {
    /// What a message says of itself; nothing is proved before [`open`]. `None` where it is too
    /// short.
    pub fn claimed(message: &[u8]) -> Option<Header> {
        message.first_chunk().map(|head| decode(head).0)
    }
}

/// Why a message was not accepted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Rejected {
    /// Too short, or of another length than it says.
    #[error("truncated message")]
    Truncated,
    /// Another version or signature scheme.
    #[error("message of another version or signature scheme")]
    Foreign,
    /// The signature is not the sender's.
    #[error("forged signature")]
    Forged,
    /// Properly signed, but in another round.
    #[error("replayed message of round {0}")]
    Replayed(u64),
    /// Properly signed, but in another session: of another federation, or of a round with other
    /// terms.
    #[error(
        "replayed message of another session: another federation, plan, cohort or directory of \
         keys"
    )]
    Session,
    /// Properly signed, but about another model.
    #[error("model inconsistency: it is signed over another model")]
    Model,
    /// It names another sender than the one it came from.
    #[error("swapped message: it names another sender")]
    Sender,
    /// Properly signed, but for another phase.
    #[error("swapped message: it belongs to another phase")]
    Phase,
    /// Properly signed, but for another recipient.
    #[error("swapped message: it is addressed to another recipient")]
    Recipient,
}

/// Wraps and signs `body`.
///
/// # Errors
/// [`KeyError::Sign`].
pub fn seal(identity: &Identity, header: Header, body: &[u8]) -> Result<Vec<u8>, KeyError> {
    let head = encode(header, identity.public().scheme().code(), body.len() as u64);
    let signature = identity.sign(&signed(&head, body))?;
    let mut message = Vec::with_capacity(HEADER + body.len() + signature.len());
    message.extend_from_slice(&head);
    message.extend_from_slice(body);
    message.extend_from_slice(&signature);
    Ok(message)
}

/// Checks that `message` is what `expected` says and signed by `key`, and gives its body.
///
/// # Errors
/// What is wrong with it. Where the signature is good but the header is not the expected one, the
/// difference is named.
pub fn open<'a>(
    message: &'a [u8],
    expected: Header,
    key: &PublicKey,
) -> Result<&'a [u8], Rejected> {
    let scheme = key.scheme();
    let head: &[u8; HEADER] = message.first_chunk().ok_or(Rejected::Truncated)?;
    if head[0] != VERSION || head[1] != scheme.code() {
        return Err(Rejected::Foreign);
    }
    let (found, len) = decode(head);
    let (body, signature) = usize::try_from(len)
        .ok()
        .and_then(|len| message[HEADER..].split_at_checked(len))
        .filter(|(_, signature)| signature.len() == scheme.signature_len())
        .ok_or(Rejected::Truncated)?;
    if found.sender != expected.sender {
        return Err(Rejected::Sender);
    }
    if !key.verifies(&signed(head, body), signature) {
        return Err(Rejected::Forged);
    }
    same(found, expected).map(|()| body)
}

fn same(found: Header, expected: Header) -> Result<(), Rejected> {
    if found.round != expected.round {
        return Err(Rejected::Replayed(found.round));
    }
    if found.session != expected.session {
        return Err(Rejected::Session);
    }
    if found.phase != expected.phase {
        return Err(Rejected::Phase);
    }
    if found.recipient != expected.recipient {
        return Err(Rejected::Recipient);
    }
    if found.model != expected.model {
        return Err(Rejected::Model);
    }
    Ok(())
}

fn encode(header: Header, scheme: u8, len: u64) -> [u8; HEADER] {
    let mut head = [0; HEADER];
    head[..3].copy_from_slice(&[VERSION, scheme, header.phase]);
    head[3..11].copy_from_slice(&header.round.to_le_bytes());
    head[11..15].copy_from_slice(&header.sender.to_le_bytes());
    head[15..19].copy_from_slice(&header.recipient.to_le_bytes());
    head[19..27].copy_from_slice(&len.to_le_bytes());
    head[27..59].copy_from_slice(&header.session);
    head[59..].copy_from_slice(&header.model);
    head
}

fn decode(head: &[u8; HEADER]) -> (Header, u64) {
    let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    let hash = |at: usize| std::array::from_fn(|i| head[at + i]);
    let (session, model) = (hash(27), hash(59));
    let (sender, recipient) = (word(11), word(15));
    (Header { round: long(3), phase: head[2], sender, recipient, session, model }, long(19))
}

fn signed(head: &[u8; HEADER], body: &[u8]) -> Vec<u8> {
    [DOMAIN, head, digest(&SHA256, body).as_ref()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signatures::Scheme;

    const HEAD: Header = Header {
        round: 7,
        phase: 2,
        sender: 4,
        recipient: SERVER,
        session: [5; 32],
        model: [6; 32],
    };

    #[test]
    fn every_kind_of_foul_play_has_its_name() {
        for scheme in [Scheme::Ed25519, Scheme::RsaPss] {
            let (mine, other) =
                (Identity::generate(scheme).unwrap(), Identity::generate(scheme).unwrap());
            let message = seal(&mine, HEAD, b"body").unwrap();
            let open = |m: &[u8], h| open(m, h, mine.public()).map(<[u8]>::to_vec);
            assert_eq!(open(&message, HEAD).unwrap(), b"body");
            for cut in 0..message.len() {
                assert_eq!(open(&message[..cut], HEAD), Err(Rejected::Truncated));
            }
            assert_eq!(open(&[&message[..], &[0]].concat(), HEAD), Err(Rejected::Truncated));
            assert_eq!(open(&seal(&other, HEAD, b"body").unwrap(), HEAD), Err(Rejected::Forged));
            assert_eq!(open(&message, Header { round: 8, ..HEAD }), Err(Rejected::Replayed(7)));
            assert_eq!(open(&message, Header { phase: 3, ..HEAD }), Err(Rejected::Phase));
            assert_eq!(open(&message, Header { sender: 5, ..HEAD }), Err(Rejected::Sender));
            assert_eq!(open(&message, Header { recipient: 1, ..HEAD }), Err(Rejected::Recipient));
            let other = Header { session: [1; 32], ..HEAD };
            assert_eq!(open(&message, other), Err(Rejected::Session));
            assert_eq!(open(&message, Header { model: [1; 32], ..HEAD }), Err(Rejected::Model));
            assert_eq!(Header::claimed(&message), Some(HEAD));
        }
    }

    #[test]
    fn no_bit_can_be_changed() {
        let mine = Identity::generate(Scheme::Ed25519).unwrap();
        let message = seal(&mine, HEAD, b"body").unwrap();
        for bit in 0..8 * message.len() {
            let mut changed = message.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&changed, HEAD, mine.public()).is_err(), "bit {bit}");
        }
    }
}
