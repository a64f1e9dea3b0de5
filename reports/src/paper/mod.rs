//! A paper's figures and tables, as a suite declares them, from the records of a run.

mod defaults;
mod manifest;
mod reproduce;
mod stale_files;
mod table;
mod write;

pub use crate::figure::style::StyleName;
pub use write::{PaperSummary, write_paper};
