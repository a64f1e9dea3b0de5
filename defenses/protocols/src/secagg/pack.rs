//! Words modulo `2^bits`, packed without gaps, lowest bits first.

/// Bytes that `len` words of `bits` bits take.
pub fn packed_len(len: usize, bits: u32) -> Option<usize> {
    len.checked_mul(bits as usize).map(|total| total.div_ceil(8))
}

/// Packs the lowest `bits` bits (1 to 64) of each word onto the end of `out`.
pub fn pack(words: &[u64], bits: u32, out: &mut Vec<u8>) {
    let mask = u64::MAX >> (64 - bits);
    let (mut held, mut filled) = (0u128, 0u32);
    for word in words {
        held |= u128::from(word & mask) << filled;
        filled += bits;
        // At most 31 bits stay, so that 64 more always fit.
        while filled >= 32 {
            out.extend_from_slice(&(held as u32).to_le_bytes());
            held >>= 32;
            filled -= 32;
        }
    }
    let rest = (filled as usize).div_ceil(8);
    out.extend_from_slice(&held.to_le_bytes()[..rest]);
}

/// Calls `each` with every word's index and value. `bytes` has [`packed_len`] bytes.
pub fn unpack(bytes: &[u8], len: usize, bits: u32, mut each: impl FnMut(usize, u64)) {
    let mask = u64::MAX >> (64 - bits);
    let (mut held, mut filled) = (0u128, 0u32);
    let mut parts = bytes.chunks(4);
    for i in 0..len {
        while filled < bits {
            let part = parts.next().unwrap_or_default();
            let mut four = [0; 4];
            four[..part.len()].copy_from_slice(part);
            held |= u128::from(u32::from_le_bytes(four)) << filled;
            filled += 32;
        }
        each(i, held as u64 & mask);
        held >>= bits;
        filled -= bits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_at_every_width() {
        let words: Vec<u64> = (0..77u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        for bits in 1..=64 {
            let mut bytes = Vec::new();
            pack(&words, bits, &mut bytes);
            assert_eq!(bytes.len(), packed_len(words.len(), bits).unwrap());
            let mut back = vec![0; words.len()];
            unpack(&bytes, words.len(), bits, |i, w| back[i] = w);
            assert!(
                words.iter().zip(&back).all(|(w, b)| w & (u64::MAX >> (64 - bits)) == *b),
                "{bits}"
            );
        }
    }
}
