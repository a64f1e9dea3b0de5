//! `gaussian-noise` and `laplace-noise`: noise of a chosen size on every value, calibrated to
//! nothing.

use std::collections::BTreeMap;

use learning::effect::{NoiseLaw, NoiseScale, Noised};
use learning::{Effect, Params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use suites::{Entry, SpecError};
use tch::Tensor;

use super::{finite, on_trainable, range};
use crate::dp::common;
use crate::{Defense, DefenseError, Deployment, Released, Turn};

/// Registry entry of Gaussian noise.
pub static GAUSSIAN: Entry<dyn Defense> = Entry {
    name: "gaussian-noise",
    summary: "add Gaussian noise of standard deviation `std` to every value, in the update's own \
        unit or (`unit = \"rms\"`) times its root mean square; no clipping, no guarantee",
    reference: "Zhu, Liu, Han: Deep Leakage from Gradients, NeurIPS 2019, section 5 (noisy \
        gradients)",
    build: |map| build("gaussian-noise", Distribution::Gaussian, map),
};

/// Registry entry of Laplacian noise.
pub static LAPLACE: Entry<dyn Defense> = Entry {
    name: "laplace-noise",
    summary: "add Laplacian noise of standard deviation `std` to every value, in the update's own \
        unit or (`unit = \"rms\"`) times its root mean square; no clipping, no guarantee",
    reference: "Zhu, Liu, Han: Deep Leakage from Gradients, NeurIPS 2019, section 5 (noisy \
        gradients)",
    build: |map| build("laplace-noise", Distribution::Laplace, map),
};

fn build(
    entry: &str,
    distribution: Distribution,
    map: &Map<String, Value>,
) -> Result<Box<dyn Defense>, SpecError> {
    let setting: Noise = suites::params(entry, map)?;
    let good = setting.std > 0.0 && setting.std.is_finite();
    range(entry, "std", setting.std, good, "write a finite number above 0, e.g. 0.01")?;
    Ok(Box::new(Noise { distribution, ..setting }))
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Distribution {
    #[default]
    Gaussian,
    Laplace,
}

/// What `std` counts in.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// The update's own unit: the same noise on every update.
    Absolute,
    /// The root mean square of the client's trainable values: the same noise-to-signal ratio on
    /// every update.
    Rms,
}

/// Parameters of both.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Noise {
    /// Standard deviation on each value (a Laplacian's scale is `std / sqrt(2)`), above 0.
    pub std: f64,
    /// What it counts in.
    pub unit: Unit,
    #[serde(skip)]
    distribution: Distribution,
}

impl Default for Noise {
    fn default() -> Noise {
        Noise { std: 0.01, unit: Unit::Absolute, distribution: Distribution::Gaussian }
    }
}

impl Noise {
    /// Scale of the distribution for a standard deviation of 1: a Laplacian of scale b has variance
    /// 2 b^2.
    fn unit_scale(&self) -> f64 {
        match self.distribution {
            Distribution::Gaussian => 1.0,
            Distribution::Laplace => std::f64::consts::FRAC_1_SQRT_2,
        }
    }
}

impl Defense for Noise {
    fn release(&self, update: Params, turn: &mut Turn) -> Result<Released, DefenseError> {
        finite(&update)?;
        let (norm, n) = (update.norm(), update.layout().trainable_len().max(1) as f64);
        let std = match self.unit {
            Unit::Absolute => norm.ones_like() * self.std,
            Unit::Rms => &norm * (self.std / n.sqrt()),
        };
        let scale = &std * self.unit_scale();
        let noised = on_trainable(&update, |t: &Tensor| {
            let drawn = match self.distribution {
                Distribution::Gaussian => common::normal(t, turn.rngs),
                Distribution::Laplace => common::laplace(t, turn.rngs),
            };
            t + common::scaled(&drawn, &scale)
        });
        let values = BTreeMap::from([
            ("sigma".to_string(), common::mean(&std)),
            // Expected noise norm over the signal's own.
            (
                "noise_to_signal".to_string(),
                common::mean(&(&std * n.sqrt() / norm.clamp_min(1e-30))),
            ),
        ]);
        Ok(Released { update: noised, values, grid: None })
    }

    fn effects(&self, _deployment: &Deployment) -> Result<Vec<Effect>, DefenseError> {
        let size = self.std * self.unit_scale();
        let scale = match self.unit {
            Unit::Absolute => NoiseScale::Absolute(size),
            Unit::Rms => NoiseScale::TimesRms(size),
        };
        let law = match self.distribution {
            Distribution::Gaussian => NoiseLaw::Gaussian,
            Distribution::Laplace => NoiseLaw::Laplace,
        };
        Ok(vec![Effect::Noise { law, scale, on: Noised::Update }])
    }

