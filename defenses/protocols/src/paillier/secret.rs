//! The secret key: decrypting through the Chinese remainder theorem.

use std::fmt;

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, ConcatenatingMul, NonZero, Odd, Resize};
use rand::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

use super::public::number;
use super::{Ciphertext, KEY_BITS, PaillierError, PublicKey, primes};
use crate::keys::{Container, Kind, Scheme};

/// The primes, and all that is computed from them once.
#[derive(Clone)]
pub struct SecretKey {
    public: PublicKey,
    p: Half,
    q: Half,
    /// `p^-1 mod q`, in Montgomery form.
    p_inverse: BoxedMontyForm,
}

/// One prime's side.
#[derive(Clone)]
struct Half {
    prime: NonZero<BoxedUint>,
    square: NonZero<BoxedUint>,
    modulus: BoxedMontyParams,
    square_modulus: BoxedMontyParams,
    /// `p - 1`.
    exponent: BoxedUint,
    /// `L_p((1 + n)^(p - 1) mod p^2)^-1 = (-q)^-1 mod p`, in Montgomery form.
    factor: BoxedMontyForm,
}

impl SecretKey {
    /// Draws a key of one of the sizes in [`KEY_BITS`].
    ///
    /// # Errors
    /// Another size.
    pub fn generate(bits: u32, rng: &mut impl CryptoRng) -> Result<SecretKey, PaillierError> {
        if !KEY_BITS.contains(&bits) {
            return Err(PaillierError::KeyBits(bits));
        }
        let (p, q) = primes::pair(bits, rng);
        Self::from_primes(p, q, rng)
    }

    /// From two primes of equal length, 3 modulo 4, with nothing but 2 in common below them. Draws
    /// `x` for the base of the randomness.
    ///
    /// # Errors
    /// Numbers that are not such primes.
    pub fn from_primes(
        p: BoxedUint,
        q: BoxedUint,
        rng: &mut impl CryptoRng,
    ) -> Result<SecretKey, PaillierError> {
        if !primes::is_blum_prime(&p) || !primes::is_blum_prime(&q) {
            return Err(PaillierError::BadKey("its factors are not primes that are 3 modulo 4"));
        }
        let n = p.concatenating_mul(&q);
        let bits = n.bits();
        let base = base(&n, bits, rng)?;
        let public = PublicKey::new(bits, exponent_bits(bits), n, base)?;
        Self::assemble(public, p, q)
    }

    /// Puts a key together whose parts may come from a file.
    fn assemble(public: PublicKey, p: BoxedUint, q: BoxedUint) -> Result<SecretKey, PaillierError> {
        let bad = PaillierError::BadKey;
        let half = public.bits / 2;
        let (p, q) = (p.resize(half), q.resize(half));
        if p.bits() != half || q.bits() != half || !primes::fit(&p, &q) {
            return Err(bad("its factors are of unequal length, too close or related"));
        }
        if p.concatenating_mul(&q) != *public.modulus() {
            return Err(bad("its factors do not multiply to its modulus"));
        }
        if !primes::is_blum_prime(&p) || !primes::is_blum_prime(&q) {
            return Err(bad("its factors are not primes that are 3 modulo 4"));
        }
        // Base of the right order: an n-th power, up to what encryptions hide.
        let phi =
            p.wrapping_sub(BoxedUint::one()).concatenating_mul(&q.wrapping_sub(BoxedUint::one()));
        let power =
            BoxedMontyForm::new(public.base().clone(), public.square()).pow(&phi).retrieve();
        if power != BoxedUint::one() {
            return Err(bad("its base is no power that leaves plaintexts alone"));
        }
        let (left, right) = (Half::new(&p, &q)?, Half::new(&q, &p)?);
        let inverse: Option<BoxedMontyForm> = right.lift(&p).invert().into();
        let p_inverse = inverse.ok_or(bad("its factors are related"))?;
        Ok(SecretKey { public, p: left, q: right, p_inverse })
    }

    /// The part for everyone.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The plaintext, below `n`. The time does not depend on it, nor on the primes.
    ///
    /// # Errors
    /// A ciphertext that a factor of `n` divides.
    pub fn decrypt(&self, c: &Ciphertext) -> Result<BoxedUint, PaillierError> {
        let (m_p, m_q) = (self.p.decrypt(c)?, self.q.decrypt(c)?);
        // Garner: m = m_p + p ((m_q - m_p) p^-1 mod q).
        let difference = m_q.sub_mod(&m_p.rem(&self.q.prime), &self.q.prime);
        let t = self.q.product(difference, &self.p_inverse);
        Ok(self.p.prime.as_ref().concatenating_mul(&t).wrapping_add(m_p.resize(self.public.bits)))
    }

