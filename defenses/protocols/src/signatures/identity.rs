//! Secret and public signing keys of either scheme.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKey, KeySize};
use aws_lc_rs::signature::{
    ED25519, Ed25519KeyPair, KeyPair, RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

/// A signature scheme.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Ed25519: signatures of 64 bytes, public keys of 32.
    #[default]
    Ed25519,
    /// RSA with 2048 bits, PSS padding, SHA-256: signatures of 256 bytes.
    RsaPss,
}

impl Scheme {
    /// Length of a signature in bytes.
    pub fn signature_len(self) -> usize {
        match self {
            Scheme::Ed25519 => 64,
            Scheme::RsaPss => 256,
        }
    }

    /// Number of the scheme in a message.
    pub(crate) fn code(self) -> u8 {
        match self {
            Scheme::Ed25519 => 1,
            Scheme::RsaPss => 2,
        }
    }

    fn algorithm(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Scheme::Ed25519 => &ED25519,
            Scheme::RsaPss => &RSA_PSS_2048_8192_SHA256,
        }
    }
}

/// A key that cannot be made, read or used.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// The operating system gave no randomness, or the library failed.
    #[error("no signing key could be generated; check the system's random source")]
    Generate,
    /// Bytes that are no secret key of the scheme.
    #[error(
        "not a PKCS#8 secret key of this signature scheme; generate a new one or name the right \
         scheme"
    )]
    Read,
    /// The library could not sign.
    #[error("the message could not be signed")]
    Sign,
}

enum Secret {
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKey),
}

/// A long-lived secret signing key. It is wiped when dropped (by the library that holds it) and
/// never printed.
pub struct Identity {
    secret: Secret,
    public: PublicKey,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Identity").field("public", &self.public).finish_non_exhaustive()
    }
}

impl Identity {
    /// A new key from the operating system's randomness. RSA takes 0.05 to 0.5 s.
    ///
    /// # Errors
    /// [`KeyError::Generate`].
    pub fn generate(scheme: Scheme) -> Result<Identity, KeyError> {
        let secret = match scheme {
            Scheme::Ed25519 => {
                Secret::Ed25519(Ed25519KeyPair::generate().map_err(|_| KeyError::Generate)?)
            }
            Scheme::RsaPss => {
                Secret::Rsa(RsaKey::generate(KeySize::Rsa2048).map_err(|_| KeyError::Generate)?)
            }
        };
        Ok(Identity::from_secret(secret))
    }

    /// Reads a secret key (PKCS#8, DER).
    ///
    /// # Errors
    /// [`KeyError::Read`] for anything else, and for RSA keys that are not of 2048 bits.
    pub fn from_pkcs8(scheme: Scheme, der: &[u8]) -> Result<Identity, KeyError> {
        let secret = match scheme {
            Scheme::Ed25519 => Secret::Ed25519(
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| KeyError::Read)?,
            ),
            Scheme::RsaPss => {
                let key = RsaKey::from_pkcs8(der).map_err(|_| KeyError::Read)?;
                if key.public_modulus_len() != scheme.signature_len() {
                    return Err(KeyError::Read);
                }
                Secret::Rsa(key)
            }
        };
        Ok(Identity::from_secret(secret))
    }

    /// The secret key as PKCS#8 (DER), wiped when dropped.
    ///
    /// # Errors
    /// [`KeyError::Generate`] where the library cannot encode it.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let der = match &self.secret {
            Secret::Ed25519(key) => {
                key.to_pkcs8v1().map_err(|_| KeyError::Generate)?.as_ref().to_vec()
            }
            Secret::Rsa(key) => {
                let der: Pkcs8V1Der = key.as_der().map_err(|_| KeyError::Generate)?;
                der.as_ref().to_vec()
            }
        };
        Ok(Zeroizing::new(der))
    }

    /// The published half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a message; the signature has [`Scheme::signature_len`] bytes.
    ///
    /// # Errors
    /// [`KeyError::Sign`].
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &self.secret {
            Secret::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
            Secret::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| KeyError::Sign)?;
                Ok(signature)
            }
        }
    }

    fn from_secret(secret: Secret) -> Identity {
        let (scheme, bytes) = match &secret {
            Secret::Ed25519(key) => (Scheme::Ed25519, key.public_key().as_ref().to_vec()),
            Secret::Rsa(key) => (Scheme::RsaPss, key.public_key().as_ref().to_vec()),
        };
        Identity { secret, public: PublicKey { scheme, bytes } }
    }
}

/// A published verification key: 32 bytes for Ed25519, a DER `RSAPublicKey` for RSA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    scheme: Scheme,
    bytes: Vec<u8>,
}

impl PublicKey {
    /// A key from its bytes; wrong ones verify nothing.
    pub fn new(scheme: Scheme, bytes: Vec<u8>) -> PublicKey {
        PublicKey { scheme, bytes }
    }

    /// Its scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether `signature` is this key's over `message`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(self.scheme.algorithm(), &self.bytes)
            .verify(message, signature)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_schemes_sign_and_survive_a_round_through_bytes() {
        for scheme in [Scheme::Ed25519, Scheme::RsaPss] {
            let identity = Identity::generate(scheme).unwrap();
            let signature = identity.sign(b"a message").unwrap();
            assert_eq!(signature.len(), scheme.signature_len());
            let again = Identity::from_pkcs8(scheme, &identity.to_pkcs8().unwrap()).unwrap();
            assert_eq!(again.public(), identity.public());
            assert!(again.public().verifies(b"a message", &signature));
            assert!(!again.public().verifies(b"a massage", &signature));
            assert!(
                !Identity::generate(scheme).unwrap().public().verifies(b"a message", &signature)
            );
            assert!(!format!("{identity:?}").contains("secret"));
        }
    }

    #[test]
    fn keys_of_the_other_scheme_are_refused() {
        let der = Identity::generate(Scheme::Ed25519).unwrap().to_pkcs8().unwrap();
        assert_eq!(Identity::from_pkcs8(Scheme::RsaPss, &der).unwrap_err(), KeyError::Read);
        assert_eq!(Identity::from_pkcs8(Scheme::Ed25519, &der[..20]).unwrap_err(), KeyError::Read);
    }
}
