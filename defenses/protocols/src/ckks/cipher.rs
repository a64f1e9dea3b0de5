//! Ciphertexts: encryption, sums, scaling, decryption.

use std::sync::Arc;

use rand::RngCore;
use zeroize::Zeroizing;

use super::bytes::{CHECKSUM, Fingerprint, Kind, malformed, open, seal, take};
use super::encode::Plaintext;
use super::flood;
use super::keys::{PublicKey, SecretKey, hex};
use super::params::ParameterSet;
use super::ring::{Context, Poly};
use super::sample::{self, Seed};
use crate::ProtocolError;

/// `(c0, c1)` with `c0 + c1 s = scale * encoded values + noise`. Room is left for further
/// components and levels: products of ciphertexts would add a third one, and drop primes as
/// [`Ciphertext::rescale`] does.
#[derive(Clone)]
pub struct Ciphertext {
    pub(crate) context: Arc<Context>,
    pub(crate) key: Fingerprint,
    pub(crate) c0: Poly,
    pub(crate) c1: Poly,
    /// What `c1` was expanded from, as long as it is.
    seed: Option<Seed>,
    pub(crate) scale: f64,
    pub(crate) len: usize,
}

impl PublicKey {
    /// Encrypts up to [`ParameterSet::values`] values.
    ///
    /// # Errors
    /// A value beyond the range, or too many.
    pub fn encrypt(
        &self,
        values: &[f64],
        rng: &mut impl RngCore,
    ) -> Result<Ciphertext, ProtocolError> {
        let context = &self.context;
        let mut c0 = context.encode(values)?;
        context.add(&mut c0, &context.lift(&context.gaussian.sample(rng, context.degree())));
        context.forward(&mut c0);
        let mut v = context.lift(&sample::ternary(rng, context.degree()));
        context.forward(&mut v);
        context.mul_add(&mut c0, &self.b, &v);
        let mut c1 = context.error(rng);
        context.mul_add(&mut c1, &self.a, &v);
        Ok(Ciphertext::fresh(context, self.key, [c0, c1], None, values.len()))
    }
}

impl SecretKey {
    /// Encrypts under the secret key itself: less noise, and half the bytes, since the uniform half
    /// travels as its seed.
    ///
    /// # Errors
    /// A value beyond the range, too many values, or a key that is only a share.
    pub fn encrypt(
        &self,
        values: &[f64],
        rng: &mut impl RngCore,
    ) -> Result<Ciphertext, ProtocolError> {
        self.whole()?;
        let context = &self.context;
        let seed = sample::seed(rng);
        let mut c0 = context.encode(values)?;
        context.add(&mut c0, &context.lift(&context.gaussian.sample(rng, context.degree())));
        context.forward(&mut c0);
        let c1 = context.uniform(&seed, 0, context.moduli.len());
        let mut product = Zeroizing::new(vec![0; c1.len()]);
        context.mul_add(&mut product, &c1, &self.secret);
        context.sub(&mut c0, &product);
        Ok(Ciphertext::fresh(context, self.key, [c0, c1], Some(seed), values.len()))
    }

    /// The values of a ciphertext, to its full precision. Whoever publishes them publishes facts
    /// about the key (Li and Micciancio 2021): use [`SecretKey::decrypt_flooded`] for values that
    /// leave the holders of the key.
    ///
    /// # Errors
    /// A ciphertext under another key, or a key that is only a share.
    pub fn decrypt(&self, ciphertext: &Ciphertext) -> Result<Vec<f64>, ProtocolError> {
        let poly = self.open(ciphertext)?;
        Ok(ciphertext.decode(&poly))
    }

    /// The same with Gaussian noise of standard deviation `sigma` added to each coefficient before
    /// decoding, which hides the ciphertext's own noise (Li, Micciancio, Schultz and Sorrell 2022).
    ///
    /// # Errors
    /// As [`SecretKey::decrypt`].
    pub fn decrypt_flooded(
        &self,
        ciphertext: &Ciphertext,
        sigma: f64,
        rng: &mut impl RngCore,
    ) -> Result<Vec<f64>, ProtocolError> {
        let mut poly = self.open(ciphertext)?;
        self.context.flood(&mut poly, sigma, rng);
        Ok(ciphertext.decode(&poly))
    }

    fn open(&self, ciphertext: &Ciphertext) -> Result<Poly, ProtocolError> {
        self.whole()?;
        self.matches(ciphertext.key)?;
        let mut poly = ciphertext.c0.clone();
        self.context.mul_add(&mut poly, &ciphertext.c1, &self.secret);
        self.context.inverse(&mut poly);
        Ok(poly)
    }

    pub(crate) fn whole(&self) -> Result<(), ProtocolError> {
        if self.party.parties == 1 {
            return Ok(());
        }
        let problem =
            format!("is {}; only all partial decryptions together open a ciphertext", self.party);
        Err(malformed("secret key", problem))
    }

