//! The crate's error.

use record::RecordError;

/// Why runs could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A run folder or a file that cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Two runs that cannot be compared, or a run no baseline can be made of; why, in one line.
    #[error("{0}")]
    Incomparable(String),
}

impl CompareError {
    /// Whether the system refused a file or folder.
    pub fn is_io(&self) -> bool {
        matches!(self, Self::Record(error) if error.is_io())
    }
}
