//! A paper's figures and tables, as a suite declares them, from the records of a run.

#[expect(dead_code, reason = "drawn by the modules that follow")]
pub(crate) mod chart;
