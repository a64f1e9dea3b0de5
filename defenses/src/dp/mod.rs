//! Differential privacy: mechanisms, their calibration and their accounting.

pub mod analytic;
mod budget;
pub mod central;
pub(crate) mod common;
pub mod local;

pub use budget::{Budget, Neighbouring, Unit};
