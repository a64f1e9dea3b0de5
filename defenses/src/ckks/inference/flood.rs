//! Gaussian noise that is smooth at the size of what it hides.

use rand::RngCore;

use crate::ckks::sample::{box_muller, words};

/// Bits of a deviation that the Gaussian itself decides.
const BITS: i32 = 24;

/// `len` integers of standard deviation `sigma` (at most `2^110`): `c Z + U` with `Z` a rounded Gaussian of deviation `sigma / c`, `U` uniform over a
/// cell of `c = 2^(floor(log2 sigma) - 24)` integers.
///
/// A shift by `x` below `c` moves the sum by `x / c` of the total variation between `Z` and `Z + 1`, which is `c / (sqrt(2 pi) sigma)`: as much as
/// a true Gaussian. What rounding in floating point does to the weight of a cell, which collects 2^29 doubles, is multiplied by `x / c` too; for
/// noise hidden to 45 bits that is below `2^-20`.
pub(super) fn smooth(rng: &mut impl RngCore, sigma: f64, len: usize) -> Vec<i128> {
    let shift = (sigma.log2().floor() as i32 - BITS).max(0);
    let step = sigma / 2f64.powi(shift);
    let half = (1i128 << shift) / 2;
    let drawn = words(rng, 4 * len.div_ceil(2) * 2);
    let (normal, low) = drawn.split_at(2 * len.div_ceil(2));
    let pairs = normal.as_chunks().0.iter().flat_map(|pair| box_muller(*pair));
    let cells = low.as_chunks().0.iter().map(|[a, b]| {
        let wide = u128::from(*a) << 64 | u128::from(*b);
        (wide & ((1u128 << shift) - 1)) as i128 - half
    });
    let noise = pairs.zip(cells).take(len);
    noise.map(|(g, cell)| (((g * step).round_ties_even() as i128) << shift) + cell).collect()
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

    /// Cells are as likely as under a Gaussian: counts between quartiles and beyond two deviations.
    #[test]
    fn the_shape_is_gaussian() {
        let sigma = 2f64.powi(60);
        let noise = smooth(&mut stream(2, "flood", "smooth"), sigma, 40_000);
        let within = |z: f64| noise.iter().filter(|v| (**v as f64 / sigma).abs() < z).count();
        assert!(within(0.674_49).abs_diff(20_000) < 500 && (40_000 - within(2.0)).abs_diff(1820) < 200);
    }
}
