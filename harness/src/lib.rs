//! Plan, run, score, store: the machinery behind the `bench` binary.

pub mod artifacts;
pub mod capture;
pub mod cell;
pub mod cli;
mod clock;
pub mod device;
mod error;
pub mod machine;
pub mod metrics;
pub mod plan;
pub mod progress;
pub mod runner;
pub mod score;
pub mod score_files;
pub mod settings;
pub mod threat;
pub mod verbs;
pub mod world;

pub use error::HarnessError;
