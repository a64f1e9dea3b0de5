//! `dp-gaussian`: each client clips its update to an L2 norm and adds Gaussian noise calibrated to one release.

use std::collections::BTreeMap;

use learning::{Params, noise};
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use suites::{Entry, SpecError};
use tch::{Kind, Tensor};

use super::analytic;
use crate::{Defense, DefenseError, Released};

/// Registry entry.
pub static ENTRY: Entry<dyn Defense> = Entry {
    name: "dp-gaussian",
    summary: "clip the client's update to L2 norm `clip`, add Gaussian noise for (`epsilon`, `delta`)",
    reference: "Balle, Wang: Improving the Gaussian Mechanism for Differential Privacy, ICML 2018",
    build: |map| {
        let setting: Gaussian = suites::params("dp-gaussian", map)?;
        setting.check()?;
        Ok(Box::new(setting))
    },
};

/// Parameters.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gaussian {
    /// Privacy loss of one release, above 0.
    pub epsilon: f64,
    /// Failure probability, inside (0, 1).
    pub delta: f64,
    /// Largest L2 norm of a client's update, above 0.
    pub clip: f64,
}

impl Default for Gaussian {
    fn default() -> Gaussian {
        Gaussian { epsilon: 8.0, delta: 1e-5, clip: 1.0 }
    }
}

impl Gaussian {
    fn check(&self) -> Result<(), SpecError> {
        let positive = |name: &str, v: f64| match v > 0.0 && v.is_finite() {
            true => Ok(()),
            false => Err(SpecError::value(
                format!("defenses.dp-gaussian.{name}"),
                format!("is {v}"),
                "write a finite number above 0",
            )),
        };
        positive("epsilon", self.epsilon)?;
        positive("clip", self.clip)?;
        if !(self.delta > 0.0 && self.delta < 1.0) {
            let problem = format!("is {}", self.delta);
            return Err(SpecError::value(
                "defenses.dp-gaussian.delta",
                problem,
                "write a probability strictly between 0 and 1, e.g. 1e-5",
            ));
        }
        Ok(())
    }

    /// Standard deviation of the noise on each coordinate.
    pub fn sigma(&self) -> f64 {
        self.clip * analytic::sigma(self.epsilon, self.delta)
    }
}

impl Defense for Gaussian {
    fn release(&self, update: Params, rngs: &mut [ChaCha12Rng]) -> Result<Released, DefenseError> {
        let norm = update.norm();
        if norm.isfinite().all().int64_value(&[]) == 0 {
            return Err(DefenseError::BadUpdate(
                "holds NaN or infinite values; nothing that is clipped from it is private".into(),
            ));
        }
        let sigma = self.sigma();
        let factor = (norm.clamp_min(1e-30).reciprocal() * self.clip).clamp_max(1.0);
        let trainable: Vec<bool> = update.layout().specs().iter().map(|s| s.trainable).collect();
        let mut trainable = trainable.into_iter();
        let noised = update.map(|t| match trainable.next() {
            Some(true) => scaled(t, &factor) + draw(t, rngs) * sigma,
            // Running statistics would leave unprotected: they are not sent.
            _ => t.zeros_like(),
        });
        let mean = |t: &Tensor| t.mean(Kind::Double).double_value(&[]);
        let noise_norm = sigma * (update.layout().trainable_len() as f64).sqrt();
        let values = BTreeMap::from([
            ("sigma".to_string(), sigma),
            ("clip_factor".to_string(), mean(&factor)),
            ("update_norm".to_string(), mean(&norm)),
            // Expected noise norm over the clipped signal's norm.
            ("noise_to_signal".to_string(), noise_norm / mean(&(&norm * &factor)).max(1e-30)),
        ]);
        Ok(Released { update: noised, values })
    }

    fn bits_per_value(&self) -> Option<f64> {
        // Noise fills in what an earlier defence left out or rounded.
        Some(32.0)
    }

