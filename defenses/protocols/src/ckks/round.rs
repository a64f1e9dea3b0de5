//! One round, ciphertext by ciphertext: every client's is made, sent, added and dropped, then the
//! sum is opened, so that memory does not grow with clients or values.

use std::sync::Arc;
use std::time::Instant;

use rand_chacha::ChaCha12Rng;
use suites::rng::Wiped;
use zeroize::Zeroizing;

use super::keys::{KeyShare, Party, PublicKey, SecretKey, generate};
use super::protocol::{Ckks, Holders};
use super::round_ledger::{RoundLedger, keep};
use super::sample::{self, Seed};
use super::threshold::{Half, Opened, Partial};
use super::{Ciphertext, Context};
use crate::protocol::timed;
use crate::{ProtocolError, Round, Transcript, Wire};

/// The keys of a round; never used again.
enum Keys {
    /// One secret key, at every client.
    Shared(SecretKey),
    /// A share at each client, the joint public key, and the clients' group key for masking the
    /// opened sum.
    Threshold { shares: Vec<SecretKey>, public: PublicKey, group: Zeroizing<Seed> },
}

/// A round under way.
pub(crate) struct Exchange<'a> {
    round: &'a Round<'a>,
    context: Arc<Context>,
    keys: Keys,
    /// Standard deviation of the flooding noise.
    sigma: f64,
    range: f64,
    /// Each client's streams for encryption and for flooding.
    encryption: Wiped<Vec<ChaCha12Rng>>,
    flooding: Wiped<Vec<ChaCha12Rng>>,
    ledger: RoundLedger,
}

