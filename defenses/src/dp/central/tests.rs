use super::*;
use crate::testing::{deployment, in_turn, streams, update};
use tch::{Kind, Tensor};

#[test]
fn noise_falls_on_the_mean_once() {
    let dp = Central { epsilon: 1.0, clip: 2.0.into(), ..Central::default() };
    let (mut memory, deployment) = (BTreeMap::new(), deployment(1));
    let released = in_turn(&deployment, &mut streams(4), &mut memory, |t| {
        dp.release(update(4, 40_000, 1.0), t)
    })
    .unwrap();
    let norms = Vec::<f64>::try_from(released.update.norm().to_kind(Kind::Double)).unwrap();
    assert!(norms.iter().all(|n| (n - 2.0).abs() < 1e-4), "{norms:?}");
    let mean = released.update.map(|t| t.mean_dim(0, true, None::<Kind>));
    let out = in_turn(&deployment, &mut streams(1), &mut memory, |t| dp.aggregate(mean.clone(), t))
        .unwrap();
    let std = out.update.sub(&mean).tensors[0].std(true).double_value(&[]);
    let expected = analytic::sigma(1.0, 1e-5) * 2.0 / 4.0;
    assert!((std / expected - 1.0).abs() < 0.02, "{std} against {expected}");
}

#[test]
fn a_client_that_is_known_to_be_drawn_is_not_hidden_by_the_draw() {
    let dp = Central { epsilon: 2.0, ..Central::default() };
    let sampled = Deployment { client_rate: 0.05, ..deployment(10) };
    let budget = dp.privacy(&sampled).unwrap().unwrap();
    let alone = accountant::gaussian::epsilon(dp.multiplier(&sampled).unwrap(), dp.delta);
    let certain = budget.certain.unwrap();
    assert!((certain / alone - 1.0).abs() < 1e-6, "{certain} against {alone}");
    assert!(certain > budget.epsilon, "{budget}");
    let all = Deployment { client_rate: 1.0, ..sampled };
    assert_eq!(dp.privacy(&all).unwrap().unwrap().certain, None);
}

#[test]
fn the_split_costs_what_one_release_would() {
    let dp = Central { adaptive: true, count_noise: Some(5.0), ..Central::default() };
    let (updates, count) = dp.split(1.3, 100).unwrap();
    // Two Gaussians of sensitivity 1 compose to 1/z^2 = 1/z_u^2 + 1/s^2.
    assert!((updates.powi(-2) + count.powi(-2) - 1.3f64.powi(-2)).abs() < 1e-12);
    assert!(dp.split(20.0, 100).is_err(), "the count alone would spend more");
}

#[test]
fn the_clip_finds_the_median() {
    // Norms 1, 2, 3 and 4: the median lies between 2 and 3.
    let dp = Central {
        epsilon: 1e4,
        adaptive: true,
        clip: 50.0.into(),
        count_noise: Some(1e-2),
        ..Central::default()
    };
    let (mut memory, deployment) = (BTreeMap::new(), deployment(1));
    let base = update(4, 1, 1.0);
    let four = base.map(|t| t * Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0]).reshape([4, 1]));
    let mut clips = Vec::new();
    for round in 0..120 {
        let mut rngs = [suites::rng::stream(1, "test", &format!("round-{round}"))];
        in_turn(&deployment, &mut rngs, &mut memory, |t| dp.release(four.clone(), t)).unwrap();
        in_turn(&deployment, &mut rngs, &mut memory, |t| dp.aggregate(update(1, 1, 1.0), t))
            .unwrap();
        clips.push(memory[CLIP]);
    }
    let late = clips[80..].iter().sum::<f64>() / 40.0;
    assert!((1.9..=3.1).contains(&late), "settled at {late}");
}

/// What clients send lies on the grid, and so does the noisy sum, whether they sent zeros or not.
#[test]
fn sums_are_whole_steps() {
    let dp = Central { clip: 0.1.into(), ..Central::default() };
    for value in [0.0, 0.123] {
        let (mut memory, deployment) = (BTreeMap::new(), deployment(1));
        let sent = in_turn(&deployment, &mut streams(4), &mut memory, |t| {
            dp.release(update(4, 4096, value), t)
        })
        .unwrap();
        let step = sent.grid.unwrap();
        let whole = |params: &Params, times: f64| {
            let steps = params.tensors[0].to_kind(Kind::Double) * (times / step);
            assert_eq!((&steps - steps.round()).abs().max().double_value(&[]), 0.0, "{value}");
            steps.abs().max().double_value(&[])
        };
        assert!(whole(&sent.update, 1.0) <= 2f64.powi(22));
        let mean = sent.update.map(|t| t.to_kind(Kind::Double).mean_dim(0, true, None::<Kind>));
        let out = in_turn(&deployment, &mut streams(1), &mut memory, |t| dp.aggregate(mean, t));
        assert!(whole(&out.unwrap().update, 4.0) > 2f64.powi(20));
    }
}

/// Secure aggregation sums the clipped updates themselves, on their grid: rounding adds nothing to
/// the sensitivity. Fewer bits than they need are refused instead of rounding them.
#[test]
fn secure_aggregation_rounds_nothing_that_was_clipped() {
    let (clip, values) = (0.1, 20_000);
    let dp = Central { clip: clip.into(), ..Central::default() };
    let sent = in_turn(&deployment(1), &mut streams(3), &mut BTreeMap::new(), |t| {
        dp.release(update(3, values, 0.7), t)
    })
    .unwrap();
    let updates: Vec<Vec<f32>> = (0..3).map(|c| sent.update.flat(c)).collect();
    let sum = |bits: u32, updates: &[Vec<f32>]| {
        let entry = suites::find("protocol", protocols::PROTOCOLS, "secagg").unwrap();
        let params = serde_json::json!({ "bits": bits });
        let protocol = (entry.build)(params.as_object().unwrap()).unwrap();
        let round = protocols::Round {
            number: 0,
            updates,
            weights: &[1, 1, 1],
            binding: protocols::Binding {
                members: &[0, 1, 2],
                models: &[protocols::ModelHash([1; 32]); 3],
                ..Default::default()
            },
            grid: sent.grid,
            watched: 0,
            colluders: &[],
            dropped: &[],
            progress: &|_, _, _| (),
        };
        protocol.exchange(&round, &mut |purpose| suites::rng::stream(1, "central", purpose))
    };
    let step = sent.grid.unwrap();
    let whole = |mean: &f32| (f64::from(*mean) * 3.0 / step).round_ties_even();
    let without = [vec![0.0; values as usize], updates[1].clone(), updates[2].clone()];
    let (all, others) = (sum(32, &updates).unwrap().mean, sum(32, &without).unwrap().mean);
    let square: f64 = all.iter().zip(&others).map(|(a, b)| (whole(a) - whole(b)).powi(2)).sum();
    let norm = square.sqrt() * step;
    assert!(norm <= clip && norm > 0.999_999 * clip, "{norm}");
    let line = sum(14, &updates).err().map(|e| e.to_string()).expect("refused");
    assert!(line.contains("write bits = 16") && !line.contains('\n'), "{line}");
}
