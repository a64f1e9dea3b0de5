//! Differential privacy: mechanisms and their calibration.

pub mod analytic;
pub mod gaussian;
