//! Protocols that aggregate client updates, and what each party sees of them.
//!
//! A [`Protocol`] aggregates one round of flat updates and returns a [`Transcript`]. It knows
//! nothing of models or tensors.

mod binding;
pub mod ckks;
pub mod keys;
pub mod paillier;
mod plain;
mod protocol;
pub mod secagg;
pub mod signatures;
mod wire;

pub use binding::{Binding, FederationId, ModelHash, ModelHasher};
pub use plain::Plain;
pub use protocol::{Exposure, Failure, Federation, Protocol, ProtocolError, Round, Transcript};
use suites::Entry;
pub use wire::Wire;

/// All protocols; a cell that names none uses [`Plain`].
pub static PROTOCOLS: &[&Entry<dyn Protocol>] =
    &[&plain::ENTRY, &secagg::ENTRY, &secagg::PLUS, &ckks::ENTRY, &paillier::ENTRY];
