//! What can go wrong when scoring; every message is one line.

use std::path::PathBuf;

/// Why something could not be scored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricError {
    /// A metric that the registry does not have.
    #[error("unknown metric `{name}`{}; known: \
        {known}", hint.as_deref().map(|h| format!(", did you mean `{h}`?")).unwrap_or_default())]
    UnknownName {
        /// As written.
        name: String,
        /// The nearest known name.
        hint: Option<String>,
        /// All names, separated by commas.
        known: String,
    },
    /// Guess and truth differ in shape.
    #[error("the reconstruction has shape {guess:?}, the truth {truth:?}; both must be the same")]
    Shape {
        /// Shape of the guess.
        guess: Vec<i64>,
        /// Shape of the truth.
        truth: Vec<i64>,
    },
    /// Neither a batch of images nor of table rows.
    #[error("a tensor of shape {0:?} is neither images [N, C, H, W] nor table rows [N, F]")]
    Dimensions(Vec<i64>),
    /// A truth outside the pixel range.
    #[error("the truth has {what}; metrics take pixels in [0, 1], before any normalisation")]
    Truth {
        /// "non-finite values" or the range found.
        what: String,
    },
    /// Images that this metric cannot compare.
    #[error("{metric}: images of {channels}x{height}x{width} are not scored: {why}")]
    Unsuited {
        /// Name of the metric.
        metric: &'static str,
        /// Channels of the images.
        channels: i64,
        /// Pixels.
        height: i64,
        /// Pixels.
        width: i64,
        /// The requirement they miss.
        why: String,
    },
    /// A metric whose weights are not on this machine.
    #[error("{metric}: {why}; {remedy}")]
    Absent {
        /// Name of the metric.
        metric: &'static str,
        /// What was looked for, and where.
        why: String,
        /// How to get it.
        remedy: String,
    },
    /// Weights that do not fit their network.
    #[error("{}: {what}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// Which tensor, and what is wrong with it.
        what: String,
    },
    /// A weights file that cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] learning::checkpoint::CheckpointError),
    /// An image file that cannot be read.
    #[error("{}: {what}", path.display())]
    Image {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong and how to mend it.
        what: String,
    },
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(String),
}

impl From<tch::TchError> for MetricError {
    fn from(error: tch::TchError) -> Self {
        // libtorch appends a C++ stack trace; its first line is the message.
        let text = error.to_string();
        MetricError::Torch(text.lines().next().unwrap_or_default().to_string())
    }
}