    pub(crate) fn matches(&self, key: Fingerprint) -> Result<(), ProtocolError> {
        if self.key == key {
            return Ok(());
        }
        let problem =
            format!("is under key {}, not under the key given, {}", hex(&key), hex(&self.key));
        Err(malformed("ciphertext", problem))
    }
}

impl Ciphertext {
    fn fresh(
        context: &Arc<Context>,
        key: Fingerprint,
        [c0, c1]: [Poly; 2],
        seed: Option<Seed>,
        len: usize,
    ) -> Ciphertext {
        Ciphertext {
            context: context.clone(),
            key,
            c0,
            c1,
            seed,
            scale: context.params().scale(),
            len,
        }
    }

    fn decode(&self, poly: &[u64]) -> Vec<f64> {
        let coefficients = self.context.compose(poly);
        self.context.decode(&Plaintext { coefficients, scale: self.scale, len: self.len })
    }

    /// Adds another ciphertext of the same key, level and scale. The sum of the values must stay
    /// within [`Context::capacity`].
    ///
    /// # Errors
    /// A ciphertext of another key, level or scale.
    pub fn add(&mut self, other: &Ciphertext) -> Result<(), ProtocolError> {
        let mismatch = if self.key != other.key {
            format!("keys {} and {}", hex(&self.key), hex(&other.key))
        } else if self.c0.len() != other.c0.len() {
            format!("levels {} and {}", self.level(), other.level())
        } else if (self.scale / other.scale - 1.0).abs() > 1e-12 {
            format!("scales {:e} and {:e}", self.scale, other.scale)
        } else {
            self.context.add(&mut self.c0, &other.c0);
            self.context.add(&mut self.c1, &other.c1);
            self.len = self.len.max(other.len);
            self.seed = None;
            return Ok(());
        };
        Err(malformed("ciphertext", format!("cannot be added to one of another kind: {mismatch}")))
    }

    /// Multiplies the values by an integer weight; noise grows alike.
    pub fn weigh(&mut self, weight: i64) {
        self.context.scale(&mut self.c0, i128::from(weight));
        self.context.scale(&mut self.c1, i128::from(weight));
        self.seed = None;
    }

    /// Divides the values by a public number, by noting it in the scale: free and exact.
    pub fn divide(&mut self, divisor: f64) {
        self.scale *= divisor;
    }

    /// Multiplies the values by a real factor at the cost of a prime: by `round(factor q)`, then
    /// [`Ciphertext::rescale`].
    ///
    /// # Errors
    /// No prime left to drop, or none large enough left for the scale.
    pub fn multiply(&mut self, factor: f64) -> Result<(), ProtocolError> {
        let level = self.level();
        let (kept, last) = self.context.moduli[..level].split_at(level - 1);
        let room: f64 = kept.iter().map(|m| m.q as f64).product();
        if level < 2 || room < 8.0 * self.scale {
            let problem = format!(
                "at level {level} of {} has no prime to spare for a product",
                self.context.params()
            );
            return Err(malformed("ciphertext", problem));
        }
        let q = last[0].q as f64;
        let factor = (factor * q).round_ties_even() as i128;
        self.context.scale(&mut self.c0, factor);
        self.context.scale(&mut self.c1, factor);
        self.scale *= q;
        self.rescale()
    }

    /// Divides by the last prime and drops it: scale and noise shrink by it.
    ///
    /// # Errors
    /// The last prime.
    pub fn rescale(&mut self) -> Result<(), ProtocolError> {
        let level = self.level();
        if level < 2 {
            return Err(malformed(
                "ciphertext",
                "has only one prime left, which cannot be dropped",
            ));
        }
        self.scale /= self.context.moduli[level - 1].q as f64;
        self.context.rescale(&mut self.c0);
        self.context.rescale(&mut self.c1);
        self.seed = None;
        Ok(())
    }

    /// Primes it has.
    pub fn level(&self) -> usize {
        self.context.level(&self.c0).len()
    }

