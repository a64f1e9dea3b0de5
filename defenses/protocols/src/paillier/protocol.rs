//! `paillier`: clients encrypt, the server adds ciphertexts, clients decrypt the sum.

use std::sync::{Arc, Mutex, PoisonError};

use rand::RngCore;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};
use suites::rng::Wiped;
use suites::{Entry, SpecError};
use zeroize::Zeroizing;

use super::exchange::{Exchange, malformed};
use super::{KEY_BITS, Packing, PackingError, SecretKey, Speed, message};
use crate::protocol::timed;
use crate::{Exposure, Federation, Protocol, ProtocolError, Round, Transcript};

/// Registry entry.
pub static ENTRY: Entry<dyn Protocol> = Entry {
    name: "paillier",
    summary: "packed fixed point under Paillier's encryption; the server adds ciphertexts, \
        clients share the secret key",
    reference: "Paillier: Public-Key Cryptosystems Based on Composite Degree Residuosity Classes, \
        EUROCRYPT 1999; short exponents: Damgard, Jurik, Nielsen, IJIS 2010",
    build: |map| Ok(Box::new(Paillier::new(suites::params("paillier", map)?)?)),
};

/// Fewest steps a unit: a step of 1e-3.
const MIN_PRECISION: u64 = 1000;

/// Parameters.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Bits of the modulus: 2048 or 3072; 512 and 1024 are toys.
    pub key_bits: u32,
    /// Steps a unit of the fixed-point encoding, at least 1000: a value is sent as `round(value *
    /// precision)`.
    pub precision: u64,
    /// Largest magnitude of a value, above 0; a value beyond it is an error.
    pub range: f64,
}

impl Default for Params {
    fn default() -> Params {
        Params { key_bits: 2048, precision: 1_000_000, range: 1024.0 }
    }
}

/// A key, and the seed that it was drawn from.
type Drawn = (Zeroizing<[u8; 32]>, Arc<SecretKey>);

/// The protocol, and the key it last used.
#[derive(Serialize)]
pub struct Paillier {
    #[serde(flatten)]
    params: Params,
    #[serde(skip)]
    key: Mutex<Option<Drawn>>,
}

fn param_error(name: &str, problem: String, remedy: &str) -> SpecError {
    SpecError::value(format!("protocol.paillier.{name}"), problem, remedy)
}

impl Paillier {
    /// With parameters in their ranges.
    ///
    /// # Errors
    /// One line that names the parameter.
    pub fn new(params: Params) -> Result<Paillier, SpecError> {
        if !KEY_BITS.contains(&params.key_bits) {
            let problem = format!("is {}", params.key_bits);
            return Err(param_error(
                "key_bits",
                problem,
                "write 2048 or 3072 (512 and 1024 are toys)",
            ));
        }
        if params.precision == 0 {
            return Err(param_error(
                "precision",
                "is 0".into(),
                "write steps a unit, e.g. 1000000",
            ));
        }
        if params.precision < MIN_PRECISION {
            let problem = format!(
                "is {}: values would be rounded to steps of {:e}, above 1e-3",
                params.precision,
                1.0 / params.precision as f64
            );
            return Err(param_error(
                "precision",
                problem,
                "write at least 1000 steps a unit, e.g. 1000000",
            ));
        }
        if !(params.range > 0.0 && params.range.is_finite()) {
            let problem = format!("is {}", params.range);
            return Err(param_error(
                "range",
                problem,
                "write the largest magnitude of a value, above 0",
            ));
        }
        Ok(Paillier { params, key: Mutex::new(None) })
    }

    /// The warning that belongs to an insecure key size.
    pub fn warning(&self) -> Option<String> {
        super::warning(self.params.key_bits)
    }

    /// The clients' key: the same for the same stream, so that later rounds do not draw it again.
    fn key(&self, rng: ChaCha12Rng) -> Result<Arc<SecretKey>, ProtocolError> {
        let mut seed = Zeroizing::new([0; 32]);
        Wiped::new(rng).fill_bytes(&mut seed[..]);
        let mut cache = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, key)) = cache.as_ref().filter(|(s, _)| *s == seed) {
            return Ok(key.clone());
        }
        let mut rng = Wiped::new(ChaCha12Rng::from_seed(*seed));
        let key = SecretKey::generate(self.params.key_bits, &mut *rng);
        let key = Arc::new(key.map_err(|e| malformed("key", &e))?);
        *cache = Some((seed, key.clone()));
        Ok(key)
    }

    /// The packing of a round, whose values may lie on the grid of a distributed noise.
    fn round_packing(&self, round: &Round, total_weight: u64) -> Result<Packing, ProtocolError> {
        let scale = round.grid.map_or(self.params.precision as f64, |grid| 1.0 / grid);
        self.packing(scale, total_weight).map_err(|e| ProtocolError::Malformed {
            what: "encoding".into(),
            problem: format!("it {e}"),
        })
    }

    fn packing(&self, scale: f64, total_weight: u64) -> Result<Packing, PackingError> {
        Packing::new(self.params.key_bits - 1, scale, self.params.range, total_weight)
    }
}

