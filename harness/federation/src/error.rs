//! Errors of a federation, gathered from the crates below.

use thiserror::Error;

/// Why a federation could not be prepared or trained.
#[derive(Debug, Error)]
pub enum FederationError {
    /// From the specification.
    #[error(transparent)]
    Spec(#[from] suites::SpecError),
    /// From a data set.
    #[error(transparent)]
    Data(#[from] datasets::DatasetError),
    /// From models, weights or rounds.
    #[error(transparent)]
    Learning(#[from] learning::LearningError),
    /// From a checkpoint file.
    #[error(transparent)]
    Checkpoint(#[from] learning::checkpoint::CheckpointError),
    /// From a defense.
    #[error(transparent)]
    Defense(#[from] defenses::DefenseError),
    /// From a protocol.
    #[error(transparent)]
    Protocol(#[from] protocols::ProtocolError),
    /// From the run store or a training's folder.
    #[error(transparent)]
    Record(#[from] record::RecordError),
    /// From a report.
    #[error(transparent)]
    Report(#[from] reports::ReportError),
    /// A file that could not be read or written.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// "read", "write", ...
        what: &'static str,
        /// Which file.
        path: String,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A checkpoint that does not fit, with its file.
    #[error("{0}")]
    Weights(String),
    /// Local training that libtorch refused, in its words.
    #[error("{0}")]
    Training(String),
    /// A number that had to be finite.
    #[error("{0}")]
    NotFinite(String),
    /// The user stopped it before there was anything to keep.
    #[error("stopped")]
    Cancelled,
}

impl FederationError {
    /// Whether the system refused a file.
    pub fn is_io(&self) -> bool {
        use learning::checkpoint::CheckpointError;
        match self {
            Self::Io { .. } | Self::Checkpoint(CheckpointError::Io { .. }) => true,
            Self::Record(error) => error.is_io(),
            Self::Report(error) => error.is_io(),
            _ => false,
        }
    }
}
