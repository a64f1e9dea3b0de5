//! Unmasking: the server recovers secrets from shares and takes the masks off the sum; server and
//! colluders together take them off a single upload.

use std::collections::BTreeMap;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use rayon::prelude::*;
use zeroize::Zeroizing;

use super::client::{Client, pair_mask, seed_check, self_mask};
use super::graph::point;
use super::keys::{KeyPair, Secret};
use super::masks::{self, MaskKey, Sign};
use super::message::{Phase, Reveal};
use super::server::{Abort, Server};
use super::shamir::{self, Share};

/// A client that misbehaved and how, where the round survived it.
pub type Misdeed = (u32, String);

/// Shares are not verifiable: who dealt one and who holds it cannot be told apart.
fn wrong_share(owner: u32, holder: u32) -> Misdeed {
    let what = if owner == holder {
        "its share of its own secret does not fit".into()
    } else {
        format!(
            "share of client {owner} held by client {holder} does not fit: {owner} or \
                 {holder} lied"
        )
    };
    (holder, what)
}

/// The masks that one client's recovered secret takes off.
struct Recovered {
    masks: Vec<(MaskKey, Sign)>,
    misdeeds: Vec<Misdeed>,
}

impl Server {
    /// Takes all masks off the sum: the self masks of those in it, the pairwise masks of those who
    /// shared and then dropped out. Gives the sum modulo `2^bits` and who revealed something wrong.
    ///
    /// # Errors
    /// [`Abort::Lost`] where a secret cannot be recovered.
    pub fn finish(&mut self) -> Result<(Vec<u64>, Vec<Misdeed>), Abort> {
        let survivors = self.present(Phase::Masked);
        let shared = self.present(Phase::Shares);
        let mut shares = self.shares_by_owner();
        let jobs: Vec<_> =
            shared.iter().map(|&o| (o, shares.remove(&o).unwrap_or_default())).collect();
        let keys =
            jobs.into_par_iter().map(|(owner, given)| self.recover_masks(owner, given, &survivors));
        let keys: Vec<Recovered> = keys.collect::<Result<_, _>>()?;
        let mut misdeeds = Vec::new();
        let mut all = Vec::new();
        for key in keys {
            misdeeds.extend(key.misdeeds);
            all.extend(key.masks);
        }
        let mut sum = std::mem::take(&mut self.sum);
        masks::apply_parallel(&mut sum, &all);
        let modulus = u64::MAX >> (64 - self.plan.bits);
        sum.iter_mut().for_each(|w| *w &= modulus);
        misdeeds.sort_unstable();
        misdeeds.dedup();
        Ok((sum, misdeeds))
    }

    /// All revealed shares by the client whose secret they share.
    fn shares_by_owner(&mut self) -> BTreeMap<u32, Vec<(u32, Reveal)>> {
        let mut by_owner: BTreeMap<u32, Vec<(u32, Reveal)>> = BTreeMap::new();
        for (holder, reveals) in std::mem::take(&mut self.reveals) {
            for (owner, reveal) in reveals {
                by_owner.entry(owner).or_default().push((holder, reveal));
            }
            self.reveals.insert(holder, Vec::new());
        }
        by_owner
    }

    fn recover_masks(
        &self,
        owner: u32,
        given: Vec<(u32, Reveal)>,
        survivors: &[u32],
    ) -> Result<Recovered, Abort> {
        let in_sum = survivors.binary_search(&owner).is_ok();
        let (holders, shares, mut misdeeds) = self.usable_shares(owner, in_sum, given);
        let what = if in_sum { "self-mask seed" } else { "mask key" };
        let lost =
            Abort::Lost { client: owner, what, shares: shares.len(), need: self.plan.threshold };
        let found =
            shamir::recover(&shares, self.plan.threshold, |s| self.is_right(owner, in_sum, s));
        let found = found.ok_or(lost.clone())?;
        misdeeds.extend(found.wrong.iter().map(|&i| wrong_share(owner, holders[i])));
        let masks = if in_sum {
            vec![(self_mask(&found.secret, self.plan.round, owner), Sign::Minus)]
        } else {
            self.pair_masks(owner, found.secret, survivors).ok_or(lost)?
        };
        Ok(Recovered { masks, misdeeds })
    }

