//! The protocol trait: a protocol aggregates one round of flat updates and returns a
//! [`Transcript`].

use std::time::Instant;

use rand_chacha::ChaCha12Rng;
use suites::{Parameters, SpecError};
use thiserror::Error;

use crate::{Binding, Wire};

/// Why a round failed.
#[derive(Debug, Error)]
pub enum ProtocolError {
    /// A client's update cannot be encoded.
    #[error("client {client}: {problem}; {remedy}")]
    Update {
        /// The client.
        client: usize,
        /// What is wrong with its values.
        problem: String,
        /// How to mend it.
        remedy: String,
    },
    /// The round ended by the protocol's own rules: too few clients left, inconsistent sets, a
    /// forged message.
    #[error("round {round} aborted in phase `{phase}`: {reason}")]
    Aborted {
        /// The round.
        round: u64,
        /// Its phase.
        phase: String,
        /// Why, naming clients where they are known.
        reason: String,
    },
    /// Something that is not a message, key or ciphertext of this protocol.
    #[error("{what}: {problem}")]
    Malformed {
        /// The message, key or file.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// From the specification.
    #[error(transparent)]
    Spec(#[from] SpecError),
}

/// The size of a federation's rounds, known before a run.
#[derive(Clone, Copy, Debug)]
pub struct Federation {
    /// Clients in a round.
    pub clients: usize,
    /// Values in an update.
    pub values: usize,
    /// Largest weight (number of examples) of a client.
    pub max_weight: u64,
    /// Largest magnitude of a value, in steps of the grid that a private mechanism puts updates on;
    /// `None` for any real values.
    pub grid_steps: Option<f64>,
}

/// The input of one round.
pub struct Round<'a> {
    /// Number of the round; never used twice with the same keys.
    pub number: u64,
    /// Each client's update, all of one length.
    pub updates: &'a [Vec<f32>],
    /// Each client's weight in the mean: the examples it trained on, at least 1.
    pub weights: &'a [u64],
    /// The federation, its members and their models, which protocols with signatures bind.
    pub binding: Binding<'a>,
    /// The updates are whole multiples of this (distributed noise is drawn on that grid); `None`
    /// for any real values.
    pub grid: Option<f64>,
    /// The client whose upload the transcript keeps.
    pub watched: usize,
    /// Clients who pool their secrets with the server.
    pub colluders: &'a [usize],
    /// Clients whose update never arrives, though they took part until then; only for protocols
    /// that [`Protocol::survives_dropouts`].
    pub dropped: &'a [usize],
    /// Receives progress: phase, steps done, steps in all.
    pub progress: &'a (dyn Fn(&str, usize, usize) + Sync),
}

/// A client failure that the round survived.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The client.
    pub client: usize,
    /// Phase of the round.
    pub phase: String,
    /// What happened, e.g. "dropped out", "forged signature".
    pub what: String,
}

/// The result of a round: what each party holds at its end.
#[derive(Debug)]
pub struct Transcript {
    /// The weighted mean of the survivors' updates, for whoever is entitled to it.
    pub mean: Vec<f32>,
    /// Clients whose updates are in the mean, ascending.
    pub survivors: Vec<usize>,
    /// The watched client's upload exactly as the server held it.
    pub upload: Wire,
    /// The sum as the server holds it.
    pub sum: Wire,
    /// The watched client's update as server and colluders compute it together from their pooled
    /// secrets, where these suffice.
    pub pooled: Option<Vec<f32>>,
    /// Bytes each client sent, all phases.
    pub up: Vec<u64>,
    /// Bytes each client received, all phases (the next model is not in it).
    pub down: Vec<u64>,
    /// Seconds by phase, e.g. `keys`, `encrypt`, `aggregate`, `decrypt`: mean of a client, or the
    /// server's own.
    pub phases: Vec<(String, f64)>,
    /// Clients that failed on the way.
    pub failures: Vec<Failure>,
}

/// How readable a value is for a party, given the parameters; known before a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Readable as it is.
    Clear,
    /// Carried, but hidden: what is seen is masked words or ciphertext.
    Hidden,
    /// Not seen at all.
    Absent,
}

/// A protocol with its parameters fixed.
pub trait Protocol: Parameters + Send + Sync {
    /// Refuses what could not work: too few clients, an unreachable threshold, a sum that could
    /// overflow.
    ///
    /// # Errors
    /// One line that names the parameter.
    fn check(&self, federation: &Federation) -> Result<(), SpecError>;

    /// Runs one round. All randomness is drawn from `stream(purpose)`, a stream of its own
    /// for each purpose, so that a run can be repeated bit by bit; a deployment would draw from the
    /// operating system.
    ///
    /// # Errors
    /// A value beyond the encoding's range, or a round that aborts.
    fn exchange(
        &self,
        round: &Round,
        stream: &mut dyn FnMut(&str) -> ChaCha12Rng,
    ) -> Result<Transcript, ProtocolError>;

    /// What the server reads of a single client's upload.
    fn server_sees_update(&self) -> Exposure;

    /// What the server reads of the sum.
    fn server_sees_sum(&self) -> Exposure;

    /// Whether the server and `k` of `n` clients, pooling secrets, read another single client's
    /// update (beyond subtracting their own).
    fn pooled_sees_update(&self, k: usize, n: usize) -> bool;

    /// Whether there is a secret key that one party alone holds: `None` where no key exists,
    /// `Some(true)` where a single holder can open single updates, `Some(false)` where only all
    /// holders together can.
    fn key_opens_update(&self) -> Option<bool>;

    /// Whether a client may drop out inside the protocol, which is then given [`Round::dropped`].
    /// Otherwise a round is run among the clients that deliver.
    fn survives_dropouts(&self) -> bool {
        false
    }

    /// Whether every message of a client binds the model that it received: then a round needs
    /// [`Binding::members`] and [`Binding::models`].
    fn binds_model(&self) -> bool {
        false
    }

    /// The security claim in words: what is hidden from whom, under which assumption.
    fn claim(&self) -> String;

    /// Seconds one round will take, roughly, where that may be long.
    fn estimate(&self, _federation: &Federation) -> Option<f64> {
        None
    }
}

/// Runs `f` and adds its seconds to `clock`.
pub(crate) fn timed<T>(clock: &mut f64, f: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = f();
    *clock += start.elapsed().as_secs_f64();
    result
}
