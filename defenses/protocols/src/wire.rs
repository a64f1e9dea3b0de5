//! Values on the wire, and how a party without a key reads them.

/// A vector as it travels.
#[derive(Clone, Debug, PartialEq)]
pub enum Wire {
    /// 32-bit floats.
    Plain(Vec<f32>),
    /// Fixed-point words modulo `2^bits`; the first ones of the message, as many as the update has
    /// values.
    Words {
        /// The words, each below `2^bits`.
        words: Vec<u64>,
        /// Bits of the modulus, 1 to 64.
        bits: u32,
        /// Steps a unit: a word `w` in two's complement stands for `w / scale`.
        scale: f64,
    },
    /// Ciphertext: its first bytes, at least eight for each value of the update where it has that
    /// many.
    Bytes {
        /// The bytes.
        bytes: Vec<u8>,
        /// Largest magnitude a curious reader expects of an update's values.
        range: f64,
    },
}

impl Wire {
    /// Reads the first `len` values as a curious party without any key would: words as two's
    /// complement fixed point, ciphertext bytes as little-endian 64-bit fixed point over `[-range,
    /// range)`. Missing values read as zero.
    pub fn naive(&self, len: usize) -> Vec<f32> {
        let mut values: Vec<f32> = match self {
            Wire::Plain(values) => values.iter().take(len).copied().collect(),
            Wire::Words { words, bits, scale } => {
                words.iter().take(len).map(|&w| (signed(w, *bits) as f64 / scale) as f32).collect()
            }
            Wire::Bytes { bytes, range } => bytes
                .chunks_exact(8)
                .take(len)
                .map(|b| i64::from_le_bytes(b.try_into().unwrap_or_default()))
                .map(|w| (w as f64 / 2f64.powi(63) * range) as f32)
                .collect(),
        };
        values.resize(len, 0.0);
        values
    }
}

/// A word modulo `2^bits` as the signed number nearest to zero.
pub(crate) fn signed(word: u64, bits: u32) -> i64 {
    let shift = 64 - bits;
    ((word << shift) as i64) >> shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_twos_complement() {
        let wire = Wire::Words { words: vec![3, (1 << 20) - 2], bits: 20, scale: 2.0 };
        assert_eq!(wire.naive(3), [1.5, -1.0, 0.0]);
        let wire = Wire::Words { words: vec![u64::MAX], bits: 64, scale: 1.0 };
        assert_eq!(wire.naive(1), [-1.0]);
    }

    #[test]
    fn bytes_spread_over_the_range() {
        let bytes = [i64::MIN.to_le_bytes(), (1i64 << 62).to_le_bytes()].concat();
        assert_eq!(Wire::Bytes { bytes, range: 2.0 }.naive(2), [-2.0, 1.0]);
    }
}
