//! Powers of one fixed base, for short secret exponents.
//!
//! With `w = 6` bits a window, `base^r = prod_i T[i][r_i]` where `T[i][d] = base^(d 2^(w i))`: one
//! multiplication a window and no squaring (Brickell, Gordon, McCurley and Wilson 1992). Every
//! entry of a window is read whatever the digit, so the exponent shows neither in the time nor in
//! the addresses.

use std::hint::black_box;

use crypto_bigint::BoxedUint;
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};

const WINDOW: u32 = 6;
const ENTRIES: usize = 1 << WINDOW;

/// The table of one base and modulus.
#[derive(Clone)]
pub(crate) struct Table {
    params: BoxedMontyParams,
    exponent_bits: u32,
    /// `[window][digit][limb]`, in Montgomery form.
    words: Vec<u64>,
}

impl Table {
    /// For exponents below `2^exponent_bits`.
    pub(crate) fn new(base: &BoxedMontyForm, exponent_bits: u32) -> Table {
        let params = base.params().clone();
        let limbs = base.as_montgomery().as_words().len();
        let windows = exponent_bits.div_ceil(WINDOW) as usize;
        let mut words = Vec::with_capacity(windows * ENTRIES * limbs);
        let mut step = base.clone();
        for _ in 0..windows {
            let mut power = BoxedMontyForm::one(&params);
            for _ in 0..ENTRIES {
                words.extend_from_slice(power.as_montgomery().as_words());
                power = power.mul(&step);
            }
            step = power;
        }
        Table { params, exponent_bits, words }
    }

    /// Bytes of an exponent.
    pub(crate) fn exponent_bytes(&self) -> usize {
        self.exponent_bits.div_ceil(8) as usize
    }

    /// `base^r` for a little-endian `r` of [`Table::exponent_bytes`] bytes.
    pub(crate) fn power(&self, r: &[u8]) -> BoxedMontyForm {
        let limbs = self.params.modulus().as_ref().as_words().len();
        let mut product: Option<BoxedMontyForm> = None;
        for (i, window) in self.words.chunks_exact(ENTRIES * limbs).enumerate() {
            let entry =
                BoxedMontyForm::from_montgomery(select(window, limbs, digit(r, i)), &self.params);
            product = Some(product.map_or(entry.clone(), |p| p.mul(&entry)));
        }
        product.unwrap_or_else(|| BoxedMontyForm::one(&self.params))
    }
}

/// Digit `i` of the exponent; bits beyond its bytes are zero.
fn digit(r: &[u8], i: usize) -> u64 {
    let bit = i * WINDOW as usize;
    let byte = |k: usize| u64::from(r.get(k).copied().unwrap_or(0));
    let pair = byte(bit / 8) | byte(bit / 8 + 1) << 8;
    pair >> (bit % 8) & (ENTRIES as u64 - 1)
}

/// Entry `digit` of a window, by masking all of them.
fn select(window: &[u64], limbs: usize, digit: u64) -> BoxedUint {
    let mut chosen = vec![0u64; limbs];
    for (d, entry) in (0u64..).zip(window.chunks_exact(limbs)) {
        // All ones where d = digit: only 0 - 1 borrows into the highest bit.
        let mask = black_box(((d ^ digit).wrapping_sub(1) >> 63).wrapping_neg());
        chosen.iter_mut().zip(entry).for_each(|(c, e)| *c |= e & mask);
    }
    BoxedUint::from_words(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_bigint::Odd;

    #[test]
    fn equals_the_general_power() {
        let modulus = Odd::new(BoxedUint::from_words([u64::MAX, 5, 9, 1 << 63])).unwrap();
        let params = BoxedMontyParams::new(modulus);
        let base = BoxedMontyForm::new(BoxedUint::from_words([3, 1, 4, 1]), &params);
        let table = Table::new(&base, 128);
        let exponents = [[0u8; 16], [0xff; 16], *b"0123456789abcdef", {
            let mut one = [0; 16];
            one[15] = 0x80;
            one
        }];
        for r in exponents {
            let exponent = BoxedUint::from_le_slice(&r, 128).unwrap();
            assert_eq!(table.power(&r), base.pow(&exponent), "{r:?}");
        }
    }
}
