//! Synthetic runs and trainings shared by the tests of this crate.

#![allow(dead_code)]

pub mod gallery;
pub mod papers;
pub mod tasks;
pub mod trainings;