impl<'a> Exchange<'a> {
    /// Makes the round's keys.
    pub(crate) fn begin(
        ckks: &Ckks,
        round: &'a Round<'a>,
        stream: &mut dyn FnMut(&str) -> ChaCha12Rng,
    ) -> Result<Exchange<'a>, ProtocolError> {
        let clients = round.updates.len();
        let mut draw = |what: &str| stream(&format!("ckks {what}, round {}", round.number));
        let mut ledger = RoundLedger::new(clients);
        let context = Context::new(&ckks.parameters);
        let keys = match ckks.key {
            Holders::Shared => {
                share_one_key(&context, clients, &mut Wiped::new(draw("keys")), &mut ledger)?
            }
            Holders::Threshold => join_shares(&context, clients, &mut draw, &mut ledger)?,
        };
        let opens = matches!(keys, Keys::Shared(_)) && !round.colluders.is_empty();
        ledger.pooled = opens.then(Vec::new);
        let mut each = |what: &str| {
            Wiped::new((0..clients).map(|i| draw(&format!("{what} {i}"))).collect::<Vec<_>>())
        };
        Ok(Exchange {
            round,
            context,
            keys,
            sigma: ckks.flooding(clients),
            range: ckks.range,
            encryption: each("encryption"),
            flooding: each("flooding"),
            ledger,
        })
    }

    /// Carries all values.
    pub(crate) fn run(mut self) -> Result<Transcript, ProtocolError> {
        let len = self.round.updates.first().map_or(0, Vec::len);
        let size = self.context.params().values();
        let chunks = len.div_ceil(size);
        for chunk in 0..chunks {
            (self.round.progress)("encrypt and aggregate", chunk, chunks);
            let values = chunk * size..len.min((chunk + 1) * size);
            let sum = self.upload(values)?;
            let sum_bytes = sum.to_bytes();
            keep(&mut self.ledger.sum, Ciphertext::c0_bytes(&self.context, &sum_bytes), 8 * len);
            let mean = match &self.keys {
                Keys::Shared(_) => self.open_shared(&sum_bytes)?,
                Keys::Threshold { .. } => self.open_together(&sum, chunk as u64)?,
            };
            self.ledger.mean.extend(mean.into_iter().map(|v| v as f32));
        }
        (self.round.progress)("encrypt and aggregate", chunks, chunks);
        Ok(self.close())
    }

    /// Every client encrypts these values times its share of the weight; the server adds.
    fn upload(&mut self, values: std::ops::Range<usize>) -> Result<Ciphertext, ProtocolError> {
        let total: f64 = self.round.weights.iter().map(|&w| w as f64).sum();
        let mut sum: Option<Ciphertext> = None;
        for client in 0..self.round.updates.len() {
            let factor = self.round.weights[client] as f64 / total;
            let bytes =
                self.encrypt(client, &self.round.updates[client][values.clone()], factor)?;
            self.ledger.up[client] += bytes.len() as u64;
            if client == self.round.watched {
                self.watch(&bytes, factor)?;
            }
            let context = &self.context;
            timed(&mut self.ledger.aggregate, || {
                let received = Ciphertext::from_bytes(context, &bytes)?;
                if let Some(sum) = &mut sum {
                    return sum.add(&received);
                }
                sum = Some(received);
                Ok(())
            })?;
        }
        sum.ok_or_else(|| super::bytes::malformed("round", "has no clients"))
    }

    fn encrypt(
        &mut self,
        client: usize,
        values: &[f32],
        factor: f64,
    ) -> Result<Vec<u8>, ProtocolError> {
        let rng = &mut self.encryption[client];
        timed(&mut self.ledger.encrypt, || {
            let values: Vec<f64> = values.iter().map(|&v| f64::from(v) * factor).collect();
            let ciphertext = match &self.keys {
                Keys::Shared(secret) => secret.encrypt(&values, rng),
                Keys::Threshold { public, .. } => public.encrypt(&values, rng),
            }?;
            Ok(ciphertext.to_bytes())
        })
    }

    /// Keeps what the server holds of the watched client, and what a colluder with the key reads of
    /// it.
    fn watch(&mut self, bytes: &[u8], factor: f64) -> Result<(), ProtocolError> {
        let shown = Ciphertext::c0_bytes(&self.context, bytes);
        keep(&mut self.ledger.upload, shown, 8 * self.round.updates[self.round.watched].len());
        if let (Keys::Shared(secret), Some(pooled)) = (&self.keys, &mut self.ledger.pooled) {
            let opened = secret.decrypt(&Ciphertext::from_bytes(&self.context, bytes)?)?;
            pooled.extend(opened.into_iter().map(|v| (v / factor) as f32));
        }
        Ok(())
    }

    /// The server sends the sum to all clients; one of them stands for all who decrypt it.
    fn open_shared(&mut self, sum: &[u8]) -> Result<Vec<f64>, ProtocolError> {
        self.ledger.down.iter_mut().for_each(|down| *down += sum.len() as u64);
        let clients = self.round.updates.len() as f64;
        let Keys::Shared(secret) = &self.keys else { return Ok(Vec::new()) };
        let mut seconds = 0.0;
        let values = timed(&mut seconds, || {
            let sum = Ciphertext::from_bytes(&self.context, sum)?;
            if self.sigma > 0.0 {
                secret.decrypt_flooded(&sum, self.sigma, &mut self.flooding[0])
            } else {
                secret.decrypt(&sum)
            }
        });
        self.ledger.decrypt += seconds * clients;
        values
    }

    /// Every client sends its partial decryption, the first one masked; the server adds them up;
    /// the clients take off the mask.
    fn open_together(&mut self, sum: &Ciphertext, index: u64) -> Result<Vec<f64>, ProtocolError> {
        let Keys::Threshold { shares, group, .. } = &self.keys else { return Ok(Vec::new()) };
        let (context, ledger) = (&self.context, &mut self.ledger);
        let half = timed(&mut ledger.aggregate, || sum.half().to_bytes());
        let mut partials = Vec::with_capacity(shares.len());
        for (client, (share, rng)) in shares.iter().zip(self.flooding.iter_mut()).enumerate() {
            let bytes = timed(&mut ledger.decrypt, || {
                let mut partial =
                    share.partial(&Half::from_bytes(context, &half)?, self.sigma, rng)?;
                if client == 0 {
                    partial.mask(group, index);
                }
                Ok::<_, ProtocolError>(partial.to_bytes())
            })?;
            ledger.down[client] += half.len() as u64;
            ledger.up[client] += bytes.len() as u64;
            partials.push(timed(&mut ledger.aggregate, || Partial::from_bytes(context, &bytes))?);
        }
        let result =
            timed(&mut ledger.aggregate, || sum.combine(&partials).map(|sum| sum.to_bytes()))?;
        ledger.down.iter_mut().for_each(|down| *down += result.len() as u64);
        let mut seconds = 0.0;
        let values = timed(&mut seconds, || {
            let mut opened = Opened::from_bytes(context, &result)?;
            opened.unmask(group, index);
            Ok(opened.values())
        });
        ledger.decrypt += seconds * shares.len() as f64;
        values
    }

    fn close(self) -> Transcript {
        let clients = self.round.updates.len();
        let ledger = self.ledger;
        let share = |seconds: f64| seconds / clients as f64;
        Transcript {
            mean: ledger.mean,
            survivors: (0..clients).collect(),
            upload: Wire::Bytes { bytes: ledger.upload, range: self.range },
            sum: Wire::Bytes { bytes: ledger.sum, range: self.range },
            pooled: ledger.pooled,
            up: ledger.up,
            down: ledger.down,
            phases: vec![
                ("keys".into(), share(ledger.keys)),
                ("encrypt".into(), share(ledger.encrypt)),
                ("aggregate".into(), ledger.aggregate),
                ("decrypt".into(), share(ledger.decrypt)),
            ],
            failures: Vec::new(),
        }
    }
}