    fn bits_per_value(&self) -> Option<f64> {
        // Noise fills in what an earlier defense left out or rounded.
        Some(32.0)
    }

    fn adaptive(&self) -> Option<&'static str> {
        Some(super::ADAPTIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{deployment, in_turn, streams, update};
    use serde_json::json;

    fn release(entry: &Entry<dyn Defense>, json: Value, update: Params) -> Released {
        let defense = (entry.build)(json.as_object().unwrap()).unwrap();
        let mut rngs = streams(update.lanes() as usize);
        in_turn(&deployment(1), &mut rngs, &mut BTreeMap::new(), |turn| {
            defense.release(update, turn)
        })
        .unwrap()
    }

    fn std(t: &Tensor) -> f64 {
        t.std(true).double_value(&[])
    }

    #[test]
    fn the_noise_has_the_chosen_standard_deviation_and_no_clipping() {
        for entry in [&GAUSSIAN, &LAPLACE] {
            let out = release(entry, json!({ "std": 0.5 }), update(2, 40_000, 100.0));
            let noise = &out.update.tensors[0] - 100.0;
            assert!((std(&noise) - 0.5).abs() < 0.01, "{} {}", entry.name, std(&noise));
            assert!(noise.mean(None).double_value(&[]).abs() < 0.01);
            let shared = common::mean(&(noise.get(0) * noise.get(1)));
            assert!(shared.abs() < 0.005, "clients draw independent noise");
            assert!((out.values["noise_to_signal"] - 0.005).abs() < 1e-6);
        }
    }

    /// A Laplacian's mean magnitude is its scale, std/sqrt(2); a Gaussian's is std sqrt(2/pi).
    #[test]
    fn the_distributions_differ_in_their_tails() {
        let magnitude = |entry| {
            let out = release(entry, json!({ "std": 1.0 }), update(1, 40_000, 0.0));
            common::mean(&out.update.tensors[0].abs())
        };
        assert!((magnitude(&GAUSSIAN) - (2.0 / std::f64::consts::PI).sqrt()).abs() < 0.015);
        assert!((magnitude(&LAPLACE) - 0.5f64.sqrt()).abs() < 0.015);
    }

    #[test]
    fn a_relative_std_follows_the_update_of_each_client() {
        let both =
            update(2, 40_000, 1.0).map(|t| t * Tensor::from_slice(&[1f32, 10.0]).reshape([2, 1]));
        let out = release(&GAUSSIAN, json!({ "std": 0.1, "unit": "rms" }), both);
        let noise = |t: i64, level: f64| std(&(out.update.tensors[0].get(t) - level));
        assert!((noise(0, 1.0) - 0.1).abs() < 0.005 && (noise(1, 10.0) - 1.0).abs() < 0.05);
        assert!((out.values["noise_to_signal"] - 0.1).abs() < 1e-6);
    }

    #[test]
    fn what_is_published_follows_from_the_parameters() {
        let effects = |entry: &Entry<dyn Defense>, json: Value| {
            let defense = (entry.build)(json.as_object().unwrap()).unwrap();
            defense.effects(&deployment(1)).unwrap()
        };
        let noise = |law, scale| vec![Effect::Noise { law, scale, on: Noised::Update }];
        let (gaussian, laplace) = (NoiseLaw::Gaussian, NoiseLaw::Laplace);
        let expected = noise(gaussian, NoiseScale::Absolute(0.5));
        assert_eq!(effects(&GAUSSIAN, json!({ "std": 0.5 })), expected);
        let expected = noise(laplace, NoiseScale::Absolute(2f64.sqrt()));
        assert_eq!(effects(&LAPLACE, json!({ "std": 2.0 })), expected);
        let expected = noise(gaussian, NoiseScale::TimesRms(0.01));
        assert_eq!(effects(&GAUSSIAN, json!({ "unit": "rms" })), expected);
    }

    #[test]
    fn nan_and_a_bad_std_are_refused_in_one_line() {
        let noise = Noise::default();
        let bad = in_turn(&deployment(1), &mut streams(1), &mut BTreeMap::new(), |turn| {
            noise.release(update(1, 4, f64::NAN), turn)
        });
        assert!(bad.is_err());
        for std in [0.0, -1.0] {
            let message = (GAUSSIAN.build)(json!({ "std": std }).as_object().unwrap())
                .err()
                .unwrap()
                .to_string();
            assert!(message.contains("gaussian-noise.std") && !message.contains('\n'), "{message}");
        }
    }
}
