//! The parameters of feature inversion.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use suites::SpecError;

/// The attack with its parameters.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeatureInversion {
    /// Evaluations of the first inversion of the features, at least 1 (retries get twice as many).
    pub feature_iterations: usize,
    /// Starts of that inversion: the first is grey, others are 1/f noise; the one whose features
    /// fit best is kept. At least 1.
    pub restarts: usize,
    /// How often an inversion is continued where the last convolution's gradient does not confirm
    /// it.
    pub retries: usize,
    /// Candidates tried for a better image once the last convolution's input is known.
    pub rounds: usize,
    /// Iterations of gradient matching where layers cannot be recovered in turn; 0 leaves the image
    /// of the features.
    pub refine_iterations: usize,
    /// Weight of total variation while features are inverted, times their relative noise energy:
    /// exact gradients are not smoothed.
    pub tv_weight: f64,
}

impl Default for FeatureInversion {
    fn default() -> FeatureInversion {
        FeatureInversion {
            feature_iterations: 60,
            restarts: 1,
            retries: 3,
            rounds: 8,
            refine_iterations: 300,
            tv_weight: 1.0,
        }
    }
}

impl FeatureInversion {
    /// Reads the parameters and checks their ranges.
    ///
    /// # Errors
    /// Names the parameter, what is wrong and what to write instead.
    pub fn new(map: &Map<String, Value>) -> Result<FeatureInversion, SpecError> {
        let params: FeatureInversion = suites::params("feature-inversion", map)?;
        let counts =
            [("feature_iterations", params.feature_iterations), ("restarts", params.restarts)];
        if let Some((name, _)) = counts.iter().find(|(_, v)| *v == 0) {
            return Err(SpecError::value(format!("attack.{name}"), "is 0", "write at least 1"));
        }
        if !(params.tv_weight >= 0.0 && params.tv_weight.is_finite()) {
            let problem = format!("is {}", params.tv_weight);
            return Err(SpecError::value(
                "attack.tv_weight",
                problem,
                "write a number of at least 0",
            ));
        }
        Ok(params)
    }
}
