//! The container of keys and ciphertexts that have no standard form of their own.
//!
//! Little-endian, in this order: magic `FLBCRYPT`, version (u16), scheme (u8), kind (u8),
//! fingerprint of the key (16 bytes), length of the payload (u64), payload, and the first 16 bytes
//! of SHA-256 over all before it. The sum finds accidents; it is no signature.

use std::fmt;

use sha2::{Digest, Sha256};
use thiserror::Error;

const MAGIC: &[u8; 8] = b"FLBCRYPT";
const VERSION: u16 = 1;
const HEADER: usize = 8 + 2 + 1 + 1 + 16 + 8;
const SUM: usize = 16;

/// Names a key without telling anything of it: 128 bits of the SHA-256 of its public part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 16]);

impl Fingerprint {
    /// Of a public part, set apart from other uses of the same bytes by `domain`.
    pub fn new(domain: &str, public: &[u8]) -> Fingerprint {
        let mut hasher = Sha256::new();
        hasher.update((domain.len() as u64).to_le_bytes());
        hasher.update(domain);
        hasher.update(public);
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize()[..16]);
        Fingerprint(id)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Whose key or ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Scheme {
    /// Paillier's, with short exponents.
    Paillier = 1,
}

/// What is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// For everyone.
    PublicKey = 1,
    /// For its holders alone.
    SecretKey = 2,
    /// A vector of ciphertexts.
    Ciphertexts = 3,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Kind::PublicKey => "public key",
            Kind::SecretKey => "secret key",
            Kind::Ciphertexts => "ciphertext",
        })
    }
}

/// Why bytes are no container, or not the one asked for.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ContainerError {
    /// Something else altogether.
    #[error("no key or ciphertext of this benchmark (it does not begin with FLBCRYPT)")]
    Foreign,
    /// Written by a later version.
    #[error("format version {0}, this program reads version {VERSION}")]
    Version(u16),
    /// A scheme or kind that is not known.
    #[error("{what} number {number} is not known")]
    Unknown {
        /// "scheme" or "kind".
        what: &'static str,
        /// The number found.
        number: u8,
    },
    /// Too short or too long.
    #[error("{found} bytes, but its header asks for {expected}")]
    Length {
        /// Bytes there are.
        found: usize,
        /// Bytes there should be.
        expected: u64,
    },
    /// Altered bytes.
    #[error("corrupted: the checksum does not match")]
    Checksum,
    /// Another kind than asked for.
    #[error("a {found}, where a {expected} belongs")]
    Kind {
        /// What it is.
        found: Kind,
        /// What was asked for.
        expected: Kind,
    },
}

/// A decoded container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Container<'a> {
    /// Whose.
    pub scheme: Scheme,
    /// What.
    pub kind: Kind,
    /// Of the key it is, or was made with.
    pub key: Fingerprint,
    /// What is inside.
    pub payload: &'a [u8],
}

impl<'a> Container<'a> {
    /// Whether the bytes begin as a container does.
    pub fn looks_like(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// Bytes before the payload.
    pub const fn header() -> usize {
        HEADER
    }

    /// The container as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.payload.len() + SUM);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[self.scheme as u8, self.kind as u8]);
        bytes.extend_from_slice(&self.key.0);
        bytes.extend_from_slice(&(self.payload.len() as u64).to_le_bytes());
        bytes.extend_from_slice(self.payload);
        let sum = Sha256::digest(&bytes);
        bytes.extend_from_slice(&sum[..SUM]);
        bytes
    }

    /// Reads what [`Container::encode`] wrote. Never panics, whatever the bytes.
    ///
    /// # Errors
    /// Anything but a whole container of a known version.
    pub fn decode(bytes: &'a [u8]) -> Result<Container<'a>, ContainerError> {
        if !Self::looks_like(bytes) {
            return Err(ContainerError::Foreign);
        }
        let short = ContainerError::Length { found: bytes.len(), expected: (HEADER + SUM) as u64 };
        let (header, rest) = bytes.split_at_checked(HEADER).ok_or(short)?;
        let version = u16::from_le_bytes([header[8], header[9]]);
        if version != VERSION {
            return Err(ContainerError::Version(version));
        }
        let length =
            header[HEADER - 8..].iter().rev().fold(0u64, |n, &byte| n << 8 | u64::from(byte));
        if (rest.len() as u64).checked_sub(SUM as u64) != Some(length) {
            let expected = length.saturating_add((HEADER + SUM) as u64);
            return Err(ContainerError::Length { found: bytes.len(), expected });
        }
        let (body, sum) = bytes.split_at(bytes.len() - SUM);
        if Sha256::digest(body)[..SUM] != *sum {
            return Err(ContainerError::Checksum);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&header[12..28]);
        let (scheme, kind) = (scheme(header[10])?, kind(header[11])?);
        Ok(Container { scheme, kind, key: Fingerprint(key), payload: &body[HEADER..] })
    }

    /// As [`Container::decode`], but of this kind only.
    ///
    /// # Errors
    /// The same, and another kind.
    pub fn decode_kind(bytes: &'a [u8], kind: Kind) -> Result<Container<'a>, ContainerError> {
        let container = Self::decode(bytes)?;
        if container.kind == kind {
            Ok(container)
        } else {
            Err(ContainerError::Kind { found: container.kind, expected: kind })
        }
    }
}

fn scheme(number: u8) -> Result<Scheme, ContainerError> {
    match number {
        1 => Ok(Scheme::Paillier),
        _ => Err(ContainerError::Unknown { what: "scheme", number }),
    }
}

fn kind(number: u8) -> Result<Kind, ContainerError> {
    [Kind::PublicKey, Kind::SecretKey, Kind::Ciphertexts]
        .into_iter()
        .find(|k| *k as u8 == number)
        .ok_or(ContainerError::Unknown { what: "kind", number })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let key = Fingerprint::new("test", b"public");
        Container { scheme: Scheme::Paillier, kind: Kind::SecretKey, key, payload: b"inside" }
            .encode()
    }

    #[test]
    fn comes_back_as_it_was() {
        let bytes = sample();
        let back = Container::decode(&bytes).unwrap();
        assert_eq!((back.payload, back.kind), (b"inside".as_slice(), Kind::SecretKey));
        assert_eq!(back.encode(), bytes);
        let error = Container::decode_kind(&bytes, Kind::Ciphertexts).unwrap_err();
        assert_eq!(error.to_string(), "a secret key, where a ciphertext belongs");
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let bytes = sample();
        for bit in 0..8 * bytes.len() {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Container::decode(&bad).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(Container::decode(&bytes[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn fingerprints_differ_by_domain() {
        assert_ne!(Fingerprint::new("a", b"bc"), Fingerprint::new("ab", b"c"));
        assert_eq!(Fingerprint::new("a", b"").to_string().len(), 32);
    }
}
