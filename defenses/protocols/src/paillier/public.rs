//! The public key: encrypting and adding.

use std::sync::OnceLock;

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, ConcatenatingMul, Gcd, Odd, Resize};
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::secret::exponent_bits as short;
use super::table::Table;
use super::{KEY_BITS, PaillierError, primes};
use crate::keys::{Container, Fingerprint, Kind, Scheme};

/// One ciphertext: a number below `n^2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ciphertext(pub(super) BoxedUint);

/// What everyone may know: the modulus `n` and `h_s = h^n mod n^2`, where `h = -x^2 mod n` for a
/// random `x`.
#[derive(Clone)]
pub struct PublicKey {
    pub(super) bits: u32,
    exponent_bits: u32,
    n: BoxedUint,
    base: BoxedUint,
    square: BoxedMontyParams,
    id: Fingerprint,
    table: OnceLock<Table>,
}

/// A sum of ciphertexts while it grows: their product in Montgomery's sense, `c_1 .. c_k R^(1-k)
/// mod n^2`.
#[derive(Clone)]
pub struct Sum {
    product: BoxedMontyForm,
    terms: u64,
}

impl PublicKey {
    /// From a modulus of an offered size, odd and of its full length, and the base of the
    /// randomness: neither 1 nor -1 modulo `n`, and coprime to it. A modulus that anybody factors
    /// (a small factor, a prime, a power of one) is refused. That the base is an `n`-th power as it
    /// should be, only who knows the factors can tell.
    pub(super) fn new(
        bits: u32,
        exponent_bits: u32,
        n: BoxedUint,
        base: BoxedUint,
    ) -> Result<PublicKey, PaillierError> {
        let bad = PaillierError::BadKey;
        if !KEY_BITS.contains(&bits) {
            return Err(PaillierError::KeyBits(bits));
        }
        let n = n.resize(bits);
        if n.bits() != bits || exponent_bits != short(bits) {
            return Err(bad("its modulus or exponent has another length than its header says"));
        }
        let square: Option<Odd<BoxedUint>> = Odd::new(n.concatenating_mul(&n)).into();
        let square = square.ok_or(bad("its modulus is even"))?;
        let base = base.resize(2 * bits);
        if base >= square.as_ref().wrapping_sub(BoxedUint::one()) || base <= BoxedUint::one() {
            return Err(bad("its base lies outside the group or hides nothing"));
        }
        let square = BoxedMontyParams::new(square);
        if !coprime(&base, &square) {
            return Err(bad("its base shares a factor with its modulus"));
        }
        // 1 + k n and -1 + k n: powers that shift the plaintext, and hide nothing.
        let modulus = Odd::new(n.clone()).into_option().ok_or(bad("its modulus is even"))?;
        let residue = base.rem(modulus.as_nz_ref());
        if residue.is_one().into() || residue == n.wrapping_sub(BoxedUint::one()) {
            return Err(bad("its base is 1 or -1 modulo its modulus, and hides nothing"));
        }
        if let Some(problem) = primes::splits(&modulus) {
            return Err(bad(problem));
        }
        let id = Fingerprint([0; 16]);
        let mut key =
            PublicKey { bits, exponent_bits, n, base, square, id, table: OnceLock::new() };
        key.id = Fingerprint::new("paillier", &key.payload());
        Ok(key)
    }

    /// Bits of the modulus.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Bits of the random exponents.
    pub fn exponent_bits(&self) -> u32 {
        self.exponent_bits
    }

    /// Names the key: modulus, base and sizes.
    pub fn fingerprint(&self) -> Fingerprint {
        self.id
    }

    /// The modulus.
    pub fn modulus(&self) -> &BoxedUint {
        &self.n
    }

    /// The base of the randomness, `h_s`.
    pub(super) fn base(&self) -> &BoxedUint {
        &self.base
    }

    /// The modulus of ciphertexts, `n^2`.
    pub(super) fn square(&self) -> &BoxedMontyParams {
        &self.square
    }

    /// Bytes of one ciphertext.
    pub fn ciphertext_bytes(&self) -> usize {
        self.bits as usize / 4
    }

    /// Bits that every plaintext may have.
    pub fn plaintext_bits(&self) -> u32 {
        self.bits - 1
    }

    /// Draws what hides one plaintext: an exponent of [`PublicKey::exponent_bits`] bits,
    /// little-endian.
    pub fn draw(&self, rng: &mut impl CryptoRng) -> Zeroizing<Vec<u8>> {
        let mut r = Zeroizing::new(vec![0; self.table().exponent_bytes()]);
        rng.fill_bytes(&mut r);
        r
    }

    /// `c = (1 + n)^m h_s^r mod n^2`, with `(1 + n)^m = 1 + n m`.
    ///
    /// # Errors
    /// A plaintext of more than [`PublicKey::plaintext_bits`] bits.
    pub fn encrypt(&self, m: &BoxedUint, r: &[u8]) -> Result<Ciphertext, PaillierError> {
        if m.bits() > self.plaintext_bits() {
            return Err(PaillierError::Plaintext { found: m.bits(), room: self.plaintext_bits() });
        }
        let m = m.clone().resize(self.bits);
        let message = self.n.concatenating_mul(&m).wrapping_add(BoxedUint::one());
        // Montgomery's product of h_s^r R and 1 + n m is their plain product: no conversion is
        // needed.
        let product =
            self.table().power(r).mul(&BoxedMontyForm::from_montgomery(message, &self.square));
        Ok(Ciphertext(product.to_montgomery()))
    }

