//! `soteria`: the columns of the last layer's gradient are removed that belong to the
//! representation's least protected dimensions.

use std::collections::BTreeMap;

use learning::models::head;
use learning::tape::{Tap, Tape};
use learning::{Effect, Mode, Network, Params};
use serde::{Deserialize, Serialize};
use suites::Entry;
use tch::{Kind, Tensor};

use super::{percentile_of, range};
use crate::{Defense, DefenseError, Deployment, Examples, Released, Turn};

/// Registry entry.
pub static ENTRY: Entry<dyn Defense> = Entry {
    name: "soteria",
    summary: "zero the columns of the last layer's update whose dimension r_i of the \
        representation has the smallest ||dr_i/dX|| / |r_i|",
    reference: "Sun, Li, Wang, Zhao, Li, Chen: Soteria, CVPR 2021; bypassed by Balunovic et al., \
        ICLR 2022",
    build: |map| {
        let setting: Soteria = suites::params("soteria", map)?;
        let q = setting.percent;
        range(
            "soteria",
            "percent",
            q,
            q > 0.0 && q < 100.0,
            "write a number inside (0, 100), e.g. 80",
        )?;
        Ok(Box::new(setting))
    },
};

/// Parameters.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Soteria {
    /// Percentile of the scores below which a dimension is removed, inside (0, 100).
    pub percent: f64,
}

impl Default for Soteria {
    fn default() -> Soteria {
        Soteria { percent: 80.0 }
    }
}

/// The authors add it to |r_i| so that a dead unit does not divide by zero.
const OFFSET: f64 = 0.1;
/// Examples in one pass, copies for different dimensions counted.
const PASS: i64 = 64;

impl Soteria {
    /// 1 for the dimensions that stay, 0 for those removed, `[T, F]`.
    ///
    /// The paper maximises ||r_i|| / ||dr_i/dX|| over the removed dimensions; its code removes
    /// where the inverse, summed over the client's examples, is below the percentile. The same is
    /// done here.
    fn mask(&self, net: &Network, weights: &Params, layer: &str, examples: &Examples) -> Tensor {
        let scores = scores(net, weights, layer, examples);
        let threshold = percentile_of(&scores, self.percent);
        scores.ge_tensor(&threshold.unsqueeze(1)).to_kind(Kind::Float)
    }
}

/// What the linear layer works on, `[T, B, F]`, with the graph back to `x`.
fn representation(net: &Network, weights: &Params, layer: &str, x: &Tensor) -> Tensor {
    let position = weights.layout().position(&format!("{layer}.weight"));
    let mut tape = Tape::per_example(weights, Mode::Eval);
    let _ = net.forward_normalised(&mut tape, x);
    let tap: Option<Tap> = tape.taps.into_iter().find(|tap| Some(tap.weight) == position);
    tap.expect("the named layer is part of the model").input
}

/// `sum over examples of ||dr_i/dX|| / (|r_i| + 0.1)` for each client and dimension, `[T, F]`, with
/// X the normalised examples.
///
/// One forward pass holds several copies of the examples, so that one backward pass differentiates
/// as many dimensions.
fn scores(net: &Network, weights: &Params, layer: &str, examples: &Examples) -> Tensor {
    let (t, e) = (examples.pixels.size()[0], examples.pixels.size()[1]);
    let copies = (PASS / (t * e)).max(1);
    let x = tch::no_grad(|| {
        let x = net.normalise(&examples.pixels).to_kind(Kind::Float);
        let mut repeat = vec![1; x.dim()];
        repeat[1] = copies;
        x.repeat(repeat)
    });
    let x = x.detach().set_requires_grad(true);
    tch::with_grad(|| {
        let r = representation(net, weights, layer, &x);
        let features = r.size()[2];
        // [T, copies, E, F]: copy j of a pass stands for dimension `from + j`.
        let r = r.reshape([t, copies, e, features]);
        let slopes: Vec<Tensor> = (0..features)
            .step_by(copies as usize)
            .map(|from| {
                let n = copies.min(features - from);
                let own = r.narrow(1, 0, n).narrow(3, from, n).diagonal(0, 1, 3);
                let slope =
                    Tensor::run_backward(&[own.sum(Kind::Float)], &[&x], true, false).remove(0);
                let norms = slope.flatten(2, -1).square().sum_dim_intlist(2, false, None).sqrt();
                norms.reshape([t, copies, e]).narrow(1, 0, n)
            })
            .collect();
        // [T, F, E]
        let slope = Tensor::cat(&slopes, 1).detach();
        let size = r.select(1, 0).detach().transpose(1, 2).abs() + OFFSET;
        (slope / size).sum_dim_intlist(2, false, None)
    })
}

impl Defense for Soteria {
    fn reads_examples(&self) -> bool {
        true
    }

