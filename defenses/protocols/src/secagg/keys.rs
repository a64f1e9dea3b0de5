//! Key agreement, key derivation and sealing: X25519 (RFC 7748), HKDF-SHA256 (RFC 5869),
//! ChaCha20-Poly1305 (RFC 8439).

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

/// Salt of every derivation; changing it changes every mask.
const SALT: &[u8] = b"federated secure aggregation v1";
/// Bytes that sealing adds.
pub const TAG: usize = 16;

/// 32 secret bytes, wiped when dropped.
pub type Secret = Zeroizing<[u8; 32]>;

/// An X25519 key pair of one round.
pub struct KeyPair {
    secret: Secret,
    private: PrivateKey,
    public: [u8; 32],
}

impl KeyPair {
    /// The pair of 32 secret bytes; `None` where the library refuses them.
    pub fn new(secret: Secret) -> Option<KeyPair> {
        let private = PrivateKey::from_private_key(&X25519, &secret[..]).ok()?;
        let public = private.compute_public_key().ok()?.as_ref().try_into().ok()?;
        Some(KeyPair { secret, private, public })
    }

    /// The secret bytes, to be shared.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The public key.
    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// What both owners of the two keys know, and nobody else. `None` for a public key of small
    /// order.
    pub fn agree(&self, other: &[u8; 32]) -> Option<Secret> {
        agree(&self.private, UnparsedPublicKey::new(&X25519, other), (), |shared| {
            shared.try_into().map(Zeroizing::new).map_err(|_| ())
        })
        .ok()
    }
}

/// Whether secrets can be agreed on with this public key. Private keys are multiples of 8, so a key
/// of small order gives zero, which is refused, with every one of them: one is enough to tell.
pub fn usable(public: &[u8; 32]) -> bool {
    KeyPair::new(Zeroizing::new([1; 32])).is_some_and(|probe| probe.agree(public).is_some())
}

struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

/// `N` bytes derived from a secret for one purpose: a label, the round, and one or two clients.
pub fn derive<const N: usize>(
    secret: &Secret,
    label: &str,
    round: u64,
    parties: [u32; 2],
) -> Zeroizing<[u8; N]> {
    let mut key = Zeroizing::new([0; N]);
    let info: [&[u8]; 4] = [
        label.as_bytes(),
        &round.to_le_bytes(),
        &parties[0].to_le_bytes(),
        &parties[1].to_le_bytes(),
    ];
    // Fails only beyond 255 blocks of 32 bytes; `N` is 16 or 32.
    assert!(expand(&secret[..], SALT, &info, &mut key[..]).is_some(), "HKDF gives {N} bytes");
    key
}

/// HKDF-SHA256; `None` for more than 255 blocks of 32 bytes.
fn expand(secret: &[u8], salt: &[u8], info: &[&[u8]], out: &mut [u8]) -> Option<()> {
    let prk = Salt::new(HKDF_SHA256, salt).extract(secret);
    prk.expand(info, Len(out.len())).and_then(|okm| okm.fill(out)).ok()
}

/// Seals `plain` under a key that is used for this one message only, so that the nonce can be zero.
pub fn seal(key: &Secret, context: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    seal_with(key, nonce(), context, plain)
}

fn seal_with(key: &Secret, nonce: Nonce, context: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(plain.len() + TAG);
    text.extend_from_slice(plain);
    aead(key)?.seal_in_place_append_tag(nonce, Aad::from(context), &mut text).ok()?;
    Some(text)
}

/// Opens what [`seal`] made; `None` for anything else.
pub fn open(key: &Secret, context: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    open_with(key, nonce(), context, sealed)
}

fn open_with(
    key: &Secret,
    nonce: Nonce,
    context: &[u8],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(sealed.to_vec());
    let len = aead(key)?.open_in_place(nonce, Aad::from(context), &mut text).ok()?.len();
    text.truncate(len);
    Some(text)
}

fn aead(key: &Secret) -> Option<LessSafeKey> {
    Some(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &key[..]).ok()?))
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

#[cfg(test)]
mod vectors;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7748, section 5.2: one step of the iterated test.
    #[test]
    fn agreement_matches_the_rfc() {
        let mut nine = [0; 32];
        nine[0] = 9;
        let shared = KeyPair::new(Zeroizing::new(nine)).unwrap().agree(&nine).unwrap();
        let hex: String = shared.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }

    #[test]
    fn both_sides_agree_and_small_orders_are_refused() {
        let pair = |b: u8| KeyPair::new(Zeroizing::new([b; 32])).unwrap();
        let (a, b) = (pair(1), pair(2));
        assert_eq!(a.agree(b.public()), b.agree(a.public()));
        assert!(a.agree(&[0; 32]).is_none());
        assert!(usable(a.public()) && !usable(&[0; 32]) && !usable(&low(1)));
    }

    /// A small number as a coordinate: 0 and 1 are of small order.
    fn low(number: u8) -> [u8; 32] {
        std::array::from_fn(|i| if i == 0 { number } else { 0 })
    }

    #[test]
    fn sealed_bytes_open_once_and_only_in_their_context() {
        let key = derive::<32>(&Zeroizing::new([7; 32]), "test", 3, [1, 2]);
        let sealed = seal(&key, b"here", b"plain").unwrap();
        assert_eq!(sealed.len(), 5 + TAG);
        assert_eq!(**open(&key, b"here", &sealed).unwrap(), *b"plain");
        assert!(open(&key, b"there", &sealed).is_none());
        assert!(open(&key, b"here", &sealed[1..]).is_none());
        assert!(open(&key, b"here", &[]).is_none());
        let other = derive::<32>(&Zeroizing::new([7; 32]), "test", 3, [2, 1]);
        assert!(open(&other, b"here", &sealed).is_none());
    }
}
