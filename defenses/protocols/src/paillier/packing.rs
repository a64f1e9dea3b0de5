//! Many signed numbers in one plaintext.
//!
//! A value `v` becomes `q = round(v s)` for `s` steps a unit; a client of weight `w` puts `w (q +
//! b)` into its slot, where `b = floor(range s)` shifts all values to where no sign is needed.
//! Slots are as wide as the largest sum, `2 b W` for the total weight `W`, so that no sum of honest
//! slots reaches its neighbour. The sum minus `b W`, over `s W`, is the weighted mean.

use crypto_bigint::BoxedUint;
use thiserror::Error;

/// What does not fit.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum PackingError {
    /// The steps of the range are more than a 64-bit float tells apart.
    #[error("asks for {0:e} steps, more than the 2^53 that 64-bit arithmetic tells apart")]
    TooFine(f64),
    /// The range is smaller than a step.
    #[error("makes a range of less than one step")]
    TooCoarse,
    /// The sum overflows.
    #[error("makes sums of {slot} bits, of which a plaintext of {room} bits holds none")]
    Overflow {
        /// Bits of a sum.
        slot: u32,
        /// Bits of a plaintext.
        room: u32,
    },
    /// A value that is not a number.
    #[error("value {index} is {value}")]
    NotFinite {
        /// Which.
        index: usize,
        /// NaN or infinite.
        value: f32,
    },
    /// A value outside the range.
    #[error("value {index} is {value}, beyond the range of -{range} to {range}")]
    Range {
        /// Which.
        index: usize,
        /// The value.
        value: f32,
        /// Largest magnitude.
        range: f64,
    },
}

/// How values lie in plaintexts; the same for all clients of a round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packing {
    scale: f64,
    range: f64,
    /// `b`.
    offset: u64,
    total_weight: u64,
    slot: u32,
    per_plaintext: usize,
}

impl Packing {
    /// For plaintexts of so many bits, `scale` steps a unit, values in `[-range, range]`, and
    /// weights that add up to `total_weight`.
    ///
    /// # Errors
    /// A sum that could overflow, or a range that is no whole number of steps.
    pub fn new(
        plaintext_bits: u32,
        scale: f64,
        range: f64,
        total_weight: u64,
    ) -> Result<Packing, PackingError> {
        let steps = (range * scale).floor();
        if steps.is_nan() || steps > 2f64.powi(53) {
            return Err(PackingError::TooFine(steps));
        }
        if steps < 1.0 {
            return Err(PackingError::TooCoarse);
        }
        let offset = steps as u64;
        let largest = 2 * u128::from(offset) * u128::from(total_weight.max(1));
        // At most 2 * 2^53 * 2^64: never more than 119 bits, and exact in 128.
        let slot = 128 - largest.leading_zeros();
        if slot > plaintext_bits {
            return Err(PackingError::Overflow { slot, room: plaintext_bits });
        }
        let per_plaintext = (plaintext_bits / slot) as usize;
        Ok(Packing { scale, range, offset, total_weight: total_weight.max(1), slot, per_plaintext })
    }

    /// Values in a plaintext.
    pub fn per_plaintext(&self) -> usize {
        self.per_plaintext
    }

    /// Bits of a slot.
    pub fn slot_bits(&self) -> u32 {
        self.slot
    }

    /// Plaintexts for so many values.
    pub fn plaintexts(&self, values: usize) -> usize {
        values.div_ceil(self.per_plaintext)
    }

    /// One client's values times its weight, every one of them.
    ///
    /// # Errors
    /// The first value that is not finite or outside the range.
    pub fn pack(&self, values: &[f32], weight: u64) -> Result<Vec<BoxedUint>, PackingError> {
        let groups = values.chunks(self.per_plaintext).enumerate();
        groups.map(|(g, values)| self.plaintext(g * self.per_plaintext, values, weight)).collect()
    }

    fn plaintext(
        &self,
        first: usize,
        values: &[f32],
        weight: u64,
    ) -> Result<BoxedUint, PackingError> {
        let bits = self.per_plaintext as u32 * self.slot;
        let mut words = vec![0u64; bits.div_ceil(64) as usize];
        for (i, &value) in values.iter().enumerate() {
            let shifted = self.shifted(first + i, value)?;
            put(&mut words, i as u32 * self.slot, u128::from(shifted) * u128::from(weight));
        }
        Ok(BoxedUint::from_words(words))
    }

