//! State across rounds: public parameters, published keys, and the last round that a client joined.

use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use rand_chacha::ChaCha12Rng;
use suites::rng::Wiped;

use super::client::{Bound, Client};
use super::error::ClientError;
use super::graph::Graph;
use crate::signatures::{Identity, PublicKey};
use crate::{FederationId, ModelHash};

/// The public parameters of a round.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Its number, never used twice.
    pub round: u64,
    /// Clients in all.
    pub clients: usize,
    /// Shares that recover a secret.
    pub threshold: usize,
    /// Words of an input.
    pub words: usize,
    /// Bits of the modulus.
    pub bits: u32,
    /// Steps a unit of the fixed point.
    pub scale: f64,
}

/// A round as its members are told of it before its first message. Every signature binds it.
#[derive(Clone, Debug)]
pub struct Session {
    /// Public parameters.
    pub plan: Plan,
    /// The clients by their numbers in the federation.
    pub members: Vec<u64>,
    /// The mask graph.
    pub graph: Arc<Graph>,
}

impl Session {
    /// SHA-256 of the federation, the plan, the members, the graph and the directory of keys.
    pub fn id(&self, federation: FederationId, directory: &Directory) -> [u8; 32] {
        let Plan { round, clients, threshold, words, bits, scale } = self.plan;
        let mut context = Context::new(&SHA256);
        context.update(b"federated secure aggregation session v1");
        context.update(&federation.0);
        let counts = [clients, threshold, words, self.members.len()].map(|count| count as u64);
        let plan = [round, u64::from(bits), scale.to_bits()].into_iter().chain(counts);
        for number in plan.chain(self.members.iter().copied()) {
            context.update(&number.to_le_bytes());
        }
        context.update(self.graph.digest());
        context.update(&directory.digest);
        finished(context)
    }
}

fn finished(context: Context) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// The published signing keys of all parties.
#[derive(Debug)]
pub struct Directory {
    clients: Vec<PublicKey>,
    server: PublicKey,
    digest: [u8; 32],
}

impl Directory {
    /// The keys of the clients, in the order of a round, and of the server.
    pub fn new(clients: Vec<PublicKey>, server: PublicKey) -> Directory {
        let mut context = Context::new(&SHA256);
        for key in clients.iter().chain([&server]) {
            context.update(&[key.scheme().code()]);
            context.update(&(key.bytes().len() as u64).to_le_bytes());
            context.update(key.bytes());
        }
        Directory { clients, server, digest: finished(context) }
    }

    /// The key of a client.
    pub fn client(&self, index: u32) -> Option<&PublicKey> {
        self.clients.get(index as usize)
    }

    /// The key of the server.
    pub fn server(&self) -> &PublicKey {
        &self.server
    }
}

/// A client over all rounds: its federation, its signing key and the last round it joined.
#[derive(Debug)]
pub struct Member {
    federation: FederationId,
    index: u32,
    identity: Arc<Identity>,
    directory: Arc<Directory>,
    last: Option<u64>,
}

impl Member {
    /// A client that has joined no round yet.
    pub fn new(
        federation: FederationId,
        index: u32,
        identity: Arc<Identity>,
        directory: Arc<Directory>,
    ) -> Member {
        Member { federation, index, identity, directory, last: None }
    }

    /// Joins a round with the model that it received and hashed, and fresh keys from `rng`.
    ///
    /// # Errors
    /// [`ClientError::Repeated`] for a round number that is not above all earlier ones.
    pub fn join(
        &mut self,
        session: &Session,
        model: ModelHash,
        rng: ChaCha12Rng,
    ) -> Result<Client, ClientError> {
        let round = session.plan.round;
        if let Some(last) = self.last.filter(|last| round <= *last) {
            return Err(ClientError::Repeated { round, last });
        }
        self.last = Some(round);
        let bound = Bound { session: session.id(self.federation, &self.directory), model: model.0 };
        Client::new(
            session.plan,
            bound,
            self.index,
            self.identity.clone(),
            self.directory.clone(),
            session.graph.neighbours(self.index),
            Wiped::new(rng),
        )
    }
}
