use super::*;
use crate::testing::{deployment, in_turn, streams, update};
use tch::Tensor;

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
