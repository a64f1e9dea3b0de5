//! What the five phases say, as bytes. All integers are little-endian; anything that is not exactly
//! one message is refused.

use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroizing;

use super::keys::TAG;
use super::shamir::{SHARE, Share};

/// A phase of the round: a client's message to the server, then the server's answer.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize, serde::Serialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Clients advertise their public keys.
    Keys,
    /// Clients send each other sealed shares of their secrets.
    Shares,
    /// Clients send their masked input.
    Masked,
    /// Clients sign the set whose inputs arrived.
    Consistency,
    /// Clients reveal one share for each client of the round.
    Unmasking,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Phase; 5] =
        [Phase::Keys, Phase::Shares, Phase::Masked, Phase::Consistency, Phase::Unmasking];

    /// Number in a message.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Name in reports.
    pub fn name(self) -> &'static str {
        ["keys", "shares", "masked", "consistency", "unmasking"][self as usize]
    }
}

/// Bytes that are no message of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message")]
pub struct Malformed;

/// Length of the two sealed shares one client holds for another.
pub const SEALED: usize = 2 * SHARE + TAG;

/// The public keys of one client: for sealing, and for masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advert {
    /// Agrees on the keys that seal shares.
    pub sealing: [u8; 32],
    /// Agrees on pairwise masks.
    pub masking: [u8; 32],
}

impl Advert {
    /// 64 bytes.
    pub fn encode(&self) -> Vec<u8> {
        [self.sealing, self.masking].concat()
    }

    /// Both keys.
    pub fn keys(&self) -> [[u8; 32]; 2] {
        [self.sealing, self.masking]
    }

    /// Whether a key of one is a key of the other, in whatever place.
    pub fn shares_a_key(&self, other: &Advert) -> bool {
        self.keys().iter().any(|key| other.keys().contains(key))
    }

    /// Reads [`Advert::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Advert, Malformed> {
        let mut reader = Reader(bytes);
        let advert = Advert { sealing: reader.array()?, masking: reader.array()? };
        reader.end().map(|()| advert)
    }
}

/// Whole messages of several clients, passed on as they are.
pub fn encode_bundle(messages: &[&[u8]]) -> Vec<u8> {
    let mut out = (messages.len() as u32).to_le_bytes().to_vec();
    for message in messages {
        out.extend_from_slice(&(message.len() as u32).to_le_bytes());
        out.extend_from_slice(message);
    }
    out
}

/// Reads [`encode_bundle`].
pub fn decode_bundle(bytes: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut reader = Reader(bytes);
    let count = reader.count(4)?;
    let messages = (0..count).map(|_| {
        let len = reader.u32()? as usize;
        reader.take(len)
    });
    let messages = messages.collect::<Result<_, _>>()?;
    reader.end().map(|()| messages)
}

/// Sealed shares, each with the other client: its recipient on the way to the server, its sender on
/// the way back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sealed(pub Vec<(u32, [u8; SEALED])>);

impl Sealed {
    /// Count, then index and ciphertext of each.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = (self.0.len() as u32).to_le_bytes().to_vec();
        for (client, text) in &self.0 {
            out.extend_from_slice(&client.to_le_bytes());
            out.extend_from_slice(text);
        }
        out
    }

    /// Reads [`Sealed::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Sealed, Malformed> {
        let mut reader = Reader(bytes);
        let count = reader.count(4 + SEALED)?;
        let all = (0..count).map(|_| Ok((reader.u32()?, reader.array()?)));
        let all = all.collect::<Result<_, Malformed>>()?;
        reader.end().map(|()| Sealed(all))
    }
}

/// What a client sends in [`Phase::Shares`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares {
    /// A value that tells whether a recovered self-mask seed is the right one, and nothing else
    /// about it.
    pub check: [u8; 32],
    /// Sealed shares by recipient.
    pub sealed: Sealed,
}

impl Shares {
    /// Check value, then the shares.
    pub fn encode(&self) -> Vec<u8> {
        [&self.check[..], &self.sealed.encode()].concat()
    }

