//! Reports of finished runs and trainings: tables, figures, papers, histories and exports.
//!
//! [`write_report`] turns whatever is in a run folder into `report/report.md`, `report.html` and
//! `report.tex`; records are read by the crate `record`, and runs compared by the crate `compare`.

mod error;
mod export;
mod figure;
mod frontier;
mod history;
mod html;
mod identified;
mod leakage;
mod paper;
mod plot;
mod report;
mod standing;
mod tables;
mod training;
mod verdict;
mod words;

pub use error::ReportError;
pub use export::{ExportFormat, export, refuse_own_files};
pub use history::{HistorySummary, write_history};
pub use paper::{PaperSummary, StyleName, write_paper};
pub use report::write_report;
pub use training::{compare_trainings, write_training_report};
