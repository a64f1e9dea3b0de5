//! Why an attack gave nothing.

use thiserror::Error;

/// Errors of attacks, one line each.
#[derive(Debug, Error)]
pub enum AttackError {
    /// The attack is defined for other models or signals.
    #[error("not applicable: {0}")]
    NotApplicable(String),
    /// The signal cannot be attacked at all.
    #[error("the captured signal {0}")]
    BadSignal(String),
    /// A fact the threat model does not grant.
    #[error(
        "needs the fact `{0}`, which the threat model does not grant; add it to `facts` or choose \
         another attack"
    )]
    Missing(String),
    /// The user stopped the run.
    #[error("stopped on request")]
    Cancelled,
    /// From the specification.
    #[error(transparent)]
    Spec(#[from] suites::SpecError),
}
