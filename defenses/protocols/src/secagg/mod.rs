//! Secure aggregation: the server learns the sum of the updates and nothing of a single one.
//!
//! `secagg` is the protocol of Bonawitz et al. 2017 with signatures and the consistency check;
//! `secagg-plus` is its sparse variant after Bell et al. 2020. Client and server are state machines
//! that exchange bytes; only the wire between them is simulated.

mod client;
mod encode;
mod error;
mod exchange;
mod graph;
mod keys;
mod masks;
mod member;
mod message;
mod pack;
mod plus;
mod run;
mod server;
mod shamir;
mod unmask;
mod variant;

pub use client::Client;
pub use encode::{Encoding, OutOfRange, modulus};
pub use error::ClientError;
pub use graph::{Graph, Rates};
pub use member::{Directory, Member, Plan, Session};
pub use message::{
    Advert, Malformed, Phase, Reveal, Sealed, Set, Shares, decode_bundle, decode_reveals,
    encode_bundle, encode_reveals,
};
pub use plus::{ENTRY as PLUS, SecAggPlus};
pub use run::{Delivery, Faults, Outcome, Setup, run};
pub use server::{Abort, Dropped, Server};
pub use shamir::{Recovered, Share, recover, split};

use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};

use crate::Protocol;
use crate::signatures::Scheme;
use exchange::{CommonParams, Topology};
use variant::Variant;

/// Registry entry.
pub static ENTRY: Entry<dyn Protocol> = Entry {
    name: "secagg",
    summary: "pairwise and self masks that cancel in the sum, with signatures and dropouts; the \
        server reads the sum only",
    reference: "Bonawitz et al.: Practical Secure Aggregation for Privacy-Preserving Machine \
        Learning, CCS 2017",
    build: |map| {
        let params: SecAgg = suites::params("secagg", map)?;
        params.check_params()?;
        Ok(Box::new(params))
    },
};

/// Parameters.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecAgg {
    /// Clients whose shares recover a secret, above `n / 2`, at most `n`; by default `floor(2n / 3)
    /// + 1`, which the paper asks for against a server that lies.
    pub threshold: Option<usize>,
    /// Values lie in `[-range, range]`.
    pub range: f64,
    /// Bits of a value, 2 to 52.
    pub bits: u32,
    /// What happens to values beyond the range.
    pub out_of_range: OutOfRange,
    /// Signature scheme of all messages.
    pub signature: Scheme,
    /// Clients that drop out of the simulated round, drawn at random, never the watched one.
    pub dropouts: usize,
    /// The phase whose message they fail to send.
    pub drop_phase: Phase,
}

impl Default for SecAgg {
    fn default() -> SecAgg {
        SecAgg {
            threshold: None,
            range: 8.0,
            bits: 32,
            out_of_range: OutOfRange::Refuse,
            signature: Scheme::Ed25519,
            dropouts: 0,
            drop_phase: Phase::Masked,
        }
    }
}

/// `floor(2n / 3) + 1` (Bonawitz et al. 2017, section 6: up to a third of the clients with a server
/// that lies).
pub(crate) fn default_threshold(n: usize) -> usize {
    2 * n / 3 + 1
}

impl Variant for SecAgg {
    fn common(&self) -> CommonParams<'_> {
        CommonParams {
            name: "secagg",
            range: self.range,
            bits: self.bits,
            out_of_range: self.out_of_range,
            signature: self.signature,
            dropouts: self.dropouts,
            drop_phase: self.drop_phase,
        }
    }

    fn topology(&self, n: usize) -> Result<Topology, SpecError> {
        if n > shamir::MAX_SHARES {
            return Err(SpecError::value(
                "federation.clients.total",
                format!(
                    "is {n}: secagg shares each secret among all clients, at most {}",
                    shamir::MAX_SHARES
                ),
                "use the protocol secagg-plus",
            ));
        }
        let threshold = self.threshold.unwrap_or_else(|| default_threshold(n));
        if threshold > n || 2 * threshold <= n {
            return Err(SpecError::value(
                "protocol.secagg.threshold",
                format!("is {threshold} for {n} clients"),
                format!(
                    "write {} to {n} (with half or fewer, a server could get both kinds of shares \
                     of one client)",
                    n / 2 + 1
                ),
            ));
        }
        Ok(Topology { degree: None, threshold })
    }

    fn secrecy(&self) -> String {
        let t = self.threshold.map_or("floor(2n/3)+1".to_string(), |t| t.to_string());
        format!(
            "the server learns the sum only, even with up to t-1 clients (t = {t}) while all keep \
             to the protocol, and with up to a third of the clients where it lies and t > 2n/3"
        )
    }
}
