//! What can be wrong with keys, plaintexts and ciphertexts.

use thiserror::Error;

use crate::keys::{ContainerError, Fingerprint};

/// Why a key or ciphertext is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PaillierError {
    /// A key size that is not offered.
    #[error("a key of {0} bits is not offered; take 2048 or 3072 (512 and 1024 are toys)")]
    KeyBits(u32),
    /// Not a container of the kind asked for.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// Made with another key.
    #[error("made with key {theirs}, but the key at hand is {ours}")]
    WrongKey {
        /// The key in the ciphertext.
        theirs: Fingerprint,
        /// The key at hand.
        ours: Fingerprint,
    },
    /// Numbers that are no key.
    #[error("no valid Paillier key: {0}")]
    BadKey(&'static str),
    /// Numbers that are no ciphertext of this key.
    #[error("ciphertext {0} lies outside the group of its key")]
    BadCiphertext(usize),
    /// A number that only someone who knows or guessed a factor of the modulus can make.
    #[error("a ciphertext shares a factor with the modulus of its key; refuse its sender")]
    NotCoprime,
    /// A vector of another length.
    #[error("{found} ciphertexts, where {expected} belong")]
    Count {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A plaintext at or above the modulus.
    #[error("a plaintext of {found} bits does not fit a key that takes {room}")]
    Plaintext {
        /// Bits of the plaintext.
        found: u32,
        /// Bits that surely fit.
        room: u32,
    },
}
