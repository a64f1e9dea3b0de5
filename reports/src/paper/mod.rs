//! A paper's figures and tables, as a suite declares them, from the records of a run.

pub(crate) mod chart;
mod columns;
mod data;
mod defaults;
pub(crate) mod draw;
mod filter;
mod latex;
mod manifest;
mod measure;
mod pool;
mod reproduce;
mod select;
mod stale_files;
pub(crate) mod style;
mod table;
mod write;

pub use style::StyleName;
pub use write::{PaperSummary, write_paper};