    /// The plaintext by the formula of the paper, `L(c^phi mod n^2) phi^-1 mod n`: about four times
    /// slower.
    ///
    /// # Errors
    /// A ciphertext that a factor of `n` divides.
    pub fn decrypt_textbook(&self, c: &Ciphertext) -> Result<BoxedUint, PaillierError> {
        let bits = self.public.bits;
        let n = self.public.modulus();
        let broken = PaillierError::BadKey("its modulus is no product of its factors");
        let modulus: Option<Odd<BoxedUint>> = Odd::new(n.clone()).into();
        let modulus = modulus.ok_or(broken.clone())?;
        let phi = self.p.exponent.concatenating_mul(&self.q.exponent);
        let power = BoxedMontyForm::new(c.0.clone(), self.public.square()).pow(&phi).retrieve();
        let (l, rest) = power.div_rem(modulus.as_nz_ref());
        if rest != BoxedUint::one() {
            return Err(PaillierError::NotCoprime);
        }
        let inverse: Option<BoxedUint> = phi.invert_odd_mod(&modulus).into();
        Ok(l.resize(bits).mul_mod(&inverse.ok_or(broken)?, modulus.as_nz_ref()))
    }

    /// The key as bytes, wiped when dropped.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut payload = Zeroizing::new(self.public.payload());
        for prime in [&self.p.prime, &self.q.prime] {
            payload.extend_from_slice(&Zeroizing::new(prime.as_ref().to_le_bytes().into_vec()));
        }
        let (scheme, kind) = (Scheme::Paillier, Kind::SecretKey);
        let container =
            Container { scheme, kind, key: self.public.fingerprint(), payload: &payload };
        Zeroizing::new(container.encode())
    }

    /// Reads a secret key and checks it: lengths, product, primality, the order of its base.
    ///
    /// # Errors
    /// Anything but an intact Paillier secret key.
    pub fn from_bytes(bytes: &[u8]) -> Result<SecretKey, PaillierError> {
        let container = Container::decode_kind(bytes, Kind::SecretKey)?;
        let (public, rest) = PublicKey::from_payload(container.payload)?;
        let short = PaillierError::BadKey("it is too short");
        let (p, rest) = number(rest, public.bits / 2).ok_or(short.clone())?;
        let (q, rest) = number(rest, public.bits / 2).ok_or(short)?;
        if !rest.is_empty() || public.fingerprint() != container.key {
            return Err(PaillierError::BadKey("its content does not match its header"));
        }
        Self::assemble(public, p, q)
    }
}

/// Shows the public name only.
impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "SecretKey({} bits, {})", self.public.bits, self.public.fingerprint())
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.p_inverse.zeroize();
        for half in [&mut self.p, &mut self.q] {
            half.prime.zeroize();
            half.square.zeroize();
            half.exponent.zeroize();
            half.factor.zeroize();
        }
    }
}

impl Half {
    fn new(p: &BoxedUint, q: &BoxedUint) -> Result<Half, PaillierError> {
        let bad = PaillierError::BadKey("a factor is even");
        let odd = |x: BoxedUint| Option::from(Odd::new(x)).ok_or(bad.clone());
        let prime: Odd<BoxedUint> = odd(p.clone())?;
        let square: Odd<BoxedUint> = odd(p.concatenating_mul(p))?;
        let modulus = BoxedMontyParams::new(prime.clone());
        let minus_q = q.rem(prime.as_nz_ref()).neg_mod(prime.as_nz_ref());
        let factor: Option<BoxedMontyForm> = BoxedMontyForm::new(minus_q, &modulus).invert().into();
        Ok(Half {
            square_modulus: BoxedMontyParams::new(square.clone()),
            exponent: p.wrapping_sub(BoxedUint::one()),
            factor: factor.ok_or(PaillierError::BadKey("its factors are equal"))?,
            modulus,
            prime: prime.as_nz_ref().clone(),
            square: square.as_nz_ref().clone(),
        })
    }

    /// `m mod p = L_p(c^(p-1) mod p^2) factor mod p`, with `L_p(u) = (u - 1) / p`: the quotient of
    /// `u` by `p`, which leaves 1 unless `p` divides `c`.
    fn decrypt(&self, c: &Ciphertext) -> Result<BoxedUint, PaillierError> {
        let c = BoxedMontyForm::new(c.0.rem(&self.square), &self.square_modulus);
        let u = c.pow(&self.exponent).retrieve();
        let (l, rest) = u.div_rem(&self.prime);
        if rest != BoxedUint::one() {
            return Err(PaillierError::NotCoprime);
        }
        Ok(self.product(l.resize(self.prime.as_ref().bits_precision()), &self.factor))
    }

    /// `x y mod p` for a plain `x` below `p` and a `y` in Montgomery form: one Montgomery product,
    /// no conversion.
    fn product(&self, x: BoxedUint, y: &BoxedMontyForm) -> BoxedUint {
        BoxedMontyForm::from_montgomery(x, &self.modulus).mul(y).to_montgomery()
    }

    /// A number of the same length modulo this prime.
    fn lift(&self, x: &BoxedUint) -> BoxedMontyForm {
        BoxedMontyForm::new(x.rem(&self.prime), &self.modulus)
    }
}

/// Bits of the random exponents: four times the security level of the key, and no more than the
/// `bits / 2` of the original paper.
pub(super) fn exponent_bits(bits: u32) -> u32 {
    let level = if bits > 2048 { 128 } else { 112 };
    (4 * level).min(bits / 2)
}

