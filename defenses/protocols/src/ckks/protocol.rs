//! `ckks`: clients encrypt their weighted updates, the server adds ciphertexts, the holders of the
//! key open the sum.

use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};

use super::encode::WIDEST;
use super::noise::{
    Origin, flooding_sigma, rescaling_sigma, sum_sigma, transform_error, worst_error,
};
use super::round::Exchange;
use super::{Context, ParameterSet};
use crate::{Exposure, Federation, Protocol, ProtocolError, Round, Transcript};

/// Registry entry.
pub static ENTRY: Entry<dyn Protocol> = Entry {
    name: "ckks",
    summary: "updates encrypted homomorphically (RNS-CKKS); the server adds ciphertexts it cannot \
        read",
    reference: "Cheon et al.: Homomorphic Encryption for Arithmetic of Approximate Numbers, \
        ASIACRYPT 2017; threshold keys: \
                Mouchet et al., PETS 2021; flooding: Li, Micciancio, Schultz and Sorrell, CRYPTO \
                2022",
    build: |map| Ok(Box::new(suites::params::<Ckks>("ckks", map)?)),
};

/// Largest error of a mean that is let through.
const PRECISION: f64 = 1e-6;

/// Who holds the secret key.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holders {
    /// All clients hold the same secret key; the server has the public key.
    Shared,
    /// Each client holds a share; only all together open a ciphertext.
    Threshold,
}

/// CKKS with its parameters fixed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Ckks {
    /// Who holds the secret key.
    pub key: Holders,
    /// Parameter set.
    pub parameters: ParameterSet,
    /// Largest magnitude of an update's values.
    pub range: f64,
    /// Bits by which the noise added to a decryption exceeds the noise that it hides; 0 for none
    /// (shared key only).
    pub flooding_bits: u32,
}

/// As it is written in a suite.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    key: Holders,
    parameters: String,
    range: f64,
    flooding_bits: u32,
}

impl Default for Raw {
    fn default() -> Self {
        Raw { key: Holders::Threshold, parameters: "fedavg".into(), range: 64.0, flooding_bits: 40 }
    }
}

impl From<Ckks> for Raw {
    fn from(ckks: Ckks) -> Raw {
        let parameters =
            ckks.parameters.name().map_or_else(|| ckks.parameters.to_string(), str::to_owned);
        Raw { key: ckks.key, parameters, range: ckks.range, flooding_bits: ckks.flooding_bits }
    }
}

impl TryFrom<Raw> for Ckks {
    type Error = SpecError;

    fn try_from(raw: Raw) -> Result<Ckks, SpecError> {
        let Raw { key, parameters, range, flooding_bits } = raw;
        let parameters: ParameterSet = parameters.parse()?;
        if !(range > 0.0 && range.is_finite()) {
            let problem = format!("must be above 0, got {range}");
            return Err(SpecError::value(
                "range",
                problem,
                "write the largest magnitude of an update, such as 64",
            ));
        }
        let least = if key == Holders::Threshold { 20 } else { 0 };
        if !(least..=48).contains(&flooding_bits) {
            let problem = format!("must be in {least}..48 for this key, got {flooding_bits}");
            return Err(SpecError::value("flooding_bits", problem, "write such as 40"));
        }
        Ok(Ckks { key, parameters, range, flooding_bits })
    }
}

impl Default for Ckks {
    fn default() -> Self {
        let Raw { key, range, flooding_bits, .. } = Raw::default();
        Ckks { key, parameters: ParameterSet::default(), range, flooding_bits }
    }
}

impl Ckks {
    /// Standard deviation of the flooding noise that each decrypting party adds, with `clients` in
    /// the sum.
    pub(crate) fn flooding(&self, clients: usize) -> f64 {
        flooding_sigma(
            self.flooding_bits,
            sum_sigma(&self.parameters, clients, self.origin(clients)),
        )
    }

    fn origin(&self, clients: usize) -> Origin {
        match self.key {
            Holders::Shared => Origin::Secret,
            Holders::Threshold => Origin::Public(clients),
        }
    }

    /// Largest error to expect of a mean over `clients`.
    pub fn error(&self, clients: usize) -> f64 {
        let sum = sum_sigma(&self.parameters, clients, self.origin(clients));
        let (floods, rounding) = match self.key {
            Holders::Threshold => (clients, rescaling_sigma(&self.parameters, clients + 1)),
            Holders::Shared => (1, 0.0),
        };
        let sigma =
            (sum * sum + floods as f64 * self.flooding(clients).powi(2) + rounding * rounding)
                .sqrt();
        worst_error(&self.parameters, sigma, self.parameters.scale())
            + transform_error(&self.parameters, self.range)
    }
}

/// The largest scale in bits whose coefficients stay below [`WIDEST`] for values up to `range`.
fn widest_scale(range: f64) -> u32 {
    (WIDEST / range / 2f64.sqrt()).log2().clamp(10.0, 125.0) as u32
}

impl Protocol for Ckks {
    fn check(&self, federation: &Federation) -> Result<(), SpecError> {
        check_clients(federation.clients)?;
        self.check_range()?;
        self.check_precision(federation.clients)
    }

