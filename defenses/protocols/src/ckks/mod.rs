//! CKKS in residue number system form: approximate arithmetic on encrypted real vectors.
//!
//! Cheon, Kim, Kim and Song: Homomorphic Encryption for Arithmetic of Approximate Numbers,
//! ASIACRYPT 2017; residue number system after Cheon, Han, Kim, Kim and Song, SAC 2018; threshold
//! keys after Mouchet, Troncoso-Pastoriza, Bossuat and Hubaux: Multiparty Homomorphic Encryption
//! from Ring-Learning-with-Errors, PETS 2021. What the mean of a federation needs: keys,
//! encryption, sums, scaling, decryption.

mod bytes;
mod cipher;
mod encode;
mod fft;
mod flood;
pub mod inference;
mod inspect;
pub mod keys;
mod modulus;
mod noise;
mod params;
mod party;
mod protocol;
mod ring;
mod round;
mod round_ledger;
mod sample;
mod threshold;

pub use cipher::Ciphertext;
pub use encode::Plaintext;
pub use inspect::{Description, inspect};
pub use params::{Packing, ParameterSet};
pub use protocol::{Ckks, ENTRY, Holders};
pub use ring::Context;
pub use threshold::{Half, Opened, Partial};