    /// Reads [`Shares::encode`].
    pub fn decode(bytes: &[u8]) -> Result<Shares, Malformed> {
        let (check, rest) = bytes.split_first_chunk().ok_or(Malformed)?;
        Ok(Shares { check: *check, sealed: Sealed::decode(rest)? })
    }
}

/// A set of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set(Vec<bool>);

impl Set {
    /// The set of `members` among `n` clients; others are left out.
    pub fn new(n: usize, members: impl IntoIterator<Item = u32>) -> Set {
        let mut set = vec![false; n];
        for member in members {
            if let Some(slot) = set.get_mut(member as usize) {
                *slot = true;
            }
        }
        Set(set)
    }

    /// Whether `client` is in it.
    pub fn has(&self, client: u32) -> bool {
        self.0.get(client as usize).copied().unwrap_or(false)
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.iter().filter(|m| **m).count()
    }

    /// One bit a client.
    pub fn encode(&self) -> Vec<u8> {
        let byte =
            |bits: &[bool]| bits.iter().enumerate().fold(0, |b, (i, m)| b | u8::from(*m) << i);
        self.0.chunks(8).map(byte).collect()
    }

    /// Reads [`Set::encode`] for `n` clients.
    pub fn decode(bytes: &[u8], n: usize) -> Result<Set, Malformed> {
        if bytes.len() != n.div_ceil(8) {
            return Err(Malformed);
        }
        let set = Set((0..n).map(|i| bytes[i / 8] >> (i % 8) & 1 == 1).collect());
        // The spare bits are zero, so that a set has one encoding.
        if set.encode() == bytes { Ok(set) } else { Err(Malformed) }
    }

    /// What clients sign.
    pub fn digest(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(digest(&SHA256, &self.encode()).as_ref());
        out
    }
}

/// One line of a client's last message.
#[derive(Clone, PartialEq, Eq)]
pub enum Reveal {
    /// A share of the private key for masks of a client that dropped out.
    MaskKey(Share),
    /// A share of the self-mask seed of a client whose input is in the sum.
    Seed(Share),
    /// What that client had sealed for the sender did not open.
    Unreadable,
}

/// Count, then owner, kind and share of each.
pub fn encode_reveals(reveals: &[(u32, Reveal)]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(4 + reveals.len() * (5 + SHARE)));
    out.extend_from_slice(&(reveals.len() as u32).to_le_bytes());
    for (owner, reveal) in reveals {
        out.extend_from_slice(&owner.to_le_bytes());
        match reveal {
            Reveal::MaskKey(share) => (out.push(0), out.extend_from_slice(&share[..])).1,
            Reveal::Seed(share) => (out.push(1), out.extend_from_slice(&share[..])).1,
            Reveal::Unreadable => out.push(2),
        }
    }
    out
}

/// Reads [`encode_reveals`].
pub fn decode_reveals(bytes: &[u8]) -> Result<Vec<(u32, Reveal)>, Malformed> {
    let mut reader = Reader(bytes);
    let count = reader.count(5)?;
    let all = (0..count).map(|_| {
        let owner = reader.u32()?;
        let reveal = match reader.array::<1>()? {
            [0] => Reveal::MaskKey(Zeroizing::new(reader.array()?)),
            [1] => Reveal::Seed(Zeroizing::new(reader.array()?)),
            [2] => Reveal::Unreadable,
            _ => return Err(Malformed),
        };
        Ok((owner, reveal))
    });
    let all = all.collect::<Result<_, _>>()?;
    reader.end().map(|()| all)
}

/// Takes bytes from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    /// A number of items of at least `least` bytes each: never more than there are bytes for, so
    /// that nothing is allocated in vain.
    fn count(&mut self, least: usize) -> Result<usize, Malformed> {
        let count = self.u32()? as usize;
        if count.checked_mul(least).is_some_and(|need| need <= self.0.len()) {
            Ok(count)
        } else {
            Err(Malformed)
        }
    }

    fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}
