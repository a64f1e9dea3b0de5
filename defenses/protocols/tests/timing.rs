//! The statistic of the timing check flags what leaks, and only that.

use std::hint::black_box;

use rand::{Rng, RngCore};
use suites::rng::stream;

mod timing_common;
use timing_common::{LEAK, NOTHING, Times, measure};

/// Stops at the first byte that differs, as no comparison of secrets may.
fn early_exit(a: &[u8], b: &[u8]) -> bool {
    for (x, y) in a.iter().zip(b) {
        if black_box(*x) != black_box(*y) {
            return false;
        }
    }
    true
}

/// Secret bytes against themselves, or against random ones, which differ in the first bytes.
#[test]
fn an_early_exit_comparison_is_flagged() {
    let mut rng = stream(1, "timing", "secret");
    let mut draw = || {
        let mut bytes = vec![0u8; 4096];
        rng.fill_bytes(&mut bytes);
        bytes
    };
    let secret = draw();
    let input = |class: usize| if class == 0 { secret.clone() } else { draw() };
    let times = measure(2000, &mut stream(1, "timing", "coin"), input, |guess| {
        black_box(early_exit(&secret, &guess));
    });
    assert!(times.largest() > LEAK, "{}", times.largest());
}

/// Made-up times: one law for both classes is no leak, a shift of a hundredth is, also where rare
/// interrupts drown it in the plain means.
#[test]
fn a_shift_is_found_below_interrupts_and_nothing_where_there_is_none() {
    let mut rng = stream(1, "timing", "made up");
    let mut times = |shift: f64, interrupts: f64| {
        let mut draw = |class: usize| {
            let noise: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
            let late =
                if rng.random::<f64>() < interrupts { 1e6 * rng.random::<f64>() } else { 0.0 };
            1000.0 + 20.0 * noise + shift * class as f64 + late
        };
        Times([(0..20_000).map(|_| draw(0)).collect(), (0..20_000).map(|_| draw(1)).collect()])
    };
    for interrupts in [0.0, 0.01] {
        let same = times(0.0, interrupts);
        assert!(same.largest().abs() < NOTHING, "{interrupts}: {}", same.largest());
    }
    let clean = times(10.0, 0.0);
    assert!(clean.welch() < -LEAK, "{}", clean.welch());
    let drowned = times(10.0, 0.01);
    assert!(drowned.welch().abs() < NOTHING && drowned.largest() < -LEAK, "{drowned:?}");
}
