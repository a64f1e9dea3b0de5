//! What a key or ciphertext file says of itself, without its secrets.

use std::fmt;

use serde::Serialize;

use super::bytes::{Kind, open};
use super::keys::{PublicKey, SecretKey, hex};
use super::ring::Context;
use super::{Ciphertext, ParameterSet};
use crate::ProtocolError;

/// A serialised key or ciphertext, described.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Description {
    /// `ckks`.
    pub scheme: &'static str,
    /// `secret key`, `public key`, `ciphertext` or `seeded ciphertext`.
    pub kind: &'static str,
    /// Name of the parameter set, where it has one.
    pub name: Option<&'static str>,
    /// The parameter set.
    pub parameters: String,
    /// Classical security by the standard's table.
    pub security_bits: u32,
    /// Fingerprint of the public key it belongs to.
    pub fingerprint: String,
    /// For a secret key: which share, e.g. `share 2 of 5`; for a public key: how many share its
    /// secret.
    pub sharing: Option<String>,
    /// Bytes of the file.
    pub bytes: usize,
}

/// Describes serialised bytes after reading and checking all of them.
///
/// # Errors
/// Bytes that are no key or ciphertext, truncated or altered.
pub fn inspect(bytes: &[u8]) -> Result<Description, ProtocolError> {
    let kinds = [Kind::SecretKey, Kind::PublicKey, Kind::Ciphertext, Kind::Seeded];
    let message = open(bytes, &kinds)?;
    let sharing = match message.kind {
        Kind::SecretKey => {
            let party = SecretKey::from_bytes(bytes)?.party();
            (party.parties > 1).then(|| party.to_string())
        }
        Kind::PublicKey => {
            let parties = PublicKey::from_bytes(bytes)?.parties();
            (parties > 1).then(|| format!("shared among {parties}"))
        }
        _ => Ciphertext::from_bytes(&Context::new(&message.params), bytes).map(|_| None)?,
    };
    Ok(describe(message.kind, &message.params, hex(&message.key), sharing, bytes.len()))
}

fn describe(
    kind: Kind,
    params: &ParameterSet,
    fingerprint: String,
    sharing: Option<String>,
    bytes: usize,
) -> Description {
    Description {
        scheme: "ckks",
        kind: kind.name(),
        name: params.name(),
        parameters: params.to_string(),
        security_bits: params.security_bits(),
        fingerprint,
        sharing,
        bytes,
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} {}, parameters {}", self.scheme, self.kind, self.parameters)?;
        if let Some(name) = self.name {
            write!(f, " ({name})")?;
        }
        write!(f, ", at least {} bits of security, key {}", self.security_bits, self.fingerprint)?;
        if let Some(sharing) = &self.sharing {
            write!(f, ", {sharing}")?;
        }
        write!(f, ", {} bytes", self.bytes)
    }
}
