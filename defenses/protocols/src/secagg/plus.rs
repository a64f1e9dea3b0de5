//! `secagg-plus`: the same round on a sparse random graph, for many clients.

use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use suites::{Entry, SpecError};

use super::encode::OutOfRange;
use super::exchange::{self, Common, Shape};
use super::graph::{self, Rates};
use super::message::Phase;
use super::{SecAgg, default_threshold, shamir};
use crate::signatures::Scheme;
use crate::{Exposure, Federation, Protocol, ProtocolError, Round, Transcript};

/// Registry entry.
pub static ENTRY: Entry<dyn Protocol> = Entry {
    name: "secagg-plus",
    summary: "secure aggregation in which each client masks with a few random neighbours: for \
        hundreds of clients and more",
    reference: "Bell et al.: Secure Single-Server Aggregation with (Poly)Logarithmic Overhead, \
        CCS 2020",
    build: |map| {
        let setting: SecAggPlus = suites::params("secagg-plus", map)?;
        setting.common().check_values()?;
        setting.check_rates()?;
        Ok(Box::new(setting))
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
    fn common(&self) -> Common<'_> {
        Common {
            name: "secagg-plus",
            range: self.range,
            bits: self.bits,
            out_of_range: self.out_of_range,
            signature: self.signature,
            dropouts: self.dropouts,
            drop_phase: self.drop_phase,
        }
    }

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

    /// Degree and threshold for `n` clients.
    fn shape(&self, n: usize) -> Result<Shape, SpecError> {
        match self.neighbours {
            Some(k) if k + 1 < n => self.sparse(n, k),
            None => match (graph::smallest(n, self.rates()), self.threshold) {
                (Some((k, _)), Some(_)) => self.sparse(n, k),
                (Some((k, threshold)), None) => Ok(Shape { degree: Some(k), threshold }),
                (None, _) => self.complete(n),
            },
            Some(_) => self.complete(n),
        }
    }

    /// All others as neighbours: a round of `secagg`.
    fn complete(&self, n: usize) -> Result<Shape, SpecError> {
        if n > shamir::MOST {
            return Err(self.weak(n, "no number of neighbours up to 254".into()));
        }
        let threshold = self.threshold.unwrap_or_else(|| default_threshold(n));
        if threshold > n || 2 * threshold <= n {
            return Err(SpecError::value(
                "protocol.secagg-plus.threshold",
                format!("is {threshold} for {n} clients who are all neighbours"),
                format!("write {} to {n}", n / 2 + 1),
            ));
        }
        Ok(Shape { degree: None, threshold })
    }

    fn sparse(&self, n: usize, k: usize) -> Result<Shape, SpecError> {
        if k < 2 || k % 2 == 1 || k >= shamir::MOST {
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
            (Some(threshold), _) => Ok(Shape { degree: Some(k), threshold }),
            (None, Some(t)) => Err(self.weak(n, format!("a threshold of {t} with {k} neighbours"))),
            (None, None) => Err(self.weak(n, format!("no threshold with {k} neighbours"))),
        }
    }

    fn weak(&self, n: usize, what: String) -> SpecError {
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

impl Protocol for SecAggPlus {
    fn check(&self, federation: &Federation) -> Result<(), SpecError> {
        self.check_rates()?;
        self.common().check(federation, |n| self.shape(n))?;
        let allowed = (self.dropout_rate * federation.clients as f64).ceil() as usize;
        if self.shape(federation.clients)?.degree.is_some() && self.dropouts > allowed {
            return Err(SpecError::value(
                "protocol.secagg-plus.dropouts",
                format!("is {}, more than dropout_rate allows", self.dropouts),
                format!("write at most {allowed} or raise dropout_rate"),
            ));
        }
        Ok(())
    }

    fn exchange(
        &self,
        round: &Round,
        stream: &mut dyn FnMut(&str) -> ChaCha12Rng,
    ) -> Result<Transcript, ProtocolError> {
        self.common().exchange(&self.shape(round.updates.len())?, round, stream)
    }

    fn survives_dropouts(&self) -> bool {
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
        self.shape(n).is_ok_and(|shape| k >= shape.threshold)
    }

    fn key_opens_update(&self) -> Option<bool> {
        None
    }

    fn claim(&self) -> String {
        format!(
            "the server, which keeps to the protocol, learns the sum only, even with {}% of the \
             clients, except with probability 2^-40 over the \
             random graph; the sum itself is not protected; {}",
            100.0 * self.corrupt_rate,
            exchange::rounding(&self.common())
        )
    }

    fn estimate(&self, federation: &Federation) -> Option<f64> {
        let n = federation.clients;
        let degree = self.shape(n).ok()?.degree.unwrap_or(n.saturating_sub(1));
        self.common().estimate(federation, degree)
    }

    fn spelled_out(&self) -> Map<String, Value> {
        exchange::spelled_out(self)
    }
}
