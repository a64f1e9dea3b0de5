//! Noise on the integers: the discrete Gaussian and the discrete Laplace, exactly.
//!
//! Canonne, Kamath and Steinke: The Discrete Gaussian for Differential Privacy, NeurIPS 2020. A
//! draw costs two words of the stream (the Laplace three), whatever the scale.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha12Rng;
use rayon::prelude::*;
use suites::rng::{Wipe, Wiped};

use super::exp::{ONE, exp_neg, product_below};

/// Which law, and its scale `numerator / 2^shift`, a rational number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Law {
    /// `P(k) ~ exp(-k^2 / (2 sigma^2))`
    Gaussian { sigma: u64, shift: u32 },
    /// `P(k) ~ exp(-|k| / b)`
    Laplace { b: u64, shift: u32 },
}

impl Law {
    /// `P(k) / P(0)` is `exp(-p/q)` of this fraction.
    fn exponent(self, k: u64) -> (u128, u64) {
        match self {
            Law::Gaussian { sigma, shift } => {
                let k = u128::from(k) << shift;
                (k * k, 2 * sigma * sigma)
            }
            Law::Laplace { b, shift } => (u128::from(k) << shift, b),
        }
    }

    fn scale(self) -> f64 {
        let (Law::Gaussian { sigma: scale, shift } | Law::Laplace { b: scale, shift }) = self;
        scale as f64 / 2f64.powi(shift as i32)
    }

    /// Scales that the table reaches. Beyond 13 deviations the Gaussian has `2^-125` of its mass,
    /// which is left out; the Laplace begins again there, since it has no memory.
    fn reach(self) -> f64 {
        match self {
            Law::Gaussian { .. } => 13.0,
            Law::Laplace { .. } => 16.0,
        }
    }
}

/// A sampler of one law.
///
/// Magnitudes fall into blocks of `2^width` integers, about forty to a scale. A block is drawn by
/// whole-number weights `h` that add up to `2^64`, a place in it uniformly, and the place `k` is
/// taken with probability `w exp(-gamma(k)) / h`, where `w` is the same for all blocks and `h` at
/// least `w exp(-gamma)` at the block's first place: what is taken has the law's own probabilities.
///
/// The coin of that probability is decided by the first 32 bits of a uniform number against the
/// block's smallest probability, then against the place's own in 64-bit floats with the bound of
/// their error, and where that does not decide, by 128 bits against [`exp_neg`]. So draws are the
/// law's own up to a total variation of `2^-116` a draw (the error of 128-bit numbers, and the
/// Gaussian's tail). The Laplace's probabilities are each right to a relative `2^-90`, so that a
/// pure guarantee stays pure.
pub struct Sampler {
    law: Law,
    /// Bits of a block.
    width: u32,
    /// `w`.
    weight: u64,
    blocks: Vec<Block>,
    /// Of each possible first ten bits of a word, the first block it may choose.
    guide: Vec<u16>,
    /// The Laplace's probability of a magnitude beyond the table, in 128 bits.
    beyond: u128,
}

struct Block {
    /// The largest word that chooses it.
    last: u64,
    /// `h`.
    weight: u64,
    /// `2^32` times the smallest probability of taking a place, rounded down.
    sure: u32,
}

const GUIDE_BITS: u32 = 10;

/// Bits of a scale's numerator at least: scales are rounded up by at most `2^-26` of themselves.
const SCALE_BITS: i32 = 27;

/// The largest scale, `2^30`.
pub const LARGEST: f64 = (1u64 << 30) as f64;

/// Draws that share a stream.
const CHUNK: usize = 1 << 14;

/// Relative error of a probability in 64-bit floats, with room: exponents are below 86.
const FLOAT_ERROR: f64 = 1.0 / (1u64 << 40) as f64;

type Cache = Mutex<HashMap<Law, Arc<Sampler>>>;
static CACHE: LazyLock<Cache> = LazyLock::new(Mutex::default);

/// Samplers that are remembered at once.
const REMEMBERED: usize = 32;

