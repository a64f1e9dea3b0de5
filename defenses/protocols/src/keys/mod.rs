//! Keys and ciphertexts as files: making, writing and inspecting them.
//!
//! Paillier keys lie in the [`Container`] of this module, CKKS keys in their own, RSA and Ed25519
//! keys in PKCS#8 PEM. Secrets are written with mode 0600 from the first byte, never overwritten
//! unasked, wiped from memory, and shown nowhere.

mod ckks;
pub mod container;
mod elsewhere;
mod error;
mod files;
mod generate;
mod inspect;
mod pem;
mod signing;

pub use container::{Container, ContainerError, Fingerprint, Kind, Scheme};
pub use error::KeyError;
pub use files::{NewFile, read_public, read_secret, write_all};
pub use generate::{KeyRequest, KeyScheme, generate};
pub use inspect::{Inspection, inspect, inspect_file};
