//! Signed messages: who said what to whom, in which round and phase.
//!
//! Two schemes to choose from: RSA-2048-PSS with SHA-256 (RFC 8017) and Ed25519 (RFC 8032). An
//! [`Identity`] is a long-lived secret key, a [`PublicKey`] its published half; [`seal`] and
//! [`open`] wrap a message so that a forged, replayed, swapped or cut one is told apart.

mod envelope;
mod identity;
mod pool;

pub use envelope::{EVERYONE, Header, Rejected, SERVER, open, seal};
pub use identity::{Identity, KeyError, PublicKey, Scheme};
pub use pool::{client, server};
