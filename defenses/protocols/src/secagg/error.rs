//! Why a client of a round takes no further part.

use thiserror::Error;

use super::message::Malformed;
use crate::signatures::{KeyError, Rejected};

/// Why a client takes no further part.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ClientError {
    /// A message that is not what it should be.
    #[error("refuses a message of {from}: {why}")]
    Message {
        /// Whose message it was meant to be.
        from: String,
        /// What is wrong.
        why: Rejected,
    },
    /// A signed message without sense.
    #[error("refuses a message: {0}")]
    Nonsense(#[from] Malformed),
    /// A neighbour signed the hash of another model than the one that this client received
    /// (Pasquini, Francati and Ateniese 2022).
    #[error(
        "refuses: client {other} was sent another model than client {own}: model inconsistency"
    )]
    Model {
        /// The client that refuses.
        own: u32,
        /// The other one.
        other: u32,
    },
    /// The round's number is not above the last one.
    #[error("refuses round {round}: it took part in round {last} already")]
    Repeated {
        /// The number that was offered.
        round: u64,
        /// The last one.
        last: u64,
    },
    /// Fewer than the threshold.
    #[error("refuses: {have} of its neighbourhood are left, the threshold is {need}")]
    TooFew {
        /// How many there are.
        have: usize,
        /// How many are needed.
        need: usize,
    },
    /// A client that was not in the earlier set, or not its neighbour.
    #[error("refuses: client {0} was not among those who took the step before")]
    NotSubset(u32),
    /// A client twice.
    #[error("refuses: client {0} appears twice")]
    Twice(u32),
    /// A public key that another client, or the one who refuses, advertised too.
    #[error("refuses: client {0} advertised a key that another has too")]
    SameKey(u32),
    /// An input of its own that is not as long as planned.
    #[error("refuses: its input has {have} words, the round carries {need}")]
    Input {
        /// Words of the input.
        have: usize,
        /// Words of the plan.
        need: usize,
    },
    /// The set of survivors lacks the client itself, though it sent its input.
    #[error("refuses: its own input is not in the sum")]
    LeftOut,
    /// Others signed another set of survivors.
    #[error("refuses: client {0} signed another set of survivors")]
    Inconsistent(u32),
    /// A step that is not the next one: each is taken once.
    #[error("refuses: phase `{0}` is not the next one")]
    OutOfOrder(&'static str),
    /// A public key of small order, or another failure of the library.
    #[error("refuses: unusable key of client {0}")]
    Key(u32),
    /// It could not sign.
    #[error(transparent)]
    Sign(#[from] KeyError),
}
