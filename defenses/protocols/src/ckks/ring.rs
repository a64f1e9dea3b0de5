//! The ring `Z_q[X]/(X^N + 1)` with `q` a product of primes: polynomials as residues, modulus after
//! modulus.

use std::fmt;
use std::sync::Arc;

use super::ParameterSet;
use super::fft::Fft;
use super::modulus::Modulus;
use super::sample::{self, Gaussian, Seed};

/// A polynomial's residues, `N` for each prime; in evaluation form (transformed) unless said
/// otherwise.
pub(crate) type Poly = Vec<u64>;

/// A parameter set with its primes and tables; made once and shared.
pub struct Context {
    params: ParameterSet,
    pub(crate) moduli: Vec<Modulus>,
    pub(crate) fft: Fft,
    pub(crate) gaussian: Gaussian,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Context({})", self.params)
    }
}

impl Context {
    /// Finds the primes and builds the tables.
    ///
    /// # Panics
    /// Never: a checked set has at most 16 primes of at least 30 bits, and there are hundreds of
    /// each size.
    pub fn new(params: &ParameterSet) -> Arc<Context> {
        let degree = params.degree();
        let moduli = Modulus::chain(degree, params.moduli().iter().copied());
        Arc::new(Context {
            moduli: moduli.expect("a checked set has enough primes"),
            fft: Fft::new(degree),
            gaussian: Gaussian::new(),
            params: params.clone(),
        })
    }

    /// The parameter set.
    pub fn params(&self) -> &ParameterSet {
        &self.params
    }

    pub(crate) fn degree(&self) -> usize {
        self.params.degree()
    }

    /// The primes that a polynomial of `poly` residues has.
    pub(crate) fn level(&self, poly: &[u64]) -> &[Modulus] {
        &self.moduli[..poly.len() / self.degree()]
    }

    /// Runs `f` on each prime's residues of `a`, and of `b`.
    fn zip(&self, a: &mut [u64], b: &[u64], f: impl Fn(&Modulus, &mut [u64], &[u64])) {
        let n = self.degree();
        let parts = a.chunks_exact_mut(n).zip(b.chunks_exact(n));
        self.moduli.iter().zip(parts).for_each(|(modulus, (a, b))| f(modulus, a, b));
    }

    /// Runs `f` on each prime's residues.
    pub(crate) fn each(&self, a: &mut [u64], f: impl Fn(&Modulus, &mut [u64])) {
        self.moduli
            .iter()
            .zip(a.chunks_exact_mut(self.degree()))
            .for_each(|(modulus, a)| f(modulus, a));
    }

    pub(crate) fn add(&self, a: &mut [u64], b: &[u64]) {
        self.zip(a, b, Modulus::add);
    }

    pub(crate) fn sub(&self, a: &mut [u64], b: &[u64]) {
        self.zip(a, b, Modulus::sub);
    }

    /// `acc += a b`
    pub(crate) fn mul_add(&self, acc: &mut [u64], a: &[u64], b: &[u64]) {
        let n = self.degree();
        let parts = acc.chunks_exact_mut(n).zip(a.chunks_exact(n)).zip(b.chunks_exact(n));
        for (modulus, ((acc, a), b)) in self.moduli.iter().zip(parts) {
            modulus.plan.mul_accumulate(acc, a, b);
        }
    }

    /// Multiplies by an integer.
    pub(crate) fn scale(&self, a: &mut [u64], factor: i128) {
        self.each(a, |modulus, a| modulus.scale(a, modulus.reduce(factor)));
    }

    /// Coefficients to evaluation form.
    pub(crate) fn forward(&self, a: &mut [u64]) {
        self.each(a, |modulus, a| modulus.plan.fwd(a));
    }

    /// Evaluation form to coefficients.
    pub(crate) fn inverse(&self, a: &mut [u64]) {
        self.each(a, |modulus, a| {
            modulus.plan.inv(a);
            modulus.plan.normalize(a);
        });
    }

    /// Residues at all primes of coefficients below `2^53`, not transformed.
    pub(crate) fn lift(&self, coefficients: &[i64]) -> Poly {
        let mut poly = vec![0; self.degree() * self.moduli.len()];
        self.each(&mut poly, |modulus, out| modulus.reduce_small(coefficients, out));
        poly
    }

