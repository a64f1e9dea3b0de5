//! Paillier's additively homomorphic encryption (Paillier, EUROCRYPT 1999) with the short exponents
//! of Damgard, Jurik and Nielsen ("A generalization of Paillier's public-key system with
//! applications to electronic voting", IJIS 2010), and the protocol that carries updates under it.
//!
//! Keys: `n = p q`, `h = -x^2 mod n`, `h_s = h^n mod n^2`. Encrypting: `c = (1 + n)^m h_s^r mod
//! n^2`. Adding: multiplying modulo `n^2`. That a short `r` hides as well as a long one is an
//! assumption: discrete logarithms with short exponents are hard in this group.

mod error;
mod exchange;
mod message;
mod packing;
mod primes;
mod protocol;
mod public;
mod secret;
mod speed;
mod table;

pub use error::PaillierError;
pub use message::{decode, encode, message_bytes};
pub use packing::{Packing, PackingError};
pub use protocol::{ENTRY, Paillier, Params};
pub use public::{Ciphertext, PublicKey, Sum};
pub use secret::SecretKey;
pub use speed::Speed;

/// Supported key sizes in bits.
pub const KEY_BITS: [u32; 4] = [512, 1024, 2048, 3072];

/// Security of a key size in bits, as NIST SP 800-57 rates factoring; `None` where there is none.
pub fn security(key_bits: u32) -> Option<u32> {
    match key_bits {
        3072.. => Some(128),
        2048.. => Some(112),
        _ => None,
    }
}

/// The warning that belongs to an insecure key size.
pub fn warning(key_bits: u32) -> Option<String> {
    security(key_bits).is_none().then(|| {
        format!(
            "toy key, no security: a modulus of {key_bits} bits can be factored; take 2048 or more"
        )
    })
}
