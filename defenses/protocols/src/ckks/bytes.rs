//! Serialised keys, ciphertexts and shares: one header, residues packed to the bits of their prime,
//! a checksum.
//!
//! `FLCK`, version, kind, parameter set, key fingerprint (8 bytes), payload length (u64 LE),
//! payload, first 8 bytes of the BLAKE3 hash of all before.

use super::params::{Packing, ParameterSet};
use super::ring::{Context, Poly};
use crate::ProtocolError;

const MAGIC: &[u8; 4] = b"FLCK";
const VERSION: u8 = 1;
/// Bytes of the hash at the end.
pub(crate) const CHECKSUM: usize = 8;

/// First bytes of the hash of the public key that a key or ciphertext belongs to.
pub(crate) type Fingerprint = [u8; 8];

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    SecretKey = 1,
    PublicKey = 2,
    KeyShare = 3,
    Ciphertext = 4,
    Seeded = 5,
    Half = 6,
    Partial = 7,
    Result = 8,
    Query = 9,
    Answer = 10,
}

impl Kind {
    const ALL: [Kind; 10] = [
        Kind::SecretKey,
        Kind::PublicKey,
        Kind::KeyShare,
        Kind::Ciphertext,
        Kind::Seeded,
        Kind::Half,
        Kind::Partial,
        Kind::Result,
        Kind::Query,
        Kind::Answer,
    ];

    /// In words.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::SecretKey => "secret key",
            Kind::PublicKey => "public key",
            Kind::KeyShare => "share of a public key",
            Kind::Ciphertext => "ciphertext",
            Kind::Seeded => "seeded ciphertext",
            Kind::Half => "half ciphertext",
            Kind::Partial => "partial decryption",
            Kind::Result => "masked result",
            Kind::Query => "query",
            Kind::Answer => "answer",
        }
    }
}

/// An opened message.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: Kind,
    pub(crate) params: ParameterSet,
    pub(crate) key: Fingerprint,
    pub(crate) payload: &'a [u8],
}

/// The error of bytes that are not `what`.
pub(crate) fn malformed(what: &str, problem: impl Into<String>) -> ProtocolError {
    ProtocolError::Malformed { what: format!("CKKS {what}"), problem: problem.into() }
}

/// A message around `payload`.
pub(crate) fn seal(kind: Kind, params: &ParameterSet, key: Fingerprint, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + payload.len());
    out.extend_from_slice(MAGIC);
    out.extend([VERSION, kind as u8]);
    out.extend(describe(params));
    out.extend_from_slice(&key);
    out.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    out.extend_from_slice(payload);
    let checksum = *blake3::hash(&out).as_bytes();
    out.extend_from_slice(&checksum[..CHECKSUM]);
    out
}

/// Opens a message of one of `kinds`.
///
/// # Errors
/// Bytes of something else, another version, truncated or altered bytes.
pub(crate) fn open<'a>(bytes: &'a [u8], kinds: &[Kind]) -> Result<Message<'a>, ProtocolError> {
    let what = kinds.first().map_or("message", |kind| kind.name());
    let bad = |problem: String| malformed(what, problem);
    let cut = || bad(format!("is cut off after {} bytes; send or copy it again", bytes.len()));
    let mut rest = bytes;
    if take(&mut rest, 4).is_none_or(|magic| magic != MAGIC) {
        return Err(bad("does not begin as one; check that it is the right file".into()));
    }
    let [version, number] = *take(&mut rest, 2).ok_or_else(cut)? else { return Err(cut()) };
    if version != VERSION {
        return Err(bad(format!("is of version {version}, this program reads version {VERSION}")));
    }
    let (body, checksum) = bytes.split_at(bytes.len().saturating_sub(CHECKSUM));
    if blake3::hash(body).as_bytes()[..CHECKSUM] != *checksum {
        return Err(bad(format!(
            "its checksum does not fit its {} bytes: corrupted or cut off",
            bytes.len()
        )));
    }
    let kind = Kind::ALL.into_iter().find(|kind| *kind as u8 == number && kinds.contains(kind));
    let Some(kind) = kind else {
        let found = Kind::ALL
            .into_iter()
            .find(|kind| *kind as u8 == number)
            .map_or("something unknown", Kind::name);
        return Err(bad(format!("expected, but this is a {found}")));
    };
    let params = parameters(&mut rest).ok_or_else(cut)?.map_err(|e| bad(e.to_string()))?;
    let key = take(&mut rest, 8).and_then(|key| key.try_into().ok()).ok_or_else(cut)?;
    let len = take(&mut rest, 8)
        .and_then(|len| len.try_into().ok())
        .map(u64::from_le_bytes)
        .ok_or_else(cut)?;
    let payload = rest.get(..rest.len().saturating_sub(CHECKSUM)).ok_or_else(cut)?;
    if payload.len() as u64 == len {
        Ok(Message { kind, params, key, payload })
    } else {
        Err(bad(format!("says {len} bytes but has {}", payload.len())))
    }
}

/// The next `len` bytes.
pub(crate) fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(head)
}

