//! The columns of a table that a model was trained on: their names, and what scales each to `[0,
//! 1]`.

use std::path::Path;

use datasets::{Column, Kind};
use federation::model_file::ModelFile;
use harness::HarnessError;

use super::unfit;

/// A model's columns.
#[derive(Clone, Debug)]
pub struct Columns {
    /// One a feature.
    pub columns: Vec<Column>,
    /// Rows come with values in `[0, 1]` already.
    pub scaled: bool,
}

impl Columns {
    /// The columns of the table that a model was trained on, as its file carries them. `scaled`:
    /// rows come with values in `[0, 1]` already.
    ///
    /// # Errors
    /// A model of pictures, or of a table that does not say how it was scaled.
    pub fn from_model(
        model: &Path,
        saved: &ModelFile,
        scaled: bool,
    ) -> Result<Columns, HarnessError> {
        let card = &saved.card;
        if card.kind != Kind::Table {
            let problem = format!(
                "{} was trained on pictures ({}, {}x{}x{}), not on rows of a table; give a model \
                 such as that of `bench train wdbc-logistic`",
                super::describe(saved),
                card.name,
                card.channels,
                card.height,
                card.width
            );
            return Err(unfit(model, problem));
        }
        if card.columns.len() != card.channels {
            let problem = format!(
                "does not say how the columns of `{}` are scaled; train it again with this version",
                card.name
            );
            return Err(unfit(model, problem));
        }
        Ok(Columns { columns: card.columns.clone(), scaled })
    }

    /// Features of a row.
    pub fn count(&self) -> usize {
        self.columns.len()
    }
}