    /// The shares of the kind asked for, at their holders' own points, one a holder.
    fn usable_shares(
        &self,
        owner: u32,
        in_sum: bool,
        given: Vec<(u32, Reveal)>,
    ) -> (Vec<u32>, Vec<Share>, Vec<Misdeed>) {
        let (mut holders, mut shares, mut misdeeds) = (Vec::<u32>::new(), Vec::new(), Vec::new());
        for (holder, reveal) in given {
            let share = match reveal {
                Reveal::Unreadable => {
                    let pair = format!("client {owner} sealed for client {holder}");
                    let what =
                        format!("the shares that {pair} do not open: {owner} or {holder} lied");
                    misdeeds.push((owner, what));
                    continue;
                }
                Reveal::Seed(share) if in_sum => share,
                Reveal::MaskKey(share) if !in_sum => share,
                _ => {
                    misdeeds.push((holder, "revealed the kind of share nobody may ask for".into()));
                    continue;
                }
            };
            let right = point(owner, self.graph.neighbours(owner), holder) == Some(share[0]);
            if right && holders.last() != Some(&holder) {
                holders.push(holder);
                shares.push(share);
            } else {
                misdeeds.push(wrong_share(owner, holder));
            }
        }
        (holders, shares, misdeeds)
    }

    /// Whether this is the key that was advertised, or the seed that was dealt.
    fn is_right(&self, owner: u32, seed: bool, secret: &Secret) -> bool {
        if seed {
            let check = seed_check(secret, self.plan.round, owner);
            let known = self.checks.get(&owner);
            return known.is_some_and(|k| verify_slices_are_equal(k, &check[..]).is_ok());
        }
        let pair = KeyPair::new(secret.clone());
        pair.zip(self.adverts.get(&owner))
            .is_some_and(|(pair, (_, advert))| *pair.public() == advert.masking)
    }

    /// The masks that survivors added on account of a client that dropped out, with the sign that
    /// takes them off.
    fn pair_masks(
        &self,
        owner: u32,
        secret: Secret,
        survivors: &[u32],
    ) -> Option<Vec<(MaskKey, Sign)>> {
        let pair = KeyPair::new(secret)?;
        let near =
            self.graph.neighbours(owner).iter().filter(|v| survivors.binary_search(v).is_ok());
        let mask = |&v: &u32| {
            let (_, advert) = self.adverts.get(&v)?;
            let (key, sign) = pair_mask(&pair, &advert.masking, self.plan.round, v, owner)?;
            Some((key, sign.inverse()))
        };
        near.map(mask).collect()
    }

    /// The words of `target` under its masks, opened with the shares that `colluders` hold: `None`
    /// where these are too few. Uses nothing but what the server saw and the colluders decrypted.
    pub(super) fn unmask_with(
        &self,
        target: u32,
        upload: &[u64],
        colluders: &[&Client],
    ) -> Option<Vec<u64>> {
        let pairs: Vec<_> = colluders.iter().filter_map(|c| c.shares_of(target)).collect();
        let recover = |seed: bool, shares: Vec<Share>| {
            shamir::recover(&shares, self.plan.threshold, |s| self.is_right(target, seed, s))
        };
        let key = recover(false, pairs.iter().map(|p| p.key.clone()).collect())?.secret;
        let seed = recover(true, pairs.iter().map(|p| p.seed.clone()).collect())?.secret;
        let shared = self.present(Phase::Shares);
        let mut all = vec![(self_mask(&seed, self.plan.round, target), Sign::Minus)];
        let pair = KeyPair::new(key)?;
        for v in self.graph.neighbours(target).iter().filter(|v| shared.binary_search(v).is_ok()) {
            let (_, advert) = self.adverts.get(v)?;
            let (key, sign) = pair_mask(&pair, &advert.masking, self.plan.round, target, *v)?;
            all.push((key, sign.inverse()));
        }
        let mut words = Zeroizing::new(upload.to_vec());
        masks::apply_parallel(&mut words, &all);
        let modulus = u64::MAX >> (64 - self.plan.bits);
        Some(words.iter().map(|w| w & modulus).collect())
    }
}
