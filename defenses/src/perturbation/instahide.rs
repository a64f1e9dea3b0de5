//! `instahide`: each image is mixed with others of the client, then every value's sign is flipped
//! at random.

use learning::effect::Coefficients;
use learning::{Effect, Network};
use rand::Rng;
use rand::seq::index;
use rand_chacha::ChaCha12Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};
use suites::Entry;
use tch::Tensor;

use super::mixing::{Mixture, mixed};
use super::range;
use crate::{Defense, DefenseError, Deployment, Examples, Stage, Turn};

/// Registry entry.
pub static ENTRY: Entry<dyn Defense> = Entry {
    name: "instahide",
    summary: "train on mixtures of `k` of the client's own images (coefficients at most \
        `largest`) with the signs of the normalised values flipped at random",
    reference: "Huang, Song, Li, Arora: InstaHide, ICML 2020; broken by Carlini et al., IEEE S&P \
        2021",
    build: |map| {
        let setting: InstaHide = suites::params("instahide", map)?;
        range("instahide", "k", setting.k, (2..=16).contains(&setting.k), "write 2 to 16, e.g. 4")?;
        let least = 1.0 / f64::from(setting.k) + 0.1;
        range(
            "instahide",
            "largest",
            setting.largest,
            (least..=1.0).contains(&setting.largest),
            &format!("{} coefficients that sum to 1 need {least:.3} to 1", setting.k),
        )?;
        Ok(Box::new(setting))
    },
};

/// Parameters.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstaHide {
    /// Images in a mixture, the example itself and `k - 1` others of the same client; 2 to 16.
    pub k: u32,
    /// Largest coefficient of one image, in `[1/k + 0.1, 1]` (closer to 1/k hardly any draw is
    /// small enough).
    pub largest: f64,
}

impl Default for InstaHide {
    /// As the paper's experiments.
    fn default() -> InstaHide {
        InstaHide { k: 4, largest: 0.65 }
    }
}

impl InstaHide {
    /// Magnitudes of `k` standard normal draws over their sum, drawn anew until none is above
    /// `largest` (the authors' own draw).
    fn parts(&self, rng: &mut ChaCha12Rng) -> Vec<f64> {
        loop {
            let drawn: Vec<f64> = (0..self.k)
                .map(|_| {
                    let z: f64 = StandardNormal.sample(rng);
                    z.abs()
                })
                .collect();
            let sum: f64 = drawn.iter().sum();
            if drawn.iter().all(|z| z / sum <= self.largest) {
                return drawn.iter().map(|z| z / sum).collect();
            }
        }
    }

    /// For each of `n` examples `k - 1` different others, and the coefficients.
    fn draw(&self, n: usize, rng: &mut ChaCha12Rng) -> Mixture {
        let k = self.k as usize;
        let (mut rows, mut parts) = (vec![Vec::new(); k], vec![Vec::new(); k]);
        for e in 0..n {
            // Places among the others: from `e` on they are one further.
            let others = index::sample(rng, n - 1, k - 1);
            let partners = others.iter().map(|i| if i < e { i } else { i + 1 });
            for (j, (row, part)) in
                std::iter::once(e).chain(partners).zip(self.parts(rng)).enumerate()
            {
                rows[j].push(row as i64);
                parts[j].push(part as f32);
            }
        }
        Mixture { rows, parts }
    }
}

/// Flips the sign of each normalised value with probability 1/2. Back in pixel units values leave
/// `[0, 1]`: a flip mirrors a pixel at the normalisation's mean.
fn flipped(pixels: &Tensor, net: &Network, rngs: &mut [ChaCha12Rng]) -> Tensor {
    let normalised = net.normalise(pixels);
    let size = &normalised.size()[1..];
    let n = size.iter().product::<i64>();
    let signs: Vec<f32> = rngs
        .iter_mut()
        .flat_map(|rng| {
            (0..n).map(|_| if rng.random::<bool>() { 1.0 } else { -1.0 }).collect::<Vec<f32>>()
        })
        .collect();
    let signs = Tensor::from_slice(&signs).reshape(normalised.size()).to_device(pixels.device());
    net.to_pixels(&(normalised * signs.to_kind(pixels.kind())))
}

impl Defense for InstaHide {
    fn mixes_examples(&self) -> bool {
        true
    }

    fn stage(&self) -> Stage {
        Stage::Data
    }

    fn examples(&self, examples: Examples, turn: &mut Turn) -> Result<Examples, DefenseError> {
        let least = i64::from(self.k);
        let out =
            mixed("instahide", examples, turn.net, least, turn.rngs, |n, rng| self.draw(n, rng))?;
        Ok(Examples { pixels: flipped(&out.pixels, turn.net, turn.rngs), ..out })
    }