    /// Values in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds no values.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Fingerprint of its key: 16 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        hex(&self.key)
    }

    /// Serialised: a fresh seeded one with its seed in place of half its residues.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut payload = head(self.level(), self.scale, self.len);
        payload.reserve(2 * self.context.packed_len(self.level()));
        let kind = match &self.seed {
            Some(seed) => {
                payload.extend_from_slice(seed);
                Kind::Seeded
            }
            None => {
                self.context.pack(&self.c1, &mut payload);
                Kind::Ciphertext
            }
        };
        self.context.pack(&self.c0, &mut payload);
        seal(kind, self.context.params(), self.key, &payload)
    }

    /// The bytes of `c0` in what [`Ciphertext::to_bytes`] wrote at full level: the part that the
    /// values went into.
    pub(crate) fn c0_bytes<'a>(context: &Context, bytes: &'a [u8]) -> &'a [u8] {
        let end = bytes.len().saturating_sub(CHECKSUM);
        let len = context.packed_len(context.moduli.len());
        bytes.get(end.saturating_sub(len)..end).unwrap_or_default()
    }

    /// Reads what [`Ciphertext::to_bytes`] wrote.
    ///
    /// # Errors
    /// Bytes of something else, of other parameters, truncated or altered.
    pub fn from_bytes(context: &Arc<Context>, bytes: &[u8]) -> Result<Ciphertext, ProtocolError> {
        let message = open(bytes, &[Kind::Ciphertext, Kind::Seeded])?;
        context.expect("ciphertext", &message.params)?;
        let mut rest = message.payload;
        let mut read = || {
            let (level, scale, len) = read_head(context, &mut rest)?;
            let (seed, c1) = match message.kind {
                Kind::Seeded => {
                    let seed = take(&mut rest, 32)?.try_into().ok()?;
                    (Some(seed), context.uniform(&seed, 0, level))
                }
                _ => (None, context.unpack(&mut rest, level)?),
            };
            let c0 = context.unpack(&mut rest, level)?;
            let context = context.clone();
            rest.is_empty().then_some(Ciphertext {
                context,
                key: message.key,
                c0,
                c1,
                seed,
                scale,
                len,
            })
        };
        read().ok_or_else(|| malformed("ciphertext", "does not hold residues of its moduli"))
    }
}

/// Level, scale and number of values in front of the residues.
pub(crate) fn head(level: usize, scale: f64, len: usize) -> Vec<u8> {
    let mut out = vec![level as u8];
    out.extend(scale.to_le_bytes());
    out.extend((len as u32).to_le_bytes());
    out
}

pub(crate) fn read_head(context: &Context, rest: &mut &[u8]) -> Option<(usize, f64, usize)> {
    let level = usize::from(take(rest, 1)?[0]);
    let scale = f64::from_le_bytes(take(rest, 8)?.try_into().ok()?);
    let len = u32::from_le_bytes(take(rest, 4)?.try_into().ok()?) as usize;
    let fits = (1..=context.moduli.len()).contains(&level) && len <= context.params().values();
    (fits && scale.is_finite() && scale >= 1.0).then_some((level, scale, len))
}

impl Context {
    /// Adds Gaussian noise of standard deviation `sigma` to every coefficient.
    pub(crate) fn flood(&self, poly: &mut Poly, sigma: f64, rng: &mut impl RngCore) {
        let noise = flood::smooth(rng, sigma, self.degree());
        let level = self.level(poly).len();
        self.add(poly, &self.lift_wide(&noise, level));
    }

    pub(crate) fn expect(&self, what: &str, params: &ParameterSet) -> Result<(), ProtocolError> {
        if self.params() == params {
            Ok(())
        } else {
            Err(malformed(what, format!("is of parameters {params}, expected {}", self.params())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::generate;
    use super::*;

    /// Two encryptions from one stream share every coin: what differs between them is what the
    /// values went into.
    #[test]
    fn the_part_shown_holds_the_values_and_nothing_else() {
        let params = "compact".parse().unwrap();
        let stream = |purpose| suites::rng::stream(4, "ckks shown", purpose);
        let (secret, public) = generate(&params, &mut stream("keys"));
        let context = &secret.context;
        let of = |bytes: &[u8]| Ciphertext::c0_bytes(context, bytes).to_vec();
        let bytes =
            [0.0, 1.0].map(|v| public.encrypt(&[v; 9], &mut stream("coins")).unwrap().to_bytes());
        let seeded = secret.encrypt(&[1.0; 9], &mut stream("coins")).unwrap();
        for (message, c0) in [
            (&bytes[1], Ciphertext::from_bytes(context, &bytes[1]).unwrap().c0),
            (&seeded.to_bytes(), seeded.c0.clone()),
        ] {
            assert_eq!(context.unpack(&mut of(message).as_slice(), 1).unwrap(), c0);
        }
        let before = bytes[0].len() - CHECKSUM - of(&bytes[0]).len();
        assert_eq!(bytes[0][..before], bytes[1][..before]);
        assert_ne!(of(&bytes[0]), of(&bytes[1]));
        assert!(Ciphertext::c0_bytes(context, &[1, 2]).is_empty());
    }

    /// What a decryption publishes is flooded by the smooth sampler, coefficient by coefficient.
    #[test]
    fn flooding_is_smooth() {
        let (secret, _) =
            generate(&"fedavg".parse().unwrap(), &mut suites::rng::stream(5, "c", "k"));
        let (context, sigma) = (&secret.context, 2f64.powi(70));
        let level = context.moduli.len();
        let mut poly = vec![0; level * context.degree()];
        context.flood(&mut poly, sigma, &mut suites::rng::stream(5, "c", "flood"));
        let noise = super::super::flood::smooth(
            &mut suites::rng::stream(5, "c", "flood"),
            sigma,
            context.degree(),
        );
        assert_eq!(poly, context.lift_wide(&noise, level));
    }
}
