//! BatchNorm's statistics in an update: what they give an attack, and what withholding them takes.

mod common;

use std::sync::Arc;

use attacks::matching::statistics::are_exact;
use attacks::matching::{Matching, MatchingConfig};
use attacks::{Attack, AttackError, Reconstruction};
use common::{attack, lenet, mse, network, weights};
use learning::client::{LocalTraining, Rules, train};
use learning::effect::Ranked;
use learning::{Effect, Known, Mode, Network, Observation, Params, Published, Signal};
use serde_json::json;
use suites::{Init, Split, rng};
use tch::Tensor;

/// Steps of signed Adam.
const STEPS: usize = 150;

fn photographs(n: i64, b: i64, side: usize) -> (Tensor, Tensor) {
    let request = datasets::Request { size: Some(side), ..Default::default() };
    let data = datasets::open("photos", &request).unwrap();
    let ids: Vec<usize> = (0..(n * b) as usize).collect();
    let batch = data.batch(Split::Test, &ids).unwrap();
    let side = side as i64;
    (batch.x.reshape([n, b, 3, side, side]), batch.y.reshape([n, b]))
}

/// An update of one step on each batch, BatchNorm in train mode.
fn update(net: &Arc<Network>, x: &Tensor, y: &Tensor) -> Observation {
    tch::set_num_threads(1);
    let w = weights(net, Init::Pytorch, 4);
    let b = x.size()[1];
    let local = LocalTraining { batch_size: b as usize, lr: 0.1, ..LocalTraining::default() };
    let mut rngs: Vec<_> =
        (0..x.size()[0]).map(|n| rng::stream(n as u64, "test", "order")).collect();
    let after = train(net, &w, x, y, &local, &Rules::default(), Mode::Train, &mut rngs);
    Observation {
        net: net.clone(),
        signal: Signal::Update(after.zip(&w, |a, b| a - b)),
        weights: w,
        mode: Mode::Train,
        known: Known {
            batch_size: Some(b),
            lr: Some(0.1),
            local: Some(local),
            local_examples: Some(b as usize),
            ..Known::default()
        },
    }
}

/// As `withhold-bn` sends it.
fn withheld(seen: &Observation) -> Observation {
    let mut out = seen.clone();
    let Signal::Update(moved) = &seen.signal else { unreachable!() };
    let specs = moved.layout().specs().iter().zip(&moved.tensors);
    let kept = specs.map(|(s, t)| if s.trainable { t.shallow_clone() } else { t.zeros_like() });
    let kept = Params::new(moved.layout().clone(), kept.collect()).unwrap();
    out.signal = Signal::Update(kept);
    let effect = Effect::WithheldStatistics;
    out.known.defenses = vec![Published { by: "withhold-bn".into(), effect }];
    out
}

fn matching(bn_weight: f64, iterations: usize) -> Matching {
    Matching { config: MatchingConfig { iterations, bn_weight, ..attacks::adaptive::rough() } }
}

fn run(of: &Matching, seen: &Observation) -> Reconstruction {
    attack(of, seen, 1).unwrap()
}

fn psnr(found: &Reconstruction, x: &Tensor) -> f64 {
    let error = |i: i64, j: i64, k: i64| mse(&found.pixels.get(i).get(j), &x.get(i).get(k)).log10();
    let one = |i: i64| match x.size()[1] {
        1 => error(i, 0, 0),
        _ => f64::min(error(i, 0, 0) + error(i, 1, 1), error(i, 0, 1) + error(i, 1, 0)) / 2.0,
    };
    -10.0 * (0..x.size()[0]).map(one).sum::<f64>() / x.size()[0] as f64
}

#[test]
fn sent_statistics_are_matched_and_withheld_ones_are_not() {
    let net = network("convnet64", json!({ "width": 8 }), &[3, 32, 32], 2);
    let (x, y) = photographs(4, 2, 32);
    let seen = update(&net, &x, &y);
    let hidden = withheld(&seen);
    let [without, with] = [0.0, 0.1].map(|weight| run(&matching(weight, STEPS), &seen));
    let blind = run(&matching(0.1, STEPS), &hidden);
    let [before, after, taken] = [&without, &with, &blind].map(|found| psnr(found, &x));
    println!("{before:.2} dB without, {after:.2} dB with, {taken:.2} dB where withheld");
    assert!(after > before + 1.0, "{before} dB without, {after} dB with");
    assert!(with.flags.iter().all(Vec::is_empty) && with.evaluations == without.evaluations);
    // What is withheld leaves the plain match, to the bit, and says so.
    assert_eq!(common::values(&blind.pixels), common::values(&without.pixels));
    let words = blind.flags[0][0].to_string();
    assert!(words.contains("no BatchNorm statistics were sent"), "{words}");
}

/// `prune` and `quantise` treat the statistics as any tensor: what is left of them is not what the
/// batch had, and matching it would lead away from the truth. The portfolio leaves it out there.
#[test]
fn altered_statistics_are_not_taken_for_the_batchs() {
    let net = network("convnet64", json!({ "width": 4 }), &[3, 32, 32], 2);
    let (x, y) = photographs(1, 2, 32);
    let seen = update(&net, &x, &y);
    let behind = |effect: Option<Effect>| {
        let mut seen = seen.clone();
        seen.known.defenses =
            effect.into_iter().map(|effect| Published { by: "test".into(), effect }).collect();
        are_exact(&seen)
    };
    let zeroed = |among| Some(Effect::Zeroed { share: 0.9, among });
    assert!(behind(None) && behind(zeroed(Ranked::Update)));
    assert!(!behind(zeroed(Ranked::Tensor)) && !behind(Some(Effect::Cells { bits: 8 })));
    assert!(!are_exact(&withheld(&seen)));
}

#[test]
fn networks_without_statistics_are_refused_in_one_line() {
    let (x, y) = common::digits(1, 1);
    let net = lenet();
    let seen = common::capture(&net, &weights(&net, Init::DlgUniform, 4), &x, &y, false);
    let refused = attack(&matching(0.1, 3) as &dyn Attack, &seen, 1);
    let Err(AttackError::NotApplicable(why)) = refused else { panic!("{refused:?}") };
    assert!(why.contains("bn_weight") && !why.contains('\n'), "{why}");
}