    fn exchange(
        &self,
        round: &Round,
        stream: &mut dyn FnMut(&str) -> ChaCha12Rng,
    ) -> Result<Transcript, ProtocolError> {
        let federation = Federation {
            clients: round.updates.len(),
            values: round.updates.first().map_or(0, Vec::len),
            max_weight: round.weights.iter().copied().max().unwrap_or(0),
            grid_steps: None,
        };
        self.check(&federation)?;
        self.check_updates(round.updates)?;
        Exchange::begin(self, round, stream)?.run()
    }

    fn server_sees_update(&self) -> Exposure {
        Exposure::Hidden
    }

    fn server_sees_sum(&self) -> Exposure {
        Exposure::Hidden
    }

    fn pooled_sees_update(&self, k: usize, _n: usize) -> bool {
        self.key == Holders::Shared && k >= 1
    }

    fn key_opens_update(&self) -> Option<bool> {
        Some(self.key == Holders::Shared)
    }

    fn claim(&self) -> String {
        let security = self.parameters.security_bits();
        let holders = match self.key {
            Holders::Shared => "from the server, not from any client: each holds the secret key",
            Holders::Threshold => {
                "from the server and any group short of all clients, as long as they ask for \
                 decryptions of the sum alone"
            }
        };
        let flooding = match self.flooding_bits {
            0 => "no flooding: a decryption that leaves the key's holders leaks the key (Li and \
                Micciancio 2021)"
                .into(),
            bits => format!(
                "{bits} bits of flooding cover the noise of a decryption, which else leaks the \
                 key (Li and Micciancio 2021)"
            ),
        };
        format!(
            "updates hidden {holders}; honest but curious parties, ring-LWE at {security} bits of \
             security ({}); {flooding}; \
             the mean itself is not protected",
            self.parameters
        )
    }

    fn estimate(&self, federation: &Federation) -> Option<f64> {
        // Seconds a coefficient and prime of one client, measured on one core: encryption, the
        // server's share, partial decryption.
        let each = if self.key == Holders::Threshold { 1.7e-7 } else { 1.0e-7 };
        let ciphertexts = self.parameters.ciphertexts(federation.values) as f64;
        let residues = self.parameters.degree() as f64 * self.parameters.moduli().len() as f64;
        Some(ciphertexts * residues * each * (federation.clients as f64 + 1.0))
    }
}

/// Refuses a key without holders enough: the mean of one client is its update, whoever holds the
/// key.
fn check_clients(clients: usize) -> Result<(), SpecError> {
    if (2..=usize::from(u16::MAX)).contains(&clients) {
        return Ok(());
    }
    let problem = format!("is {clients}; a ckks key needs 2 to 65535 holders");
    let remedy = if clients < 2 { "write at least 2" } else { "write at most 65535" };
    Err(SpecError::value("federation.clients.total", problem, remedy))
}

impl Ckks {
    /// Refuses a range that the coefficients or the modulus cannot hold.
    fn check_range(&self) -> Result<(), SpecError> {
        if self.parameters.scale() * self.range * 2f64.sqrt() >= WIDEST {
            let (bits, range) = (self.parameters.scale_bits(), self.range);
            let problem = format!(
                "a scale of {bits} bits and a range of {range} need more than 126 bits a \
                 coefficient"
            );
            let bits = widest_scale(range);
            let remedy = format!("write a scale of at most {bits} bits, or a smaller range");
            return Err(SpecError::value("protocol.ckks.parameters", problem, remedy));
        }
        let capacity = Context::new(&self.parameters).capacity();
        if self.range > capacity {
            let problem = format!("{} is beyond what {} encodes", self.range, self.parameters);
            let remedy = format!("write at most {capacity:.3}, or use a larger modulus");
            return Err(SpecError::value("protocol.ckks.range", problem, remedy));
        }
        Ok(())
    }

    /// Refuses parameters whose mean over `clients` would be too far off.
    fn check_precision(&self, clients: usize) -> Result<(), SpecError> {
        let error = self.error(clients);
        if error <= PRECISION {
            return Ok(());
        }
        let problem = format!(
            "{} with {} bits of flooding: a mean of {clients} clients is off by up to {error:.1e}, \
             above {PRECISION:e}",
            self.parameters, self.flooding_bits
        );
        let remedy = "use a larger scale, or fewer flooding_bits";
        Err(SpecError::value("protocol.ckks.parameters", problem, remedy))
    }

    /// Refuses what cannot be encoded, naming client, position and magnitude.
    fn check_updates(&self, updates: &[Vec<f32>]) -> Result<(), ProtocolError> {
        for (client, update) in updates.iter().enumerate() {
            let fits = |v: &f32| f64::from(v.abs()) <= self.range;
            let Some(position) = update.iter().position(|v| !fits(v)) else { continue };
            let value = update[position];
            let remedy = if value.is_finite() {
                format!(
                    "clip the update, or raise `range` (at most {:.3} with {})",
                    Context::new(&self.parameters).capacity(),
                    self.parameters
                )
            } else {
                "lower the learning rate".into()
            };
            let problem = format!(
                "its value {value:e} at position {position} is outside the range -{0} to {0}",
                self.range
            );
            return Err(ProtocolError::Update { client, problem, remedy });
        }
        Ok(())
    }
}
