//! Parameters of the adaptive attack: those of gradient matching, and how it adapts.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use suites::{Parameters, SpecError};

use crate::matching::MatchingConfig;
use crate::matching::defense_model::Masked;
use crate::presets::inverting_gradients;

/// How the attack adapts.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adapting {
    /// Draws of a random model's buffers that each evaluation averages over, at least 1.
    pub draws: usize,
    /// Difference of neighbouring normalised pixels by which an image becomes `e` times less
    /// likely, above 0: what the likelihood of noise is weighed against. Some four times the mean
    /// difference serves best on digits, since most of a picture's is in its edges.
    pub contrast: f64,
    /// What is left out of a layer of which columns were masked.
    pub masked: Masked,
}

impl Default for Adapting {
    fn default() -> Adapting {
        Adapting { draws: 4, contrast: 2.0, masked: Masked::Columns }
    }
}

/// The attack with its parameters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AdaptiveMatching {
    /// The match: [`inverting_gradients`] by default.
    #[serde(flatten)]
    pub config: MatchingConfig,
    /// How it adapts.
    #[serde(flatten)]
    pub adapting: Adapting,
}

impl AdaptiveMatching {
    /// Reads the parameters and checks their ranges.
    ///
    /// # Errors
    /// Names the parameter, what is wrong and what to write instead.
    pub fn new(given: &Map<String, Value>) -> Result<AdaptiveMatching, SpecError> {
        let preset = "adaptive-matching";
        let base = inverting_gradients::config();
        let own = Adapting::default().spelled_out();
        let matching = base.spelled_out();
        if let Some(key) =
            given.keys().find(|k| !own.contains_key(*k) && !matching.contains_key(*k))
        {
            let known = matching.keys().chain(own.keys()).map(String::as_str);
            return Err(SpecError::unknown_key(format!("attack `{preset}`"), key, known));
        }
        let part = |mine: bool| -> Map<String, Value> {
            given
                .iter()
                .filter(|(k, _)| own.contains_key(*k) == mine)
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect()
        };
        let adapting: Adapting = suites::params(preset, &part(true))?;
        if adapting.draws == 0 {
            return Err(SpecError::value("attack.draws", "is 0", "write at least 1"));
        }
        if !(adapting.contrast > 0.0 && adapting.contrast.is_finite()) {
            let problem = format!("is {}", adapting.contrast);
            return Err(SpecError::value(
                "attack.contrast",
                problem,
                "write a finite number above 0, e.g. 2.0",
            ));
        }
        Ok(AdaptiveMatching {
            config: MatchingConfig::overlay(preset, &base, &part(false))?,
            adapting,
        })
    }
}