    /// `q + b`, in `[0, 2 b]`.
    fn shifted(&self, index: usize, value: f32) -> Result<u64, PackingError> {
        if !value.is_finite() {
            return Err(PackingError::NotFinite { index, value });
        }
        let steps = (f64::from(value) * self.scale).round();
        if steps.abs() > self.offset as f64 {
            return Err(PackingError::Range { index, value, range: self.range });
        }
        Ok((steps as i64 + self.offset as i64) as u64)
    }

    /// The means of `count` values from plaintexts in which slots of clients with weights of
    /// `weight` in all were added.
    pub fn unpack(&self, plaintexts: &[BoxedUint], count: usize, weight: u64) -> Vec<f32> {
        let slots = (0..count).map(|i| {
            let words =
                plaintexts.get(i / self.per_plaintext).map_or(&[] as &[u64], |p| p.as_words());
            get(words, (i % self.per_plaintext) as u32 * self.slot, self.slot)
        });
        let shift = i128::from(self.offset) * i128::from(weight);
        let unit = self.scale * weight as f64;
        slots.map(|slot| ((slot as i128 - shift) as f64 / unit) as f32).collect()
    }

    /// The total weight it was made for.
    pub fn total_weight(&self) -> u64 {
        self.total_weight
    }
}

/// Writes `value` at a bit offset; the words are zero there.
fn put(words: &mut [u64], offset: u32, value: u128) {
    let (first, shift) = ((offset / 64) as usize, offset % 64);
    let low = value << shift;
    let high = value.checked_shr(128 - shift).unwrap_or(0);
    for (i, part) in [low as u64, (low >> 64) as u64, high as u64].into_iter().enumerate() {
        if let Some(word) = words.get_mut(first + i) {
            *word |= part;
        }
    }
}

/// Reads `width` bits (below 128) at a bit offset; words that are not there are zero.
fn get(words: &[u64], offset: u32, width: u32) -> u128 {
    let (first, shift) = ((offset / 64) as usize, offset % 64);
    let word = |i: usize| u128::from(words.get(first + i).copied().unwrap_or(0));
    let low = (word(0) | word(1) << 64) >> shift;
    let high = word(2).checked_shl(128 - shift).unwrap_or(0);
    (low | high) & ((1 << width) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_back_at_every_offset() {
        for width in [1, 31, 33, 64, 65, 119, 120] {
            for offset in 0..130 {
                let value =
                    (0x0123_4567_89ab_cdef_0fed_cba9_8765_4321u128 << 3 | 1) & ((1 << width) - 1);
                let mut words = [0u64; 5];
                put(&mut words, offset, value);
                assert_eq!(get(&words, offset, width), value, "{width} bits at {offset}");
                let ones: u32 = words.iter().map(|w| w.count_ones()).sum();
                assert_eq!(ones, value.count_ones(), "nothing beside it");
            }
        }
    }

    #[test]
    fn widths_are_exact_at_the_bound() {
        // 2 * 1000 * 1000 * 8 = 16,000,000 needs 24 bits.
        let packing = Packing::new(2047, 1000.0, 1000.0, 8).unwrap();
        assert_eq!((packing.slot_bits(), packing.per_plaintext()), (24, 85));
        assert_eq!(
            (packing.plaintexts(0), packing.plaintexts(85), packing.plaintexts(86)),
            (0, 1, 2)
        );
        // A largest sum of exactly 2^k needs k + 1 bits.
        assert_eq!(Packing::new(2047, 1.0, 4.0, 1).unwrap().slot_bits(), 4);
    }

    #[test]
    fn what_overflows_is_refused() {
        let refused =
            |bits, scale, range, weight| Packing::new(bits, scale, range, weight).unwrap_err();
        assert_eq!(refused(30, 1e6, 1e3, 1), PackingError::Overflow { slot: 31, room: 30 });
        assert_eq!(refused(2047, 1e6, 1e12, 1), PackingError::TooFine(1e18));
        assert_eq!(refused(2047, 1.0, 0.5, 1), PackingError::TooCoarse);
    }
}
