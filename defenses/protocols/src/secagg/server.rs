//! The server of one round: collects signed messages, passes on what is meant for others, adds the
//! masked inputs as they come.

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

use super::graph::Graph;
use super::keys;
use super::member::{Directory, Plan, Session};
use super::message::{self, Advert, Phase, Reveal, SEALED, Set, Shares};
use super::pack;
use crate::signatures::{EVERYONE, Header, Identity, KeyError, Rejected, SERVER, open, seal};
use crate::{FederationId, ModelHash};

/// Why a client's message was not used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Dropped {
    /// Forged, replayed, swapped or cut.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// Signed, but no message of this phase.
    #[error(transparent)]
    Malformed(#[from] message::Malformed),
    /// The client is out already, or sent this message before.
    #[error("unexpected message")]
    Unexpected,
    /// Shares that are not for exactly its neighbours.
    #[error("shares for the wrong clients")]
    Recipients,
    /// A public key of small order, with which nobody could agree on a secret.
    #[error("advertised an unusable key")]
    Key,
    /// A public key that an earlier client advertised.
    #[error("advertised a key of client {0}")]
    Copied(u32),
    /// A signature over another set than the one the server sent.
    #[error("signed another set of survivors")]
    Inconsistent,
}

/// Why the round ended without a sum.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Abort {
    /// Too few clients.
    #[error("{have} of {of} clients are left, the threshold is {need}; missing: {}", list(missing))]
    TooFew {
        /// Left.
        have: usize,
        /// At the start.
        of: usize,
        /// Needed.
        need: usize,
        /// Those who are gone.
        missing: Vec<u32>,
    },
    /// A secret that cannot be recovered.
    #[error(
        "the {what} of client {client} cannot be recovered from {shares} shares, the threshold is \
         {need}"
    )]
    Lost {
        /// Whose.
        client: u32,
        /// Which.
        what: &'static str,
        /// Shares that arrived.
        shares: usize,
        /// Needed.
        need: usize,
    },
    /// It could not sign.
    #[error(transparent)]
    Sign(#[from] KeyError),
}

fn list(clients: &[u32]) -> String {
    let mut words: Vec<String> = clients.iter().take(20).map(u32::to_string).collect();
    if clients.len() > 20 {
        words.push(format!("and {} more", clients.len() - 20));
    }
    words.join(", ")
}

/// Messages for clients, each with its recipient.
pub type Outbox = Vec<(u32, Vec<u8>)>;

/// The server in one round.
pub struct Server {
    pub(super) plan: Plan,
    pub(super) graph: Arc<Graph>,
    identity: Arc<Identity>,
    directory: Arc<Directory>,
    session: [u8; 32],
    /// The model that each client was sent.
    models: Vec<ModelHash>,
    /// Signed adverts as they came, and what they say: the first set of clients.
    pub(super) adverts: BTreeMap<u32, (Vec<u8>, Advert)>,
    /// Check value of the seed, of each client of the second set.
    pub(super) checks: BTreeMap<u32, [u8; 32]>,
    mail: BTreeMap<u32, Vec<(u32, [u8; SEALED])>>,
    /// Clients whose inputs are in the sum: the third set.
    pub(super) inputs: Vec<u32>,
    pub(super) sum: Vec<u64>,
    /// The third set as it was sent.
    survivors: Option<Set>,
    confirmed: BTreeMap<u32, Vec<u8>>,
    /// The client whose masked words are kept beside the sum, and these.
    watched: u32,
    pub(super) upload: Option<Vec<u64>>,
    /// What each client revealed.
    pub(super) reveals: BTreeMap<u32, Vec<(u32, Reveal)>>,
}

