//! Parameters of the portfolio.

use serde::{Deserialize, Serialize};
use suites::SpecError;

/// The attack with its parameters.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, try_from = "Raw")]
pub struct Strongest {
    /// Evaluations of the attack on one captured signal, all starts together, at least 1.
    pub iterations: usize,
    /// Starts of a recipe, at least 1; more where noise leaves more labels open.
    pub restarts: usize,
    /// Evaluations spent on one public signal while the best recipes are sought, at least 1; the
    /// finalists then attack it with those of a start each, but no more than this.
    pub calibration: usize,
    /// Public pictures asked for, at least 1.
    pub public: usize,
    /// Weights of total variation in the grid, each at least 0.
    pub tv_weights: Vec<f64>,
}

impl Default for Strongest {
    fn default() -> Strongest {
        Strongest {
            iterations: 4800,
            restarts: 4,
            calibration: 6000,
            public: 8,
            tv_weights: vec![0.0, 1e-4, 1e-2, 1e-1],
        }
    }
}

/// The same before its ranges are checked.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    iterations: usize,
    restarts: usize,
    calibration: usize,
    public: usize,
    tv_weights: Vec<f64>,
}

impl Default for Raw {
    fn default() -> Raw {
        let Strongest { iterations, restarts, calibration, public, tv_weights } =
            Strongest::default();
        Raw { iterations, restarts, calibration, public, tv_weights }
    }
}

impl TryFrom<Raw> for Strongest {
    type Error = SpecError;

    fn try_from(raw: Raw) -> Result<Strongest, SpecError> {
        let Raw { iterations, restarts, calibration, public, tv_weights } = raw;
        let counts = [
            ("iterations", iterations),
            ("restarts", restarts),
            ("calibration", calibration),
            ("public", public),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, v)| *v == 0) {
            return Err(SpecError::value(format!("attack.{name}"), "is 0", "write at least 1"));
        }
        if tv_weights.is_empty() || tv_weights.iter().any(|w| !(*w >= 0.0 && w.is_finite())) {
            let problem = format!("is {tv_weights:?}");
            let remedy = "list at least one weight, each of at least 0";
            return Err(SpecError::value("attack.tv_weights", problem, remedy));
        }
        Ok(Strongest { iterations, restarts, calibration, public, tv_weights })
    }
}
