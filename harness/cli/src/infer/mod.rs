//! Trained models in use: rows of a table and pictures as a model's inputs, and scores computed
//! under encryption.

pub mod columns;
pub mod dialect;
pub mod images;
pub mod linear;
mod range;
pub mod recognise;
pub mod scoring;
pub mod seen;
pub mod table;

use std::path::Path;

use federation::model_file::ModelFile;
use harness::HarnessError;

/// Something that does not fit a model: one line that names the file.
pub(crate) fn unfit(path: &Path, problem: impl std::fmt::Display) -> HarnessError {
    HarnessError::Weights(format!("{}: {problem}", path.display()))
}

/// A model in a few words: the task it was trained for, its architecture, its rounds.
pub fn describe(saved: &ModelFile) -> String {
    let rounds = if saved.round == 1 { "round" } else { "rounds" };
    format!("{} ({}, {} {rounds})", saved.spec.name, saved.spec.model.title(), saved.round)
}