/// `h_s = h^n mod n^2` with `h = -x^2 mod n`.
fn base(n: &BoxedUint, bits: u32, rng: &mut impl CryptoRng) -> Result<BoxedUint, PaillierError> {
    let even = PaillierError::BadKey("its modulus is even");
    let modulus: Option<Odd<BoxedUint>> = Odd::new(n.clone()).into();
    let modulus = modulus.ok_or(even.clone())?;
    let square: Option<Odd<BoxedUint>> = Odd::new(n.concatenating_mul(n)).into();
    let mut words = vec![0u64; 2 * n.as_words().len()];
    words.iter_mut().for_each(|w| *w = rng.next_u64());
    // Twice the length: what the remainder favours is beyond measuring.
    let x = BoxedUint::from_words(words).rem(modulus.as_nz_ref());
    let h = x.square_mod(modulus.as_nz_ref()).neg_mod(modulus.as_nz_ref());
    let params = BoxedMontyParams::new(square.ok_or(even)?);
    Ok(BoxedMontyForm::new(h.resize(2 * bits), &params).pow(n).retrieve())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SecretKey {
        SecretKey::generate(512, &mut suites::rng::stream(2, "paillier", "secret")).unwrap()
    }

    #[test]
    fn a_ciphertext_that_a_factor_divides_is_an_error() {
        let key = key();
        let wide = |x: &BoxedUint| Ciphertext(x.clone().resize(1024));
        for bad in
            [key.public.modulus(), key.p.prime.as_ref(), key.q.prime.as_ref(), &BoxedUint::zero()]
        {
            assert_eq!(key.decrypt(&wide(bad)), Err(PaillierError::NotCoprime));
            assert_eq!(key.decrypt_textbook(&wide(bad)), Err(PaillierError::NotCoprime));
        }
    }

    /// Keys with the base replaced and the fingerprint mended, as whoever hands out a key can.
    #[test]
    fn bases_that_hide_nothing_or_mark_ciphertexts_are_refused() {
        let key = key();
        let (n, bits) = (key.public.modulus().clone(), exponent_bits(512));
        let with =
            |base: BoxedUint, exponent| PublicKey::new(512, exponent, n.clone(), base.resize(1024));
        let square = n.concatenating_mul(&n);
        let (one, prime) = (BoxedUint::one(), key.p.prime.as_ref());
        let shifts = |k: u64| n.concatenating_mul(&BoxedUint::from(k));
        for bad in [
            one.clone(),
            square.wrapping_sub(&one),
            square.clone(),
            prime.clone(),
            n.clone(),
            n.wrapping_add(&one),
            shifts(5).wrapping_add(&one),
            shifts(5).wrapping_sub(&one),
        ] {
            assert!(matches!(with(bad, bits), Err(PaillierError::BadKey(_))));
        }
        assert!(with(key.public.base().clone(), bits - 8).is_err());
        assert!(with(key.public.base().clone(), bits).is_ok());
        // 2 is no n-th power. A public key cannot show that, a secret one can.
        let public = with(BoxedUint::from(2u64), bits).unwrap();
        assert_ne!(public.fingerprint(), key.public.fingerprint(), "the base is part of the name");
        let error =
            SecretKey::assemble(public, prime.clone(), key.q.prime.as_ref().clone()).unwrap_err();
        assert!(error.to_string().contains("its base"), "{error}");
    }

    /// Moduli of the right length that anybody factors, as whoever wants to read the sum hands out.
    #[test]
    fn moduli_that_anybody_factors_are_refused() {
        let key = key();
        let said = |n: BoxedUint| {
            let bits = n.bits();
            let base = BoxedUint::from(4u64).resize(1024);
            match PublicKey::new(512, exponent_bits(512), n, base) {
                Err(PaillierError::BadKey(problem)) => problem,
                other => panic!("{bits} bits: {:?}", other.map(|k| k.fingerprint())),
            }
        };
        let power = |p: &BoxedUint, k: usize| {
            (1..k).fold(p.clone(), |product, _| product.concatenating_mul(p))
        };
        let full = |n: BoxedUint| n.bits() == 512;
        let small = BoxedUint::from(65_521u64).concatenating_mul(&prime(496, 0));
        assert_eq!(said(Some(small).filter(|n| full(n.clone())).unwrap()), SMALL_FACTOR);
        assert_eq!(said(prime(512, 0)), POWER);
        assert_eq!(said(power(key.p.prime.as_ref(), 2)), POWER);
        let cube = (0..).map(|i| power(&prime(171, i), 3)).find(|n| full(n.clone())).unwrap();
        assert_eq!(said(cube), POWER);
    }

    const SMALL_FACTOR: &str = "its modulus has a small factor";
    const POWER: &str = "its modulus is a prime or a power of one";

    fn prime(bits: u32, n: u32) -> BoxedUint {
        primes::prime(bits, &mut suites::rng::stream(5, "paillier", &format!("{bits} {n}")))
    }
}
