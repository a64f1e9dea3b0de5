//! `secagg-plus`: the same round on a sparse random graph, for many clients.

use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};

use super::encode::OutOfRange;
use super::exchange::{CommonParams, Topology};
use super::graph::{self, Rates};
use super::message::Phase;
use super::variant::Variant;
use super::{SecAgg, default_threshold, shamir};
use crate::Protocol;
use crate::signatures::Scheme;

/// Registry entry.
pub static ENTRY: Entry<dyn Protocol> = Entry {
    name: "secagg-plus",
    summary: "secure aggregation in which each client masks with a few random neighbours: for \
        hundreds of clients and more",
    reference: "Bell et al.: Secure Single-Server Aggregation with (Poly)Logarithmic Overhead, \
        CCS 2020",
    build: |map| {
        let params: SecAggPlus = suites::params("secagg-plus", map)?;
        params.check_params()?;
        Ok(Box::new(params))
    },
};

/// Parameters.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecAggPlus {
    /// Neighbours of each client, even, at most 254; by default the fewest that hold for the two
    /// rates below, all where no fewer do.
    pub neighbours: Option<usize>,
    /// Shares, of a client and its neighbours, that recover a secret; by default the fewest above
    /// half that hold for the two rates.
    pub threshold: Option<usize>,
    /// Share of clients who may pool their secrets with the server, 0 to below 0.5.
    pub corrupt_rate: f64,
    /// Share of clients who may drop out, 0 to below 0.5.
    pub dropout_rate: f64,
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

impl Default for SecAggPlus {
    fn default() -> SecAggPlus {
        let SecAgg { range, bits, out_of_range, signature, dropouts, drop_phase, .. } =
            SecAgg::default();
        SecAggPlus {
            neighbours: None,
            threshold: None,
            corrupt_rate: 0.2,
            dropout_rate: 0.1,
            range,
            bits,
            out_of_range,
            signature,
            dropouts,
            drop_phase,
        }
    }
}

impl SecAggPlus {
    fn rates(&self) -> Rates {
        Rates { corrupt: self.corrupt_rate, dropout: self.dropout_rate }
    }

    fn check_rates(&self) -> Result<(), SpecError> {
        let rates = [("corrupt_rate", self.corrupt_rate), ("dropout_rate", self.dropout_rate)];
        match rates.into_iter().find(|(_, rate)| !(0.0..0.5).contains(rate)) {
            Some((name, rate)) => Err(SpecError::value(
                format!("protocol.secagg-plus.{name}"),
                format!("is {rate}"),
                "write 0 to below 0.5",
            )),
            None => Ok(()),
        }
    }

    /// All others as neighbours: a round of `secagg`.
    fn complete(&self, n: usize) -> Result<Topology, SpecError> {
        if n > shamir::MAX_SHARES {
            return Err(self.insecure(n, "no number of neighbours up to 254".into()));
        }
        let threshold = self.threshold.unwrap_or_else(|| default_threshold(n));
        if threshold > n || 2 * threshold <= n {
            return Err(SpecError::value(
                "protocol.secagg-plus.threshold",
                format!("is {threshold} for {n} clients who are all neighbours"),
                format!("write {} to {n}", n / 2 + 1),
            ));
        }
        Ok(Topology { degree: None, threshold })
    }

    fn sparse(&self, n: usize, k: usize) -> Result<Topology, SpecError> {
        if k < 2 || k % 2 == 1 || k >= shamir::MAX_SHARES {
            return Err(SpecError::value(
                "protocol.secagg-plus.neighbours",
                format!("is {k}"),
                "write an even number from 2 to 254",
            ));
        }
        let threshold = match self.threshold {
            Some(t) => {
                Some(t).filter(|&t| 2 * t > k + 1 && t <= k && graph::holds(n, k, t, self.rates()))
            }
            None => graph::threshold(n, k, self.rates()),
        };
        match (threshold, self.threshold) {
            (Some(threshold), _) => Ok(Topology { degree: Some(k), threshold }),
            (None, Some(t)) => {
                Err(self.insecure(n, format!("a threshold of {t} with {k} neighbours")))
            }
            (None, None) => Err(self.insecure(n, format!("no threshold with {k} neighbours"))),
        }
    }

    fn insecure(&self, n: usize, what: String) -> SpecError {
        let remedy = match graph::smallest(n, self.rates()) {
            Some((k, t)) => format!("write neighbours = {k}, threshold = {t}, or lower a rate"),
            None => "lower corrupt_rate or dropout_rate".into(),
        };
        SpecError::value(
            "protocol.secagg-plus.neighbours",
            format!(
                "{what} holds for {n} clients with corrupt_rate {} and dropout_rate {} (to 2^-40 \
                 in secrecy, 2^-30 in completing)",
                self.corrupt_rate, self.dropout_rate
            ),
            remedy,
        )
    }
}

impl Variant for SecAggPlus {
    fn common(&self) -> CommonParams<'_> {
        CommonParams {
            name: "secagg-plus",
            range: self.range,
            bits: self.bits,
            out_of_range: self.out_of_range,
            signature: self.signature,
            dropouts: self.dropouts,
            drop_phase: self.drop_phase,
        }
    }

    fn topology(&self, n: usize) -> Result<Topology, SpecError> {
        match self.neighbours {
            Some(k) if k + 1 < n => self.sparse(n, k),
            None => match (graph::smallest(n, self.rates()), self.threshold) {
                (Some((k, _)), Some(_)) => self.sparse(n, k),
                (Some((k, threshold)), None) => Ok(Topology { degree: Some(k), threshold }),
                (None, _) => self.complete(n),
            },
            Some(_) => self.complete(n),
        }
    }

    fn check_params(&self) -> Result<(), SpecError> {
        self.common().check_values()?;
        self.check_rates()
    }

    fn check_dropouts(&self, clients: usize) -> Result<(), SpecError> {
        let allowed = (self.dropout_rate * clients as f64).ceil() as usize;
        if self.topology(clients)?.degree.is_none() || self.dropouts <= allowed {
            return Ok(());
        }
        Err(SpecError::value(
            "protocol.secagg-plus.dropouts",
            format!("is {}, more than dropout_rate allows", self.dropouts),
            format!("write at most {allowed} or raise dropout_rate"),
        ))
    }

    fn checked(&self) -> &'static str {
        " that are neighbours"
    }

    fn secrecy(&self) -> String {
        format!(
            "the server, which keeps to the protocol, learns the sum only, even with {}% of the \
             clients, except with probability 2^-40 over the random graph",
            100.0 * self.corrupt_rate
        )
    }
}