/// A parameter set in bytes.
fn describe(params: &ParameterSet) -> Vec<u8> {
    let mut out = vec![params.degree().ilog2() as u8, params.moduli().len() as u8];
    out.extend(params.moduli().iter().map(|&bits| bits as u8));
    let real = u8::from(params.packing() == Packing::Real);
    out.extend([params.special().unwrap_or(0) as u8, params.scale_bits() as u8, real]);
    out
}

fn parameters(rest: &mut &[u8]) -> Option<Result<ParameterSet, suites::SpecError>> {
    let [log_degree, count] = *take(rest, 2)? else { return None };
    let moduli: Vec<u32> =
        take(rest, usize::from(count))?.iter().map(|&bits| u32::from(bits)).collect();
    let [special, scale, real] = *take(rest, 3)? else { return None };
    let special = (special > 0).then_some(u32::from(special));
    let packing = if real == 0 { Packing::Complex } else { Packing::Real };
    let degree = 1usize.checked_shl(u32::from(log_degree)).unwrap_or(0);
    Some(ParameterSet::new(degree, &moduli, special, u32::from(scale), packing))
}

impl Context {
    /// Bytes of a packed polynomial at `level` primes.
    pub(crate) fn packed_len(&self, level: usize) -> usize {
        self.moduli[..level].iter().map(|m| m.bits as usize * self.degree() / 8).sum()
    }

    /// Appends residues, each in as many bits as its prime has.
    pub(crate) fn pack(&self, poly: &[u64], out: &mut Vec<u8>) {
        for (modulus, residues) in self.moduli.iter().zip(poly.chunks_exact(self.degree())) {
            let (mut word, mut used) = (0u64, 0);
            for residue in residues {
                word |= residue << used;
                used += modulus.bits;
                if used >= 64 {
                    out.extend_from_slice(&word.to_le_bytes());
                    used -= 64;
                    word = if used == 0 { 0 } else { residue >> (modulus.bits - used) };
                }
            }
        }
    }

    /// Reads a polynomial of `level` primes; `None` where bytes are missing or a residue is not
    /// below its prime.
    pub(crate) fn unpack(&self, rest: &mut &[u8], level: usize) -> Option<Poly> {
        let mut poly = Vec::with_capacity(self.degree() * level);
        for modulus in &self.moduli[..level] {
            let words = take(rest, modulus.bits as usize * self.degree() / 8)?.as_chunks().0;
            let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
            let mask = (1u64 << modulus.bits) - 1;
            let (mut word, mut left, mut most) = (0u64, 0u32, 0);
            for _ in 0..self.degree() {
                let mut residue = word;
                if left < modulus.bits {
                    let next = words.next()?;
                    residue |= next << left;
                    let taken = modulus.bits - left;
                    (word, left) = (next >> taken, 64 - taken);
                } else {
                    word >>= modulus.bits;
                    left -= modulus.bits;
                }
                residue &= mask;
                most = most.max(residue);
                poly.push(residue);
            }
            if most >= modulus.q {
                return None;
            }
        }
        Some(poly)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn residues_are_packed_without_loss() {
        for set in ["2048/53/40", "4096/31,37,38/40", "8192/60,40/40"] {
            let context = Context::new(&set.parse().unwrap());
            let level = context.moduli.len();
            let poly = context.uniform(&[3; 32], 5, level);
            let mut bytes = Vec::new();
            context.pack(&poly, &mut bytes);
            assert_eq!(bytes.len(), context.packed_len(level));
            assert_eq!(
                bytes.len(),
                context.degree() * context.params().modulus_bits() as usize / 8
            );
            assert_eq!(context.unpack(&mut bytes.as_slice(), level).unwrap(), poly);
            assert!(context.unpack(&mut &bytes[1..], level).is_none());
            assert!(context.unpack(&mut vec![255; bytes.len()].as_slice(), level).is_none());
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..200),
            fix: bool,
        ) {
            if fix && bytes.len() > 40 {
                bytes[..6].copy_from_slice(b"FLCK\x01\x04");
                let end = bytes.len() - CHECKSUM;
                let checksum = *blake3::hash(&bytes[..end]).as_bytes();
                bytes[end..].copy_from_slice(&checksum[..CHECKSUM]);
            }
            let _ = open(&bytes, &[Kind::Ciphertext]).map(|message| message.payload.len());
        }

        #[test]
        fn every_flipped_bit_is_noticed(
            at in 0usize..8 * 60,
            payload in prop::collection::vec(any::<u8>(), 100),
        ) {
            let mut bytes = seal(Kind::Ciphertext, &ParameterSet::default(), [1; 8], &payload);
            prop_assert_eq!(open(&bytes, &[Kind::Ciphertext]).unwrap().payload, &payload[..]);
            prop_assert!(open(&bytes, &[Kind::SecretKey]).is_err());
            prop_assert!(open(&bytes[..bytes.len() - at / 8 - 1], &[Kind::Ciphertext]).is_err());
            bytes[at / 8] ^= 1 << (at % 8);
            prop_assert!(open(&bytes, &[Kind::Ciphertext]).is_err());
        }
    }
}
