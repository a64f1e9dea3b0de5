//! Secret and public keys, whole or shared among parties.

use std::sync::Arc;

use rand::RngCore;
use zeroize::Zeroizing;

use super::bytes::{Fingerprint, Kind, malformed, open, seal, take};
use super::params::ParameterSet;
pub use super::party::Party;
use super::party::require_all;
use super::ring::{Context, Poly};
use super::sample::{self, Seed};
use crate::ProtocolError;

/// A secret key, or one party's share of it. Wiped from memory when dropped; has no `Debug`.
pub struct SecretKey {
    pub(crate) context: Arc<Context>,
    pub(crate) key: Fingerprint,
    pub(crate) party: Party,
    /// Ternary coefficients.
    coefficients: Zeroizing<Vec<i64>>,
    /// The same, transformed.
    pub(crate) secret: Zeroizing<Poly>,
}

/// The key that encrypts: `(b, a)` with `b = e - a s`, the uniform `a` given by its seed.
pub struct PublicKey {
    pub(crate) context: Arc<Context>,
    pub(crate) key: Fingerprint,
    pub(crate) parties: u16,
    seed: Seed,
    pub(crate) a: Poly,
    pub(crate) b: Poly,
}

/// One party's part `b_i = e_i - a s_i` of a joint public key.
pub struct KeyShare {
    pub(crate) context: Arc<Context>,
    pub(crate) party: Party,
    pub(crate) b: Poly,
}

/// Makes a key pair. Read `rng` from the operating system where the keys are to protect anything.
pub fn generate(params: &ParameterSet, rng: &mut impl RngCore) -> (SecretKey, PublicKey) {
    let context = Context::new(params);
    let seed = sample::seed(rng);
    let (mut secret, share) =
        SecretKey::share(&context, &seed, Party { index: 0, parties: 1 }, rng);
    let public = PublicKey::assemble(&context, seed, 1, share.b);
    secret.bind(&public);
    (secret, public)
}

/// Makes `parties` shares of a secret key and their joint public key, each share from its own
/// draws: what the parties do by [`SecretKey::share`] and [`PublicKey::join`], in one place.
///
/// # Errors
/// Fewer than two parties.
pub fn generate_shares(
    params: &ParameterSet,
    parties: u16,
    rng: &mut impl RngCore,
) -> Result<(Vec<SecretKey>, PublicKey), ProtocolError> {
    if parties < 2 {
        return Err(malformed(
            "secret key",
            format!("cannot be shared among {parties}; write at least 2 parties"),
        ));
    }
    let context = Context::new(params);
    let seed = sample::seed(rng);
    let both =
        (0..parties).map(|index| SecretKey::share(&context, &seed, Party { index, parties }, rng));
    let (mut secrets, shares): (Vec<_>, Vec<_>) = both.unzip();
    let public = PublicKey::join(&context, seed, &shares)?;
    secrets.iter_mut().for_each(|secret| secret.bind(&public));
    Ok((secrets, public))
}

impl SecretKey {
    /// One party's share `s_i` and its part of the joint public key over the common uniform
    /// polynomial of `seed`. Joined with the others' parts, the key is for `s = s_0 + s_1 + ...`,
    /// which nobody ever holds (Mouchet et al. 2021).
    pub fn share(
        context: &Arc<Context>,
        seed: &Seed,
        party: Party,
        rng: &mut impl RngCore,
    ) -> (SecretKey, KeyShare) {
        let coefficients = sample::ternary(rng, context.degree());
        let secret = SecretKey::from_coefficients(context, [0; 8], party, coefficients);
        let mut b = context.error(rng);
        let mut product = Zeroizing::new(vec![0; b.len()]);
        context.mul_add(
            &mut product,
            &context.uniform(seed, 0, context.moduli.len()),
            &secret.secret,
        );
        context.sub(&mut b, &product);
        (secret, KeyShare { context: context.clone(), party, b })
    }

    fn from_coefficients(
        context: &Arc<Context>,
        key: Fingerprint,
        party: Party,
        coefficients: Zeroizing<Vec<i64>>,
    ) -> SecretKey {
        let mut secret = Zeroizing::new(context.lift(&coefficients));
        context.forward(&mut secret);
        SecretKey { context: context.clone(), key, party, coefficients, secret }
    }

    /// Makes this the (share of the) secret key of `public`.
    pub fn bind(&mut self, public: &PublicKey) {
        self.key = public.key;
    }

    /// The ring that it is over.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Which share it is.
    pub fn party(&self) -> Party {
        self.party
    }