impl Sampler {
    /// The discrete Gaussian `P(k) ~ exp(-k^2 / (2 sigma^2))` of parameter `sigma` in `(0, 2^30]`,
    /// rounded up by at most `2^-26` of itself. Its standard deviation is at most `sigma`, and at
    /// `sigma >= 2` the same to 13 digits. `None` for another `sigma`.
    pub fn gaussian(sigma: f64) -> Option<Arc<Sampler>> {
        let (sigma, shift) = rational(sigma)?;
        Some(remembered(Law::Gaussian { sigma, shift }))
    }

    /// What the rounding of a normal variable of deviation `sigma` to whole numbers is: the
    /// discrete Gaussian of parameter `sqrt(sigma^2 + 1/12)`. `None` outside `[16, 2^30)`.
    ///
    /// With `x = k / sigma`, the normal's mass between `k - 1/2` and `k + 1/2` and this law's are
    /// apart by at most `(x^4 + 6) / (2500 sigma^4)` in their logarithms up to `|x| = 13` (the
    /// expansion of the mass around `k` in Hermite polynomials; the first two orders cancel, the
    /// third is `He_4(x) / (2880 sigma^4)`). Rounding is post-processing and whole numbers pass
    /// through it: `round(n + G) = n + round(G)`. So whole numbers with this noise have the privacy
    /// of the same numbers with a normal one, sampled or not, by whatever accountant, up to
    /// `2 d (x^4 + 6) / (2500 sigma^4)` of epsilon for `d` values, at most `d 2^-59` for `sigma >=
    /// 2^16`. (In terms of zero-concentrated privacy the discrete Gaussian alone has no more loss
    /// than the continuous one: Canonne, Kamath, Steinke 2020.)
    pub fn rounded_normal(sigma: f64) -> Option<Arc<Sampler>> {
        let apt = (16.0..LARGEST).contains(&sigma);
        apt.then(|| Sampler::gaussian(libm::sqrt(sigma * sigma + 1.0 / 12.0))).flatten()
    }

    /// The discrete Laplace `P(k) ~ exp(-|k| / b)` of scale `b` in `(0, 2^30]`, rounded up by at
    /// most `2^-26` of itself; `None` for another `b`.
    pub fn laplace(b: f64) -> Option<Arc<Sampler>> {
        let (b, shift) = rational(b)?;
        Some(remembered(Law::Laplace { b, shift }))
    }

    fn new(law: Law) -> Sampler {
        let scale = law.scale();
        let width = (libm::ilogb(scale) - 5).max(0) as u32;
        let count = ((law.reach() * scale / 2f64.powi(width as i32)).ceil() as u64).max(2);
        let firsts: Vec<u128> = (0..count)
            .map(|block| law.exponent(block << width))
            .map(|(p, q)| exp_neg(p, q))
            .collect();
        let total: f64 = firsts.iter().map(|f| *f as f64 / ONE as f64).sum();
        // A millionth below what fits, for the rounding up of every weight.
        let weight = ((1.0 - 1e-6) * 2f64.powi(64) / total) as u64;
        let ceil = |first: u128| {
            let (high, low) = (first >> 64, first & u128::from(u64::MAX));
            let product = high * u128::from(weight) + ((low * u128::from(weight)) >> 64);
            (product >> 63) as u64 + 2
        };
        let mut weights: Vec<u64> = firsts.into_iter().map(ceil).collect();
        // What is left goes to the first block, which is only taken less often for it.
        let sum = weights.iter().fold(0u64, |sum, w| sum.wrapping_add(*w));
        weights[0] = weights[0].wrapping_sub(sum);
        let (mut end, mut blocks) = (0u64, Vec::with_capacity(weights.len()));
        for (block, h) in (0u64..).zip(weights) {
            end = end.wrapping_add(h);
            let (p, q) = law.exponent(((block + 1) << width) - 1);
            let least = weight as f64 / h as f64 * libm::exp(-(p as f64) / q as f64);
            let sure = (least * (1.0 - FLOAT_ERROR) * 2f64.powi(32)) as u32;
            blocks.push(Block { last: end.wrapping_sub(1), weight: h, sure });
        }
        let first = |word: u64| blocks.partition_point(|b| b.last < word) as u16;
        let guide = (0..1u64 << GUIDE_BITS).map(|i| first(i << (64 - GUIDE_BITS))).collect();
        let beyond = match law {
            Law::Gaussian { .. } => 0,
            Law::Laplace { .. } => {
                let (p, q) = law.exponent(count << width);
                exp_neg(p, q) << 1
            }
        };
        Sampler { law, width, weight, blocks, guide, beyond }
    }

