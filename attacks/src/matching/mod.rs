//! One engine for every attack that matches gradients; the attacks themselves are presets over it.

pub mod config;
mod defense_channel;
pub mod defense_model;
pub mod derivative;
mod dummy_labels;
pub mod engine;
mod entry_constraint;
mod flags;
pub mod init;
mod label_evidence;
pub mod labels;
pub mod objective;
pub mod prior;
mod problem;
pub mod signal;
pub mod statistics;
mod unroll;
pub mod weights;

pub use config::MatchingConfig;
pub use defense_model::DefenseModel;
pub use engine::Matching;
