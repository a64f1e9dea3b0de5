//! The portfolio: chosen on public pictures, never by the truth.

mod common;

use attacks::strongest::{Strongest, choose};
use attacks::{Attack, Calibration, Choice, Reconstruction, Run};
use common::{build, capture, digits, largest, lenet, mse, weights};
use learning::effect::Ranked;
use learning::{Effect, Observation, Published, Signal};
use serde_json::json;
use std::sync::atomic::AtomicBool;
use suites::Init;
use tch::{Device, Tensor};

/// Digits in batches of one from `first` on, pruned to a tenth.
fn pruned(first: i64, n: i64) -> (Observation, Tensor) {
    let net = lenet();
    let (x, y) = digits(first + n, 1);
    let (x, y) = (x.narrow(0, first, n), y.narrow(0, first, n));
    let mut seen = capture(&net, &weights(&net, Init::DlgUniform, 4), &x, &y, false);
    seen.signal = Signal::Gradient(seen.signal.params().map(|t| largest(t, 0.9)));
    let effect = Effect::Zeroed { share: 0.9, among: Ranked::Tensor };
    seen.known.defenses = vec![Published { by: "prune".into(), effect }];
    (seen, x)
}

fn with<V>(of: impl FnOnce(&Run) -> V) -> V {
    tch::set_num_threads(1);
    let cancel = AtomicBool::new(false);
    of(&Run {
        seed: suites::rng::AttackSeed::new(1),
        key: "test",
        device: Device::Cpu,
        cancel: &cancel,
        progress: &|_| (),
    })
}

fn small() -> Strongest {
    Strongest {
        iterations: 800,
        calibration: 1800,
        public: 2,
        tv_weights: vec![0.0, 1e-4],
        ..Strongest::default()
    }
}

fn note(found: &Reconstruction) -> String {
    found.flags[0].last().unwrap().to_string()
}

#[test]
fn the_recipe_is_the_best_one_on_public_pictures() {
    let (seen, truth) = pruned(0, 2);
    let (public, pictures) = pruned(2, 2);
    let calibration = Calibration { seen: public, truth: pictures };
    let attack = small();
    assert_eq!(attack.calibrates_on(), Some(2));
    let chosen = with(|run| choose(&attack, &calibration, run)).unwrap();
    println!("{chosen}");
    // Three beside the grid: `analytic` does not apply behind convolutions.
    assert_eq!((chosen.public, chosen.applied), (2, (20, 21)));
    // The rungs, three finalists, the adaptive attack, and what inverts layers beside them.
    let planned = attack.calibration + 4 * attack.iterations / attack.restarts;
    let spent = chosen.evaluations as f64;
    assert!((0.5..1.5).contains(&(spent / planned as f64)), "{spent} of {planned}");
    let choice = with(|run| attack.choose(&calibration, run)).unwrap();
    let run = |c: Option<&Choice>| with(|run| attack.reconstruct_chosen(&seen, c, run)).unwrap();
    let [found, alone] = [Some(&choice), None].map(run);
    assert!(note(&found).contains(&chosen.to_string()), "{}", note(&found));
    assert!(note(&alone).contains("no public pictures"), "{}", note(&alone));
    let signed = build("adaptive-matching", json!({ "recipe": "as-set", "iterations": 800 }));
    let signed = with(|run| signed.reconstruct(&seen, run)).unwrap();
    let [found, alone, signed] = [found, alone, signed].map(|r| mse(&r.pixels, &truth));
    println!("error {found:.2e} calibrated, {alone:.2e} without, {signed:.2e} signed adam");
    // Without public pictures three recipes share what the others spend on one.
    assert!(found < signed / 1e3 && alone < signed * 2.0);
}

/// Public pictures decide which recipe, and nothing else of them is used.
#[test]
fn a_calibration_that_does_not_fit_is_refused() {
    let (public, pictures) = pruned(2, 2);
    let calibration = Calibration { seen: public.clone(), truth: pictures.narrow(0, 0, 1) };
    let refused = with(|run| choose(&small(), &calibration, run)).unwrap_err().to_string();
    assert!(refused.contains("[1, 1, 1, 8, 8] where [2, 1, 1, 8, 8]"), "{refused}");
    for bad in [
        json!({ "iterations": 0 }),
        json!({ "public": 0 }),
        json!({ "calibration": 0 }),
        json!({ "tv_weights": [] }),
        json!({ "tv_weights": [-1.0] }),
        json!({ "optimizer": "adam" }),
    ] {
        let entry = suites::find("attack", attacks::ENTRIES, "strongest").unwrap();
        let error = (entry.build)(bad.as_object().unwrap()).err().unwrap().to_string();
        assert_eq!(error.lines().count(), 1, "{bad}: {error}");
    }
}
