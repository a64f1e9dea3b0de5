//! A client of one round, as it would run on its own device: bytes in, bytes out, and a refusal at
//! the first sign of foul play.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::RngCore;
use rand_chacha::ChaCha12Rng;
use suites::rng::Wiped;
use zeroize::{Zeroize, Zeroizing};

use super::error::ClientError;
use super::graph::point;
use super::keys::{self, KeyPair, Secret};
use super::masks::{self, MaskKey, Sign};
use super::member::{Directory, Plan};
use super::message::{self, Advert, Malformed, Phase, Reveal, SEALED, Sealed, Set, Shares};
use super::pack;
use super::shamir::{self, SHARE, Share};
use crate::signatures::{EVERYONE, Header, Identity, Rejected, SERVER, open, seal};

struct Peer {
    advert: Advert,
    agreed: Secret,
}

/// The two shares one client holds of another's secrets.
pub(super) struct Pair {
    pub key: Share,
    pub seed: Share,
}

/// What all of a client's signatures are bound to.
#[derive(Clone, Copy)]
pub(super) struct Bound {
    pub session: [u8; 32],
    pub model: [u8; 32],
}

/// A client in one round.
pub struct Client {
    index: u32,
    bound: Bound,
    identity: Arc<Identity>,
    directory: Arc<Directory>,
    neighbours: Vec<u32>,
    plan: Plan,
    sealing: KeyPair,
    masking: KeyPair,
    seed: Secret,
    rng: Wiped<ChaCha12Rng>,
    /// The step it will take next; `None` once it is done or has refused.
    next: Option<Phase>,
    peers: BTreeMap<u32, Peer>,
    own: Option<Pair>,
    /// Of neighbours that shared; `None` where the ciphertext did not open.
    held: BTreeMap<u32, Option<Pair>>,
    survivors: Option<Set>,
}

impl Client {
    /// A client with fresh secrets.
    pub(super) fn new(
        plan: Plan,
        bound: Bound,
        index: u32,
        identity: Arc<Identity>,
        directory: Arc<Directory>,
        neighbours: &[u32],
        mut rng: Wiped<ChaCha12Rng>,
    ) -> Result<Client, ClientError> {
        let mut secret = || {
            let mut bytes = Zeroizing::new([0; 32]);
            rng.fill_bytes(&mut bytes[..]);
            bytes
        };
        let key = |secret| KeyPair::new(secret).ok_or(ClientError::Key(index));
        Ok(Client {
            index,
            bound,
            identity,
            directory,
            neighbours: neighbours.to_vec(),
            plan,
            sealing: key(secret())?,
            masking: key(secret())?,
            seed: secret(),
            rng,
            next: Some(Phase::Keys),
            peers: BTreeMap::new(),
            own: None,
            held: BTreeMap::new(),
            survivors: None,
        })
    }

    /// Phase `keys`: its public keys, for the server and every neighbour.
    ///
    /// # Errors
    /// Any [`ClientError`], here and in the other phases; after one the client takes no further
    /// step.
    pub fn advertise(&mut self) -> Result<Vec<u8>, ClientError> {
        self.step(Phase::Keys)?;
        let advert = Advert { sealing: *self.sealing.public(), masking: *self.masking.public() };
        let message = self.sign(Phase::Keys, EVERYONE, &advert.encode())?;
        self.next = Some(Phase::Shares);
        Ok(message)
    }

    /// Phase `shares`: reads its neighbours' keys, sends each a sealed share of its mask key and of
    /// its self-mask seed.
    ///
    /// # Errors
    /// A key that its owner did not sign or that another has too, a neighbour that was sent another
    /// model, fewer than the threshold, a client twice.
    pub fn share(&mut self, message: &[u8]) -> Result<Vec<u8>, ClientError> {
        self.step(Phase::Shares)?;
        let body = self.open_from_server(Phase::Keys, message)?;
        for signed in message::decode_bundle(body)? {
            self.add_peer(signed)?;
        }
        self.require_threshold(self.peers.len())?;
        let sealed = self.share_secrets()?;
        let check = seed_check(&self.seed, self.plan.round, self.index);
        let message =
            self.sign(Phase::Shares, SERVER, &Shares { check: *check, sealed }.encode())?;
        self.next = Some(Phase::Masked);
        Ok(message)
    }

