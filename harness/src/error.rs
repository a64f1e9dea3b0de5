//! Errors of the harness, gathered from the crates below.

use federation::FederationError;
use thiserror::Error;

/// Why a cell could not be built or run.
#[derive(Debug, Error)]
pub enum HarnessError {
    /// From the federation, or what it stands on.
    #[error(transparent)]
    Federation(#[from] FederationError),
    /// From an attack.
    #[error(transparent)]
    Attack(#[from] attacks::AttackError),
    /// From a metric.
    #[error(transparent)]
    Metric(#[from] metrics::MetricError),
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
    /// A file that does not fit, by its name.
    #[error("{0}")]
    Weights(String),
    /// A number that had to be finite.
    #[error("{0}")]
    NotFinite(String),
}

/// Errors of the crates below come by way of the federation's.
macro_rules! below {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for HarnessError {
            fn from(error: $error) -> HarnessError {
                HarnessError::Federation(error.into())
            }
        })+
    };
}
below!(
    suites::SpecError,
    datasets::DatasetError,
    learning::LearningError,
    learning::checkpoint::CheckpointError,
    defenses::DefenseError,
    protocols::ProtocolError,
    record::RecordError,
    reports::ReportError,
);

impl HarnessError {
    /// Whether the user stopped it.
    pub fn is_cancelled(&self) -> bool {
        matches!(
            self,
            Self::Attack(attacks::AttackError::Cancelled)
                | Self::Federation(FederationError::Cancelled)
        )
    }

    /// Whether the system refused a file.
    pub fn is_io(&self) -> bool {
        match self {
            Self::Federation(error) => error.is_io(),
            Self::Io { .. } => true,
            _ => false,
        }
    }
}
