//! A whole round in one process: every client and the server, with their messages as bytes between
//! them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use rand_chacha::ChaCha12Rng;
use rayon::prelude::*;

use super::client::Client;
use super::error::ClientError;
use super::member::{Directory, Member, Session};
use super::message::Phase;
use super::server::{Abort, Outbox, Server};
use crate::protocol::timed;
use crate::signatures::{self, KeyError, SERVER, Scheme};
use crate::{Failure, FederationId, ModelHash, ProtocolError};

/// Clients that compute side by side before the server takes their messages, which bounds the
/// memory of a round.
const SIDE_BY_SIDE: usize = 8;

/// A message on the wire.
pub struct Delivery<'a> {
    /// Phase that it belongs to.
    pub phase: Phase,
    /// Its sender; `u32::MAX` is the server.
    pub from: u32,
    /// Its recipient; `u32::MAX` is the server.
    pub to: u32,
    /// Its bytes, which an attacker on the wire may change.
    pub bytes: &'a mut Vec<u8>,
}

/// Faults injected into a round.
#[derive(Default)]
pub struct Faults<'a> {
    /// Clients that send nothing from a phase on.
    pub drops: BTreeMap<u32, Phase>,
    /// An attacker on the wire, who may change every message.
    pub tamper: Option<&'a (dyn Fn(Delivery) + Sync)>,
}

/// The input words of a client by its index, asked for when the client masks them.
pub type Inputs<'a> = &'a (dyn Fn(usize) -> Result<Vec<u64>, ProtocolError> + Sync);

/// The setup of a round.
pub struct Setup<'a> {
    /// The federation.
    pub federation: FederationId,
    /// The round as its members are told of it.
    pub session: Session,
    /// The model that each client received.
    pub models: Vec<ModelHash>,
    /// Signature scheme.
    pub scheme: Scheme,
    /// The client whose masked words are kept.
    pub watched: u32,
    /// Receives progress: phase, clients done, clients in all.
    pub progress: &'a (dyn Fn(&str, usize, usize) + Sync),
}

/// The result of a round.
pub struct Outcome {
    /// The unmasked sum, modulo `2^bits`.
    pub sum: Vec<u64>,
    /// Clients in the sum, ascending.
    pub survivors: Vec<u32>,
    /// The server at the end.
    pub server: Server,
    /// The clients at the end.
    pub clients: Vec<Option<Client>>,
    /// Bytes each client sent.
    pub up: Vec<u64>,
    /// Bytes each client received.
    pub down: Vec<u64>,
    /// Mean seconds of a client in each phase, then the server's own, whole.
    pub seconds: Vec<(String, f64)>,
    /// Client failures that the round survived.
    pub failures: Vec<Failure>,
}

/// Runs one round.
///
/// # Errors
/// An input that cannot be encoded, or [`ProtocolError::Aborted`] with phase and reason.
pub fn run(
    setup: &Setup,
    rngs: Vec<ChaCha12Rng>,
    inputs: Inputs,
    faults: &Faults,
) -> Result<Outcome, ProtocolError> {
    let mut round = Round::new(setup, faults)?;
    round.start(rngs)?;
    let mut inbox: Vec<Option<Vec<u8>>> = vec![Some(Vec::new()); setup.session.plan.clients];
    for phase in Phase::ALL {
        round.phase(phase, inbox, inputs)?;
        let outbox = round.closed(phase)?;
        inbox = round.deliver(phase, outbox);
    }
    round.finish()
}

struct Round<'a> {
    setup: &'a Setup<'a>,
    faults: &'a Faults<'a>,
    server: Server,
    directory: Arc<Directory>,
    clients: Vec<Option<Client>>,
    up: Vec<u64>,
    down: Vec<u64>,
    client_seconds: BTreeMap<Phase, f64>,
    server_seconds: f64,
    failures: Vec<Failure>,
}