    /// Phase `masked`: takes the shares dealt to it, sends its words under all masks. `words` are
    /// the input, as many as planned.
    ///
    /// # Errors
    /// Shares from a client whose key it never saw, fewer than the threshold, another number of
    /// words than planned.
    pub fn mask(&mut self, message: &[u8], mut words: Vec<u64>) -> Result<Vec<u8>, ClientError> {
        self.step(Phase::Masked)?;
        let body = self.open_from_server(Phase::Shares, message)?;
        for (sender, sealed) in Sealed::decode(body)?.0 {
            self.receive_shares(sender, &sealed)?;
        }
        self.require_threshold(self.held.len())?;
        if words.len() != self.plan.words {
            return Err(ClientError::Input { have: words.len(), need: self.plan.words });
        }
        masks::apply(&mut words, &self.masks()?);
        let mut body =
            Vec::with_capacity(pack::packed_len(words.len(), self.plan.bits).unwrap_or(0));
        pack::pack(&words, self.plan.bits, &mut body);
        words.zeroize();
        let message = self.sign(Phase::Masked, SERVER, &body)?;
        self.next = Some(Phase::Consistency);
        Ok(message)
    }

    /// Phase `consistency`: signs the set of clients whose inputs arrived. It signs one set only.
    ///
    /// # Errors
    /// A set without itself, with a neighbour that never shared, or smaller than the threshold.
    pub fn confirm(&mut self, message: &[u8]) -> Result<Vec<u8>, ClientError> {
        self.step(Phase::Consistency)?;
        let body = self.open_from_server(Phase::Masked, message)?;
        let set = Set::decode(body, self.plan.clients)?;
        if !set.has(self.index) {
            return Err(ClientError::LeftOut);
        }
        let near = || self.neighbours.iter().filter(|v| set.has(**v));
        if let Some(stranger) = near().find(|v| !self.held.contains_key(v)) {
            return Err(ClientError::NotSubset(*stranger));
        }
        self.require_threshold(near().count())?;
        let message = self.sign(Phase::Consistency, EVERYONE, &set.digest())?;
        self.survivors = Some(set);
        self.next = Some(Phase::Unmasking);
        Ok(message)
    }

    /// Phase `unmasking`: once enough neighbours signed the same set, reveals one share a client:
    /// of the seed where its input is in the sum, of the mask key where it dropped out. Never both,
    /// since the set is fixed and this step is taken once.
    ///
    /// # Errors
    /// A signature over another set, or fewer than the threshold.
    pub fn reveal(&mut self, message: &[u8]) -> Result<Vec<u8>, ClientError> {
        self.step(Phase::Unmasking)?;
        let body = self.open_from_server(Phase::Consistency, message)?;
        let set = self.survivors.take().ok_or(ClientError::OutOfOrder(Phase::Unmasking.name()))?;
        let mut signers = Vec::new();
        for signed in message::decode_bundle(body)? {
            signers.push(self.check_confirmation(signed, &set)?);
        }
        signers.sort_unstable();
        if let Some(twice) = signers.windows(2).find(|w| w[0] == w[1]) {
            return Err(ClientError::Twice(twice[0]));
        }
        self.require_threshold(signers.len())?;
        self.sign(Phase::Unmasking, SERVER, &message::encode_reveals(&self.reveals(&set)))
    }

    /// The shares it holds of a neighbour's mask key and seed: what a colluding client hands over.
    pub(super) fn shares_of(&self, owner: u32) -> Option<&Pair> {
        self.held.get(&owner)?.as_ref()
    }

    /// Takes the next step, or refuses; a refusal later in the step leaves no next one.
    fn step(&mut self, phase: Phase) -> Result<(), ClientError> {
        if self.next != Some(phase) {
            return Err(ClientError::OutOfOrder(phase.name()));
        }
        self.next = None;
        Ok(())
    }

