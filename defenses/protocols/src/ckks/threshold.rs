//! Decryption by all parties together: each multiplies by its share of the secret and floods the
//! product; the sum opens.

use std::sync::Arc;

use rand::RngCore;

use super::Ciphertext;
use super::bytes::{Fingerprint, Kind, malformed, open, seal};
use super::cipher::{head, read_head};
use super::encode::Plaintext;
use super::keys::SecretKey;
use super::party::{Party, require_all};
use super::ring::{Context, Poly};
use super::sample::Seed;
use crate::ProtocolError;

/// Bits of scale that a partial decryption keeps at least when it drops primes.
pub(crate) const KEPT_SCALE: i32 = 36;

/// What the parties need of a ciphertext to decrypt it: `c1`.
pub struct Half {
    context: Arc<Context>,
    key: Fingerprint,
    c1: Poly,
    scale: f64,
    len: usize,
}

/// One party's `c1 s_i + flooding`, rounded to the primes that precision needs; coefficients, not
/// transformed.
pub struct Partial {
    party: Party,
    sum: Opened,
}

/// The sum of all partial decryptions and `c0`: scaled values with noise, perhaps still under a
/// mask.
pub struct Opened {
    context: Arc<Context>,
    key: Fingerprint,
    poly: Poly,
    scale: f64,
    len: usize,
}

impl Context {
    /// Drops primes as long as enough of the scale remains: what they carried was flooding noise.
    /// Returns the scale that is left.
    fn shorten(&self, poly: &mut Poly, mut scale: f64) -> f64 {
        while let [.., last] = self.level(poly)
            && self.level(poly).len() > 1
            && scale / last.q as f64 >= 2f64.powi(KEPT_SCALE)
        {
            scale /= last.q as f64;
            self.drop_last(poly);
        }
        scale
    }
}

impl Ciphertext {
    /// What the parties need of it.
    pub fn half(&self) -> Half {
        let context = self.context.clone();
        Half { context, key: self.key, c1: self.c1.clone(), scale: self.scale, len: self.len }
    }

    /// Adds up `c0` and all parties' partial decryptions.
    ///
    /// # Errors
    /// A party missing or there twice, a partial decryption of another key, level or scale.
    pub fn combine(&self, partials: &[Partial]) -> Result<Opened, ProtocolError> {
        let parties = partials.first().map_or(0, |partial| partial.party.parties);
        require_all("partial decryption", parties, partials.iter().map(|partial| partial.party))?;
        let mut poly = self.c0.clone();
        self.context.inverse(&mut poly);
        let scale = self.context.shorten(&mut poly, self.scale);
        let mut sum =
            Opened { context: self.context.clone(), key: self.key, poly, scale, len: self.len };
        for partial in partials {
            let part = &partial.sum;
            if part.key != sum.key || part.poly.len() != sum.poly.len() || part.scale != sum.scale {
                return Err(malformed("partial decryption", "is of another ciphertext"));
            }
            self.context.add(&mut sum.poly, &part.poly);
        }
        Ok(sum)
    }
}

impl Half {
    /// Serialised.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut payload = head(self.context.level(&self.c1).len(), self.scale, self.len);
        self.context.pack(&self.c1, &mut payload);
        seal(Kind::Half, self.context.params(), self.key, &payload)
    }

    /// Reads what [`Half::to_bytes`] wrote.
    ///
    /// # Errors
    /// Bytes of something else, of other parameters, truncated or altered.
    pub fn from_bytes(context: &Arc<Context>, bytes: &[u8]) -> Result<Half, ProtocolError> {
        let Opened { context, key, poly, scale, len } = Opened::read(context, bytes, Kind::Half)?.1;
        Ok(Half { context, key, c1: poly, scale, len })
    }
}

impl SecretKey {
    /// This party's part of a decryption, flooded with Gaussian noise of standard deviation `sigma`
    /// a coefficient.
    ///
    /// # Errors
    /// A ciphertext under another key.
    pub fn partial(
        &self,
        half: &Half,
        sigma: f64,
        rng: &mut impl RngCore,
    ) -> Result<Partial, ProtocolError> {
        self.matches(half.key)?;
        let context = self.context.clone();
        let mut poly = vec![0; half.c1.len()];
        context.mul_add(&mut poly, &half.c1, &self.secret);
        context.inverse(&mut poly);
        context.flood(&mut poly, sigma, rng);
        let scale = context.shorten(&mut poly, half.scale);
        Ok(Partial {
            party: self.party,
            sum: Opened { context, key: self.key, poly, scale, len: half.len },
        })
    }
}

impl Partial {
    /// Adds the mask of message `index` under a key that the parties share, so that who adds up the
    /// parts does not read the sum. One party masks, once per message.
    pub fn mask(&mut self, key: &Seed, index: u64) {
        let mask = self.sum.mask_of(key, index);
        self.sum.context.add(&mut self.sum.poly, &mask);
    }

    /// Serialised.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.sum.write(Kind::Partial, &self.party.to_bytes())
    }

    /// Reads what [`Partial::to_bytes`] wrote.
    ///
    /// # Errors
    /// Bytes of something else, of other parameters, truncated or altered.
    pub fn from_bytes(context: &Arc<Context>, bytes: &[u8]) -> Result<Partial, ProtocolError> {
        let (party, sum) = Opened::read(context, bytes, Kind::Partial)?;
        let party = party.ok_or_else(|| malformed("partial decryption", "names no party"))?;
        Ok(Partial { party, sum })
    }
}

impl Opened {
    fn mask_of(&self, key: &Seed, index: u64) -> Poly {
        self.context.uniform(key, index, self.context.level(&self.poly).len())
    }

    /// Takes off the mask that [`Partial::mask`] put on.
    pub fn unmask(&mut self, key: &Seed, index: u64) {
        let mask = self.mask_of(key, index);
        self.context.sub(&mut self.poly, &mask);
    }

    /// The values.
    pub fn values(&self) -> Vec<f64> {
        let coefficients = self.context.compose(&self.poly);
        self.context.decode(&Plaintext { coefficients, scale: self.scale, len: self.len })
    }

    /// Serialised.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.write(Kind::Result, &[])
    }

    /// Reads what [`Opened::to_bytes`] wrote.
    ///
    /// # Errors
    /// Bytes of something else, of other parameters, truncated or altered.
    pub fn from_bytes(context: &Arc<Context>, bytes: &[u8]) -> Result<Opened, ProtocolError> {
        Ok(Opened::read(context, bytes, Kind::Result)?.1)
    }

    fn write(&self, kind: Kind, party: &[u8]) -> Vec<u8> {
        let mut payload = party.to_vec();
        payload.extend(head(self.context.level(&self.poly).len(), self.scale, self.len));
        self.context.pack(&self.poly, &mut payload);
        seal(kind, self.context.params(), self.key, &payload)
    }

    fn read(
        context: &Arc<Context>,
        bytes: &[u8],
        kind: Kind,
    ) -> Result<(Option<Party>, Opened), ProtocolError> {
        let message = open(bytes, &[kind])?;
        context.expect(kind.name(), &message.params)?;
        let mut rest = message.payload;
        let mut read = || {
            let party = if kind == Kind::Partial { Some(Party::read(&mut rest)?) } else { None };
            let (level, scale, len) = read_head(context, &mut rest)?;
            let poly = context.unpack(&mut rest, level)?;
            let opened = Opened { context: context.clone(), key: message.key, poly, scale, len };
            rest.is_empty().then_some((party, opened))
        };
        read().ok_or_else(|| malformed(kind.name(), "does not hold residues of its moduli"))
    }
}
