//! Mask streams: AES-128-CTR keystream read as little-endian 64-bit words, added modulo `2^64`.
//!
//! A sum modulo `2^64` is a sum modulo every smaller power of two, so words are cut to the modulus
//! only when they are packed.

use aes::Aes128;
use aes::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use rayon::prelude::*;
use zeroize::Zeroizing;

/// Key of one mask; used for one mask only, so that counting starts at zero.
pub type MaskKey = Zeroizing<[u8; 16]>;

/// Whether a mask is added or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Added.
    Plus,
    /// Taken away.
    Minus,
}

impl Sign {
    /// The sign that takes a mask of this sign off again.
    pub fn inverse(self) -> Sign {
        match self {
            Sign::Plus => Sign::Minus,
            Sign::Minus => Sign::Plus,
        }
    }
}

/// Words that stay in the second-level cache while all masks run over them.
const BLOCK: usize = 1 << 13;

/// Adds all masks to `words`, on the thread that calls: a client's own work.
pub fn apply(words: &mut [u64], masks: &[(MaskKey, Sign)]) {
    let blocks = words.chunks_mut(BLOCK).enumerate();
    blocks.for_each(|(i, block)| apply_block(i * BLOCK, block, masks));
}

/// [`apply`] on all threads: the server's work.
pub fn apply_parallel(words: &mut [u64], masks: &[(MaskKey, Sign)]) {
    let blocks = words.par_chunks_mut(BLOCK).enumerate();
    blocks.for_each(|(i, block)| apply_block(i * BLOCK, block, masks));
}

fn apply_block(first: usize, block: &mut [u64], masks: &[(MaskKey, Sign)]) {
    let mut stream = Zeroizing::new(vec![0u8; 8 * block.len()]);
    for (key, sign) in masks {
        keystream(key, first, &mut stream);
        add(block, &stream, *sign);
    }
}

/// The keystream from word `first` on.
fn keystream(key: &MaskKey, first: usize, out: &mut [u8]) {
    let mut cipher = ctr::Ctr64LE::<Aes128>::new((&**key).into(), &[0; 16].into());
    cipher.seek(8 * first as u64);
    out.fill(0);
    cipher.apply_keystream(out);
}

fn add(words: &mut [u64], stream: &[u8], sign: Sign) {
    let pairs = words.iter_mut().zip(stream.chunks_exact(8));
    let word = |b: &[u8]| u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
    match sign {
        Sign::Plus => pairs.for_each(|(w, b)| *w = w.wrapping_add(word(b))),
        Sign::Minus => pairs.for_each(|(w, b)| *w = w.wrapping_sub(word(b))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_continue_one_stream_and_signs_cancel() {
        let key = || Zeroizing::new([9u8; 16]);
        let mut long = vec![0u64; 2 * BLOCK + 5];
        apply(&mut long, &[(key(), Sign::Plus)]);
        let mut whole = vec![0u8; 8 * long.len()];
        keystream(&key(), 0, &mut whole);
        let mut expected = vec![0u64; long.len()];
        add(&mut expected, &whole, Sign::Plus);
        assert_eq!(long, expected);
        apply_parallel(&mut long, &[(key(), Sign::Minus)]);
        assert!(long.iter().all(|&w| w == 0));
    }

    /// FIPS 197, appendix C.1: the block cipher itself, through a counter that starts at the
    /// example's plaintext.
    #[test]
    fn the_cipher_is_aes_128() {
        let key: [u8; 16] = std::array::from_fn(|i| i as u8);
        let plain: [u8; 16] = std::array::from_fn(|i| 0x11 * i as u8);
        let mut block = [0u8; 16];
        ctr::Ctr64LE::<Aes128>::new(&key.into(), &plain.into()).apply_keystream(&mut block);
        assert_eq!(block[..8], [0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30]);
    }
}