impl Server {
    /// A server at the start of a round, which sent each client the model with that hash. It keeps
    /// the masked words of `watched` for the transcript.
    pub fn new(
        federation: FederationId,
        session: &Session,
        models: Vec<ModelHash>,
        identity: Arc<Identity>,
        directory: Arc<Directory>,
        watched: u32,
    ) -> Server {
        let Session { plan, graph, .. } = session;
        Server {
            session: session.id(federation, &directory),
            models,
            watched,
            upload: None,
            sum: vec![0; plan.words],
            plan: *plan,
            graph: graph.clone(),
            identity,
            directory,
            adverts: BTreeMap::new(),
            checks: BTreeMap::new(),
            mail: BTreeMap::new(),
            inputs: Vec::new(),
            survivors: None,
            confirmed: BTreeMap::new(),
            reveals: BTreeMap::new(),
        }
    }

    /// Takes one client's message of a phase, as it came over that client's connection.
    ///
    /// # Errors
    /// What is wrong with it; the client is then out of the round.
    pub fn receive(&mut self, phase: Phase, from: u32, message: &[u8]) -> Result<(), Dropped> {
        let recipient = match phase {
            Phase::Keys | Phase::Consistency => EVERYONE,
            _ => SERVER,
        };
        let expected = self.header(phase, from, recipient, from).ok_or(Dropped::Unexpected)?;
        let key = self.directory.client(from).ok_or(Dropped::Unexpected)?;
        let body = open(message, expected, key)?;
        if !self.expects(phase, from) {
            return Err(Dropped::Unexpected);
        }
        match phase {
            Phase::Keys => {
                let advert = self.check_advert(Advert::decode(body)?)?;
                self.adverts.insert(from, (message.to_vec(), advert));
            }
            Phase::Shares => self.queue_shares(from, Shares::decode(body)?)?,
            Phase::Masked => self.add_input(from, body)?,
            Phase::Consistency => {
                // Passed on, it would make every honest neighbour refuse the round.
                if self.survivors.as_ref().map(Set::digest).is_none_or(|digest| body != digest) {
                    return Err(Dropped::Inconsistent);
                }
                self.confirmed.insert(from, message.to_vec());
            }
            Phase::Unmasking => {
                self.reveals.insert(from, message::decode_reveals(body)?);
            }
        }
        Ok(())
    }

    /// Ends a phase and answers those who took part in it; nobody after `unmasking`.
    ///
    /// # Errors
    /// [`Abort::TooFew`] below the threshold.
    pub fn close(&mut self, phase: Phase) -> Result<Outbox, Abort> {
        let present = self.present(phase);
        if present.len() < self.plan.threshold {
            let all = 0..self.plan.clients as u32;
            let missing = all.filter(|c| present.binary_search(c).is_err()).collect();
            let (have, of, need) = (present.len(), self.plan.clients, self.plan.threshold);
            return Err(Abort::TooFew { have, of, need, missing });
        }
        match phase {
            Phase::Keys => self.relay(phase, &present, |s, v| s.adverts.get(&v).map(|a| &a.0[..])),
            Phase::Shares => {
                let mut mail = std::mem::take(&mut self.mail);
                let letters =
                    |&c: &u32| (c, message::Sealed(mail.remove(&c).unwrap_or_default()).encode());
                let bodies: Vec<_> = present.iter().map(letters).collect();
                bodies.into_iter().map(|(c, body)| self.sign(phase, c, &body)).collect()
            }
            Phase::Masked => {
                let set = Set::new(self.plan.clients, present.iter().copied());
                let body = set.encode();
                self.survivors = Some(set);
                present.iter().map(|&c| self.sign(phase, c, &body)).collect()
            }
            Phase::Consistency => {
                self.relay(phase, &present, |s, v| s.confirmed.get(&v).map(Vec::as_slice))
            }
            Phase::Unmasking => Ok(Vec::new()),
        }
    }