/// Why a client did not send its message.
enum NoMessage {
    Dropped,
    Refused(ClientError),
    Input(ProtocolError),
}

impl<'a> Round<'a> {
    fn new(setup: &'a Setup, faults: &'a Faults) -> Result<Round<'a>, ProtocolError> {
        let n = setup.session.plan.clients;
        let key =
            |i: u32| signatures::client(setup.scheme, i).map(|identity| identity.public().clone());
        let clients: Result<Vec<_>, KeyError> = (0..n as u32).into_par_iter().map(key).collect();
        let identity =
            signatures::server(setup.scheme).map_err(|e| aborted(setup, Phase::Keys, &e))?;
        let clients = clients.map_err(|e| aborted(setup, Phase::Keys, &e))?;
        let directory = Arc::new(Directory::new(clients, identity.public().clone()));
        let server = Server::new(
            setup.federation,
            &setup.session,
            setup.models.clone(),
            identity,
            directory.clone(),
            setup.watched,
        );
        Ok(Round {
            setup,
            faults,
            server,
            directory,
            clients: Vec::new(),
            up: vec![0; n],
            down: vec![0; n],
            client_seconds: BTreeMap::new(),
            server_seconds: 0.0,
            failures: Vec::new(),
        })
    }

    fn start(&mut self, rngs: Vec<ChaCha12Rng>) -> Result<(), ProtocolError> {
        let setup = self.setup;
        let join = |(i, rng): (usize, ChaCha12Rng)| {
            let identity = signatures::client(setup.scheme, i as u32).map_err(ClientError::from)?;
            let directory = self.directory.clone();
            let mut member = Member::new(setup.federation, i as u32, identity, directory);
            let start = Instant::now();
            let model = setup.models.get(i).copied().unwrap_or_default();
            let client = member.join(&setup.session, model, rng)?;
            Ok((client, start.elapsed().as_secs_f64()))
        };
        let joined: Result<Vec<_>, ClientError> =
            rngs.into_par_iter().enumerate().map(join).collect();
        for (client, seconds) in joined.map_err(|e| aborted(setup, Phase::Keys, &e))? {
            self.clients.push(Some(client));
            *self.client_seconds.entry(Phase::Keys).or_default() += seconds;
        }
        Ok(())
    }

    /// Every client that has mail reads it and answers; the server takes the answers as they come.
    fn phase(
        &mut self,
        phase: Phase,
        mut inbox: Vec<Option<Vec<u8>>>,
        inputs: Inputs,
    ) -> Result<(), ProtocolError> {
        let (n, faults) = (self.clients.len(), self.faults);
        for first in (0..n).step_by(SIDE_BY_SIDE) {
            let last = (first + SIDE_BY_SIDE).min(n);
            let clients = self.clients[first..last].par_iter_mut().zip(&mut inbox[first..last]);
            let answers = clients.enumerate().map(|(i, (client, mail))| {
                let (client, mail) = (client.as_mut()?, mail.take()?);
                let start = Instant::now();
                let answer = answer(client, first + i, phase, &mail, inputs, faults);
                Some((answer, start.elapsed().as_secs_f64()))
            });
            let answers: Vec<_> = answers.collect();
            for (i, (answer, seconds)) in
                answers.into_iter().enumerate().filter_map(|(i, a)| Some((i, a?)))
            {
                *self.client_seconds.entry(phase).or_default() += seconds;
                self.take(phase, first + i, answer)?;
            }
            (self.setup.progress)(phase.name(), last, n);
        }
        Ok(())
    }

    /// Delivers one client's answer to the server.
    fn take(
        &mut self,
        phase: Phase,
        client: usize,
        answer: Result<Vec<u8>, NoMessage>,
    ) -> Result<(), ProtocolError> {
        let mut bytes = match answer {
            Ok(bytes) => bytes,
            Err(NoMessage::Input(error)) => return Err(error),
            Err(NoMessage::Dropped) => {
                self.fail(phase, client, "dropped out".into());
                return Ok(());
            }
            Err(NoMessage::Refused(why)) => {
                self.fail(phase, client, why.to_string());
                return Ok(());
            }
        };
        self.up[client] += bytes.len() as u64;
        if let Some(tamper) = self.faults.tamper {
            tamper(Delivery { phase, from: client as u32, to: SERVER, bytes: &mut bytes });
        }
        let received =
            timed(&mut self.server_seconds, || self.server.receive(phase, client as u32, &bytes));
        if let Err(why) = received {
            self.fail(phase, client, why.to_string());
        }
        Ok(())
    }

    fn closed(&mut self, phase: Phase) -> Result<Outbox, ProtocolError> {
        let outbox = timed(&mut self.server_seconds, || self.server.close(phase));
        outbox.map_err(|e| self.abort(phase, &e))
    }

    fn deliver(&mut self, phase: Phase, outbox: Outbox) -> Vec<Option<Vec<u8>>> {
        let mut inbox: Vec<Option<Vec<u8>>> = vec![None; self.clients.len()];
        for (to, mut bytes) in outbox {
            if let Some(tamper) = self.faults.tamper {
                tamper(Delivery { phase, from: SERVER, to, bytes: &mut bytes });
            }
            self.down[to as usize] += bytes.len() as u64;
            inbox[to as usize] = Some(bytes);
        }
        inbox
    }

    fn finish(mut self) -> Result<Outcome, ProtocolError> {
        let survivors = self.server.present(Phase::Masked);
        let mut unmask_seconds = 0.0;
        let finished = timed(&mut unmask_seconds, || self.server.finish());
        let (sum, misdeeds) = finished.map_err(|e| self.abort(Phase::Unmasking, &e))?;
        for (client, what) in misdeeds {
            self.fail(Phase::Unmasking, client as usize, what);
        }
        let n = self.clients.len() as f64;
        let mut seconds: Vec<_> = self
            .client_seconds
            .iter()
            .map(|(phase, s)| (phase.name().to_string(), s / n))
            .collect();
        seconds.push(("aggregate".into(), self.server_seconds));
        seconds.push(("unmask".into(), unmask_seconds));
        Ok(Outcome {
            sum,
            survivors,
            server: self.server,
            clients: self.clients,
            up: self.up,
            down: self.down,
            seconds,
            failures: self.failures,
        })
    }

    fn fail(&mut self, phase: Phase, client: usize, what: String) {
        self.failures.push(Failure { client, phase: phase.name().into(), what });
    }

    /// An abort with the failures that led to it.
    fn abort(&self, phase: Phase, why: &Abort) -> ProtocolError {
        let mut reason = why.to_string();
        for failure in self.failures.iter().take(5) {
            reason +=
                &format!("; client {} in `{}`: {}", failure.client, failure.phase, failure.what);
        }
        let round = self.setup.session.plan.round;
        ProtocolError::Aborted { round, phase: phase.name().into(), reason }
    }
}

fn answer(
    client: &mut Client,
    index: usize,
    phase: Phase,
    mail: &[u8],
    inputs: Inputs,
    faults: &Faults,
) -> Result<Vec<u8>, NoMessage> {
    if faults.drops.get(&(index as u32)).is_some_and(|from| *from <= phase) {
        return Err(NoMessage::Dropped);
    }
    let message = match phase {
        Phase::Keys => client.advertise(),
        Phase::Shares => client.share(mail),
        Phase::Masked => client.mask(mail, inputs(index).map_err(NoMessage::Input)?),
        Phase::Consistency => client.confirm(mail),
        Phase::Unmasking => client.reveal(mail),
    };
    message.map_err(NoMessage::Refused)
}

fn aborted(setup: &Setup, phase: Phase, why: &dyn std::fmt::Display) -> ProtocolError {
    ProtocolError::Aborted {
        round: setup.session.plan.round,
        phase: phase.name().into(),
        reason: why.to_string(),
    }
}
