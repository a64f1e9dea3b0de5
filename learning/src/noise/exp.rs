//! `exp(-p/q)` of a fraction in 128-bit fixed point, for coins that floating point cannot decide.

/// 1 in this fixed point.
pub const ONE: u128 = 1 << 127;

/// Terms of the series; the first one left out is below `2^-132`.
const TERMS: u128 = 34;

/// `2^127 exp(-p/q)` for `q` in `[1, 2^63)`, to within `2^-120` of 1.
///
/// The whole part of `p/q` is a power of `1/e`, the rest Taylor's series in Horner's form. Every
/// step rounds down by at most two units of `2^-127`, and at most `2^6` steps do.
pub fn exp_neg(p: u128, q: u64) -> u128 {
    let q = u128::from(q);
    let (mut whole, rest) = (p / q, (p % q) << 64);
    let fraction = ((rest / q) << 63) | (((rest % q) << 63) / q);
    let (mut result, mut power) = (series(fraction), series(ONE));
    // Beyond 127 the result is below `2^-127`.
    if whole > 127 {
        return 0;
    }
    while whole > 0 {
        if whole & 1 == 1 {
            result = times(result, power);
        }
        power = times(power, power);
        whole >>= 1;
    }
    result
}

/// `exp(-x)` for `x` in `[0, 1]`: `1 - x (1 - x/2 (1 - x/3 ...))`.
fn series(x: u128) -> u128 {
    (1..=TERMS).rev().fold(ONE, |sum, k| ONE - times(x, sum) / k)
}

/// The product of two numbers of at most [`ONE`], rounded down.
fn times(a: u128, b: u128) -> u128 {
    let low = |x: u128| x & u128::from(u64::MAX);
    let (high, middle) = ((a >> 64) * (b >> 64), (a >> 64) * low(b) + low(a) * (b >> 64));
    (high << 1) + ((middle + ((low(a) * low(b)) >> 64)) >> 63)
}

/// Whether `a x < b y`, for factors `x` and `y` below `2^64`, exactly.
pub fn product_below((a, x): (u128, u64), (b, y): (u128, u64)) -> bool {
    let product = |a: u128, x: u64| {
        let (low, high) = ((a & u128::from(u64::MAX)) * u128::from(x), (a >> 64) * u128::from(x));
        let high = high + (low >> 64);
        (high, low as u64)
    };
    product(a, x) < product(b, y)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Digits of `exp_golden.py`, which adds up fractions.
    #[test]
    fn the_exponential_is_right_to_120_bits() {
        let golden = include_str!("../../tests/golden/noise/exp_golden.csv");
        let mut rows = 0;
        for line in golden.lines().skip(1) {
            let v: Vec<&str> = line.split(',').collect();
            let (p, q): (u128, u64) = (v[0].parse().unwrap(), v[1].parse().unwrap());
            let expected: u128 = v[2].parse().unwrap();
            let error = exp_neg(p, q).abs_diff(expected);
            assert!(error < 1 << 7, "exp(-{p}/{q}) is off by {error} units");
            rows += 1;
        }
        assert_eq!(rows, 40);
    }

    #[test]
    fn products_compare_in_all_their_bits() {
        assert!(product_below((u128::MAX - 1, u64::MAX), (u128::MAX, u64::MAX)));
        assert!(!product_below((u128::MAX, u64::MAX), (u128::MAX, u64::MAX)));
        assert!(product_below((1 << 100, 1 << 20), ((1 << 100) + 1, 1 << 20)));
        assert!(product_below((ONE, 3), (ONE, 4)) && !product_below((ONE, 4), (ONE, 3)));
    }
}
