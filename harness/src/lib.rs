//! Plan, run, score, store: from the specification of a cell to its record.

pub mod artifacts;
pub mod capture;
pub mod cell;
mod claims;
mod deploy;
mod error;
mod line;
pub mod plan;
pub mod price;
mod round;
pub mod runner;
pub mod saved;
pub mod score;
mod start;
pub mod threat;
mod train;
pub mod training;
pub mod vantage;
pub mod world;

pub use error::HarnessError;
