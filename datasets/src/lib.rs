//! Data sets: loaders of the common file formats, embedded and procedural data, downloads and
//! client partitions.
//!
//! Everything comes out as a [`Batch`] of pixels (or scaled table features) in `[0, 1]`; see
//! [`Dataset`]. [`open`] finds a data set by name, [`builtin`] lists them all, [`verify`] reads one
//! from end to end.

mod card;
mod dataset;
mod error;
mod in_memory;
mod registry;
mod request;
mod tables;

pub mod embedded;
pub mod fetch;
pub mod formats;
pub mod loaders;
pub mod partition;
pub mod pictures;
pub mod recordio;

pub use card::{Card, Column, Kind, LabelKind};
pub use dataset::{Batch, Dataset};
pub use error::DatasetError;
pub use in_memory::{Examples, InMemory};
pub use loaders::knows_unseen;
pub use registry::{
    DatasetEntry, Presence, SplitCount, VerifyReport, builtin, open, open_from, verify, verify_from,
};
pub use request::Request;
pub use suites::Split;
