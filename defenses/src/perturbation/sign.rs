//! `sign`: one bit a value.

use std::collections::BTreeMap;

use learning::{Effect, Params};
use serde::{Deserialize, Serialize};
use suites::Entry;
use tch::Tensor;

use super::{finite, on_trainable, relative_error};
use crate::{Defense, DefenseError, Deployment, Released, Turn};

/// Registry entry.
pub static ENTRY: Entry<dyn Defense> = Entry {
    name: "sign",
    summary: "send each value's sign, times the tensor's mean magnitude (`scaled`, default) or \
        times 1",
    reference: "Bernstein, Wang, Azizzadenesheli, Anandkumar: signSGD, ICML 2018; scaled as in \
        Karimireddy et al., ICML 2019",
    build: |map| Ok(Box::new(suites::params::<Sign>("sign", map)?)),
};

/// Parameters.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sign {
    /// Whether the signs are times the mean magnitude of their tensor (one more number a tensor) or
    /// times 1.
    pub scaled: bool,
}

impl Default for Sign {
    fn default() -> Sign {
        Sign { scaled: true }
    }
}

impl Sign {
    /// `sgn(v) ||v||_1 / n` for each row of `[T, ...]`; one bit has no zero, so zero counts as
    /// positive.
    fn signs(&self, t: &Tensor) -> Tensor {
        let rows = t.flatten(1, -1);
        let signs = rows.ge(0.0).to_kind(t.kind()) * 2.0 - 1.0;
        let signs = if self.scaled { signs * rows.abs().mean_dim(1, true, None) } else { signs };
        signs.reshape(t.size())
    }
}

impl Defense for Sign {
    fn release(&self, update: Params, _turn: &mut Turn) -> Result<Released, DefenseError> {
        finite(&update)?;
        let out = on_trainable(&update, |t| self.signs(t));
        let values =
            BTreeMap::from([("relative_error".to_string(), relative_error(&out, &update))]);
        Ok(Released { update: out, values, grid: None })
    }

    fn bits_per_value(&self) -> Option<f64> {
        Some(1.0)
    }

    fn adaptive(&self) -> Option<&'static str> {
        Some(super::ADAPTIVE)
    }

    fn effects(&self, _deployment: &Deployment) -> Result<Vec<Effect>, DefenseError> {
        Ok(vec![Effect::Signs { scaled: self.scaled }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturbation::testing::values;

    #[test]
    fn signs_times_the_mean_magnitude_of_each_client() {
        let t =
            Tensor::from_slice(&[1f32, -2.0, 0.0, 5.0, 10.0, 10.0, -10.0, 30.0]).reshape([2, 2, 2]);
        assert_eq!(
            values(&Sign::default().signs(&t)),
            [2.0, -2.0, 2.0, 2.0, 15.0, 15.0, -15.0, 15.0]
        );
        assert_eq!(
            values(&Sign { scaled: false }.signs(&t)),
            [1.0, -1.0, 1.0, 1.0, 1.0, 1.0, -1.0, 1.0]
        );
        assert_eq!(Sign::default().bits_per_value(), Some(1.0));
    }

    #[test]
    fn an_unknown_parameter_is_one_line() {
        let map = serde_json::json!({ "scale": true });
        let message = (ENTRY.build)(map.as_object().unwrap()).err().expect("refused").to_string();
        assert!(message.contains("scaled") && !message.contains('\n'), "{message}");
    }
}
