//! `clamp`: no value of an update leaves `[-limit, limit]`.

use std::collections::BTreeMap;

use defenses::{Defense, DefenseError, Deployment, Released, Turn};
use learning::{Effect, Params};
use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};
use tch::Kind;

/// Registry entry.
pub static ENTRY: Entry<dyn Defense> = Entry {
    name: "clamp",
    summary: "every value of the update is clamped to `[-limit, limit]`",
    reference: "Your name: your paper, your conference 2026",
    build: |map| {
        let clamp: Clamp = suites::params("clamp", map)?;
        if !(clamp.limit > 0.0 && clamp.limit.is_finite()) {
            let problem = format!("is {}", clamp.limit);
            let remedy = "write a finite number above 0, e.g. 0.01";
            return Err(SpecError::value("defenses.clamp.limit", problem, remedy));
        }
        Ok(Box::new(clamp))
    },
};

/// Parameters.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clamp {
    /// Largest magnitude that a value keeps, above 0.
    pub limit: f64,
}

impl Default for Clamp {
    fn default() -> Clamp {
        Clamp { limit: 0.01 }
    }
}

impl Defense for Clamp {
    fn release(&self, update: Params, _turn: &mut Turn) -> Result<Released, DefenseError> {
        let clamped = update.map(|t| t.clamp(-self.limit, self.limit));
        let error = clamped.sub(&update).norm() / update.norm().clamp_min(1e-30);
        let error = error.mean(Kind::Double).double_value(&[]);
        let values = BTreeMap::from([("relative_error".to_string(), error)]);
        Ok(Released { update: clamped, values, grid: None })
    }

    fn effects(&self, _deployment: &Deployment) -> Result<Vec<Effect>, DefenseError> {
        Ok(vec![Effect::Clamped { bound: self.limit }])
    }
}