    fn adaptive(&self) -> Option<&'static str> {
        Some(super::ADAPTIVE)
    }

    fn effects(&self, _deployment: &Deployment) -> Result<Vec<Effect>, DefenseError> {
        let coefficients = Coefficients::NormalMagnitudes { largest: self.largest };
        let mixed = Effect::Mixed { parts: self.k as usize, coefficients };
        Ok(vec![mixed, Effect::FlippedInputs])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturbation::testing::{bad, examples, in_turn_of, network, of_client, values};
    use crate::testing::streams;

    fn net() -> Network {
        network("mlp", serde_json::json!({ "hidden": [8] }), vec![3, 4, 4])
    }

    fn hide(
        setting: &InstaHide,
        given: Examples,
        rngs: &mut [ChaCha12Rng],
    ) -> Result<Examples, DefenseError> {
        in_turn_of(&net(), None, rngs, |turn| setting.examples(given, turn))
    }

    #[test]
    fn mixtures_have_k_different_images_and_bounded_coefficients() {
        for setting in [
            InstaHide::default(),
            InstaHide { k: 2, largest: 0.6 },
            InstaHide { k: 16, largest: 0.17 },
        ] {
            let n = 20;
            let drawn = setting.draw(n, &mut streams(1)[0]);
            for e in 0..n {
                let mut rows: Vec<i64> = drawn.rows.iter().map(|r| r[e]).collect();
                assert!(rows[0] == e as i64 && rows.iter().all(|&r| r >= 0 && r < n as i64));
                rows.sort_unstable();
                rows.dedup();
                assert_eq!(rows.len(), setting.k as usize);
                let parts: Vec<f32> = drawn.parts.iter().map(|p| p[e]).collect();
                assert!((parts.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                assert!(parts.iter().all(|&p| p >= 0.0 && f64::from(p) <= setting.largest + 1e-6));
            }
        }
    }

    /// Up to signs, the normalised image is the drawn mixture of normalised images; half of the
    /// signs are flipped.
    #[test]
    fn magnitudes_are_the_mixtures_and_signs_are_random() {
        let (net, setting) = (net(), InstaHide::default());
        let given = examples(&net, 1, 30);
        let drawn = setting.draw(30, &mut streams(1)[0]);
        let out = hide(&setting, of_client(&given, 0), &mut streams(1)).unwrap();
        let (seen, own) = (net.normalise(&out.pixels).get(0), net.normalise(&given.pixels).get(0));
        let mut same = 0.0;
        for e in 0..30 {
            let terms = (0..4).map(|j| own.get(drawn.rows[j][e]) * f64::from(drawn.parts[j][e]));
            let mixture = terms.reduce(|a, b| a + b).unwrap();
            let image = seen.get(e as i64);
            assert!((image.abs() - mixture.abs()).abs().max().double_value(&[]) < 1e-5);
            same += (image * mixture).gt(0.0).sum(tch::Kind::Double).double_value(&[]);
            let labels = out.labels.get(0).get(e as i64);
            assert!(
                (labels.double_value(&[e as i64 % 10]) - f64::from(drawn.parts[0][e])).abs() < 0.66
            );
            assert!((labels.sum(tch::Kind::Double).double_value(&[]) - 1.0).abs() < 1e-5);
        }
        assert!((same / (30.0 * 48.0) - 0.5).abs() < 0.05);
    }

    #[test]
    fn clients_side_by_side_are_clients_alone() {
        let given = examples(&net(), 3, 5);
        let all = hide(&InstaHide::default(), examples(&net(), 3, 5), &mut streams(3)).unwrap();
        for t in 0..3 {
            let rngs = &mut streams(3)[t as usize..=t as usize];
            let alone = hide(&InstaHide::default(), of_client(&given, t), rngs).unwrap();
            assert_eq!(values(&all.pixels.get(t)), values(&alone.pixels.get(0)));
        }
    }

    #[test]
    fn too_few_examples_and_bad_parameters_are_refused_in_one_line() {
        let message = hide(&InstaHide::default(), examples(&net(), 1, 3), &mut streams(1))
            .err()
            .unwrap()
            .to_string();
        assert!(
            message.contains("batch_size") && message.contains('4') && !message.contains('\n'),
            "{message}"
        );
        bad(&ENTRY, "k", 1);
        bad(&ENTRY, "k", 17);
        bad(&ENTRY, "largest", 0.25);
        bad(&ENTRY, "largest", 1.5);
    }
}
