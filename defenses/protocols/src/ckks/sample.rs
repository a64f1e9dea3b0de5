//! Everything random in the ring but the flooding noise: uniform residues, ternary secrets,
//! Gaussian errors.
//!
//! No sampler rejects, so the words drawn never depend on the values: two ends that expand one seed
//! stay in step, and timing says nothing of a secret.

use libm::{cos, exp, log, sin, sqrt};
use pulp::{Arch, Simd, WithSimd};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha12Rng;
use suites::rng::Wiped;
use zeroize::Zeroizing;

/// Standard deviation of an encryption error, as the security standard takes it.
pub(crate) const SIGMA: f64 = 3.2;
/// Errors are clipped at six standard deviations.
const CLIP: usize = 19;

/// A public seed from which both ends expand the uniform half of a ciphertext or key.
pub(crate) type Seed = [u8; 32];

/// A fresh seed.
pub(crate) fn seed(rng: &mut impl RngCore) -> Seed {
    let mut seed = Seed::default();
    rng.fill_bytes(&mut seed);
    seed
}

/// The `index`-th stream of words of a seed, which is a secret where it masks something.
pub(crate) fn expand(seed: &Seed, index: u64) -> Wiped<ChaCha12Rng> {
    let mut rng = Wiped::new(ChaCha12Rng::from_seed(*seed));
    rng.set_stream(index);
    rng
}

/// Fills `words` from the stream.
pub(crate) fn words(rng: &mut impl RngCore, len: usize) -> Vec<u64> {
    let mut bytes = Zeroizing::new(vec![0u8; 8 * len]);
    rng.fill_bytes(&mut bytes);
    let word = |b: &[u8; 8]| u64::from_le_bytes(*b);
    bytes.as_chunks().0.iter().map(word).collect()
}

/// Residues below `q`, from 128 bits each: `floor(word q / 2^128)` is within `2^-68` of uniform.
pub(crate) fn uniform(rng: &mut impl RngCore, q: u64, out: &mut [u64]) {
    let words = Zeroizing::new(words(rng, 2 * out.len()));
    let q = u128::from(q);
    for (out, [low, high]) in out.iter_mut().zip(words.as_chunks().0) {
        *out = ((u128::from(*high) * q + ((u128::from(*low) * q) >> 64)) >> 64) as u64;
    }
}

/// Values in {-1, 0, 1}, each with probability a third to within `2^-62`.
pub(crate) fn ternary(rng: &mut impl RngCore, len: usize) -> Zeroizing<Vec<i64>> {
    let words = Zeroizing::new(words(rng, len));
    Zeroizing::new(words.iter().map(|&word| ((u128::from(word) * 3) >> 64) as i64 - 1).collect())
}

/// Errors from the discrete Gaussian of standard deviation [`SIGMA`], clipped at 19, by comparing
/// each word with the whole cumulative table.
pub(crate) struct Gaussian {
    /// `2^63 P(|X| >= k)` for k = 1, 2, ...
    tail: [u64; CLIP],
    arch: Arch,
}

impl Gaussian {
    pub(crate) fn new() -> Gaussian {
        let weight = |k: usize| exp(-((k * k) as f64) / (2.0 * SIGMA * SIGMA));
        let mut tail = [0.0; CLIP];
        let mut sum = 0.0;
        for k in (1..=CLIP).rev() {
            sum += 2.0 * weight(k);
            tail[k - 1] = sum;
        }
        let total = sum + 1.0;
        Gaussian { tail: tail.map(|t| (t / total * 2f64.powi(63)) as u64), arch: Arch::new() }
    }

    /// `len` errors.
    pub(crate) fn sample(&self, rng: &mut impl RngCore, len: usize) -> Vec<i64> {
        let words = words(rng, len.next_multiple_of(LANES));
        let mut out = vec![0i64; words.len()];
        self.arch.dispatch(Lookup { tail: &self.tail, words: &words, out: &mut out });
        out.truncate(len);
        out
    }
}

/// Words looked up side by side.
const LANES: usize = 8;

/// Looks words up in the table; a type rather than a closure, so that it is compiled for the
/// processor found at run time.
struct Lookup<'a> {
    tail: &'a [u64; CLIP],
    words: &'a [u64],
    out: &'a mut [i64],
}

impl WithSimd for Lookup<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let words = self.words.as_chunks::<LANES>().0;
        for (out, words) in self.out.as_chunks_mut::<LANES>().0.iter_mut().zip(words) {
            let mut size = [0i64; LANES];
            for tail in self.tail {
                for lane in 0..LANES {
                    size[lane] += i64::from(words[lane] >> 1 < *tail);
                }
            }
            for lane in 0..LANES {
                let sign = -((words[lane] & 1) as i64);
                out[lane] = (size[lane] ^ sign) - sign;
            }
        }
    }
}

/// Two standard normal values from two words.
pub(crate) fn box_muller([a, b]: [u64; 2]) -> [f64; 2] {
    let unit = |word: u64| ((word >> 11) as f64 + 0.5) * 2f64.powi(-53);
    let radius = sqrt(-2.0 * log(unit(a)));
    let angle = 2.0 * std::f64::consts::PI * unit(b);
    [radius * cos(angle), radius * sin(angle)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use suites::rng::stream;

    fn deviation(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
        let n = values.clone().count() as f64;
        let mean = values.clone().sum::<f64>() / n;
        (mean, (values.map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt())
    }

    #[test]
    fn errors_have_their_deviation_and_clip() {
        let errors = Gaussian::new().sample(&mut stream(1, "sample", "error"), 200_003);
        let (mean, sigma) = deviation(errors.iter().map(|&e| e as f64));
        assert!(mean.abs() < 0.03 && (sigma - SIGMA).abs() < 0.03, "{mean} {sigma}");
        assert!(errors.iter().all(|e| e.unsigned_abs() <= CLIP as u64));
        // P(0) of the discrete Gaussian: 1 / (sigma sqrt(2 pi))
        let zeros = errors.iter().filter(|e| **e == 0).count() as f64 / 200_003.0;
        assert!((zeros - 0.12467).abs() < 0.003, "{zeros}");
    }

    #[test]
    fn ternary_and_uniform_are_even() {
        let values = ternary(&mut stream(1, "sample", "ternary"), 90_000);
        for kind in -1..=1 {
            let count = values.iter().filter(|v| **v == kind).count();
            assert!(count.abs_diff(30_000) < 700, "{kind}: {count}");
        }
        let q = (1 << 50) - 27;
        let mut out = vec![0; 40_000];
        uniform(&mut expand(&[7; 32], 3), q, &mut out);
        assert!(out.iter().all(|v| *v < q));
        let (mean, sigma) = deviation(out.iter().map(|&v| v as f64 / q as f64));
        assert!((mean - 0.5).abs() < 0.01 && (sigma - 12f64.sqrt().recip()).abs() < 0.01);
        let mut again = vec![0; 40_000];
        uniform(&mut expand(&[7; 32], 3), q, &mut again);
        assert_eq!(out, again);
        uniform(&mut expand(&[7; 32], 4), q, &mut again);
        assert_ne!(out, again);
    }
}
