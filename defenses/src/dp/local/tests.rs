use super::*;
use crate::testing::{deployment, in_turn, streams, update};
use serde_json::{Map, Value};
use tch::{Kind, Tensor};

fn release(dp: &Local, update: Params, clients: usize) -> Result<Released, DefenseError> {
    let mut memory = BTreeMap::new();
    in_turn(&deployment(1), &mut streams(clients), &mut memory, |turn| dp.release(update, turn))
}

fn std(t: &Tensor) -> f64 {
    t.std(true).double_value(&[])
}

#[test]
fn clips_to_the_norm_and_adds_noise_of_sigma() {
    let dp = Local { epsilon: 1.0, clip: 2.0.into(), ..Local::default() };
    let out = release(&dp, update(2, 40_000, 1.0), 2).unwrap();
    // 40,000 ones have norm 200: the factor is 0.01.
    assert!((out.values["clip_factor"] - 0.01).abs() < 1e-7);
    let noise = &out.update.tensors[0] - 0.01;
    let sigma = dp.scale(1);
    assert!((std(&noise) / sigma - 1.0).abs() < 0.02, "{} against {sigma}", std(&noise));
    let shared = common::mean(&(noise.get(0) * noise.get(1)));
    assert!(shared.abs() < 0.03 * sigma.powi(2), "clients draw independent noise");
    assert!((out.values["noise_to_signal"] / (sigma * 200.0 / 2.0) - 1.0).abs() < 1e-6);
}

#[test]
fn laplace_clips_the_sum_of_magnitudes() {
    let dp = Local {
        epsilon: 10.0,
        clip: 4.0.into(),
        mechanism: Mechanism::Laplace,
        ..Local::default()
    };
    let out = release(&dp, update(1, 40_000, 1.0), 1).unwrap();
    assert!((out.values["clip_factor"] - 1e-4).abs() < 1e-9);
    let noise = &out.update.tensors[0] - 1e-4;
    // b = clip / epsilon = 0.4, of variance 2 b^2.
    assert!((std(&noise) / (0.4 * 2f64.sqrt()) - 1.0).abs() < 0.02);
    let budget = dp.privacy(&deployment(1)).unwrap().unwrap();
    assert_eq!((budget.epsilon, budget.delta), (10.0, 0.0));
}

#[test]
fn more_rounds_need_more_noise() {
    let dp = Local::default();
    assert!(
        (dp.scale(4) / dp.scale(1) - 2.0).abs() < 1e-12,
        "Gaussian releases compose as a square root"
    );
    let laplace = Local { mechanism: Mechanism::Laplace, ..dp };
    assert_eq!(laplace.scale(4), 4.0 * laplace.scale(1));
}

#[test]
fn a_small_update_is_not_scaled_up_and_nan_is_refused() {
    let dp = Local { clip: 1e6.into(), ..Local::default() };
    assert_eq!(release(&dp, update(1, 10, 1.0), 1).unwrap().values["clip_factor"], 1.0);
    assert!(release(&dp, update(1, 10, f64::NAN), 1).is_err());
    assert_eq!(update(1, 2, 0.0).tensors[0].kind(), Kind::Float);
}

#[test]
fn the_classical_formula_is_refused_above_one() {
    let build = |json: serde_json::Value| (ENTRY.build)(json.as_object().unwrap());
    let message = build(serde_json::json!({ "calibration": "classical", "epsilon": 2.0 }))
        .err()
        .expect("refused")
        .to_string();
    assert!(message.contains("classical") && message.contains("analytic"), "{message}");
    assert!(build(serde_json::json!({ "calibration": "classical", "epsilon": 0.5 })).is_ok());
    let classical = Local { epsilon: 0.5, calibration: Calibration::Classical, ..Local::default() };
    // Dwork and Roth 2014, theorem A.1, at epsilon 0.5 and delta 1e-5.
    assert!((classical.scale(1) - 9.689610525210778).abs() < 1e-9);
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

/// Whole steps of one power of two, exactly, whatever was hidden: low bits say nothing.
#[test]
fn zero_and_anything_leave_the_same_multiples() {
    for mechanism in [Mechanism::Gaussian, Mechanism::Laplace] {
        let dp = Local { mechanism, clip: 0.1.into(), ..Local::default() };
        let (step, _) = dp.sampler(dp.scale(1)).unwrap();
        for value in [0.0, 0.123, 1e-4] {
            let out = release(&dp, update(2, 20_000, value), 2).unwrap();
            let steps = out.update.tensors[0].to_kind(Kind::Double) / step;
            assert_eq!((&steps - steps.round()).abs().max().double_value(&[]), 0.0, "{value}");
            assert!(steps.abs().max().double_value(&[]) <= 2f64.powi(24));
            let odd = (steps.remainder(2.0)).mean(Kind::Double).double_value(&[]);
            assert!((odd - 0.5).abs() < 0.02, "{value}: {odd} are odd");
        }
    }
}

/// A client draws the same, whoever else takes part.
#[test]
fn clients_at_once_are_clients_alone() {
    let dp = Local::default();
    let all = release(&dp, update(3, 40_000, 0.5), 3).unwrap().update;
    for (t, rng) in (0..).zip(streams(3).iter_mut()) {
        let mut memory = BTreeMap::new();
        let alone = in_turn(&deployment(1), std::slice::from_mut(rng), &mut memory, |turn| {
            dp.release(update(1, 40_000, 0.5), turn)
        });
        assert_eq!(alone.unwrap().update.tensors[0].get(0), all.tensors[0].get(t));
    }
}
