//! The hooks of a defence, in the order in which a round calls them.

use std::collections::BTreeMap;

use learning::Params;
use rand_chacha::ChaCha12Rng;
use serde_json::{Map, Value};
use thiserror::Error;

/// Why a defence could not act.
#[derive(Debug, Error)]
pub enum DefenseError {
    /// The update cannot be protected.
    #[error("the update {0}")]
    BadUpdate(String),
    /// From the specification.
    #[error(transparent)]
    Spec(#[from] suites::SpecError),
}

/// An update as it leaves the client.
#[derive(Debug)]
pub struct Released {
    /// What is sent, `[T, ...]` for `T` clients.
    pub update: Params,
    /// What the report prints of it (means over the clients), e.g. sigma, clip factor, noise-to-signal.
    pub values: BTreeMap<String, f64>,
}

/// A defence with its parameters fixed.
pub trait Defense: Send + Sync {
    /// Transforms what `T` clients would send (a gradient or an update, `[T, ...]`); `rngs` holds one stream a client.
    ///
    /// # Errors
    /// When the update cannot be protected (e.g. is not finite).
    fn release(&self, update: Params, rngs: &mut [ChaCha12Rng]) -> Result<Released, DefenseError>;

    /// Bits a parameter takes on the wire after this defence, where it changes that.
    fn bits_per_value(&self) -> Option<f64> {
        None
    }

    /// What is guaranteed, in words; "no guarantee" where nothing is proved.
    fn claim(&self) -> String {
        "no guarantee".into()
    }

    /// Name of the adaptive attack registered against it.
    fn adaptive(&self) -> Option<&'static str> {
        None
    }

    /// Its parameters, all spelled out.
    fn spelled_out(&self) -> Map<String, Value>;
}

/// The parameters of a serialisable setting as a table.
pub(crate) fn spelled_out(setting: &impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(setting) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}
