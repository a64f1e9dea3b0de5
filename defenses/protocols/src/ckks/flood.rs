//! Gaussian noise that is smooth at the size of what it hides.

use rand::RngCore;

use super::sample::{box_muller, words};

/// Bits of a deviation that the Gaussian itself decides.
const BITS: i32 = 16;

/// `len` integers of standard deviation `sigma` (at most `2^110`; zeros for 0): `c Z + T` with `Z`
/// a rounded Gaussian of deviation `sigma / c`, `T` triangular over two cells of `c = 2^(floor(log2
/// sigma) - 16)` integers; `T` adds `2^-34` of the variance.
///
/// With triangular noise the density joins the weights `p_k` of the cells by straight lines, so
/// that its Fisher information is `sum (p_(k+1) - p_k) ln(p_(k+1) / p_k) / c^2`, the symmetric
/// divergence of `Z` and `Z + 1` over `c^2`: `1 / sigma^2`, as a true Gaussian's. A shift by `x`
/// then is at most `x / (2 sigma)` in Hellinger distance `|sqrt f - sqrt g|`, and `m` values
/// shifted by `x_1 ... x_m` are at most `|x| / (2 sigma)`, which bounds their total variation.
/// (Under one uniform draw the density would be a staircase, the divergence `x c / (2 sigma^2)`,
/// linear in `x`, and the bound for `m` values larger by `sqrt(c / x)`.)
///
/// A cell collects `2^37` doubles, so that rounding changes a weight by a share of `2^-37`. Where
/// the 53 bits of a radius are spread thinner than cells, beyond seven deviations, weights are
/// uneven, which adds less than `2^-52` to the sum above (with radii of 10 to 16 bits: computed,
/// below `2^-bits`). Both are small beside the `2^-34` that the sum is at least.
pub(super) fn smooth(rng: &mut impl RngCore, sigma: f64, len: usize) -> Vec<i128> {
    let shift = (libm::log2(sigma.max(1.0)) as i32 - BITS).max(0);
    let step = sigma / 2f64.powi(shift);
    let normal = words(rng, 2 * len.div_ceil(2));
    let low = words(rng, 4 * len);
    let pairs = normal.as_chunks().0.iter().flat_map(|pair| box_muller(*pair));
    let within = low.as_chunks().0.iter().map(|draw| triangular(*draw, shift));
    let noise = pairs.zip(within).take(len);
    noise.map(|(g, within)| (((g * step).round_ties_even() as i128) << shift) + within).collect()
}

/// The difference of two independent uniform draws below `2^shift`.
fn triangular([a, b, c, d]: [u64; 4], shift: i32) -> i128 {
    let below =
        |high, low| ((u128::from(high) << 64 | u128::from(low)) & ((1u128 << shift) - 1)) as i128;
    below(a, b) - below(c, d)
}

#[cfg(test)]
mod tests {
    use super::*;
    use suites::rng::stream;

    #[test]
    fn the_deviation_is_as_asked_and_every_bit_moves() {
        for bits in [3, 30, 70, 108] {
            let sigma = 1.4 * 2f64.powi(bits);
            let noise = smooth(&mut stream(1, "flood", "smooth"), sigma, 20_001);
            assert_eq!(noise.len(), 20_001);
            let mean = noise.iter().map(|v| *v as f64 / sigma).sum::<f64>() / 20_001.0;
            let square = noise.iter().map(|v| (*v as f64 / sigma).powi(2)).sum::<f64>() / 20_001.0;
            assert!(mean.abs() < 0.03 && (square - 1.0).abs() < 0.05, "{bits}: {mean} {square}");
            for bit in 0..bits {
                let set = noise.iter().filter(|v| **v >> bit & 1 == 1).count();
                assert!(set.abs_diff(10_000) < 600, "bit {bit} of {bits}: {set}");
            }
        }
    }

    /// Doubles reach every cell alike: where the Gaussian itself decides 48 bits, cells beyond two
    /// deviations collect nine or seven doubles in turn (ties to even), and even ones are 9/16.
    #[test]
    fn even_cells_are_no_likelier_than_odd_ones() {
        let sigma = 2f64.powi(90);
        let noise = smooth(&mut stream(4, "flood", "smooth"), sigma, 400_000);
        let beyond: Vec<i128> =
            noise.into_iter().filter(|v| (*v as f64).abs() > 2.0 * sigma).collect();
        assert!(beyond.len() > 17_000, "{}", beyond.len());
        for bits in [17, 40, 46, 47, 48] {
            // Cells that begin at a multiple of `sigma 2^-bits`, and cells around one.
            for from in [0, 1i128 << (89 - bits)] {
                let even = beyond.iter().filter(|v| ((**v + from) >> (90 - bits)) & 1 == 0);
                let share = even.count() as f64 / beyond.len() as f64;
                assert!((share - 0.5).abs() < 0.02, "{bits} bits: {share} are even");
            }
        }
    }

