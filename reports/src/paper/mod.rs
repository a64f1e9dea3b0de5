//! A paper's figures and tables, as a suite declares them, from the records of a run.

#[allow(dead_code, reason = "filled by the modules that follow")]
pub(crate) mod chart;
#[allow(dead_code, reason = "called by the modules that follow")]
mod columns;
#[allow(dead_code, reason = "called by the modules that follow")]
mod data;
#[allow(dead_code, reason = "called by the modules that follow")]
pub(crate) mod draw;
#[allow(dead_code, reason = "called by the modules that follow")]
mod filter;
#[allow(dead_code, reason = "called by the modules that follow")]
mod measure;
#[allow(dead_code, reason = "called by the modules that follow")]
mod pool;
mod poster;
#[allow(dead_code, reason = "called by the modules that follow")]
mod select;
pub(crate) mod style;

pub use poster::write_poster;
pub use style::StyleName;