    /// Residues of integers in floating point, not transformed.
    pub(crate) fn lift_float(&self, coefficients: &[f64]) -> Poly {
        const WORD: f64 = (1u64 << 52) as f64;
        let largest = coefficients.iter().fold(0f64, |most, c| most.max(c.abs()));
        if largest < WORD {
            return self.lift(&coefficients.iter().map(|&c| c as i64).collect::<Vec<_>>());
        }
        if largest >= WORD * WORD {
            let wide: Vec<i128> = coefficients.iter().map(|&c| c as i128).collect();
            return self.lift_wide(&wide, self.moduli.len());
        }
        let high: Vec<i64> = coefficients.iter().map(|&c| (c / WORD) as i64).collect();
        let low: Vec<i64> =
            coefficients.iter().zip(&high).map(|(&c, &h)| (c - h as f64 * WORD) as i64).collect();
        let (mut poly, low) = (self.lift(&high), self.lift(&low));
        self.scale(&mut poly, 1 << 52);
        self.add(&mut poly, &low);
        poly
    }

    /// Residues of wide coefficients at the first `level` primes, not transformed.
    pub(crate) fn lift_wide(&self, coefficients: &[i128], level: usize) -> Poly {
        const LIMB: u32 = 48;
        let limb = |shift: u32| -> Vec<i64> {
            coefficients.iter().map(|&c| low_limb(c >> shift, LIMB)).collect()
        };
        let (low, middle) = (limb(0), limb(LIMB));
        let high: Vec<i64> = coefficients.iter().map(|&c| (c >> (2 * LIMB)) as i64).collect();
        let mut poly = vec![0; self.degree() * level];
        self.each(&mut poly, |modulus, out| {
            let mut part = vec![0; out.len()];
            let base = modulus.reduce(1 << LIMB);
            modulus.reduce_small(&high, out);
            for limb in [&middle, &low] {
                modulus.scale(out, base);
                modulus.reduce_small(limb, &mut part);
                modulus.add(out, &part);
            }
        });
        poly
    }

    /// A fresh error, transformed.
    pub(crate) fn error(&self, rng: &mut impl rand::RngCore) -> Poly {
        let mut error = self.lift(&self.gaussian.sample(rng, self.degree()));
        self.forward(&mut error);
        error
    }

    /// The uniform polynomial that a seed stands for, at the first `level` primes.
    pub(crate) fn uniform(&self, seed: &Seed, index: u64, level: usize) -> Poly {
        let mut rng = sample::expand(seed, index);
        let mut poly = vec![0; self.degree() * level];
        for (modulus, out) in self.moduli.iter().zip(poly.chunks_exact_mut(self.degree())) {
            sample::uniform(&mut rng, modulus.q, out);
        }
        poly
    }

    /// Divides coefficients (not transformed) by their last prime, rounding, and drops it.
    pub(crate) fn drop_last(&self, poly: &mut Poly) {
        let n = self.degree();
        let kept = poly.len() - n;
        let last = &self.moduli[kept / n];
        let rest: Vec<i64> = poly[kept..].iter().map(|&r| last.centre(r)).collect();
        poly.truncate(kept);
        self.divide(poly, last.q, &rest, |_, _| ());
    }

    /// The same in evaluation form.
    pub(crate) fn rescale(&self, poly: &mut Poly) {
        let n = self.degree();
        let kept = poly.len() - n;
        let last = &self.moduli[kept / n];
        last.plan.inv(&mut poly[kept..]);
        last.plan.normalize(&mut poly[kept..]);
        let rest: Vec<i64> = poly[kept..].iter().map(|&r| last.centre(r)).collect();
        poly.truncate(kept);
        self.divide(poly, last.q, &rest, |modulus, rest| modulus.plan.fwd(rest));
    }

    /// `(poly - transform(rest)) / q`
    fn divide(
        &self,
        poly: &mut [u64],
        q: u64,
        rest: &[i64],
        transform: impl Fn(&Modulus, &mut [u64]),
    ) {
        self.each(poly, |modulus, out| {
            let mut residues = vec![0; rest.len()];
            if q < 1 << 53 {
                modulus.reduce_small(rest, &mut residues)
            } else {
                residues.iter_mut().zip(rest).for_each(|(out, &r)| *out = residue(r, modulus.q))
            }
            transform(modulus, &mut residues);
            modulus.sub(out, &residues);
            modulus.scale(out, modulus.invert(q % modulus.q));
        });
    }

