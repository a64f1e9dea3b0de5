//! Against the peers' values, against direct quadrature, and properties that every accountant must
//! have.

use proptest::prelude::*;

use super::*;

fn rows(text: &str) -> Vec<Vec<f64>> {
    let number = |v: &str| v.parse().unwrap_or(f64::NAN);
    text.lines().skip(1).map(|l| l.split(',').map(number).collect()).collect()
}

#[test]
fn agrees_with_opacus_and_dp_accounting() {
    let rows = rows(include_str!("../../../tests/golden/dp/dp_golden.csv"));
    assert_eq!(rows.len(), 14);
    for v in rows {
        let answer = epsilon(v[0], v[1], v[2] as u64, v[3]).unwrap();
        let place = &v[..4];
        assert!((answer.rdp - v[4]).abs() < 1e-6, "{place:?}: RDP {} against {}", answer.rdp, v[4]);
        assert!((answer.order - v[5]).abs() < 1e-9, "{place:?}: order {}", answer.order);
        let prv = answer.prv.unwrap();
        assert!((prv - v[11]).abs() < 2e-4, "{place:?}: PRV {prv} against {}", v[11]);
        // Certified bounds of Gopi et al.'s own code.
        assert!(v[12] < prv && prv < v[14], "{place:?}: {prv} outside {}..{}", v[12], v[14]);
        if v[1] == 1.0 {
            assert!((prv - v[16]).abs() < 2e-4 && prv >= v[16]);
            assert!(
                (answer.best - v[16]).abs() < 1e-9,
                "{place:?}: {} against {}",
                answer.best,
                v[16]
            );
        }
        assert!(answer.best <= prv && prv < answer.rdp);
    }
}

/// The peer's value is itself an upper bound, on a grid of its own.
#[test]
fn agrees_with_dp_accounting_at_the_edges() {
    for v in rows(include_str!("../../../tests/golden/dp/extreme_golden.csv")) {
        let prv = epsilon(v[0], v[1], v[2] as u64, v[3]).unwrap().prv.unwrap();
        let tolerance = 2e-4 * v[5].max(0.05);
        assert!((prv - v[5]).abs() < tolerance, "{v:?}: {prv}");
    }
}

#[test]
fn rdp_agrees_with_fifty_digits() {
    for v in rows(include_str!("../../../tests/golden/dp/rdp_golden.csv")) {
        let at = rdp::orders().iter().position(|a| (a - v[2]).abs() < 1e-9).unwrap();
        let ours = rdp::curve(v[0], v[1])[at];
        assert!((ours - v[3]).abs() < 1e-9 * v[3] + 1e-21, "{v:?}: {ours}");
    }
}

/// Delta of one step by direct integration of `max(P - e^epsilon Q, 0)`, both directions.
fn direct_delta(sigma: f64, rate: f64, epsilon: f64) -> f64 {
    let bell = |x: f64| (-0.5 * (x / sigma).powi(2)).exp() / (sigma * std::f64::consts::TAU.sqrt());
    let (low, high, count) = (-12.0 * sigma, 1.0 + 12.0 * sigma, 2_000_000);
    let h = (high - low) / count as f64;
    let (mut remove, mut add) = (0.0, 0.0);
    for i in 0..count {
        let x = low + (i as f64 + 0.5) * h;
        let (q, p) = (bell(x), (1.0 - rate) * bell(x) + rate * bell(x - 1.0));
        remove += h * (p - epsilon.exp() * q).max(0.0);
        add += h * (q - epsilon.exp() * p).max(0.0);
    }
    remove.max(add)
}

#[test]
fn one_step_agrees_with_direct_integration() {
    for (sigma, rate) in [(1.0, 0.01), (0.5, 0.1), (3.0, 0.5), (0.3, 0.001), (1.0, 0.9)] {
        for target in [1e-3, 1e-5, 1e-7] {
            let prv = epsilon(sigma, rate, 1, target).unwrap().prv.unwrap();
            if prv > 0.0 {
                let delta = direct_delta(sigma, rate, prv);
                assert!(
                    (delta / target - 1.0).abs() < 2e-3,
                    "{sigma} {rate}: {delta} against {target}"
                );
            }
        }
    }
}

#[test]
fn a_split_phase_is_the_same_and_mixed_ones_lie_between() {
    let phase = |noise_multiplier, rate, steps| Phase { noise_multiplier, rate, steps };
    let whole = composed(&[phase(1.0, 0.02, 300)], 1e-5).unwrap();
    let split = composed(&[phase(1.0, 0.02, 100), phase(1.0, 0.02, 200)], 1e-5).unwrap();
    assert!(
        (whole.best / split.best - 1.0).abs() < 1e-4 && (whole.rdp / split.rdp - 1.0).abs() < 1e-12
    );
    let less = epsilon(2.0, 0.02, 300, 1e-5).unwrap().best;
    let mixed = composed(&[phase(1.0, 0.02, 100), phase(2.0, 0.02, 200)], 1e-5).unwrap().best;
    assert!(less < mixed && mixed < whole.best, "{less} {mixed} {}", whole.best);
    let gaussians = composed(&[phase(3.0, 1.0, 9), phase(2.0, 1.0, 4)], 1e-5).unwrap();
    assert!((gaussians.best - gaussian::epsilon(0.5f64.sqrt(), 1e-5)).abs() < 1e-9);
    assert!((gaussians.prv.unwrap() - gaussians.best).abs() < 2e-4);
}

