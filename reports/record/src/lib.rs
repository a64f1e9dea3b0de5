//! Records of finished cells and rounds: their types, their files and their statistics.
//!
//! A run folder holds `run.json` ([`RunInfo`]), `cells.jsonl` (one [`CellRecord`] a line),
//! `artifacts/<cell>/` and `report/`. [`RunStore`] writes it so that a kill at any moment loses at
//! most the record being written; [`run::Run`] reads whatever is there, with its statistics. The
//! folder of a training holds `records.csv` ([`RoundRecord`]) instead; see [`rounds`].

pub mod aggregate;
pub mod axes;
mod cell;
mod error;
pub mod markdown;
pub mod metrics;
pub mod number;
mod old_metrics;
pub mod rounds;
pub mod run;
mod safe_path;
pub mod stats;
pub mod store;
pub mod summary;
#[cfg(feature = "testing")]
pub mod testing;
pub mod units;
pub mod utility;
pub mod validity;

pub use cell::{
    CellRecord, Cost, DefenseNote, ImageScore, Outcome, Scores, SignalRecord, TracePoint, Wall,
};
pub use error::RecordError;
pub use metrics::{MetricInfo, Metrics};
pub use rounds::{RoundRecord, TrainingInfo, read_rounds, write_rounds};
pub use safe_path::safe_path;
pub use store::{Host, RunInfo, RunStore, SCHEMA, SuiteInfo, fingerprint, merge, write_whole};
pub use summary::CellSummary;