    /// The coefficients nearest to zero of residues (not transformed), in floating point.
    ///
    /// With digits `d_i` centred modulo `q_i`, `x = d_0 + q_0 (d_1 + q_1 (d_2 + ...))` is centred
    /// itself (Garner).
    pub(crate) fn compose(&self, poly: &[u64]) -> Vec<f64> {
        let n = self.degree();
        let level = self.level(poly);
        let inverses: Vec<Vec<u64>> = (0..level.len())
            .map(|i| level[..i].iter().map(|m| level[i].invert(m.q % level[i].q)).collect())
            .collect();
        let mut digits: Vec<Vec<i64>> = Vec::new();
        for (i, modulus) in level.iter().enumerate() {
            let mut residues = poly[i * n..(i + 1) * n].to_vec();
            for (digit, inverse) in digits.iter().zip(&inverses[i]) {
                let lower: Vec<u64> = digit.iter().map(|&d| residue(d, modulus.q)).collect();
                modulus.sub(&mut residues, &lower);
                modulus.scale(&mut residues, *inverse);
            }
            digits.push(residues.into_iter().map(|r| modulus.centre(r)).collect());
        }
        let mut out = vec![0.0; n];
        for (digit, modulus) in digits.iter().zip(level).rev() {
            out.iter_mut()
                .zip(digit)
                .for_each(|(out, d)| *out = *out * modulus.q as f64 + *d as f64);
        }
        out
    }
}

/// The residue of a digit of another prime.
fn residue(digit: i64, q: u64) -> u64 {
    let (size, negative) = (digit.unsigned_abs(), digit < 0);
    let rest = if size < q { size } else { size % q };
    if negative && rest > 0 { q - rest } else { rest }
}

/// The lowest `bits` bits.
fn low_limb(value: i128, bits: u32) -> i64 {
    (value & ((1 << bits) - 1)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Dropping a prime divides by it and rounds, whatever the sizes of the primes; also in
    /// evaluation form.
    #[test]
    fn dropping_a_prime_divides() {
        for set in ["4096/30,31/20", "4096/40,60/60", "4096/59,47/60"] {
            let context = Context::new(&set.parse().unwrap());
            let q = context.moduli[1].q as f64;
            let poly = context.uniform(&[4; 32], 1, 2);
            let exact: Vec<f64> = context.compose(&poly).iter().map(|c| c / q).collect();
            let mut dropped = poly.clone();
            context.drop_last(&mut dropped);
            let off = |poly: &[u64]| {
                let pairs = context.compose(poly).into_iter().zip(&exact);
                pairs.map(|(got, want)| (got - want).abs() - want.abs() * 1e-15).fold(0.0, f64::max)
            };
            assert!(off(&dropped) <= 0.51, "{set}: {}", off(&dropped));
            let mut evaluated = poly.clone();
            context.forward(&mut evaluated);
            context.rescale(&mut evaluated);
            context.inverse(&mut evaluated);
            assert_eq!(evaluated, dropped);
        }
    }

    #[test]
    fn wide_numbers_are_lifted_as_they_are() {
        let context = Context::new(&"4096/40,30,36/60".parse().unwrap());
        let mut wide = vec![0i128; 4096];
        let numbers = [
            1,
            -1,
            (1 << 52) - 1,
            -(1 << 53),
            (1 << 75) + 12345,
            -(1 << 103) - 7,
            (1 << 119) + 3,
            -(1 << 120),
        ];
        wide[..numbers.len()].copy_from_slice(&numbers);
        let poly = context.lift_wide(&wide, 3);
        for (modulus, residues) in context.moduli.iter().zip(poly.chunks_exact(4096)) {
            assert!(wide.iter().zip(residues).all(|(w, r)| modulus.reduce(*w) == *r));
        }
        for most in [50, 100, 119] {
            let floats: Vec<f64> =
                (0..4096).map(|i| (f64::from(i) - 2000.0) * 2f64.powi(most - 12)).collect();
            let whole: Vec<i128> = floats.iter().map(|f| *f as i128).collect();
            assert_eq!(context.lift_float(&floats), context.lift_wide(&whole, 3), "{most} bits");
        }
    }
}
