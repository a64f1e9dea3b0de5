//! Records of finished cells: the run store, the statistics, and the report with its tables and figures.
//!
//! A run folder holds `run.json` ([`RunInfo`]), `cells.jsonl` (one [`CellRecord`] a line), `artifacts/<cell>/` and
//! `report/`. [`RunStore`] writes it so that a kill at any moment loses at most the record being written;
//! [`write_report`] turns whatever is there into `report/report.md`.

mod error;
mod number;
pub mod record;
pub mod stats;
pub mod store;

pub use error::ReportError;
pub use record::{CellRecord, Cost, DefenseNote, ImageScore, Outcome, Scores, TracePoint, Wall};
pub use store::{Host, RunInfo, RunStore, SCHEMA, SuiteInfo, fingerprint, merge, write_whole};
