//! Fixed point: how real values become words whose sum cannot overflow.

use serde::{Deserialize, Serialize};
use suites::SpecError;

use crate::ProtocolError;
use crate::wire::signed;

/// What to do with a value beyond the range.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutOfRange {
    /// End the run and say what range to write.
    #[default]
    Refuse,
    /// Cut it to the range.
    Clip,
}

/// Fixed point with the modulus that its sum needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Encoding {
    /// Steps a unit.
    pub scale: f64,
    /// Largest magnitude of an encoded value, in steps.
    pub max_steps: i64,
    /// Bits of the modulus, 1 to 64.
    pub modulus: u32,
    /// Whether values are whole multiples of the step already.
    pub exact: bool,
    /// For values beyond the range.
    pub out_of_range: OutOfRange,
}

impl Encoding {
    /// Values in `[-range, range]` in steps of `range / 2^(bits - 1)`, or, with a grid, whole
    /// multiples of it below `2^(bits - 1)`.
    pub fn new(
        range: f64,
        bits: u32,
        grid: Option<f64>,
        out_of_range: OutOfRange,
        modulus: u32,
    ) -> Encoding {
        let max_steps = 1i64 << (bits - 1);
        let scale = grid.map_or(max_steps as f64 / range, |grid| 1.0 / grid);
        Encoding { scale, max_steps, modulus, exact: grid.is_some(), out_of_range }
    }

    /// The words of one client: weight times each value, then the weight.
    ///
    /// # Errors
    /// A value that is not finite, beyond the range, or off the grid: with the client and the
    /// remedy.
    pub fn encode(
        &self,
        client: usize,
        values: &[f32],
        weight: u64,
    ) -> Result<Vec<u64>, ProtocolError> {
        let fail = |(problem, remedy)| ProtocolError::Update { client, problem, remedy };
        let mut words = Vec::with_capacity(values.len() + 1);
        for (at, &value) in values.iter().enumerate() {
            let steps = self.steps(value).map_err(|why| fail(self.explain(why, at, values)))?;
            words.push((steps as u64).wrapping_mul(weight));
        }
        words.push(weight);
        Ok(words)
    }

    /// The whole number of steps of one value.
    fn steps(&self, value: f32) -> Result<i64, EncodeError> {
        let exact = f64::from(value) * self.scale;
        if !exact.is_finite() {
            return Err(EncodeError::NotFinite);
        }
        let steps = exact.round_ties_even();
        // A multiple of the grid, stored as f32, is off by 2^-24 of itself at most.
        if self.exact
            && ((exact - steps).abs() > 1e-6 + exact.abs() * 2f64.powi(-23)
                || exact.abs() > MAX_GRID_STEPS)
        {
            return Err(EncodeError::OffGrid);
        }
        if steps.abs() <= self.max_steps as f64 {
            return Ok(steps as i64);
        }
        match self.out_of_range {
            OutOfRange::Clip if !self.exact => {
                Ok(if steps > 0.0 { self.max_steps } else { -self.max_steps })
            }
            _ => Err(EncodeError::OutOfRange),
        }
    }

    /// The mean from the unmasked sum, and the sum of weights; `None` where that is zero.
    pub fn mean(&self, sum: &[u64]) -> Option<(Vec<f32>, u64)> {
        let (&total, values) = sum.split_last()?;
        let unit = self.scale * total as f64;
        let mean = |&word: &u64| (signed(word, self.modulus) as f64 / unit) as f32;
        (total > 0).then(|| (values.iter().map(mean).collect(), total))
    }

    fn explain(&self, why: EncodeError, at: usize, values: &[f32]) -> (String, String) {
        let finite = values.iter().filter(|v| v.is_finite());
        let largest = finite.fold(0f32, |m, v| m.max(v.abs()));
        match why {
            EncodeError::NotFinite => (
                format!("value {at} is {}", values[at]),
                "a diverged update cannot be summed: lower the learning rate".into(),
            ),
            EncodeError::OffGrid => (
                format!(
                    "value {at}, {}, is not a whole multiple of the noise's grid {}",
                    values[at],
                    1.0 / self.scale
                ),
                "let nothing change the update after the noise, and keep it below 2^22 steps of \
                 the grid"
                    .into(),
            ),
            EncodeError::OutOfRange if self.exact => (
                format!(
                    "its largest magnitude is {largest}, {} steps of the noise's grid",
                    f64::from(largest) * self.scale
                ),
                format!(
                    "write bits = {} or more",
                    (f64::from(largest) * self.scale).log2().floor() as u32 + 2
                ),
            ),
            EncodeError::OutOfRange => (
                format!(
                    "its largest magnitude is {largest}, beyond range = {}",
                    self.max_steps as f64 / self.scale
                ),
                format!(
                    "write range = {} (or out_of_range = \"clip\")",
                    next_power_of_two(largest)
                ),
            ),
        }
    }
}

