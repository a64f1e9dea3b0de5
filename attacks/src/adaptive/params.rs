//! Parameters of the adaptive attack: those of gradient matching, and how it adapts.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use suites::{Parameters, SpecError};

use crate::matching::MatchingConfig;
use crate::matching::defense_model::Masked;
use crate::matching::objective::Objective;
use crate::optim::Decay;

/// Which settings of the match hold.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recipe {
    /// Those given; on a smooth network those of [`super::smooth`] in the place of optimiser,
    /// objective, total variation and restarts, with as many evaluations as `iterations` says.
    #[default]
    Auto,
    /// Those given, on every network.
    AsSet,
}

/// How the attack adapts.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adapting {
    /// Whether the network decides on the recipe; `as-set` where a suite sets any part of one.
    pub recipe: Recipe,
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
        Adapting { recipe: Recipe::Auto, draws: 4, contrast: 2.0, masked: Masked::Columns }
    }
}

/// Parameters that leave the choice of a recipe open.
const OPEN: [&str; 6] =
    ["iterations", "restarts", "labels", "label_hypotheses", "layers", "unroll"];

/// The match on networks that are not smooth: signed Adam on the cosine under light total
/// variation.
pub fn rough() -> MatchingConfig {
    MatchingConfig {
        iterations: 4800,
        objective: Objective::Cosine,
        signed: true,
        schedule: Decay::Step,
        tv_weight: 1e-4,
        boxed: true,
        label_hypotheses: 10,
        ..MatchingConfig::default()
    }
}

/// The attack with its parameters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AdaptiveMatching {
    /// The match: [`rough`] by default.
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
        let base = rough();
        let own = Adapting::default().spelled_out();
        let matching = base.parameters();
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
        let mut adapting: Adapting = suites::params(preset, &part(true))?;
        let chosen = |k: &String| matching.contains_key(k) && !OPEN.contains(&k.as_str());
        if !given.contains_key("recipe") && given.keys().any(chosen) {
            adapting.recipe = Recipe::AsSet;
        }
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
