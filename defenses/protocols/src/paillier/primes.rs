//! The two primes of a key.
//!
//! Damgard, Jurik and Nielsen ask for `p = q = 3 (mod 4)` and `gcd(p - 1, q - 1) = 2`: then the
//! squares modulo `n` form a cyclic group in which `-1` has no root, and `-x^2` generates nearly
//! all numbers of Jacobi symbol 1.

use std::num::NonZeroU32;

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BitOps, BoxedUint, Gcd, Limb, NonZero, Odd, Resize};
use crypto_primes::hazmat::SmallFactorsSieve;
use crypto_primes::{Flavor, is_prime};
use rand::CryptoRng;

/// Two primes of `bits / 2` bits each whose product has exactly `bits` bits.
pub(crate) fn pair(bits: u32, rng: &mut impl CryptoRng) -> (BoxedUint, BoxedUint) {
    let p = prime(bits / 2, rng);
    loop {
        let q = prime(bits / 2, rng);
        if fit(&p, &q) {
            return (p, q);
        }
    }
}

/// Far enough apart that Fermat's method does not split the product (FIPS 186-5, A.1.3), and with
/// nothing but 2 in common below them.
pub(crate) fn fit(p: &BoxedUint, q: &BoxedUint) -> bool {
    let gap = if p > q { p.wrapping_sub(q) } else { q.wrapping_sub(p) };
    let halves = |x: &BoxedUint| x.shr(1);
    gap.bits() + 100 > p.bits() && bool::from(halves(p).gcd(&halves(q)).is_one())
}

/// Whether this is a prime that is 3 modulo 4, by Miller-Rabin to base 2 and a strong Lucas test
/// (Baillie-PSW).
pub(crate) fn is_blum_prime(p: &BoxedUint) -> bool {
    p.as_words()[0] & 3 == 3 && is_prime(Flavor::Any, p)
}

/// Factors below this are found by division.
const SMALL: u32 = 1 << 16;

/// Why everybody factors an odd modulus: it has a small factor, or is a prime or a power of one.
///
/// A prime `p` with `n = p^k` divides `a^n - a` for every `a` (Fermat), where a product of two
/// unrelated large primes shares nothing with it.
pub(crate) fn splits(n: &Odd<BoxedUint>) -> Option<&'static str> {
    if small_primes().any(|p| n.as_ref().rem_limb(p).0 == 0) {
        return Some("its modulus has a small factor");
    }
    let params = BoxedMontyParams::new_vartime(n.clone());
    let two = BoxedUint::from(2u64).resize(n.as_ref().bits_precision());
    let power = BoxedMontyForm::new(two.clone(), &params).pow(n.as_ref()).retrieve();
    let rest = power.sub_mod(&two, n.as_nz_ref());
    let shared = n.gcd_vartime(&rest);
    (!bool::from(shared.get().is_one())).then_some("its modulus is a prime or a power of one")
}

fn small_primes() -> impl Iterator<Item = NonZero<Limb>> {
    let mut composite = vec![false; SMALL as usize];
    for i in (3..=(f64::from(SMALL).sqrt() as usize)).step_by(2) {
        (i * i..SMALL as usize).step_by(2 * i).for_each(|k| composite[k] = true);
    }
    let primes = (3..SMALL).step_by(2).filter(move |&n| !composite[n as usize]);
    primes.filter_map(|p| NonZero::new(Limb::from(p)).into_option())
}

/// Searches upward from a random start whose two highest bits are set.
pub(super) fn prime(bits: u32, rng: &mut impl CryptoRng) -> BoxedUint {
    loop {
        let start = start(bits, rng);
        let length = NonZeroU32::new(bits).unwrap_or(NonZeroU32::MIN);
        let Ok(sieve) = SmallFactorsSieve::new(start, length, false) else { continue };
        if let Some(found) = sieve.into_iter().find(is_blum_prime) {
            return found;
        }
    }
}

fn start(bits: u32, rng: &mut impl CryptoRng) -> BoxedUint {
    let mut words = vec![0u64; bits.div_ceil(64) as usize];
    words.iter_mut().for_each(|w| *w = rng.next_u64());
    let mut start = BoxedUint::from_words(words);
    start.set_bit_vartime(bits - 1, true);
    start.set_bit_vartime(bits - 2, true);
    start
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_bigint::ConcatenatingMul;

    #[test]
    fn pairs_meet_every_condition_and_repeat() {
        let draw = |key| pair(512, &mut suites::rng::stream(1, key, "primes"));
        let (p, q) = draw("a");
        assert_eq!((p.bits(), q.bits(), p.concatenating_mul(&q).bits()), (256, 256, 512));
        assert!(is_blum_prime(&p) && is_blum_prime(&q) && fit(&p, &q));
        assert_eq!(draw("a"), (p.clone(), q));
        assert_ne!(draw("b").0, p);
    }

    #[test]
    fn close_or_related_primes_do_not_fit() {
        let number = |n: u64| BoxedUint::from_words([n, 0, 0, 1 << 63]);
        assert!(!fit(&number(3), &number(7)), "close");
        // 2 * 3 * k + 1 for both: 3 divides both predecessors.
        let far = |high: u64| BoxedUint::from_words([7, 0, 0, high]);
        assert!(!fit(&far(3 << 60), &far(9 << 60)));
    }
}