/// The first client makes the key pair, publishes the public key and passes the secret one to the
/// others over their own channels.
fn share_one_key(
    context: &Arc<Context>,
    clients: usize,
    rng: &mut ChaCha12Rng,
    ledger: &mut RoundLedger,
) -> Result<Keys, ProtocolError> {
    let start = Instant::now();
    let (secret, public) = generate(context.params(), rng);
    let sent = secret.to_bytes();
    ledger.up[0] += public.to_bytes().len() as u64;
    ledger.pass_on(sent.len());
    let received = SecretKey::from_bytes(&sent)?;
    ledger.keys += start.elapsed().as_secs_f64() * clients as f64;
    Ok(Keys::Shared(received))
}

/// Each client makes its share; the server adds up the public parts. The clients agree on a group
/// key that the server lacks.
fn join_shares(
    context: &Arc<Context>,
    clients: usize,
    draw: &mut dyn FnMut(&str) -> ChaCha12Rng,
    ledger: &mut RoundLedger,
) -> Result<Keys, ProtocolError> {
    let seed = sample::seed(&mut draw("common reference"));
    let group = Zeroizing::new(sample::seed(&mut Wiped::new(draw("group key"))));
    let (mut secrets, mut parts) = (Vec::new(), Vec::new());
    for index in 0..clients {
        let party = Party { index: index as u16, parties: clients as u16 };
        let rng = &mut Wiped::new(draw(&format!("key share {index}")));
        let (secret, bytes) = timed(&mut ledger.keys, || {
            let (secret, part) = SecretKey::share(context, &seed, party, rng);
            (secret, part.to_bytes())
        });
        ledger.up[index] += bytes.len() as u64;
        secrets.push(secret);
        parts.push(KeyShare::from_bytes(context, &bytes)?);
    }
    let joint = timed(&mut ledger.aggregate, || PublicKey::join(context, seed, &parts))?.to_bytes();
    let public = PublicKey::from_bytes(&joint)?;
    secrets.iter_mut().for_each(|secret| secret.bind(&public));
    ledger.down.iter_mut().for_each(|down| *down += (seed.len() + joint.len()) as u64);
    ledger.pass_on(group.len());
    Ok(Keys::Threshold { shares: secrets, public, group })
}
