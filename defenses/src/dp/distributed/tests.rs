use super::*;
use crate::testing::{deployment, in_turn, streams, update};

fn sum_of(dp: &Distributed, values: f64) -> (Params, f64) {
    let deployment = deployment(1);
    let mut memory = BTreeMap::new();
    let released = in_turn(&deployment, &mut streams(4), &mut memory, |t| {
        dp.release(update(4, 4096, values), t)
    })
    .unwrap();
    let grid = released.grid.unwrap();
    let whole = &released.update.tensors[0] / grid;
    assert_eq!(
        (&whole - whole.round()).abs().max().double_value(&[]),
        0.0,
        "whole multiples of the grid"
    );
    let mean = released.update.map(|t| t.mean_dim(0, true, None::<Kind>));
    let out =
        in_turn(&deployment, &mut streams(1), &mut memory, |t| dp.aggregate(mean, t)).unwrap();
    (out.update, out.values["sigma"])
}

#[test]
fn the_sum_is_the_clipped_mean_with_noise_of_sigma() {
    for mechanism in [Mechanism::DiscreteGaussian, Mechanism::Skellam] {
        let dp = Distributed { mechanism, clip: 2.0.into(), ..Distributed::default() };
        let (mean, sigma) = sum_of(&dp, 1.0);
        // 4,096 ones have norm 64: clipped to 2 they are 1/32 each.
        let error = &mean.tensors[0] - 1.0 / 32.0;
        let std = error.square().mean(Kind::Double).sqrt().double_value(&[]);
        assert!((std / sigma - 1.0).abs() < 0.05, "{mechanism:?}: {std} against {sigma}");
    }
}

#[test]
fn its_noise_comes_near_the_central_mechanism() {
    let dp = Distributed { epsilon: 1.0, ..Distributed::default() };
    let scales = dp.scales(4096, &deployment(1)).unwrap();
    let central = super::super::analytic::sigma(1.0, 1e-5);
    let total = scales.sigma * scales.step * 2.0;
    // RDP's conversion is looser than the exact Gaussian's, and rounding costs a little.
    assert!(total > central && total < 1.25 * central, "{total} against {central}");
}

#[test]
fn fewer_honest_clients_add_more_each() {
    let shares = |tolerate| {
        let dp = Distributed { tolerate, ..Distributed::default() };
        dp.scales(4096, &deployment(1)).map(|s| s.sigma)
    };
    assert!((shares(3).unwrap() / shares(0).unwrap() - 2.0).abs() < 0.01);
    assert!(shares(4).err().unwrap().to_string().contains("tolerate"));
}

/// Whoever knows one share faces the others' noise alone.
#[test]
fn a_client_that_sees_the_sum_knows_one_share_of_the_noise() {
    let faced = |clients, tolerate| {
        let dp = Distributed { tolerate, ..Distributed::default() };
        let deployment = Deployment { clients, ..deployment(1) };
        let scales = dp.scales(4096, &deployment).unwrap();
        dp.epsilon_at(scales.sigma, scales.l2, 4096, clients - 1, 1).unwrap()
    };
    let (of_two, of_five) = (faced(2, 0), faced(5, 0));
    assert!((of_two - 12.17).abs() < 0.01 && (of_five - 9.23).abs() < 0.01, "{of_two} {of_five}");
    for clients in [2, 5] {
        let within = faced(clients, 1);
        assert!(within <= 8.0 && within > 7.99, "{clients}: {within}");
    }
}