    fn release(&self, update: Params, turn: &mut Turn) -> Result<Released, DefenseError> {
        let unfit = |why: &str| DefenseError::Unfit(format!("`soteria` {why}"));
        let examples = turn.examples.ok_or_else(|| {
            unfit(
                "needs the client's examples and acts before anything is sent; put it before \
                the protocol",
            )
        })?;
        let layer = head(update.layout()).ok_or_else(|| {
            unfit(
                "needs a model whose last layer is linear; use e.g. model = \"lenet-zhu\" or \
                \"convnet64\"",
            )
        })?;
        let mask = self.mask(turn.net, turn.weights, &layer, examples);
        let slot = update
            .layout()
            .position(&format!("{layer}.weight"))
            .ok_or_else(|| unfit("lost its layer"))?;
        let mut out = update;
        out.tensors[slot] =
            &out.tensors[slot] * mask.unsqueeze(1).to_kind(out.tensors[slot].kind());
        let kept = mask.mean(Kind::Double).double_value(&[]);
        Ok(Released {
            update: out,
            values: BTreeMap::from([("kept_dimensions".to_string(), kept)]),
            grid: None,
        })
    }

    fn adaptive(&self) -> Option<&'static str> {
        Some(super::ADAPTIVE)
    }

    fn effects(&self, _deployment: &Deployment) -> Result<Vec<Effect>, DefenseError> {
        Ok(vec![Effect::MaskedColumns { share: self.percent / 100.0 }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturbation::testing::{
        bad, examples, in_turn_of, network, of_client, values, weights,
    };
    use crate::testing::streams;

    fn networks() -> Vec<Network> {
        vec![
            network("mlp", serde_json::json!({ "hidden": [100] }), vec![3, 4, 4]),
            network("convnet64", serde_json::json!({ "width": 2 }), vec![3, 9, 9]),
        ]
    }

    /// The score of one example and dimension by one backward pass of its own.
    fn slow(net: &Network, weights: &Params, given: &Examples) -> Vec<f64> {
        let layer = head(weights.layout()).unwrap();
        let mut sums = Vec::new();
        for e in 0..given.pixels.size()[1] {
            let x = net.normalise(&given.pixels.narrow(1, e, 1)).detach().set_requires_grad(true);
            let r = representation(net, weights, &layer, &x);
            sums.resize(r.size()[2] as usize, 0.0);
            for (i, sum) in sums.iter_mut().enumerate() {
                let r_i = r.get(0).get(0).get(i as i64);
                let slope = Tensor::run_backward(&[&r_i], &[&x], true, false).remove(0);
                *sum += slope.square().sum(None).sqrt().double_value(&[])
                    / (r_i.abs().double_value(&[]) + 0.1);
            }
        }
        sums
    }

    #[test]
    fn scores_are_those_of_a_loop_over_dimensions() {
        for net in networks() {
            let (weights, given) = (weights(&net), examples(&net, 2, 3));
            let layer = head(weights.layout()).unwrap();
            let fast = scores(&net, &weights, &layer, &given);
            for t in 0..2 {
                let slow = slow(&net, &weights, &of_client(&given, t));
                for (a, b) in values(&fast.get(t)).into_iter().zip(slow) {
                    assert!((a - b).abs() <= 1e-4 * b.abs().max(1e-3), "{a} {b}");
                }
            }
        }
    }

    /// Columns of the last weight go, those of the smallest scores; everything else is left alone.
    #[test]
    fn the_lowest_scores_lose_their_column() {
        let net = &networks()[0];
        let weights = weights(net);
        let given = examples(net, 2, 3);
        let update = weights.expand(2).map(|t| t + 1.0);
        let out = in_turn_of(net, Some(&given), &mut streams(2), |turn| {
            Soteria { percent: 60.0 }.release(update.clone(), turn).unwrap()
        });
        assert!((out.values["kept_dimensions"] - 0.4).abs() < 1e-6);
        let head = out.update.get("fc2.weight").unwrap();
        for t in 0..2 {
            let scores = slow(net, &weights, &of_client(&given, t));
            let mut order: Vec<usize> = (0..100).collect();
            order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
            let sent = values(&head.get(t).abs().sum_dim_intlist(0, false, None));
            assert!(
                order[..60].iter().all(|&i| sent[i] == 0.0)
                    && order[60..].iter().all(|&i| sent[i] > 0.0)
            );
        }
        for name in ["fc1.weight", "fc1.bias", "fc2.bias"] {
            assert_eq!(out.update.get(name).unwrap(), update.get(name).unwrap());
        }
    }

    #[test]
    fn clients_side_by_side_are_clients_alone() {
        let net = &networks()[1];
        let (weights, given) = (weights(net), examples(net, 3, 2));
        let layer = head(weights.layout()).unwrap();
        let mask = |given: &Examples| Soteria { percent: 50.0 }.mask(net, &weights, &layer, given);
        let all = mask(&given);
        (0..3).for_each(|t| assert_eq!(all.get(t), mask(&of_client(&given, t)).get(0)));
    }

    #[test]
    fn a_turn_without_examples_and_bad_percentages_are_refused_in_one_line() {
        let net = &networks()[0];
        let message = in_turn_of(net, None, &mut streams(1), |turn| {
            Soteria::default().release(weights(net), turn)
        })
        .expect_err("refused")
        .to_string();
        assert!(message.contains("examples") && !message.contains('\n'), "{message}");
        bad(&ENTRY, "percent", 0.0);
        bad(&ENTRY, "percent", 100.0);
    }
}
