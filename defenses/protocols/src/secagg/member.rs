//! State across rounds: public parameters, published keys, and the last round that a client joined.

use std::sync::Arc;

use rand_chacha::ChaCha12Rng;

use super::client::Client;
use super::error::ClientError;
use crate::signatures::{Identity, PublicKey};

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
}

/// The published signing keys of all parties.
#[derive(Debug)]
pub struct Directory {
    /// Of each client.
    pub clients: Vec<PublicKey>,
    /// Of the server.
    pub server: PublicKey,
}

/// A client over all rounds: its signing key and the last round it joined.
#[derive(Debug)]
pub struct Member {
    index: u32,
    identity: Arc<Identity>,
    directory: Arc<Directory>,
    last: Option<u64>,
}

impl Member {
    /// A client that has joined no round yet.
    pub fn new(index: u32, identity: Arc<Identity>, directory: Arc<Directory>) -> Member {
        Member { index, identity, directory, last: None }
    }

    /// Joins a round, with fresh keys from `rng`. `neighbours` are ascending and do not contain the
    /// client.
    ///
    /// # Errors
    /// [`ClientError::Repeated`] for a round number that is not above all earlier ones.
    pub fn join(
        &mut self,
        plan: Plan,
        neighbours: &[u32],
        rng: ChaCha12Rng,
    ) -> Result<Client, ClientError> {
        if let Some(last) = self.last.filter(|last| plan.round <= *last) {
            return Err(ClientError::Repeated { round: plan.round, last });
        }
        self.last = Some(plan.round);
        Client::new(
            plan,
            self.index,
            self.identity.clone(),
            self.directory.clone(),
            neighbours,
            rng,
        )
    }
}
