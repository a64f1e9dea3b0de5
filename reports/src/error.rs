//! The crate's error.

use compare::CompareError;
use record::RecordError;
use std::path::PathBuf;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A run folder or a file that cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Runs that cannot be compared.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// The folder holds no `records.csv`.
    #[error(
        "{0} is not a training's folder (it has no records.csv); give the folder that `bench \
         train` printed"
    )]
    NotATraining(PathBuf),
    /// Nothing to compare.
    #[error("no training was given to compare; name the folder of at least one")]
    NothingToCompare,
    /// Figures or tables are declared in a way that cannot be read.
    #[error(transparent)]
    Declared(#[from] suites::SpecError),
}

impl ReportError {
    /// Whether the system refused a file or folder.
    pub fn is_io(&self) -> bool {
        match self {
            Self::Record(error) => error.is_io(),
            Self::Compare(error) => error.is_io(),
            _ => false,
        }
    }
}
