//! Plan, run, score, store: from the specification of a cell to its record.

pub mod artifacts;
pub mod capture;
pub mod cell;
mod choices;
mod error;
mod guarantees;
mod nulls;
mod registries;
pub mod rehearsal;
pub mod resolve;
pub mod runner;
pub mod scenario;
pub mod score;
mod score_labels;
pub mod threat;
pub mod vantage;

pub use error::HarnessError;
pub use registries::Registries;