    fn require_threshold(&self, others: usize) -> Result<(), ClientError> {
        let (have, need) = (others + 1, self.plan.threshold);
        if have < need { Err(ClientError::TooFew { have, need }) } else { Ok(()) }
    }

    fn header(&self, phase: Phase, sender: u32, recipient: u32) -> Header {
        let Bound { session, model } = self.bound;
        Header { round: self.plan.round, phase: phase.code(), sender, recipient, session, model }
    }

    fn sign(&self, phase: Phase, recipient: u32, body: &[u8]) -> Result<Vec<u8>, ClientError> {
        Ok(seal(&self.identity, self.header(phase, self.index, recipient), body)?)
    }

    fn open_from_server<'a>(
        &self,
        phase: Phase,
        message: &'a [u8],
    ) -> Result<&'a [u8], ClientError> {
        open(message, self.header(phase, SERVER, self.index), self.directory.server())
            .map_err(|why| ClientError::Message { from: "the server".into(), why })
    }

    /// Opens a neighbour's message that the server passed on; the sender is read from it, then
    /// proved by the signature.
    fn open_from_neighbour<'a>(
        &self,
        phase: Phase,
        message: &'a [u8],
    ) -> Result<(u32, &'a [u8]), ClientError> {
        let sender = Header::claimed(message).ok_or(Malformed)?.sender;
        if self.neighbours.binary_search(&sender).is_err() {
            return Err(ClientError::NotSubset(sender));
        }
        let key = self.directory.client(sender).ok_or(ClientError::NotSubset(sender))?;
        let body =
            open(message, self.header(phase, sender, EVERYONE), key).map_err(|why| match why {
                Rejected::Model => ClientError::Model { own: self.index, other: sender },
                why => ClientError::Message { from: format!("client {sender}"), why },
            })?;
        Ok((sender, body))
    }

    fn add_peer(&mut self, signed: &[u8]) -> Result<(), ClientError> {
        let (sender, body) = self.open_from_neighbour(Phase::Keys, signed)?;
        let advert = Advert::decode(body)?;
        let agreed = self.sealing.agree(&advert.sealing).ok_or(ClientError::Key(sender))?;
        let own = Advert { sealing: *self.sealing.public(), masking: *self.masking.public() };
        let mut known =
            self.peers.iter().filter(|(v, _)| **v != sender).map(|(_, peer)| &peer.advert);
        if own.shares_a_key(&advert) || known.any(|other| other.shares_a_key(&advert)) {
            return Err(ClientError::SameKey(sender));
        }
        let peer = Peer { advert, agreed };
        match self.peers.insert(sender, peer) {
            Some(_) => Err(ClientError::Twice(sender)),
            None => Ok(()),
        }
    }

    /// Shares of both secrets for itself and each neighbour that advertised, sealed to the
    /// neighbour.
    fn share_secrets(&mut self) -> Result<Sealed, ClientError> {
        let holders: Vec<u32> = self.peers.keys().copied().chain([self.index]).collect();
        let points = holders.iter().map(|&v| point(self.index, &self.neighbours, v));
        let points: Vec<u8> = points.collect::<Option<_>>().ok_or(ClientError::Key(self.index))?;
        let mut split = |secret| shamir::split(secret, self.plan.threshold, &points, &mut self.rng);
        let (keys, seeds) = (split(self.masking.secret()), split(&self.seed));
        let mut sealed = Sealed::default();
        for (holder, (key, seed)) in holders.into_iter().zip(keys.into_iter().zip(seeds)) {
            let pair = Pair { key, seed };
            if holder == self.index {
                self.own = Some(pair);
            } else {
                sealed.0.push((holder, self.seal_pair(holder, &pair)?));
            }
        }
        Ok(sealed)
    }

    fn seal_pair(&self, holder: u32, pair: &Pair) -> Result<[u8; SEALED], ClientError> {
        let plain = Zeroizing::new([&pair.key[..], &pair.seed[..]].concat());
        let peer = self.peers.get(&holder).ok_or(ClientError::NotSubset(holder))?;
        let key = keys::derive(&peer.agreed, "shares", self.plan.round, [self.index, holder]);
        let text = keys::seal(&key, &self.context(self.index, holder), &plain);
        text.and_then(|t| t.try_into().ok()).ok_or(ClientError::Key(holder))
    }

    fn context(&self, owner: u32, holder: u32) -> Vec<u8> {
        let round = self.plan.round.to_le_bytes();
        [&self.bound.session[..], &round, &owner.to_le_bytes(), &holder.to_le_bytes()].concat()
    }

    fn receive_shares(&mut self, owner: u32, sealed: &[u8]) -> Result<(), ClientError> {
        let peer = self.peers.get(&owner).ok_or(ClientError::NotSubset(owner))?;
        let key = keys::derive(&peer.agreed, "shares", self.plan.round, [owner, self.index]);
        let pair = keys::open(&key, &self.context(owner, self.index), sealed).and_then(|plain| {
            let (key, seed) = plain.split_at_checked(SHARE)?;
            let share = |s: &[u8]| s.try_into().ok().map(Zeroizing::new);
            Some(Pair { key: share(key)?, seed: share(seed)? })
        });
        match self.held.insert(owner, pair) {
            Some(_) => Err(ClientError::Twice(owner)),
            None => Ok(()),
        }
    }

    /// `PRG(b_u) + sum_{v > u} PRG(s_uv) - sum_{v < u} PRG(s_uv)` over the neighbours that shared
    /// (Bonawitz et al. 2017, figure 4).
    fn masks(&self) -> Result<Vec<(MaskKey, Sign)>, ClientError> {
        let own = (self_mask(&self.seed, self.plan.round, self.index), Sign::Plus);
        let mut masks = vec![own];
        for owner in self.held.keys() {
            let peer = self.peers.get(owner).ok_or(ClientError::NotSubset(*owner))?;
            masks.push(
                pair_mask(&self.masking, &peer.advert.masking, self.plan.round, self.index, *owner)
                    .ok_or(ClientError::Key(*owner))?,
            );
        }
        Ok(masks)
    }

    fn check_confirmation(&self, signed: &[u8], set: &Set) -> Result<u32, ClientError> {
        let (sender, body) = self.open_from_neighbour(Phase::Consistency, signed)?;
        if !set.has(sender) {
            return Err(ClientError::NotSubset(sender));
        }
        if body != set.digest() {
            return Err(ClientError::Inconsistent(sender));
        }
        Ok(sender)
    }

    fn reveals(&self, set: &Set) -> Vec<(u32, Reveal)> {
        let own = self.own.as_ref().map(|pair| (self.index, Reveal::Seed(pair.seed.clone())));
        let others = self.held.iter().map(|(&owner, pair)| match pair {
            None => (owner, Reveal::Unreadable),
            Some(pair) if set.has(owner) => (owner, Reveal::Seed(pair.seed.clone())),
            Some(pair) => (owner, Reveal::MaskKey(pair.key.clone())),
        });
        own.into_iter().chain(others).collect()
    }
}

/// Key of the self mask.
pub(super) fn self_mask(seed: &Secret, round: u64, owner: u32) -> MaskKey {
    keys::derive(seed, "self mask", round, [owner, owner])
}

/// Derived from the seed beside the mask, so that it tells a right seed from a wrong one and
/// nothing of the mask.
pub(super) fn seed_check(seed: &Secret, round: u64, owner: u32) -> Secret {
    keys::derive(seed, "seed check", round, [owner, owner])
}

/// Key and sign of the mask that the first of the two adds on account of the second.
pub(super) fn pair_mask(
    mine: &KeyPair,
    other: &[u8; 32],
    round: u64,
    me: u32,
    peer: u32,
) -> Option<(MaskKey, Sign)> {
    let agreed = mine.agree(other)?;
    let sign = if me < peer { Sign::Plus } else { Sign::Minus };
    Some((keys::derive(&agreed, "pair mask", round, [me.min(peer), me.max(peer)]), sign))
}
