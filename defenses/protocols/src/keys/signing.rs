//! RSA and Ed25519 keys in their standard forms: PKCS#8 and SubjectPublicKeyInfo, as PEM.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, PublicEncryptingKey};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RsaKeyPair};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{KeyError, elsewhere, pem};

const SECRET: &str = "PRIVATE KEY";
const PUBLIC: &str = "PUBLIC KEY";
/// SubjectPublicKeyInfo of an Ed25519 key, before its 32 bytes (RFC 8410).
const ED25519_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Which signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signature {
    /// RSA with a modulus of so many bits.
    Rsa(u32),
    /// Ed25519.
    Ed25519,
}

/// A key that was read.
pub(super) struct Found {
    pub signature: Signature,
    pub secret: bool,
    /// SHA-256 of the public part's DER, in hexadecimal.
    pub fingerprint: String,
}

/// A secret and a public PEM file.
pub(super) type Pair = (Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>);

/// An RSA key of 2048, 3072 or 4096 bits.
pub(super) fn rsa(bits: u32) -> Result<Pair, KeyError> {
    let offered = "2048, 3072 or 4096";
    let size = match bits {
        2048 => KeySize::Rsa2048,
        3072 => KeySize::Rsa3072,
        4096 => KeySize::Rsa4096,
        _ => return Err(KeyError::Bits { bits, scheme: "rsa", offered }),
    };
    let pair = RsaKeyPair::generate(size).map_err(draw)?;
    let secret: Pkcs8V1Der = pair.as_der().map_err(draw)?;
    Ok((pem::encode(SECRET, secret.as_ref()), pem::encode(PUBLIC, &public(pair.public_key())?)))
}

/// An Ed25519 key.
pub(super) fn ed25519() -> Result<Pair, KeyError> {
    let pair = Ed25519KeyPair::generate().map_err(draw)?;
    let secret: Pkcs8V1Der = pair.as_der().map_err(draw)?;
    Ok((pem::encode(SECRET, secret.as_ref()), pem::encode(PUBLIC, &public(pair.public_key())?)))
}

/// Reads either kind of either key.
pub(super) fn read(bytes: &[u8]) -> Result<Found, KeyError> {
    let (label, der) = pem::decode(bytes, &[SECRET, PUBLIC])?;
    let (signature, public) =
        if label == SECRET { secret_part(&der)? } else { (public_part(&der)?, der.to_vec()) };
    let fingerprint = Sha256::digest(&public).iter().map(|b| format!("{b:02x}")).collect();
    Ok(Found { signature, secret: label == SECRET, fingerprint })
}

fn secret_part(der: &[u8]) -> Result<(Signature, Vec<u8>), KeyError> {
    if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
        return Ok((Signature::Ed25519, public(pair.public_key())?));
    }
    let pair = RsaKeyPair::from_pkcs8(der)
        .map_err(|_| other(der, "no Ed25519 key, nor an RSA key of 2048 to 8192 bits"))?;
    let bits = pair.public_modulus_len() as u32 * 8;
    Ok((Signature::Rsa(bits), public(pair.public_key())?))
}

fn public_part(der: &[u8]) -> Result<Signature, KeyError> {
    if der.len() == 44 && der.starts_with(&ED25519_PREFIX) {
        return Ok(Signature::Ed25519);
    }
    let key = PublicEncryptingKey::from_der(der)
        .map_err(|_| other(der, "no public key of RSA or Ed25519"))?;
    Ok(Signature::Rsa(key.key_size_bits() as u32))
}

/// What is whole but another kind of key is not corrupted.
fn other(der: &[u8], what: &'static str) -> KeyError {
    if elsewhere::is_der(der) { KeyError::Elsewhere(what) } else { KeyError::Pem(what) }
}

fn public(key: &impl AsDer<PublicKeyX509Der<'static>>) -> Result<Vec<u8>, KeyError> {
    Ok(key.as_der().map_err(draw)?.as_ref().to_vec())
}

fn draw(_: aws_lc_rs::error::Unspecified) -> KeyError {
    KeyError::Draw("the cryptographic library refused".into())
}
