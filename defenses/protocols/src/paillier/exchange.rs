//! One round: clients encrypt, the server adds, a key holder decrypts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crypto_bigint::BoxedUint;
use rand_chacha::ChaCha12Rng;
use rayon::prelude::*;
use suites::rng::Wiped;

use super::{Ciphertext, Packing, PaillierError, PublicKey, SecretKey, Sum, message};
use crate::protocol::timed;
use crate::{ProtocolError, Round, Wire};

/// A Paillier error as a protocol error.
pub(super) fn malformed(what: &str, error: &PaillierError) -> ProtocolError {
    ProtocolError::Malformed { what: what.into(), problem: error.to_string() }
}

/// State shared by the phases of one round.
pub(super) struct Exchange<'a> {
    round: &'a Round<'a>,
    key: Arc<SecretKey>,
    packing: Packing,
    values: usize,
    range: f64,
    done: AtomicUsize,
}

/// What the server holds after the last upload.
pub(super) struct Collected {
    pub(super) sums: Vec<Sum>,
    pub(super) up: Vec<u64>,
    pub(super) watched: Vec<u8>,
    pub(super) encrypt: f64,
    pub(super) aggregate: f64,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(
        round: &'a Round<'a>,
        key: Arc<SecretKey>,
        packing: Packing,
        range: f64,
    ) -> Exchange<'a> {
        let values = round.updates.first().map_or(0, Vec::len);
        Exchange { round, key, packing, values, range, done: AtomicUsize::new(0) }
    }

    pub(super) fn public(&self) -> &PublicKey {
        self.key.public()
    }

    fn count(&self) -> usize {
        self.packing.plaintexts(self.values)
    }

    /// One client's message: every value weighted, packed and encrypted.
    fn encrypt(&self, client: usize, rng: &mut ChaCha12Rng) -> Result<Vec<u8>, ProtocolError> {
        let (update, weight) = (&self.round.updates[client], self.round.weights[client]);
        let plaintexts = self.packing.pack(update, weight).map_err(|e| {
            let remedy =
                "raise the protocol's `range`, or clip updates before they are sent".into();
            ProtocolError::Update { client, problem: e.to_string(), remedy }
        })?;
        // Drawn in order, so that the result does not depend on the number of threads.
        let exponents: Vec<_> = plaintexts.iter().map(|_| self.public().draw(rng)).collect();
        let total = self.count() * self.round.updates.len();
        let ciphertexts: Result<Vec<Ciphertext>, PaillierError> = plaintexts
            .par_iter()
            .zip(&exponents)
            .map(|(m, r)| {
                let c = self.public().encrypt(m, r);
                self.report("encrypt", total);
                c
            })
            .collect();
        Ok(message::encode(self.public(), &ciphertexts.map_err(|e| malformed("plaintext", &e))?))
    }

    fn report(&self, phase: &str, total: usize) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(64) || done == total {
            (self.round.progress)(phase, done, total);
        }
    }

    /// The server multiplies what it receives into its sums, with the public key alone.
    pub(super) fn collect(
        &self,
        stream: &mut dyn FnMut(&str) -> ChaCha12Rng,
    ) -> Result<Collected, ProtocolError> {
        let mut collected = Collected {
            sums: Vec::new(),
            up: Vec::new(),
            watched: Vec::new(),
            encrypt: 0.0,
            aggregate: 0.0,
        };
        for client in 0..self.round.updates.len() {
            let purpose =
                format!("paillier encryption, client {client}, round {}", self.round.number);
            let rng = &mut Wiped::new(stream(&purpose));
            let bytes = timed(&mut collected.encrypt, || self.encrypt(client, rng))?;
            timed(&mut collected.aggregate, || {
                let received = message::decode(self.public(), &bytes, self.count())
                    .map_err(|e| malformed(&format!("message of client {client}"), &e))?;
                self.add(&mut collected.sums, &received);
                Ok::<_, ProtocolError>(())
            })?;
            collected.up.push(bytes.len() as u64);
            if client == self.round.watched {
                collected.watched = bytes;
            }
        }
        Ok(collected)
    }

    fn add(&self, sums: &mut Vec<Sum>, received: &[Ciphertext]) {
        if sums.is_empty() {
            *sums = received.iter().map(|c| self.public().sum(c)).collect()
        } else {
            sums.par_iter_mut().zip(received).for_each(|(s, c)| self.public().add(s, c))
        }
    }

    /// Opens a message with the secret key: the mean of all whose weights add up to `weight`.
    pub(super) fn open(
        &self,
        phase: &str,
        bytes: &[u8],
        weight: u64,
    ) -> Result<Vec<f32>, ProtocolError> {
        let ciphertexts = message::decode(self.public(), bytes, self.count())
            .map_err(|e| malformed("message", &e))?;
        self.done.store(0, Ordering::Relaxed);
        let plaintexts: Result<Vec<BoxedUint>, PaillierError> = ciphertexts
            .par_iter()
            .map(|c| {
                let m = self.key.decrypt(c);
                self.report(phase, ciphertexts.len());
                m
            })
            .collect();
        let plaintexts = plaintexts.map_err(|e| malformed("message", &e))?;
        Ok(self.packing.unpack(&plaintexts, self.values, weight))
    }

    /// A message's first ciphertexts, without the header that everyone can read.
    pub(super) fn wire(&self, message: &[u8]) -> Wire {
        let body = message.get(crate::keys::Container::header()..).unwrap_or_default();
        let bytes = body.iter().take(8 * self.values).copied().collect();
        Wire::Bytes { bytes, range: self.range }
    }
}
