//! Differential privacy: mechanisms, their calibration and their accounting.

pub mod accountant;
pub mod analytic;
#[cfg(test)]
mod audit;
mod budget;
pub mod calibrate;
pub mod central;
pub mod clip;
pub(crate) mod common;
pub mod distributed;
mod grid;
pub mod local;
pub mod sgd;

pub use budget::{Budget, Neighbouring, Unit};
pub use clip::{Clip, Pilot};