    fn claim(&self) -> String {
        // Replacing an update is taking it away and putting another in: group privacy of two steps.
        let (twice, either) = (2.0 * self.epsilon, (self.epsilon.exp() + 1.0) * self.delta);
        let replaced = match either < 1.0 {
            true => format!("({twice}, {either:.1e})-DP"),
            false => "nothing (delta above 1)".to_string(),
        };
        format!(
            "({}, {:e})-DP for one release; unit: the client's whole update, neighbouring: its update present or replaced by zero (sensitivity = clip); between two updates of a client known to take part: {replaced}; rounds compose",
            self.epsilon, self.delta
        )
    }

    fn spelled_out(&self) -> Map<String, Value> {
        crate::defense::spelled_out(self)
    }
}

fn scaled(t: &Tensor, factor: &Tensor) -> Tensor {
    let mut shape = vec![1; t.dim()];
    shape[0] = -1;
    t * factor.reshape(shape)
}

/// One standard normal draw a client, each from its own stream.
fn draw(like: &Tensor, rngs: &mut [ChaCha12Rng]) -> Tensor {
    let shape = &like.size()[1..];
    let rows: Vec<Tensor> = rngs.iter_mut().map(|rng| noise::normal(rng, shape)).collect();
    Tensor::stack(&rows, 0).to_device(like.device()).to_kind(like.kind())
}

#[cfg(test)]
mod tests {
    use super::*;
    use learning::params::{InitRule, Layout, ParamSpec};
    use std::sync::Arc;

    fn update(rows: i64, scale: f64) -> Params {
        let spec = ParamSpec {
            name: "w".into(),
            shape: vec![40_000],
            init: InitRule::Constant(0.0),
            trainable: true,
        };
        let layout = Arc::new(Layout::new(vec![spec]));
        Params::new(layout, vec![Tensor::ones([rows, 40_000], (Kind::Float, tch::Device::Cpu)) * scale])
            .unwrap()
    }

    fn streams(n: usize) -> Vec<ChaCha12Rng> {
        (0..n).map(|i| suites::rng::stream(1, "test", &format!("noise-{i}"))).collect()
    }

    #[test]
    fn clips_to_the_norm_and_adds_noise_of_sigma() {
        let dp = Gaussian { epsilon: 1.0, delta: 1e-5, clip: 2.0 };
        let out = dp.release(update(2, 1.0), &mut streams(2)).unwrap();
        // 40,000 ones have norm 200: the factor is 0.01.
        assert!((out.values["clip_factor"] - 0.01).abs() < 1e-7);
        let noise = &out.update.tensors[0] - 0.01;
        let std = noise.std(true).double_value(&[]);
        assert!((std / dp.sigma() - 1.0).abs() < 0.02, "{std} against {}", dp.sigma());
        let (a, b) = (noise.get(0), noise.get(1));
        assert!(
            (&a * &b).mean(Kind::Double).double_value(&[]).abs() < 0.03 * dp.sigma().powi(2),
            "clients draw independent noise"
        );
    }

    #[test]
    fn a_small_update_is_not_scaled_up_and_nan_is_refused() {
        let dp = Gaussian { clip: 1e6, ..Gaussian::default() };
        assert_eq!(dp.release(update(1, 1.0), &mut streams(1)).unwrap().values["clip_factor"], 1.0);
        assert!(dp.release(update(1, f64::NAN), &mut streams(1)).is_err());
    }

    #[test]
    fn bad_parameters_are_one_line() {
        for (key, value) in
            [("epsilon", 0.0), ("epsilon", -1.0), ("delta", 0.0), ("delta", 1.0), ("clip", 0.0)]
        {
            let map = Map::from_iter([(key.to_string(), Value::from(value))]);
            let message = (ENTRY.build)(&map).err().expect("refused").to_string();
            assert!(message.contains(key) && !message.contains('\n'), "{message}");
        }
    }
}