    /// The parameter as it is drawn with: sigma or `b`.
    pub fn scale(&self) -> f64 {
        self.law.scale()
    }

    /// One draw.
    pub fn draw(&self, rng: &mut impl RngCore) -> i64 {
        loop {
            if let Some(k) = self.attempt(rng) {
                return k;
            }
        }
    }

    /// A draw, or that what was drawn is not taken: two words, and one more of the Laplace.
    #[inline]
    fn attempt(&self, rng: &mut impl RngCore) -> Option<i64> {
        let mut magnitude = 0;
        while self.beyond > 0 && coin(self.beyond, rng) {
            magnitude += (self.blocks.len() as u64) << self.width;
        }
        let (word, place) = (rng.next_u64(), rng.next_u64());
        let mut at = usize::from(self.guide[(word >> (64 - GUIDE_BITS)) as usize]);
        while self.blocks[at].last < word {
            at += 1;
        }
        let within = (place >> 1) & ((1 << self.width) - 1);
        let (k, uniform) = (((at as u64) << self.width) | within, (place >> 32) as u32);
        if uniform >= self.blocks[at].sure && !self.taken(&self.blocks[at], k, uniform, rng) {
            return None;
        }
        magnitude += k;
        // Zero has one sign.
        match place & 1 == 1 {
            true if magnitude == 0 => None,
            true => Some(-(magnitude as i64)),
            false => Some(magnitude as i64),
        }
    }

    /// Whether a uniform number that begins with those 32 bits is below the probability of taking
    /// `k` of its block.
    #[cold]
    fn taken(&self, block: &Block, k: u64, uniform: u32, rng: &mut impl RngCore) -> bool {
        let (p, q) = self.law.exponent(k);
        let ratio = self.weight as f64 / block.weight as f64;
        let probability = ratio * libm::exp(-(p as f64) / q as f64) * 2f64.powi(32);
        let uniform = u64::from(uniform);
        if (uniform + 1) as f64 <= probability * (1.0 - FLOAT_ERROR) {
            return true;
        }
        if uniform as f64 >= probability * (1.0 + FLOAT_ERROR) {
            return false;
        }
        let more = (u128::from(rng.next_u64()) << 32) | u128::from(rng.next_u32());
        // Both sides in 2^-128, where `exp_neg` is in 2^-127.
        let exact = exp_neg(p, q).saturating_mul(2);
        product_below(((u128::from(uniform) << 96) | more, block.weight), (exact, self.weight))
    }

    /// `back(onto(value) + draw)` of each value, a draw of its own each. Draws come from streams of
    /// their own for every 16,384 values, whose seed is the next 32 bytes of `rng`: they are the
    /// same on any number of threads. What is not taken is drawn again from a second stream, so
    /// that under another scale the same seed gives nearly the same noise, scaled.
    pub fn noised(
        &self,
        values: &[f64],
        onto: impl Fn(f64) -> i64 + Sync,
        back: impl Fn(i64) -> f64 + Sync,
        rng: &mut impl RngCore,
    ) -> Vec<f64> {
        let mut seed = Wiped::new([0; 32]);
        rng.fill_bytes(&mut seed[..]);
        let mut out = values.to_vec();
        out.par_chunks_mut(CHUNK).enumerate().for_each(|(at, chunk)| {
            let mut streams = [2 * at as u64, 2 * at as u64 + 1].map(|stream| {
                let mut rng = ChaCha12Rng::from_seed(*seed);
                rng.set_stream(stream);
                rng
            });
            let [rng, again] = &mut streams;
            for value in chunk {
                let draw = self.attempt(rng).unwrap_or_else(|| self.draw(again));
                *value = back(onto(*value).saturating_add(draw));
            }
            streams.iter_mut().for_each(Wipe::wipe);
        });
        out
    }
}

