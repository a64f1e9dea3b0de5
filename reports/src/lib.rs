//! Records of finished cells: the run store, the statistics, and the report with its tables and
//! figures.
//!
//! A run folder holds `run.json` ([`RunInfo`]), `cells.jsonl` (one [`CellRecord`] a line),
//! `artifacts/<cell>/` and `report/`. [`RunStore`] writes it so that a kill at any moment loses at
//! most the record being written; [`write_report`] turns whatever is there into `report/report.md`.
//! The folder of a training holds `records.csv` ([`RoundRecord`]) instead; see [`training`].

mod axes;
pub mod compare;
mod error;
mod export;
mod figures;
mod frontier;
pub mod history;
mod html;
mod ink;
mod inside;
mod leakage;
mod markdown;
pub mod metrics;
mod number;
mod paper;
pub mod record;
mod report;
mod run;
pub mod stats;
pub mod store;
mod summary;
mod tables;
pub mod training;
mod utility;

pub use compare::{Comparison, Pairing, Side, Verdict, compare, write_baseline};
pub use error::ReportError;
pub use export::{ExportFormat, export, refuse_own_files};
pub use history::{HistorySummary, write_history};
pub use paper::{PaperSummary, StyleName, write_paper, write_poster};
pub use record::{CellRecord, Cost, DefenseNote, ImageScore, Outcome, Scores, TracePoint, Wall};
pub use report::write_report;
pub use store::{Host, RunInfo, RunStore, SCHEMA, SuiteInfo, fingerprint, merge, write_whole};
pub use summary::CellSummary;
pub use training::{
    RoundRecord, TrainingInfo, compare_trainings, read_rounds, write_rounds, write_training_report,
};
