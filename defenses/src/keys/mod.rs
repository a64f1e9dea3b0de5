//! Keys and ciphertexts as files: one container for what has no standard form, and modes that keep secrets secret.

pub mod container;

pub use container::{Container, ContainerError, Fingerprint, Kind, Scheme};
