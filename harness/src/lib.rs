//! Plan, run, score, store: the machinery behind the `bench` binary.

pub mod artifacts;
pub mod capture;
pub mod cell;
mod claims;
pub mod cli;
mod clock;
mod deploy;
pub mod device;
mod error;
pub mod infer;
pub mod invert;
mod line;
pub mod machine;
pub mod metrics;
pub mod plan;
pub mod price;
pub mod progress;
mod round;
pub mod runner;
pub mod saved;
pub mod score;
pub mod score_files;
pub mod settings;
mod start;
pub mod threat;
mod train;
pub mod training;
pub mod vantage;
pub mod verbs;
pub mod world;

pub use error::HarnessError;
