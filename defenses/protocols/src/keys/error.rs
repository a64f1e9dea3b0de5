//! What can be wrong with key files.

use std::path::PathBuf;

use thiserror::Error;

use super::ContainerError;
use crate::paillier::PaillierError;

/// Why keys are not made, written or read.
#[derive(Debug, Error)]
pub enum KeyError {
    /// Something is there already.
    #[error("{} exists, and keys are not overwritten; take another folder, or --force to replace \
        it", .0.display())]
    Exists(PathBuf),
    /// A folder was asked for where something else is.
    #[error("{} is not a folder; name one, or a path that is not there yet", .0.display())]
    NotAFolder(PathBuf),
    /// A size that the scheme does not offer.
    #[error("--bits {bits} is not offered for {scheme}; take {offered}")]
    Bits {
        /// The size.
        bits: u32,
        /// The scheme.
        scheme: &'static str,
        /// Sizes on offer, in words.
        offered: &'static str,
    },
    /// An option that says nothing for this scheme.
    #[error("{option} has no meaning for {scheme}; leave it out")]
    Option {
        /// The option.
        option: &'static str,
        /// The scheme.
        scheme: &'static str,
    },
    /// A CKKS parameter set that is none, or too weak.
    #[error("--{0}")]
    Parameters(String),
    /// A number of holders that makes no sense.
    #[error("--parties {0} is out of range; write 2 to 1000, or leave it out for one whole key")]
    Parties(usize),
    /// A CKKS key or ciphertext that is none.
    #[error("{0}")]
    Ckks(String),
    /// The operating system or the library gave no key.
    #[error("no key could be drawn: {0}")]
    Draw(String),
    /// Nothing that is known here.
    #[error(
        "no key or ciphertext that is known here (Paillier or CKKS container, PEM of an RSA or \
         Ed25519 PRIVATE KEY or PUBLIC KEY)"
    )]
    Unknown,
    /// A sound key or ciphertext of another tool or kind.
    #[error("not read here: {0}")]
    Elsewhere(&'static str),
    /// A PEM file whose content is no key.
    #[error("corrupted PEM: {0}")]
    Pem(&'static str),
    /// A container that cannot be read.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// A Paillier key or ciphertext that is none.
    #[error(transparent)]
    Paillier(#[from] PaillierError),
    /// A file with its fault.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<KeyError>,
    },
    /// A folder without keys.
    #[error("{} holds no keys", .0.display())]
    Empty(PathBuf),
    /// Not a file that could hold a key.
    #[error("{} is no regular file below 1 GiB", .0.display())]
    NotAFile(PathBuf),
    /// A secret that others can read or replace.
    #[error("{} is open to others (mode {mode:04o}), so what is secret may be known: {remedy} {} \
        if nobody has had it, or make new keys", path.display(), path.display())]
    Exposed {
        /// Which file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The command that closes it.
        remedy: &'static str,
    },
    /// The system refused.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// "read", "write", ...
        what: &'static str,
        /// Which file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

impl KeyError {
    pub(super) fn io(
        what: &'static str,
        path: &std::path::Path,
        source: std::io::Error,
    ) -> KeyError {
        KeyError::Io { what, path: path.into(), source }
    }
}
