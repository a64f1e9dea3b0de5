//! One prime of the modulus: its transform and its arithmetic.

use pulp::Arch;
use tfhe_ntt::prime::largest_prime_in_arithmetic_progression64 as largest_prime;
use tfhe_ntt::prime64::Plan;

/// A prime `q = 1 mod 2N` with the negacyclic transform of `Z_q[X]/(X^N + 1)`.
pub(crate) struct Modulus {
    pub(crate) q: u64,
    /// Bits of a residue.
    pub(crate) bits: u32,
    pub(crate) plan: Plan,
    inverse: f64,
    arch: Arch,
}

impl Modulus {
    /// The largest primes below `2^bits` for each of `bits`, no two alike, or `None` where there
    /// are not enough.
    pub(crate) fn chain(degree: usize, bits: impl Iterator<Item = u32>) -> Option<Vec<Modulus>> {
        let mut chain: Vec<Modulus> = Vec::new();
        for bits in bits {
            let taken = chain.iter().filter(|m| m.bits == bits).map(|m| m.q).min();
            let most = taken.unwrap_or(1 << bits) - 1;
            let q = largest_prime(2 * degree as u64, 1, 1 << (bits - 1), most)?;
            let plan = Plan::try_new(degree, q)?;
            chain.push(Modulus { q, bits, plan, inverse: 1.0 / q as f64, arch: Arch::new() });
        }
        Some(chain)
    }

    /// `a b mod q`
    pub(crate) fn mul(&self, a: u64, b: u64) -> u64 {
        (u128::from(a) * u128::from(b) % u128::from(self.q)) as u64
    }

    /// `a^(q-2)`, the inverse of a nonzero `a`.
    pub(crate) fn invert(&self, a: u64) -> u64 {
        let (mut result, mut base, mut exponent) = (1, a % self.q, self.q - 2);
        while exponent > 0 {
            if exponent & 1 == 1 {
                result = self.mul(result, base);
            }
            base = self.mul(base, base);
            exponent >>= 1;
        }
        result
    }

    /// The residue of a signed number.
    pub(crate) fn reduce(&self, value: i128) -> u64 {
        value.rem_euclid(i128::from(self.q)) as u64
    }

    /// Residues of integers below `2^53` in magnitude, by a quotient in floating point that is off
    /// by at most one.
    pub(crate) fn reduce_small(&self, values: &[i64], out: &mut [u64]) {
        let (q, inverse) = (self.q as i64, self.inverse);
        self.arch.dispatch(|| {
            for (out, &value) in out.iter_mut().zip(values) {
                let rest = value - (value as f64 * inverse).floor() as i64 * q;
                let rest = rest + (q & (rest >> 63));
                let over = rest - q;
                *out = (over + (q & (over >> 63))) as u64;
            }
        });
    }

    /// `a += b`
    pub(crate) fn add(&self, a: &mut [u64], b: &[u64]) {
        let q = self.q;
        self.arch.dispatch(|| {
            a.iter_mut().zip(b).for_each(|(a, b)| *a = (*a + b).min((*a + b).wrapping_sub(q)))
        });
    }

    /// `a -= b`
    pub(crate) fn sub(&self, a: &mut [u64], b: &[u64]) {
        let q = self.q;
        self.arch.dispatch(|| {
            let both = a.iter_mut().zip(b);
            both.for_each(|(a, b)| *a = a.wrapping_sub(*b).min(a.wrapping_sub(*b).wrapping_add(q)));
        });
    }

    /// `a *= factor` with a factor below `q` (Shoup's multiplication by a constant).
    pub(crate) fn scale(&self, a: &mut [u64], factor: u64) {
        let shoup = ((u128::from(factor) << 64) / u128::from(self.q)) as u64;
        for a in a {
            let quotient = ((u128::from(*a) * u128::from(shoup)) >> 64) as u64;
            let rest = a.wrapping_mul(factor).wrapping_sub(quotient.wrapping_mul(self.q));
            *a = rest.min(rest.wrapping_sub(self.q));
        }
    }

    /// The number nearest to zero of a residue.
    pub(crate) fn centre(&self, residue: u64) -> i64 {
        if residue > self.q / 2 { residue as i64 - self.q as i64 } else { residue as i64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chain() -> Vec<Modulus> {
        Modulus::chain(64, [30, 40, 50, 50, 60].into_iter()).unwrap()
    }

    #[test]
    fn primes_are_distinct_and_fit() {
        let chain = chain();
        assert!(chain.iter().all(|m| m.q % 128 == 1 && m.q >> (m.bits - 1) == 1));
        assert_ne!(chain[2].q, chain[3].q);
    }

    /// What makes `Context::new` safe: 16 primes of every size, at the degree where they are
    /// rarest.
    #[test]
    fn there_are_always_enough_primes() {
        for bits in 30..=60 {
            let mut most = 1u64 << bits;
            for _ in 0..16 {
                most = largest_prime(1 << 16, 1, 1 << (bits - 1), most - 1).unwrap();
            }
        }
    }

    /// The transform multiplies as the schoolbook does in `Z_q[X]/(X^N + 1)`.
    #[test]
    fn products_are_negacyclic() {
        for modulus in chain() {
            let poly = |seed: u64| -> Vec<u64> {
                let mut words = vec![0; 64];
                crate::ckks::sample::uniform(
                    &mut crate::ckks::sample::expand(&[9; 32], seed),
                    modulus.q,
                    &mut words,
                );
                words
            };
            let (mut a, mut b) = (poly(1), poly(2));
            let mut want = vec![0; 64];
            for (i, x) in a.iter().enumerate() {
                for (j, y) in b.iter().enumerate() {
                    let product = modulus.mul(*x, *y);
                    let at = &mut want[(i + j) % 64];
                    let signed =
                        if i + j < 64 { i128::from(product) } else { -i128::from(product) };
                    *at = modulus.reduce(i128::from(*at) + signed);
                }
            }
            modulus.plan.fwd(&mut a);
            modulus.plan.fwd(&mut b);
            let mut got = vec![0; 64];
            modulus.plan.mul_accumulate(&mut got, &a, &b);
            modulus.plan.inv(&mut got);
            modulus.plan.normalize(&mut got);
            assert_eq!(got, want, "q = {}", modulus.q);
        }
    }

    proptest! {
        #[test]
        fn arithmetic_is_that_of_integers(a: u64, b: u64, small in -(1i64 << 53) + 1..1i64 << 53) {
            for modulus in chain() {
                let q = modulus.q;
                let (a, b) = (a % q, b % q);
                let (mut sum, mut difference, mut product) = ([a], [a], [a]);
                modulus.add(&mut sum, &[b]);
                modulus.sub(&mut difference, &[b]);
                modulus.scale(&mut product, b);
                prop_assert_eq!(sum[0], modulus.reduce(i128::from(a) + i128::from(b)));
                prop_assert_eq!(difference[0], modulus.reduce(i128::from(a) - i128::from(b)));
                prop_assert_eq!(product[0], modulus.mul(a, b));
                let mut reduced = [0];
                modulus.reduce_small(&[small], &mut reduced);
                prop_assert_eq!(reduced[0], modulus.reduce(i128::from(small)));
                prop_assert_eq!(modulus.reduce(i128::from(modulus.centre(a))), a);
                prop_assert!(a == 0 || modulus.mul(a, modulus.invert(a)) == 1);
            }
        }
    }
}