impl Protocol for Paillier {
    fn check(&self, federation: &Federation) -> Result<(), SpecError> {
        if federation.clients < 2 {
            let problem = format!(
                "is {}; the mean of fewer than two clients is an update",
                federation.clients
            );
            return Err(SpecError::value("federation.clients.total", problem, "write at least 2"));
        }
        let Some(weight) = (federation.clients as u64).checked_mul(federation.max_weight.max(1))
        else {
            let problem =
                format!("{} with weights up to {}", federation.clients, federation.max_weight);
            return Err(SpecError::value(
                "federation.clients.total",
                format!("is {problem}: the weights add up to more than 64 bits"),
                "take fewer clients or smaller weights",
            ));
        };
        let packing = self.packing(self.params.precision as f64, weight);
        packing.map(|_| ()).map_err(|e| {
            let problem = format!(
                "is {} for {} clients of weight up to {} and a range of {}: that {e}",
                self.params.precision, federation.clients, federation.max_weight, self.params.range
            );
            param_error(
                "precision",
                problem,
                "take fewer steps a unit, a smaller range or a longer key",
            )
        })
    }

    fn exchange(
        &self,
        round: &Round,
        stream: &mut dyn FnMut(&str) -> ChaCha12Rng,
    ) -> Result<Transcript, ProtocolError> {
        let n = round.updates.len();
        // A suite may run unchecked; the packing below is held to the round's own weights.
        self.check(&Federation { clients: n, values: 0, max_weight: 1, grid_steps: None })?;
        let total_weight = total_weight(round)?;
        let packing = self.round_packing(round, total_weight)?;
        let (mut keys, mut aggregate, mut decrypt) = (0.0, 0.0, 0.0);
        let key = timed(&mut keys, || self.key(stream("paillier key")))?;
        let exchange = Exchange::new(round, key, packing, self.params.range);
        let collected = exchange.collect(stream)?;
        let sum = timed(&mut aggregate, || {
            let sums = exchange.public().finish_all(&collected.sums);
            message::encode(exchange.public(), &sums)
        });
        let mean = timed(&mut decrypt, || exchange.open("decrypt", &sum, total_weight))?;
        let pooled = if round.colluders.is_empty() {
            None
        } else {
            let weight = round.weights[round.watched];
            Some(exchange.open("open upload", &collected.watched, weight)?)
        };
        let phases = [
            ("keys", keys),
            ("encrypt", collected.encrypt / n as f64),
            ("aggregate", collected.aggregate + aggregate),
            ("decrypt", decrypt),
        ];
        Ok(Transcript {
            mean,
            survivors: (0..n).collect(),
            upload: exchange.wire(&collected.watched),
            sum: exchange.wire(&sum),
            pooled,
            up: collected.up,
            down: vec![sum.len() as u64; n],
            phases: phases.map(|(name, seconds)| (name.to_string(), seconds)).into(),
            failures: Vec::new(),
        })
    }

    fn server_sees_update(&self) -> Exposure {
        Exposure::Hidden
    }

    fn server_sees_sum(&self) -> Exposure {
        Exposure::Hidden
    }

    fn pooled_sees_update(&self, k: usize, _n: usize) -> bool {
        k >= 1
    }

    fn key_opens_update(&self) -> Option<bool> {
        Some(true)
    }

    fn claim(&self) -> String {
        let bits = self.params.key_bits;
        let strength = match (super::security(bits), self.warning()) {
            (Some(level), _) => format!("{level}-bit security, {bits}-bit modulus"),
            (None, warning) => warning.unwrap_or_default(),
        };
        format!(
            "updates and sum hidden from the server ({strength}; assumes decisional composite \
             residuosity and discrete logarithms with short exponents, an honest-but-curious \
             server, and no client that pools with it: all share one secret key, and each opens \
             every upload it gets hold of); values rounded to steps of {:e}; the mean is exact to \
             half a step and hides nothing from whoever decrypts it",
            1.0 / self.params.precision as f64
        )
    }

    fn estimate(&self, federation: &Federation) -> Option<f64> {
        let weight = (federation.clients as u64).saturating_mul(federation.max_weight.max(1));
        let packing = self.packing(self.params.precision as f64, weight).ok()?;
        let speed = Speed::measured(self.params.key_bits);
        let (count, n) = (packing.plaintexts(federation.values) as f64, federation.clients as f64);
        let work = count * (n * (speed.encrypt + speed.add) + speed.decrypt);
        Some(speed.key + work / rayon::current_num_threads().max(1) as f64)
    }
}

/// The sum of the weights of a well-formed round.
fn total_weight(round: &Round) -> Result<u64, ProtocolError> {
    let bad = |problem: String| ProtocolError::Malformed { what: "round".into(), problem };
    let n = round.updates.len();
    if n == 0 || round.weights.len() != n || round.watched >= n {
        let (weights, watched) = (round.weights.len(), round.watched);
        return Err(bad(format!("{n} updates, {weights} weights, client {watched} watched")));
    }
    if let Some(client) = round.updates.iter().position(|u| u.len() != round.updates[0].len()) {
        return Err(bad(format!(
            "client {client} sends an update of another length than client 0"
        )));
    }
    if let Some(client) = round.weights.iter().position(|&w| w == 0) {
        return Err(bad(format!("client {client} has weight 0")));
    }
    let total = round.weights.iter().try_fold(0u64, |sum, &w| sum.checked_add(w));
    total.ok_or_else(|| bad("the weights add up to more than 64 bits".into()))
}