/// A coin of probability `p / 2^128`, by its first 64 bits where they decide.
fn coin(p: u128, rng: &mut impl RngCore) -> bool {
    let (first, high) = (rng.next_u64(), (p >> 64) as u64);
    first < high || (first == high && rng.next_u64() < p as u64)
}

/// The smallest `numerator / 2^shift` of 27 bits (a whole number above) not below `scale`.
fn rational(scale: f64) -> Option<(u64, u32)> {
    if !(scale > 0.0 && scale <= LARGEST) {
        return None;
    }
    let shift = (SCALE_BITS - 1 - libm::ilogb(scale)).clamp(0, 62) as u32;
    Some((((scale * 2f64.powi(shift as i32)).ceil() as u64).max(1), shift))
}

fn remembered(law: Law) -> Arc<Sampler> {
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if cache.len() >= REMEMBERED && !cache.contains_key(&law) {
        cache.clear();
    }
    cache.entry(law).or_insert_with(|| Arc::new(Sampler::new(law))).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALES: [f64; 6] = [0.3, 1.0, 7.5, 63.9, 4096.0, 1e9];

    fn samplers() -> impl Iterator<Item = Arc<Sampler>> {
        let both = |scale| [Sampler::gaussian(scale), Sampler::laplace(scale)];
        SCALES.into_iter().flat_map(both).map(Option::unwrap)
    }

    /// The weights add up to `2^64`, lie above the law, and no place is surer than it may be.
    #[test]
    fn the_hat_covers_the_law() {
        for sampler in samplers() {
            let Sampler { law, width, weight, ref blocks, .. } = *sampler;
            assert_eq!(blocks.last().unwrap().last, u64::MAX);
            assert_eq!(blocks.iter().fold(0u64, |sum, b| sum.wrapping_add(b.weight)), 0);
            for (at, block) in (0u64..).zip(blocks) {
                let mass = |k| {
                    let (p, q) = law.exponent(k);
                    exp_neg(p, q)
                };
                let (first, last) = (at << width, ((at + 1) << width) - 1);
                // `h >= w exp(-gamma)`, with what 128 bits may be off.
                let one = (ONE, block.weight);
                assert!(!product_below(one, (mass(first) + 128, weight)), "{law:?} block {at}");
                let sure = (u128::from(block.sure) << 95, block.weight);
                assert!(product_below(sure, (mass(last), weight)) || block.sure == 0);
            }
            // Little is rejected, so that draws are fast.
            let taken: f64 = blocks.iter().map(|b| b.weight as f64 * f64::from(b.sure)).sum();
            assert!(taken / 2f64.powi(96) > 0.96 || law.scale() < 8.0, "{law:?}");
        }
    }

    #[test]
    fn scales_are_rounded_up_by_little() {
        for scale in [0.3, 0.999, 1.0, 17.23, 1e6 + 0.25, 2f64.powi(29) + 0.5] {
            let drawn = Sampler::gaussian(scale).unwrap().scale();
            assert!(drawn >= scale && drawn <= scale * (1.0 + 2f64.powi(-26)), "{scale} {drawn}");
        }
        for none in [0.0, -1.0, f64::NAN, f64::INFINITY, 1.1 * LARGEST] {
            assert!(Sampler::gaussian(none).is_none() && Sampler::laplace(none).is_none());
        }
        assert!(Sampler::rounded_normal(15.0).is_none());
    }

    /// The mass of the rounded normal by Simpson's rule, against the discrete Gaussian's.
    #[test]
    fn the_rounded_normal_is_the_discrete_gaussian() {
        let sigma = 16.0f64;
        let square = sigma * sigma + 1.0 / 12.0;
        let discrete = |k: f64| -k * k / (2.0 * square);
        let total: f64 = (-300..=300).map(|k| discrete(f64::from(k)).exp()).sum();
        let normal = |k: f64| {
            let density = |u: f64| (-(2.0 * k * u + u * u) / (2.0 * sigma * sigma)).exp();
            let simpson = (0..64).map(|i| {
                let (a, h) = (f64::from(i) / 64.0 - 0.5, 1.0 / 64.0);
                (density(a) + 4.0 * density(a + h / 2.0) + density(a + h)) * h / 6.0
            });
            simpson.sum::<f64>().ln() - k * k / (2.0 * sigma * sigma)
        };
        let norm = (sigma * (2.0 * std::f64::consts::PI).sqrt()).ln();
        let mut largest = 0f64;
        for k in 0..=208 {
            let k = f64::from(k);
            let apart = (discrete(k) - total.ln() - normal(k) + norm).abs();
            let bound = ((k / sigma).powi(4) + 6.0) / (2500.0 * sigma.powi(4));
            assert!(apart < bound + 1e-13, "{k}: {apart:e} above {bound:e}");
            largest = largest.max(apart / bound);
        }
        assert!(largest > 0.5, "the bound is far from what is there: {largest}");
    }

    /// Beyond the table a magnitude is the table's length and a draw like any other: seen with a
    /// coin that is fair, since the right one, `exp(-16)`, is hardly ever heads.
    #[test]
    fn the_laplace_has_no_memory() {
        let mut sampler = Sampler::new(Law::Laplace { b: 1 << 26, shift: 26 });
        assert_eq!((sampler.blocks.len(), sampler.width), (16, 0));
        assert_eq!(sampler.beyond >> 1, exp_neg(16, 1));
        sampler.beyond = 1 << 127;
        let (mut counts, mut rng) = ([0f64; 48], suites::rng::stream(1, "noise", "beyond"));
        for _ in 0..200_000 {
            let k = sampler.draw(&mut rng).unsigned_abs() as usize;
            counts[k.min(47)] += 1.0;
        }
        let first = [counts[1], counts[16], counts[17], counts[32]];
        let e = std::f64::consts::E;
        // Magnitudes 16 and 32 have both signs, where 0 has one.
        for (found, expected) in first[1..].iter().zip([e / 2.0, 0.5, e / 4.0]) {
            assert!((found / first[0] / expected - 1.0).abs() < 0.05, "{first:?}");
        }
    }

    /// The same seed gives the same noise at another scale, up to a block: what differs between
    /// two settings is not their luck.
    #[test]
    fn noise_scales() {
        let draws = |scale: f64| {
            let mut rng = suites::rng::stream(1, "noise", "scales");
            let sampler = Sampler::gaussian(scale).unwrap();
            sampler.noised(&[0.0; 20_000], |v| v as i64, |k| k as f64 / scale, &mut rng)
        };
        for (a, b) in [(1e6, 1.7e6), (1e6, 2e6), (3e5, 9e7)] {
            let (a, b) = (draws(a), draws(b));
            let apart = a.iter().zip(&b).filter(|(a, b)| (**a - **b).abs() > 0.06).count();
            assert!(apart < 600, "{apart} of 20,000 differ");
        }
    }

    /// Draws do not depend on the number of threads, nor on what is drawn after them.
    #[test]
    fn threads_do_not_matter() {
        let sampler = Sampler::gaussian(1e6).unwrap();
        let draws = |threads, n: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut rng = suites::rng::stream(1, "noise", "threads");
            pool.install(|| sampler.noised(&vec![3.0; n], |v| v as i64, |k| k as f64, &mut rng))
        };
        let (one, four) = (draws(1, 50_000), draws(4, 60_000));
        assert_eq!(one, four[..50_000]);
        assert_ne!(one[..100], one[CHUNK..CHUNK + 100]);
    }
}
