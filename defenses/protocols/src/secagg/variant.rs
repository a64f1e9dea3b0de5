//! What differs between `secagg` and `secagg-plus`, and the [`Protocol`] that both are.

use rand_chacha::ChaCha12Rng;
use serde::Serialize;
use suites::SpecError;

use super::exchange::{CommonParams, Topology};
use crate::{Exposure, Federation, Protocol, ProtocolError, Round, Transcript};

/// One variant of the protocol, with its parameters.
pub(super) trait Variant: Serialize + Send + Sync {
    /// The parameters that both variants have.
    fn common(&self) -> CommonParams<'_>;

    /// Who masks with whom among `clients`.
    ///
    /// # Errors
    /// A number of clients, neighbours or shares with which the protocol would not be secure.
    fn topology(&self, clients: usize) -> Result<Topology, SpecError>;

    /// Refuses parameters out of their ranges, whatever the federation.
    ///
    /// # Errors
    /// One line that names the parameter.
    fn check_params(&self) -> Result<(), SpecError> {
        self.common().check_values()
    }

    /// Refuses more dropouts than this variant is made for.
    ///
    /// # Errors
    /// One line that names the parameter.
    fn check_dropouts(&self, _clients: usize) -> Result<(), SpecError> {
        Ok(())
    }

    /// In words: which clients are compared, where those are not all of a round.
    fn checked(&self) -> &'static str {
        ""
    }

    /// In words: what the server does not learn, and with how many clients on its side.
    fn secrecy(&self) -> String;
}

impl<V: Variant> Protocol for V {
    fn check(&self, federation: &Federation) -> Result<(), SpecError> {
        self.check_params()?;
        self.common().check(federation, |n| self.topology(n))?;
        self.check_dropouts(federation.clients)
    }

    fn exchange(
        &self,
        round: &Round,
        stream: &mut dyn FnMut(&str) -> ChaCha12Rng,
    ) -> Result<Transcript, ProtocolError> {
        self.common().exchange(&self.topology(round.updates.len())?, round, stream)
    }

    fn survives_dropouts(&self) -> bool {
        true
    }

    fn binds_model(&self) -> bool {
        true
    }

    fn server_sees_update(&self) -> Exposure {
        Exposure::Hidden
    }

    fn server_sees_sum(&self) -> Exposure {
        Exposure::Clear
    }

    /// Whether `k` clients can hold enough shares: with a sparse graph only where so many of them
    /// are neighbours of the one attacked.
    fn pooled_sees_update(&self, k: usize, n: usize) -> bool {
        self.topology(n).is_ok_and(|topology| k >= topology.threshold)
    }

    fn key_opens_update(&self) -> Option<bool> {
        None
    }

    fn claim(&self) -> String {
        let step = self.common().step();
        format!(
            "{}; no two of its clients{} are sent different models, but a server that lies can \
             send all of them the same malicious model, choose who is in the round, and invent \
             clients whose updates it knows (Sybil); the sum itself is not protected; values are \
             rounded to steps of {step:.1e}, or lie on the grid of the noise where there is one",
            self.secrecy(),
            self.checked()
        )
    }

    fn estimate(&self, federation: &Federation) -> Option<f64> {
        let n = federation.clients;
        let degree = self.topology(n).ok()?.degree.unwrap_or(n.saturating_sub(1));
        self.common().estimate(federation, degree)
    }
}
