//! The language of experiments: what one cell of a benchmark is ([`CellSpec`]), how a suite file
//! expands to cells ([`Suite`]), how implementations are registered and found by name ([`Entry`],
//! [`Registry`]),
//! and where all randomness comes from ([`rng::stream`]).
//!
//! Nothing here touches tensors or data: a suite can be read, checked and counted on any machine.

mod canonical;
mod check;
mod condition;
mod document;
mod draft;
pub mod entry;
pub mod error;
mod expand;
pub mod federation;
pub mod figure;
pub mod flag;
pub mod foreign;
pub mod gate;
mod id;
mod layer;
mod library;
mod named;
mod old;
mod overrides;
mod plan;
mod read;
mod registry;
pub mod rng;
pub mod spec;
pub mod stream_key;
mod string_enum;
pub mod suite;
pub mod train;

pub use entry::{Build, Entry, Parameters, find, params};
pub use error::{SpecError, did_you_mean};
pub use expand::MAX_CELLS;
pub use federation::{FederationSpec, Regime};
pub use flag::{Flag, FlagKind, flag_words};
pub use gate::Gate;
pub use library::{SuiteEntry, library};
pub use old::{current_path, upgrade_recorded};
pub use overrides::{parse_override, parse_pair};
pub use registry::{Registered, Registry};
pub use spec::{
    BatchNorm, CaptureSpec, CellId, CellSpec, Fact, Init, ModelSpec, Named, Partition,
    REMOVED_FACTS, Source, Split, TaskSpec, Vantage,
};
pub use suite::{Published, Suite};
pub use train::TrainSpec;
