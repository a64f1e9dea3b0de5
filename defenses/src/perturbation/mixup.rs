//! `mixup`: the client trains on random convex combinations of pairs of its examples.

use learning::Effect;
use learning::effect::Coefficients;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha12Rng;
use rand_distr::{Beta, Distribution};
use serde::{Deserialize, Serialize};
use suites::Entry;

use super::mixing::{Mixture, mixed};
use super::range;
use crate::{Defense, DefenseError, Deployment, Examples, Stage, Turn};

/// Registry entry.
pub static ENTRY: Entry<dyn Defense> = Entry {
    name: "mixup",
    summary: "train on lambda x_i + (1 - lambda) x_j and labels mixed alike, lambda ~ Beta(alpha, \
        alpha), j from a random order of the client's own examples",
    reference: "Zhang, Cisse, Dauphin, Lopez-Paz: mixup, ICLR 2018; as a defense: Huang, Gupta, \
        Song, Li, Arora, NeurIPS 2021",
    build: |map| {
        let setting: Mixup = suites::params("mixup", map)?;
        let good = setting.alpha > 0.0 && setting.alpha.is_finite();
        range("mixup", "alpha", setting.alpha, good, "write a finite number above 0, e.g. 1.0")?;
        Ok(Box::new(setting))
    },
};

/// Parameters.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mixup {
    /// Both parameters of the Beta distribution of the mixing coefficient, above 0; 1 is uniform,
    /// small is mostly one example.
    pub alpha: f64,
}

impl Default for Mixup {
    fn default() -> Mixup {
        Mixup { alpha: 1.0 }
    }
}

impl Mixup {
    /// A partner for each of `n` examples from one random order, which may leave an example with
    /// itself, and a lambda for each pair.
    fn draw(&self, n: usize, rng: &mut ChaCha12Rng) -> Mixture {
        let own: Vec<i64> = (0..n as i64).collect();
        let mut partners = own.clone();
        partners.shuffle(rng);
        // A Beta of positive finite parameters always exists; alpha was checked.
        let beta = Beta::new(self.alpha, self.alpha).ok();
        let lambda: Vec<f32> = (0..n).map(|_| beta.map_or(1.0, |b| b.sample(rng)) as f32).collect();
        let rest = lambda.iter().map(|l| 1.0 - l).collect();
        Mixture { rows: vec![own, partners], parts: vec![lambda, rest] }
    }
}

impl Defense for Mixup {
    fn mixes_examples(&self) -> bool {
        true
    }

    fn stage(&self) -> Stage {
        Stage::Data
    }

    fn examples(&self, examples: Examples, turn: &mut Turn) -> Result<Examples, DefenseError> {
        mixed("mixup", examples, turn.net, 2, turn.rngs, |n, rng| self.draw(n, rng))
    }

    fn adaptive(&self) -> Option<&'static str> {
        Some(super::ADAPTIVE)
    }

    fn effects(&self, _deployment: &Deployment) -> Result<Vec<Effect>, DefenseError> {
        let coefficients = Coefficients::Beta { alpha: self.alpha };
        Ok(vec![Effect::Mixed { parts: 2, coefficients }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturbation::testing::{
        bad, examples, in_turn_of, network, of_client, values, weights,
    };
    use crate::testing::streams;
    use learning::loss::{cross_entropy, soft_cross_entropy};
    use learning::{Mode, Network};
    use tch::Kind;

    fn net() -> Network {
        network("mlp", serde_json::json!({ "hidden": [8] }), vec![3, 4, 4])
    }

    fn mix(given: Examples, rngs: &mut [ChaCha12Rng]) -> Examples {
        in_turn_of(&net(), None, rngs, |turn| Mixup::default().examples(given, turn)).unwrap()
    }

    /// Each mixed image is lambda x_i + (1 - lambda) x_j of the drawn order, and its loss the same
    /// mixture of two cross-entropies.
    #[test]
    fn images_and_losses_are_mixed_alike() {
        let net = net();
        let given = examples(&net, 1, 5);
        let drawn = Mixup::default().draw(5, &mut streams(1)[0]);
        let out = mix(of_client(&given, 0), &mut streams(1));
        assert!(out.soft);
        let weights = weights(&net);
        for e in 0..5 {
            let (j, lambda) = (drawn.rows[1][e], f64::from(drawn.parts[0][e]));
            let image = |i: i64| given.pixels.get(0).get(i);
            let expected = image(e as i64) * lambda + image(j) * (1.0 - lambda);
            let mixed = out.pixels.get(0).get(e as i64);
            assert!((&mixed - expected).abs().max().double_value(&[]) < 1e-6);
            let logits = net.logits(&weights, &mixed.unsqueeze(0).unsqueeze(0), Mode::Eval);
            let loss =
                |i: i64| cross_entropy(&logits, &given.labels.narrow(1, i, 1)).double_value(&[0]);
            let soft =
                soft_cross_entropy(&logits, &out.labels.narrow(1, e as i64, 1)).double_value(&[0]);
            assert!((soft - (lambda * loss(e as i64) + (1.0 - lambda) * loss(j))).abs() < 1e-5);
        }
    }

    #[test]
    fn lambda_follows_the_beta_distribution() {
        let variance = |alpha: f64| {
            let drawn = Mixup { alpha }.draw(20_000, &mut streams(1)[0]);
            let lambda = tch::Tensor::from_slice(&drawn.parts[0]);
            assert!((lambda.mean(Kind::Double).double_value(&[]) - 0.5).abs() < 0.01);
            lambda.var(true).double_value(&[])
        };
        // Beta(a, a) has variance 1 / (4 (2a + 1)).
        assert!(
            (variance(1.0) - 1.0 / 12.0).abs() < 0.003 && (variance(0.2) - 1.0 / 5.6).abs() < 0.005
        );
    }

    #[test]
    fn clients_side_by_side_are_clients_alone() {
        let given = examples(&net(), 3, 4);
        let all = mix(examples(&net(), 3, 4), &mut streams(3));
        for t in 0..3 {
            let alone = mix(of_client(&given, t), &mut streams(3)[t as usize..=t as usize]);
            assert_eq!(values(&all.pixels.get(t)), values(&alone.pixels.get(0)));
            assert_eq!(values(&all.labels.get(t)), values(&alone.labels.get(0)));
        }
    }

    /// Multi-label targets stay targets of a binary cross-entropy, which is linear in them too.
    #[test]
    fn several_labels_are_mixed_as_they_are() {
        let mut given = examples(&net(), 1, 3);
        given.labels = given.labels.one_hot(10).to_kind(Kind::Float);
        let out = mix(given, &mut streams(1));
        assert!(!out.soft && out.labels.size() == [1, 3, 10]);
    }

    #[test]
    fn a_single_example_and_a_bad_alpha_are_refused_in_one_line() {
        let given = examples(&net(), 1, 1);
        let message = in_turn_of(&net(), None, &mut streams(1), |turn| {
            Mixup::default().examples(given, turn)
        })
        .expect_err("refused")
        .to_string();
        assert!(message.contains("batch_size") && !message.contains('\n'), "{message}");
        bad(&ENTRY, "alpha", 0.0);
    }
}