/// Beyond this many steps a 32-bit float no longer tells neighbouring multiples of the grid apart
/// with room to spare.
const MAX_GRID_STEPS: f64 = (1 << 22) as f64;

enum EncodeError {
    NotFinite,
    OffGrid,
    OutOfRange,
}

/// The power of two that holds `largest`.
fn next_power_of_two(largest: f32) -> f64 {
    2f64.powi(f64::from(largest).log2().ceil() as i32)
}

/// The smallest modulus, in bits, with `n * max_weight * 2^bits < 2^modulus`: then neither the
/// weighted sum (its magnitude is at most half of the left side) nor the sum of weights can
/// overflow.
///
/// # Errors
/// More than 64 bits.
pub fn modulus(name: &str, n: usize, max_weight: u64, bits: u32) -> Result<u32, SpecError> {
    let product = n as u128 * u128::from(max_weight.max(1));
    let needed = 128 - product.leading_zeros() + bits;
    if needed <= 64 {
        return Ok(needed);
    }
    Err(SpecError::value(
        format!("protocol.{name}.bits"),
        format!(
            "is {bits}: {n} clients with weights up to {max_weight} could overflow 64-bit words"
        ),
        format!("write at most {}", 64u32.saturating_sub(needed - bits)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoding(grid: Option<f64>, out_of_range: OutOfRange) -> Encoding {
        Encoding::new(2.0, 16, grid, out_of_range, 40)
    }

    #[test]
    fn the_modulus_is_the_smallest_that_is_strictly_larger() {
        for (n, weight, bits) in [(20, 1, 32), (16, 1, 8), (15, 17, 4), (1000, 5000, 30), (2, 1, 1)]
        {
            let m = modulus("secagg", n, weight, bits).unwrap();
            let bound = (n as u128 * u128::from(weight)) << bits;
            assert!(bound < 1 << m && bound >= 1 << (m - 1), "{n} {weight} {bits}: {m}");
        }
        let line = modulus("secagg", 1000, 1 << 40, 32).unwrap_err().to_string();
        assert!(line.contains("write at most 14"), "{line}");
        assert!(modulus("secagg", 1000, 1 << 40, 14).is_ok());
    }

    #[test]
    fn values_beyond_the_range_are_refused_with_the_range_to_write() {
        let line =
            encoding(None, OutOfRange::Refuse).encode(3, &[0.5, -2.5], 1).unwrap_err().to_string();
        assert!(
            line.contains("client 3") && line.contains("2.5") && line.contains("range = 4"),
            "{line}"
        );
        let words = encoding(None, OutOfRange::Clip).encode(3, &[0.5, -2.5, 9.0], 3).unwrap();
        assert_eq!(
            words.iter().map(|&w| w as i64).collect::<Vec<_>>(),
            [3 << 13, -3 << 15, 3 << 15, 3]
        );
        for bad in [f32::NAN, f32::INFINITY] {
            assert!(encoding(None, OutOfRange::Clip).encode(0, &[bad], 1).is_err());
        }
    }

    #[test]
    fn a_grid_is_kept_exactly_and_enforced() {
        let grid = 0.1 / 3.0;
        let encoding = encoding(Some(grid), OutOfRange::Refuse);
        let values: Vec<f32> = (-32768..=32768i64).map(|i| (i as f64 * grid) as f32).collect();
        let words = encoding.encode(0, &values, 1).unwrap();
        assert!(words[..65537].iter().zip(-32768..=32768i64).all(|(&w, i)| w as i64 == i));
        let line = encoding.encode(1, &[(1.3 * grid) as f32], 1).unwrap_err().to_string();
        assert!(line.contains("whole multiple"), "{line}");
        let line = encoding.encode(1, &[(40000.0 * grid) as f32], 1).unwrap_err().to_string();
        assert!(line.contains("bits = 17"), "{line}");
    }

    #[test]
    fn the_mean_is_the_weighted_mean() {
        let e = encoding(None, OutOfRange::Refuse);
        let (a, b) =
            (e.encode(0, &[1.0, -0.5], 3).unwrap(), e.encode(1, &[-1.0, -2.0], 1).unwrap());
        let sum: Vec<u64> =
            a.iter().zip(&b).map(|(a, b)| a.wrapping_add(*b) & ((1 << 40) - 1)).collect();
        assert_eq!(e.mean(&sum).unwrap(), (vec![0.5, -0.875], 4));
    }
}
