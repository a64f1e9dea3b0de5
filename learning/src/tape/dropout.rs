//! What is random in a pass: dropout and stochastic depth, by a counter-based hash of the
//! parameters' draw.
//!
//! Whether a value is dropped depends on its lane's seed, on which of the pass's random layers
//! asks, and on the value's index within the lane. So a mask is the same on every device, whatever
//! runs beside the lane.

use tch::{Device, Kind, Tensor};

use super::{Mode, Source, Tape};

const WORD: i64 = 0xFFFF_FFFF;
/// Factors of a bijection of 32-bit words whose every output bit depends on every input bit. They
/// are below 2^31: products of them and a word fit 63 bits, so that no device overflows.
const FACTORS: [i64; 2] = [0x21F0_AAAD, 0x735A_2D97];
/// An odd number near 2^32 divided by the golden ratio: it spreads counters over the words.
const SPREAD: i64 = 0x9E37_79B1;
/// Values hashed at once on a CPU; they fit its cache.
const TOGETHER: i64 = 1 << 15;

impl Tape<'_> {
    /// Zero with probability `p` in `[0, 1)`, else `1/(1 - p)` of the value (Srivastava et al.
    /// 2014); `x` `[T, B, ...]`. The identity in [`Mode::Eval`], and where the parameters have no
    /// draw.
    pub fn dropout(&mut self, x: &Tensor, p: f64) -> Tensor {
        self.drop_where(x, p, &x.size()[1..])
    }

    /// [`Tape::dropout`] of whole examples: each keeps all of its values or none (Huang et al.
    /// 2016, the residual branches of a network of stochastic depth).
    pub fn stochastic_depth(&mut self, x: &Tensor, p: f64) -> Tensor {
        let mut each = vec![1; x.dim() - 1];
        each[0] = x.size()[1];
        self.drop_where(x, p, &each)
    }

    /// [`Tape::dropout`] of whole channels of `[T, B, C, ...]` (Tompson et al. 2015).
    pub(crate) fn channel_dropout(&mut self, x: &Tensor, p: f64) -> Tensor {
        let mut each = vec![1; x.dim() - 1];
        each[..2].copy_from_slice(&x.size()[1..3]);
        self.drop_where(x, p, &each)
    }

    /// Multiplies with one factor for each entry of `shape`, which broadcasts to a lane of `x`.
    fn drop_where(&mut self, x: &Tensor, p: f64, shape: &[i64]) -> Tensor {
        let Source::Run(params) = self.source else { return x.shallow_clone() };
        let Some(seeds) = params.draw().filter(|_| self.mode == Mode::Train && p > 0.0) else {
            return x.shallow_clone();
        };
        self.random += 1;
        let (lanes, n) = (x.size()[0], shape.iter().product::<i64>());
        let kept = tch::no_grad(|| {
            let keys = keys(seeds, lanes, self.random);
            let few =
                if x.device() == Device::Cpu { (TOGETHER / n).clamp(1, lanes) } else { lanes };
            let parts = (0..lanes).step_by(few as usize).map(|from| {
                let len = few.min(lanes - from);
                let keys = keys.each_ref().map(|key| key.narrow(0, from, len));
                let threshold = (p * 2f64.powi(32)).round() as i64;
                words(&keys, n).ge(threshold).to_kind(x.kind()) / (1.0 - p)
            });
            let size: Vec<i64> = std::iter::once(lanes).chain(shape.iter().copied()).collect();
            Tensor::cat(&parts.collect::<Vec<_>>(), 0).reshape(size)
        });
        x * kept
    }
}

/// Two words for each lane and random layer, `[T, 1]`. Lanes that share one seed get words of
/// their own; the first of them those of a lane by itself.
fn keys(seeds: &Tensor, lanes: i64, layer: i64) -> [Tensor; 2] {
    let turns = match seeds.size()[0] {
        1 => Tensor::arange(lanes, (Kind::Int64, seeds.device())),
        _ => seeds.zeros_like(),
    };
    let low = (seeds.bitwise_and(WORD) + turns * SPREAD + layer * FACTORS[0]).bitwise_and(WORD);
    let first = finish(mixed(low, FACTORS[0], 16), FACTORS[1]);
    let high = seeds.bitwise_right_shift_tensor_scalar(32).bitwise_xor_tensor(&first);
    let second = finish(mixed(high, FACTORS[0], 16), FACTORS[1]);
    [first.unsqueeze(1), second.unsqueeze(1)]
}

/// `n` words for each lane of the keys, `[T, n]`: a mix of their index, with a key before each
/// half of it.
fn words(keys: &[Tensor; 2], n: i64) -> Tensor {
    let index = Tensor::arange(n, (Kind::Int64, keys[0].device()));
    let half =
        mixed(index.bitwise_xor_tensor(&keys[0]), FACTORS[0], 16).bitwise_xor_tensor_(&keys[1]);
    finish(half, FACTORS[1])
}

/// `(h ^ h >> shift) * factor` of words, in place.
fn mixed(mut h: Tensor, factor: i64, shift: i64) -> Tensor {
    let high = h.bitwise_right_shift_tensor_scalar(shift);
    h.bitwise_xor_tensor_(&high).g_mul_scalar_(factor).bitwise_and_(WORD)
}

/// The last round of a mix, in place.
fn finish(h: Tensor, factor: i64) -> Tensor {
    let mut h = mixed(h, factor, 15);
    let high = h.bitwise_right_shift_tensor_scalar(15);
    h.bitwise_xor_tensor_(&high)
}
