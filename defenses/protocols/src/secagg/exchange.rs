//! One round of either variant: encoding, dropouts, transcript.

use std::sync::Arc;

use rand::seq::index;
use rand_chacha::ChaCha12Rng;
use suites::SpecError;

use super::client::Client;
use super::encode::{Encoding, OutOfRange, modulus};
use super::graph::Graph;
use super::member::{Plan, Session};
use super::message::Phase;
use super::run::{Faults, Outcome, Setup, run};
use crate::signatures::Scheme;
use crate::wire::signed;
use crate::{Federation, ProtocolError, Round, Transcript, Wire};

/// Largest rounding step, in units of the update's values: beyond it rounding would be a defense of
/// its own.
const MAX_STEP: f64 = 1e-3;

/// Parameters that both variants have.
pub(super) struct CommonParams<'a> {
    pub name: &'a str,
    pub range: f64,
    pub bits: u32,
    pub out_of_range: OutOfRange,
    pub signature: Scheme,
    pub dropouts: usize,
    pub drop_phase: Phase,
}

/// The mask graph and the threshold of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Topology {
    /// Neighbours of each client; `None` for all others.
    pub degree: Option<usize>,
    /// Shares that recover a secret.
    pub threshold: usize,
}

impl Topology {
    fn graph(&self, n: usize, stream: &mut dyn FnMut(&str) -> ChaCha12Rng) -> Graph {
        match self.degree {
            None => Graph::complete(n),
            Some(degree) => Graph::harary(n, degree, &mut stream("secagg graph")),
        }
    }
}

impl CommonParams<'_> {
    fn path(&self, parameter: &str) -> String {
        format!("protocol.{}.{parameter}", self.name)
    }

    /// Ranges that need no federation to check.
    pub fn check_values(&self) -> Result<(), SpecError> {
        if !(self.range.is_finite() && self.range > 0.0) {
            let problem = format!("is {}", self.range);
            return Err(SpecError::value(self.path("range"), problem, "write a number above 0"));
        }
        if !(2..=52).contains(&self.bits) {
            let problem = format!("is {}", self.bits);
            return Err(SpecError::value(self.path("bits"), problem, "write 2 to 52"));
        }
        Ok(())
    }

    /// Size of a rounding step, where no grid replaces it.
    pub fn step(&self) -> f64 {
        self.range / 2f64.powi(self.bits as i32 - 1)
    }

    /// Steps that would blur an update.
    fn check_step(&self) -> Result<(), SpecError> {
        if self.step() <= MAX_STEP {
            return Ok(());
        }
        let bits = (self.range / MAX_STEP).log2().ceil() + 1.0;
        let steps = format!("steps of {:.1e}, above {MAX_STEP}", self.step());
        Err(SpecError::value(
            self.path("bits"),
            format!(
                "is {}: with range {} values would be rounded to {steps}",
                self.bits, self.range
            ),
            format!("write bits = {bits} or more, or a smaller range"),
        ))
    }

    /// Words too short for values of up to `steps` steps of the noise's grid.
    fn check_grid(&self, steps: f64) -> Result<(), SpecError> {
        let needed = steps.log2().ceil() as u32 + 1;
        if self.bits >= needed {
            return Ok(());
        }
        Err(SpecError::value(
            self.path("bits"),
            format!(
                "is {}: the private mechanism sends values of up to {steps:.0} steps of its grid",
                self.bits
            ),
            format!("write bits = {needed} or more"),
        ))
    }

    /// Refuses parameters that cannot work in this federation.
    pub fn check(
        &self,
        federation: &Federation,
        topology: impl Fn(usize) -> Result<Topology, SpecError>,
    ) -> Result<(), SpecError> {
        let n = federation.clients;
        if n < 2 {
            return Err(SpecError::value(
                "federation.clients.total",
                format!("is {n}: the sum of one client is its update"),
                "write at least 2",
            ));
        }
        match federation.grid_steps {
            Some(steps) => self.check_grid(steps)?,
            None => self.check_step()?,
        }
        let topology = topology(n)?;
        let spare = match topology.degree {
            None => n - topology.threshold,
            Some(degree) => (degree + 1).saturating_sub(topology.threshold).min(n - 2),
        };
        if topology.degree.is_none() && self.dropouts > spare {
            return Err(SpecError::value(
                self.path("dropouts"),
                format!(
                    "is {}, but {} of {n} clients must stay",
                    self.dropouts, topology.threshold
                ),
                format!("write at most {spare} or lower the threshold"),
            ));
        }
        modulus(self.name, n, federation.max_weight, self.bits).map(|_| ())
    }

    /// Runs the round.
    pub fn exchange(
        &self,
        topology: &Topology,
        round: &Round,
        stream: &mut dyn FnMut(&str) -> ChaCha12Rng,
    ) -> Result<Transcript, ProtocolError> {
        check_round(round)?;
        if round.grid.is_none() {
            self.check_step()?;
        }
        let n = round.updates.len();
        let max_weight = round.weights.iter().copied().max().unwrap_or(1);
        let encoding = Encoding::new(
            self.range,
            self.bits,
            round.grid,
            self.out_of_range,
            modulus(self.name, n, max_weight, self.bits)?,
        );
        let setup = Setup {
            federation: round.binding.federation,
            session: Session {
                plan: Plan {
                    round: round.number,
                    clients: n,
                    threshold: topology.threshold,
                    words: round.updates.first().map_or(0, Vec::len) + 1,
                    bits: encoding.modulus,
                    scale: encoding.scale,
                },
                members: round.binding.members.iter().map(|&m| m as u64).collect(),
                graph: Arc::new(topology.graph(n, stream)),
            },
            models: round.binding.models.to_vec(),
            scheme: self.signature,
            watched: round.watched as u32,
            progress: round.progress,
        };
        let drops = self.drops(n, round, &mut stream("secagg dropouts"));
        let rngs = (0..n).map(|i| stream(&format!("secagg client {i}"))).collect();
        let inputs = |i: usize| encoding.encode(i, &round.updates[i], round.weights[i]);
        let outcome = run(&setup, rngs, &inputs, &Faults { drops, tamper: None })?;
        transcript(outcome, &encoding, round)
    }

    /// Dropouts with their phase: the clients that the round names, and a random choice among the
    /// others without the watched client and the colluders.
    fn drops(
        &self,
        n: usize,
        round: &Round,
        rng: &mut ChaCha12Rng,
    ) -> std::collections::BTreeMap<u32, Phase> {
        let others: Vec<u32> = (0..n as u32)
            .filter(|&i| i as usize != round.watched && !round.colluders.contains(&(i as usize)))
            .filter(|&i| !round.dropped.contains(&(i as usize)))
            .collect();
        let chosen = index::sample(rng, others.len(), self.dropouts.min(others.len()));
        let named = round.dropped.iter().map(|&i| (i as u32, self.drop_phase));
        chosen.into_iter().map(|i| (others[i], self.drop_phase)).chain(named).collect()
    }

    /// Seconds of a round on one core, from measured rates, where that is above one: 3 GB/s of mask
    /// stream, 60 us a pair and direction for key agreement, shares and sealing, 0.15 s an RSA key
    /// (made once a process).
    pub fn estimate(&self, federation: &Federation, degree: usize) -> Option<f64> {
        let (n, degree) = (federation.clients as f64, degree as f64);
        let masks = n * (degree + 2.0) * federation.values as f64 * 8.0 / 3e9;
        let shares = n * degree * (120e-6 + 1e-6 * degree);
        let keys = if self.signature == Scheme::RsaPss { 0.15 * n } else { 0.0 };
        Some(masks + shares + keys).filter(|seconds| *seconds > 1.0)
    }
}

