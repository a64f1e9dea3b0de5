//! Differential privacy: mechanisms, their calibration and their accounting.

pub mod analytic;
mod budget;
pub mod central;
mod common;
pub mod local;

pub use budget::{Budget, Neighbouring, Unit};