#[test]
fn the_closed_form_holds_at_every_epsilon() {
    for v in rows(include_str!("../../../tests/golden/gauss_golden.csv")) {
        assert!((gaussian::sigma(v[0], v[1]) / v[3] - 1.0).abs() < 1e-9, "{v:?}");
    }
    for e in [0.001, 1.0, 100.0, 1e4, 1e6] {
        let sigma = gaussian::sigma(e, 1e-5);
        assert!((gaussian::epsilon(sigma, 1e-5) / e - 1.0).abs() < 1e-6, "{e}");
    }
}

#[test]
fn edges_answer_with_bounds_and_never_with_nan() {
    for sigma in [0.05, 1.0, 1000.0] {
        for rate in [1e-4, 0.5, 1.0] {
            for steps in [1, 1_000_000] {
                let a = epsilon(sigma, rate, steps, 1e-5).unwrap();
                assert!(
                    a.best.is_finite() && a.rdp.is_finite() && a.best >= 0.0,
                    "{sigma} {rate} {steps}: {a:?}"
                );
                assert!(a.best <= a.rdp * (1.0 + 1e-9), "{sigma} {rate} {steps}: {a:?}");
                if let (Some(prv), Some(exact)) = (a.prv, a.exact) {
                    assert!(prv >= exact - 1e-12 && prv <= exact * 1.001, "{sigma} {steps}: {a:?}");
                }
            }
        }
    }
}

/// Far outside everything asked: still an upper bound, and at once.
#[test]
fn absurd_numbers_are_answered_with_bounds() {
    let cases = [
        (1e-6, 0.1, 1, 1e-5),
        (1e300, 0.1, 1, 1e-5),
        (1.0, 1e-300, 1, 1e-5),
        (1.0, 0.1, u64::MAX, 1e-5),
        (1e-6, 1.0, u64::MAX, 1e-5),
        (1.0, 0.1, 10, 1e-300),
        (1.0, 0.1, 10, 1.0 - 1e-15),
        (1.0, 1.0 - 1e-16, 100, 1e-5),
    ];
    for (sigma, rate, steps, delta) in cases {
        let a = epsilon(sigma, rate, steps, delta).unwrap();
        assert!(
            a.best >= 0.0 && a.best.is_finite() && !a.order.is_nan(),
            "{sigma} {rate} {steps} {delta}: {a:?}"
        );
    }
}

#[test]
fn bad_input_is_one_line_that_names_it() {
    let cases = [
        (epsilon(0.0, 0.1, 1, 1e-5), "noise_multiplier"),
        (epsilon(f64::NAN, 0.1, 1, 1e-5), "noise_multiplier"),
        (epsilon(1e-300, 1.0, 1, 1e-5), "noise_multiplier"),
        (epsilon(f64::INFINITY, 0.1, 1, 1e-5), "noise_multiplier"),
        (epsilon(1.0, 0.0, 1, 1e-5), "rate"),
        (epsilon(1.0, 1.1, 1, 1e-5), "rate"),
        (epsilon(1.0, f64::NAN, 1, 1e-5), "rate"),
        (epsilon(1.0, 0.1, 0, 1e-5), "steps"),
        (epsilon(1.0, 0.1, 1, 0.0), "delta"),
        (epsilon(1.0, 0.1, 1, 1.0), "delta"),
        (epsilon(1.0, 0.1, 1, f64::NAN), "delta"),
        (composed(&[], 1e-5), "steps"),
    ];
    for (found, says) in cases {
        let message = found.unwrap_err().to_string();
        assert!(message.starts_with(says) && !message.contains('\n'), "{message}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Epsilon falls with sigma and delta, and grows with the steps and the rate, by each
    /// accountant.
    #[test]
    fn epsilon_is_monotone(
        sigma in 0.4f64..5.0,
        rate in 0.001f64..0.6,
        steps in 1u64..2000,
        power in 3.0f64..9.0,
        more in 1.02f64..2.0,
    ) {
        let delta = 10f64.powf(-power);
        let base = epsilon(sigma, rate, steps, delta).unwrap();
        let worse = [
            epsilon(sigma / more, rate, steps, delta).unwrap(),
            epsilon(sigma, (rate * more).min(1.0), steps, delta).unwrap(),
            epsilon(sigma, rate, (steps as f64 * more).ceil() as u64, delta).unwrap(),
            epsilon(sigma, rate, steps, delta / more).unwrap(),
        ];
        for other in worse {
            prop_assert!(other.rdp >= base.rdp * (1.0 - 1e-12));
            // Two grids differ by what each may add.
            let (least, prv) = (base.prv.unwrap() * (1.0 - 2e-5), other.prv.unwrap());
            prop_assert!(prv >= least, "{base:?} {other:?}");
        }
        prop_assert!(base.best <= base.rdp && base.best >= 0.0);
    }
}