/// Refuses a round whose parts do not belong together: nothing is cut or filled up.
fn check_round(round: &Round) -> Result<(), ProtocolError> {
    let n = round.updates.len();
    let malformed = |problem| Err(ProtocolError::Malformed { what: "round".into(), problem });
    if round.weights.len() != n {
        return malformed(format!("{n} updates and {} weights", round.weights.len()));
    }
    let (members, models) = (round.binding.members.len(), round.binding.models.len());
    if (members, models) != (n, n) {
        return malformed(format!("{n} updates, {members} members and {models} hashes of models"));
    }
    if round.watched >= n {
        return malformed(format!("client {} is watched, but there are {n}", round.watched));
    }
    let len = round.updates[0].len();
    match round.updates.iter().position(|update| update.len() != len) {
        Some(client) => Err(ProtocolError::Update {
            client,
            problem: format!("{} values, client 0 has {len}", round.updates[client].len()),
            remedy: "let all clients train the same model".into(),
        }),
        None => Ok(()),
    }
}

fn transcript(
    outcome: Outcome,
    encoding: &Encoding,
    round: &Round,
) -> Result<Transcript, ProtocolError> {
    let (mean, _) = encoding.mean(&outcome.sum).ok_or_else(|| ProtocolError::Aborted {
        round: round.number,
        phase: Phase::Unmasking.name().into(),
        reason: "the weights add up to zero".into(),
    })?;
    let values = mean.len();
    let bits = encoding.modulus;
    let pooled = pooled(&outcome, encoding, round);
    let mut sum = outcome.sum;
    sum.truncate(values);
    let mut upload = outcome.server.upload.unwrap_or_default();
    upload.truncate(values);
    // What is summed is weight times value: read as an update, a step is that much smaller.
    let weighted = encoding.scale * round.weights[round.watched] as f64;
    Ok(Transcript {
        mean,
        survivors: outcome.survivors.iter().map(|&c| c as usize).collect(),
        upload: Wire::Words { words: upload, bits, scale: weighted },
        sum: Wire::Words { words: sum, bits, scale: encoding.scale },
        pooled,
        up: outcome.up,
        down: outcome.down,
        phases: outcome.seconds,
        failures: outcome.failures,
    })
}

/// The watched client's update from its masked words, by the secrets that server and colluders
/// really hold.
fn pooled(outcome: &Outcome, encoding: &Encoding, round: &Round) -> Option<Vec<f32>> {
    let colluders = round.colluders.iter().filter(|&&c| c != round.watched);
    let colluders: Vec<&Client> =
        colluders.filter_map(|&c| outcome.clients.get(c)?.as_ref()).collect();
    let upload = outcome.server.upload.as_ref()?;
    let words = outcome.server.unmask_with(round.watched as u32, upload, &colluders)?;
    let (&weight, values) = words.split_last()?;
    let unit = encoding.scale * weight as f64;
    Some(values.iter().map(|&w| (signed(w, encoding.modulus) as f64 / unit) as f32).collect())
}