    #[test]
    fn no_noise_is_none() {
        assert_eq!(smooth(&mut stream(5, "flood", "smooth"), 0.0, 9), vec![0; 9]);
    }

    /// Cells are as likely as under a Gaussian: counts between quartiles and beyond two deviations.
    #[test]
    fn the_shape_is_gaussian() {
        let sigma = 2f64.powi(60);
        let noise = smooth(&mut stream(2, "flood", "smooth"), sigma, 40_000);
        let within = |z: f64| noise.iter().filter(|v| (**v as f64 / sigma).abs() < z).count();
        assert!(
            within(0.674_49).abs_diff(20_000) < 500 && (40_000 - within(2.0)).abs_diff(1820) < 200
        );
    }

    /// Weights of `c Z + within` for an exact discrete Gaussian `Z` of deviation `sigma / c`, out
    /// to twelve deviations.
    fn weights(within: &[(i128, f64)], c: usize, sigma: f64) -> Vec<f64> {
        let reach = (12.0 * sigma) as i128 / c as i128;
        let middle = (reach + 1) * c as i128;
        let mut f = vec![0.0; 2 * middle as usize + 1];
        for k in -reach..=reach {
            let p = (-0.5 * (k as f64 * c as f64 / sigma).powi(2)).exp();
            within.iter().for_each(|(at, q)| f[(middle + k * c as i128 + at) as usize] += p * q);
        }
        let all: f64 = f.iter().sum();
        f.iter().map(|v| v / all).collect()
    }

    /// Kullback-Leibler divergence, and squared Hellinger distance `|sqrt f - sqrt g|^2`, of `f`
    /// and `f` shifted by `x`.
    fn apart(f: &[f64], x: usize) -> [f64; 2] {
        let both = || f.iter().zip(&f[x..]).filter(|(a, b)| **a > 0.0 && **b > 0.0);
        let divergence = both().map(|(a, b)| b * (b / a).ln() - b + a).sum();
        [divergence, both().map(|(a, b)| (a.sqrt() - b.sqrt()).powi(2)).sum()]
    }

    /// Divergence from a shift by `x` stays below `x^2 / 2 sigma^2`, squared Hellinger distance
    /// below `x^2 / 4 sigma^2`, so that both grow with the number of values as a Gaussian's do;
    /// under one uniform draw they exceed that by `c / x`.
    #[test]
    fn shifts_tell_as_little_as_under_a_gaussian() {
        let (c, sigma) = (16usize, 256.0);
        let draws = (0..c as u64).flat_map(|a| (0..c as u64).map(move |b| [7, a, 9, b]));
        let share = 1.0 / (c * c) as f64;
        let noise: Vec<(i128, f64)> = draws.map(|draw| (triangular(draw, 4), share)).collect();
        let stairs: Vec<(i128, f64)> = (0..c as i128).map(|at| (at, 1.0 / c as f64)).collect();
        let [noise, stairs] = [noise, stairs].map(|within| weights(&within, c, sigma));
        for x in [1, 2, 5, 16, 40] {
            let bound = (x as f64 / sigma).powi(2) * 1.01;
            let [divergence, hellinger] = apart(&noise, x);
            assert!(
                divergence < bound / 2.0 && hellinger < bound / 4.0,
                "{x}: {divergence:e} {hellinger:e}"
            );
            assert!(divergence > bound / 3.0, "{x}: {divergence:e} of {bound:e}");
        }
        let ratio = apart(&stairs, 1)[0] / apart(&noise, 1)[0];
        assert!((ratio / c as f64 - 1.0).abs() < 0.2, "{ratio}");
        // Bhattacharyya's bound on what 4000 values tell, from their affinity: a shift by one is
        // lost in this noise, not so on a staircase.
        let tells = |f: &[f64]| (1.0 - (1.0 - apart(f, 1)[1] / 2.0).powi(4000).powi(2)).sqrt();
        let gaussian = 4000f64.sqrt() / (2.0 * sigma);
        assert!(
            tells(&noise) < 1.01 * gaussian && tells(&stairs) > 3.0 * gaussian,
            "{} {}",
            tells(&noise),
            tells(&stairs)
        );
    }

    /// Noise stays in nine deviations, which leaves room in the plan's twelve.
    #[test]
    fn the_range_is_bounded() {
        let ends = [[0, 0], [0, 1 << 63], [u64::MAX, 0]].map(box_muller).concat();
        assert!(ends.iter().all(|g| g.abs() < 8.7), "{ends:?}");
        let sigma = 2f64.powi(108);
        let noise = smooth(&mut stream(3, "flood", "smooth"), sigma, 10_000);
        assert!(noise.iter().all(|v| (*v as f64).abs() < 9.0 * sigma));
        let (low, high) = (
            triangular([0, 0, u64::MAX, u64::MAX], 92),
            triangular([u64::MAX, u64::MAX, 0, 0], 92),
        );
        assert_eq!((low, high), (1 - (1 << 92), (1 << 92) - 1));
    }
}