    /// Fingerprint of its public key: 16 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        hex(&self.key)
    }

    /// Serialised: the coefficients take two bits each.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut payload = Zeroizing::new(Vec::with_capacity(4 + self.coefficients.len() / 4));
        payload.extend(self.party.to_bytes());
        for four in self.coefficients.chunks_exact(4) {
            payload.push(four.iter().rev().fold(0, |byte, c| byte << 2 | (c + 1) as u8));
        }
        Zeroizing::new(seal(Kind::SecretKey, self.context.params(), self.key, &payload))
    }

    /// Reads what [`SecretKey::to_bytes`] wrote.
    ///
    /// # Errors
    /// Bytes of something else, truncated or altered.
    pub fn from_bytes(bytes: &[u8]) -> Result<SecretKey, ProtocolError> {
        let message = open(bytes, &[Kind::SecretKey])?;
        let bad = || malformed("secret key", "has coefficients other than -1, 0, 1");
        let mut rest = message.payload;
        let party =
            Party::read(&mut rest).ok_or_else(|| malformed("secret key", "names no party"))?;
        if 4 * rest.len() != message.params.degree() {
            return Err(malformed(
                "secret key",
                "does not have as many coefficients as its ring's degree",
            ));
        }
        let crumbs =
            rest.iter().flat_map(|byte| (0..4).map(move |k| i64::from(byte >> (2 * k) & 3) - 1));
        let coefficients = Zeroizing::new(crumbs.collect::<Vec<i64>>());
        if coefficients.iter().any(|c| *c > 1) {
            return Err(bad());
        }
        Ok(SecretKey::from_coefficients(
            &Context::new(&message.params),
            message.key,
            party,
            coefficients,
        ))
    }
}

impl PublicKey {
    /// The joint key of all parties' shares over the common `seed`.
    ///
    /// # Errors
    /// A party missing or there twice.
    pub fn join(
        context: &Arc<Context>,
        seed: Seed,
        shares: &[KeyShare],
    ) -> Result<PublicKey, ProtocolError> {
        let parties = shares.first().map_or(0, |share| share.party.parties);
        require_all("share of a public key", parties, shares.iter().map(|share| share.party))?;
        let mut b = vec![0; context.degree() * context.moduli.len()];
        shares.iter().for_each(|share| context.add(&mut b, &share.b));
        Ok(PublicKey::assemble(context, seed, parties, b))
    }

    fn assemble(context: &Arc<Context>, seed: Seed, parties: u16, b: Poly) -> PublicKey {
        let a = context.uniform(&seed, 0, context.moduli.len());
        let mut public = PublicKey { context: context.clone(), key: [0; 8], parties, seed, a, b };
        public.key = public.hash();
        public
    }

    fn hash(&self) -> Fingerprint {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.context.params().to_string().as_bytes());
        hasher.update(&self.payload());
        let mut key = Fingerprint::default();
        hasher.finalize_xof().fill(&mut key);
        key
    }

    fn payload(&self) -> Vec<u8> {
        let mut payload = self.parties.to_le_bytes().to_vec();
        payload.extend_from_slice(&self.seed);
        self.context.pack(&self.b, &mut payload);
        payload
    }

    /// The ring that it is over.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Parties who share the secret key.
    pub fn parties(&self) -> u16 {
        self.parties
    }

    /// First 8 bytes of its hash: 16 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        hex(&self.key)
    }

    /// Serialised: the seed of `a` and the packed residues of `b`.
    pub fn to_bytes(&self) -> Vec<u8> {
        seal(Kind::PublicKey, self.context.params(), self.key, &self.payload())
    }

    /// Reads what [`PublicKey::to_bytes`] wrote.
    ///
    /// # Errors
    /// Bytes of something else, truncated or altered.
    pub fn from_bytes(bytes: &[u8]) -> Result<PublicKey, ProtocolError> {
        let message = open(bytes, &[Kind::PublicKey])?;
        let context = Context::new(&message.params);
        let mut rest = message.payload;
        let mut read = || {
            let parties = u16::from_le_bytes(take(&mut rest, 2)?.try_into().ok()?);
            let seed = take(&mut rest, 32)?.try_into().ok()?;
            let b = context.unpack(&mut rest, context.moduli.len())?;
            rest.is_empty().then(|| PublicKey::assemble(&context, seed, parties, b))
        };
        let public = read()
            .ok_or_else(|| malformed("public key", "does not hold residues of its moduli"))?;
        if public.key == message.key {
            Ok(public)
        } else {
            Err(malformed("public key", "does not have the fingerprint that it claims"))
        }
    }
}

impl KeyShare {
    /// Serialised, for whoever joins the shares.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut payload = self.party.to_bytes().to_vec();
        self.context.pack(&self.b, &mut payload);
        seal(Kind::KeyShare, self.context.params(), [0; 8], &payload)
    }

    /// Reads what [`KeyShare::to_bytes`] wrote.
    ///
    /// # Errors
    /// Bytes of something else, of other parameters, truncated or altered.
    pub fn from_bytes(context: &Arc<Context>, bytes: &[u8]) -> Result<KeyShare, ProtocolError> {
        let message = open(bytes, &[Kind::KeyShare])?;
        context.expect("share of a public key", &message.params)?;
        let mut rest = message.payload;
        let mut read = || {
            let party = Party::read(&mut rest)?;
            let b = context.unpack(&mut rest, context.moduli.len())?;
            rest.is_empty().then(|| KeyShare { context: context.clone(), party, b })
        };
        read().ok_or_else(|| {
            malformed("share of a public key", "does not hold residues of its moduli")
        })
    }
}

pub(crate) fn hex(key: &Fingerprint) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}