    /// Clients that took a phase, ascending.
    pub(super) fn present(&self, phase: Phase) -> Vec<u32> {
        match phase {
            Phase::Keys => self.adverts.keys().copied().collect(),
            Phase::Shares => self.checks.keys().copied().collect(),
            Phase::Masked => {
                let mut inputs = self.inputs.clone();
                inputs.sort_unstable();
                inputs
            }
            Phase::Consistency => self.confirmed.keys().copied().collect(),
            Phase::Unmasking => self.reveals.keys().copied().collect(),
        }
    }

    /// Whether the client took the phase before and not yet this one.
    fn expects(&self, phase: Phase, from: u32) -> bool {
        let inputs = || self.inputs.contains(&from);
        match phase {
            Phase::Keys => !self.adverts.contains_key(&from),
            Phase::Shares => self.adverts.contains_key(&from) && !self.checks.contains_key(&from),
            Phase::Masked => self.checks.contains_key(&from) && !inputs(),
            Phase::Consistency => inputs() && !self.confirmed.contains_key(&from),
            Phase::Unmasking => {
                self.confirmed.contains_key(&from) && !self.reveals.contains_key(&from)
            }
        }
    }

    /// The advert, where its keys can be used by everybody: one that cannot would make every
    /// neighbour refuse the round.
    fn check_advert(&self, advert: Advert) -> Result<Advert, Dropped> {
        if !advert.keys().iter().all(keys::usable) {
            return Err(Dropped::Key);
        }
        match self.adverts.iter().find(|(_, (_, other))| other.shares_a_key(&advert)) {
            Some((&other, _)) => Err(Dropped::Copied(other)),
            None => Ok(advert),
        }
    }

    fn queue_shares(&mut self, from: u32, shares: Shares) -> Result<(), Dropped> {
        let near = self.graph.neighbours(from).iter().filter(|v| self.adverts.contains_key(v));
        if !near.eq(shares.sealed.0.iter().map(|(to, _)| to)) {
            return Err(Dropped::Recipients);
        }
        for (to, text) in shares.sealed.0 {
            self.mail.entry(to).or_default().push((from, text));
        }
        self.checks.insert(from, shares.check);
        Ok(())
    }

    fn add_input(&mut self, from: u32, body: &[u8]) -> Result<(), Dropped> {
        if Some(body.len()) != pack::packed_len(self.plan.words, self.plan.bits) {
            return Err(message::Malformed.into());
        }
        let sum = &mut self.sum;
        pack::unpack(body, self.plan.words, self.plan.bits, |i, w| sum[i] = sum[i].wrapping_add(w));
        if from == self.watched {
            let mut words = vec![0; self.plan.words];
            pack::unpack(body, self.plan.words, self.plan.bits, |i, w| words[i] = w);
            self.upload = Some(words);
        }
        self.inputs.push(from);
        Ok(())
    }

    /// To each client present: the messages of its neighbours present.
    fn relay<'a>(
        &'a self,
        phase: Phase,
        present: &[u32],
        message: impl Fn(&'a Server, u32) -> Option<&'a [u8]>,
    ) -> Result<Outbox, Abort> {
        let bundle = |&c: &u32| {
            let near: Vec<&[u8]> =
                self.graph.neighbours(c).iter().filter_map(|&v| message(self, v)).collect();
            self.sign(phase, c, &message::encode_bundle(&near))
        };
        present.iter().map(bundle).collect()
    }

    fn sign(&self, phase: Phase, to: u32, body: &[u8]) -> Result<(u32, Vec<u8>), Abort> {
        let header = self.header(phase, SERVER, to, to).ok_or(KeyError::Sign)?;
        Ok((to, seal(&self.identity, header, body)?))
    }

    /// The header of a message between the server and a client, bound to the model that this client
    /// was sent; `None` for a client that is not in the round.
    fn header(&self, phase: Phase, sender: u32, recipient: u32, client: u32) -> Option<Header> {
        let (session, model) = (self.session, self.models.get(client as usize)?.0);
        Some(Header {
            round: self.plan.round,
            phase: phase.code(),
            sender,
            recipient,
            session,
            model,
        })
    }
}
