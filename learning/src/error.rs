//! What can go wrong in `learning`.

use thiserror::Error;

use crate::shapes::remedy;

/// Errors of models, parameters and rounds; each message is one line that says what, where and how
/// to mend it.
#[derive(Debug, Error)]
pub enum LearningError {
    /// A tensor does not have the shape that the model's layout asks for.
    #[error(
        "parameter `{name}` has shape {found:?} where the model needs {expected:?}: {}",
        remedy(expected, found)
    )]
    Shape {
        /// Parameter name.
        name: String,
        /// Shape in the layout.
        expected: Vec<i64>,
        /// Shape found.
        found: Vec<i64>,
    },
    /// Another number of tensors than the layout has.
    #[error("{found} tensors given where the model has {expected} parameters")]
    Count {
        /// Number in the layout.
        expected: usize,
        /// Number found.
        found: usize,
    },
    /// Two names of one parameter come with different values.
    #[error(
        "`{name}` and `{own}` are one parameter of this model (tied weights), and hold different \
         values; is the checkpoint of another model?"
    )]
    Tied {
        /// The other name.
        name: String,
        /// The parameter's own.
        own: String,
    },
    /// A checkpoint names a parameter the model lacks.
    #[error("parameter `{name}` is not part of this model; is the checkpoint of another model?")]
    UnknownParameter {
        /// Parameter name.
        name: String,
    },
    /// A checkpoint lacks a parameter of the model.
    #[error("parameter `{name}` is missing from the checkpoint; is it of another model?")]
    MissingParameter {
        /// Parameter name.
        name: String,
    },
    /// A number that must be finite is not.
    #[error("{what} holds NaN or infinite values{place}; nothing can be computed from it")]
    NotFinite {
        /// What was looked at.
        what: String,
        /// Where, or empty.
        place: String,
    },
    /// A setting that cannot work.
    #[error("{0}")]
    Invalid(String),
    /// From the specification.
    #[error(transparent)]
    Spec(#[from] suites::SpecError),
}
