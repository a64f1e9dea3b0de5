//! Vectors of ciphertexts as they travel.

use crypto_bigint::BoxedUint;
use crypto_bigint::modular::BoxedMontyForm;

use super::public::{coprime, number};
use super::{Ciphertext, PaillierError, PublicKey};
use crate::keys::{Container, Kind, Scheme};

/// Bytes of a message of so many ciphertexts.
pub fn message_bytes(key: &PublicKey, count: usize) -> u64 {
    (Container::header() + 16) as u64 + (count * key.ciphertext_bytes()) as u64
}

/// A message: the container's header with the key's fingerprint, then each ciphertext
/// little-endian.
pub fn encode(key: &PublicKey, ciphertexts: &[Ciphertext]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(ciphertexts.len() * key.ciphertext_bytes());
    ciphertexts.iter().for_each(|c| payload.extend_from_slice(&c.0.to_le_bytes()));
    let (scheme, kind) = (Scheme::Paillier, Kind::Ciphertexts);
    Container { scheme, kind, key: key.fingerprint(), payload: &payload }.encode()
}

/// Reads a message made with this key. Never panics, whatever the bytes.
///
/// # Errors
/// Altered bytes, another key, numbers that are no ciphertexts, another count than expected.
pub fn decode(
    key: &PublicKey,
    bytes: &[u8],
    expected: usize,
) -> Result<Vec<Ciphertext>, PaillierError> {
    let container = Container::decode_kind(bytes, Kind::Ciphertexts)?;
    if container.key != key.fingerprint() {
        return Err(PaillierError::WrongKey { theirs: container.key, ours: key.fingerprint() });
    }
    let size = key.ciphertext_bytes();
    let found = container.payload.len() / size;
    if !container.payload.len().is_multiple_of(size) || found != expected {
        return Err(PaillierError::Count { found, expected });
    }
    let ciphertexts = container.payload.chunks_exact(size).enumerate();
    let ciphertexts: Result<Vec<Ciphertext>, PaillierError> = ciphertexts
        .map(|(i, bytes)| ciphertext(key, bytes).ok_or(PaillierError::BadCiphertext(i)))
        .collect();
    let ciphertexts = ciphertexts?;
    if all_coprime(key, &ciphertexts) { Ok(ciphertexts) } else { Err(PaillierError::NotCoprime) }
}

/// Whether no ciphertext shares a factor with `n`: one greatest common divisor, of the product of
/// all. Powers of Montgomery's `R` in it are coprime to `n`.
fn all_coprime(key: &PublicKey, ciphertexts: &[Ciphertext]) -> bool {
    let form = |c: &Ciphertext| BoxedMontyForm::from_montgomery(c.0.clone(), key.square());
    let product = ciphertexts.iter().map(form).reduce(|a, b| a.mul(&b));
    product.is_none_or(|product| coprime(&product.to_montgomery(), key.square()))
}

/// A number in `[1, n^2)`.
fn ciphertext(key: &PublicKey, bytes: &[u8]) -> Option<Ciphertext> {
    let (c, _) = number(bytes, 2 * key.bits())?;
    let inside = c > BoxedUint::zero() && c < *key.square().modulus().as_ref();
    inside.then_some(Ciphertext(c))
}