    /// Starts a sum.
    pub fn sum(&self, first: &Ciphertext) -> Sum {
        Sum { product: BoxedMontyForm::from_montgomery(first.0.clone(), &self.square), terms: 1 }
    }

    /// Adds one more: multiplies modulo `n^2`, up to a power of `R`.
    pub fn add(&self, sum: &mut Sum, next: &Ciphertext) {
        sum.product =
            sum.product.mul(&BoxedMontyForm::from_montgomery(next.0.clone(), &self.square));
        sum.terms += 1;
    }

    /// The ciphertext of the sum of all plaintexts, taken modulo `n`.
    pub fn finish(&self, sum: &Sum) -> Ciphertext {
        Ciphertext(sum.product.mul(&self.missing(sum.terms)).to_montgomery())
    }

    /// As [`PublicKey::finish`], for many sums: one multiplication each where they have equally
    /// many terms.
    pub fn finish_all(&self, sums: &[Sum]) -> Vec<Ciphertext> {
        let terms = sums.first().map_or(1, |s| s.terms);
        let missing = self.missing(terms);
        let finish = |s: &Sum| {
            if s.terms == terms {
                Ciphertext(s.product.mul(&missing).to_montgomery())
            } else {
                self.finish(s)
            }
        };
        sums.iter().map(finish).collect()
    }

    /// `R^(k-1)` in Montgomery form, `R^k`: times a product of `k` terms it takes `R^(1-k)` and one
    /// reduction away.
    fn missing(&self, terms: u64) -> BoxedMontyForm {
        // The number R, whose Montgomery form is R^2.
        let one = BoxedMontyForm::one(&self.square);
        let r = BoxedMontyForm::new(one.to_montgomery(), &self.square);
        let others = terms - 1;
        r.pow_bounded_exp(&BoxedUint::from(others), u64::BITS - others.leading_zeros())
    }

    /// The key as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let payload = self.payload();
        let (scheme, kind) = (Scheme::Paillier, Kind::PublicKey);
        Container { scheme, kind, key: self.id, payload: &payload }.encode()
    }

    /// Reads a public key.
    ///
    /// # Errors
    /// Anything but an intact Paillier public key.
    pub fn from_bytes(bytes: &[u8]) -> Result<PublicKey, PaillierError> {
        let container = Container::decode_kind(bytes, Kind::PublicKey)?;
        let (key, rest) = Self::from_payload(container.payload)?;
        if rest.is_empty() && key.id == container.key {
            Ok(key)
        } else {
            Err(PaillierError::BadKey("its content does not match its header"))
        }
    }

    /// Sizes, modulus and base.
    pub(super) fn payload(&self) -> Vec<u8> {
        let sizes = [self.bits.to_le_bytes(), self.exponent_bits.to_le_bytes()].concat();
        [sizes.as_slice(), &self.n.to_le_bytes(), &self.base.to_le_bytes()].concat()
    }

    /// Reads what [`PublicKey::payload`] wrote, and returns what follows.
    pub(super) fn from_payload(bytes: &[u8]) -> Result<(PublicKey, &[u8]), PaillierError> {
        let short = PaillierError::BadKey("it is too short");
        let (sizes, rest) = bytes.split_at_checked(8).ok_or(short.clone())?;
        let size =
            |i: usize| u32::from_le_bytes([sizes[i], sizes[i + 1], sizes[i + 2], sizes[i + 3]]);
        let (bits, exponent_bits) = (size(0), size(4));
        if !KEY_BITS.contains(&bits) {
            return Err(PaillierError::KeyBits(bits));
        }
        let (n, rest) = number(rest, bits).ok_or(short.clone())?;
        let (base, rest) = number(rest, 2 * bits).ok_or(short)?;
        Ok((PublicKey::new(bits, exponent_bits, n, base)?, rest))
    }

    /// Built at the first use: some milliseconds and megabytes.
    fn table(&self) -> &Table {
        self.table.get_or_init(|| {
            Table::new(&BoxedMontyForm::new(self.base.clone(), &self.square), self.exponent_bits)
        })
    }
}

/// Whether a number is coprime to this modulus; in time that depends on the number, which is
/// public.
pub(super) fn coprime(x: &BoxedUint, modulus: &BoxedMontyParams) -> bool {
    modulus.modulus().gcd_vartime(x).get().is_one().into()
}

/// A little-endian number of so many bits from the front of some bytes, and what follows.
pub(super) fn number(bytes: &[u8], bits: u32) -> Option<(BoxedUint, &[u8])> {
    let (front, rest) = bytes.split_at_checked(bits as usize / 8)?;
    Some((BoxedUint::from_le_slice(front, bits).ok()?, rest))
}
