//! Queries and answers, in memory and in bytes.

use std::sync::Arc;

use suites::SpecError;

use super::Plan;
use super::shape::Shape;
use crate::ProtocolError;
use crate::ckks::Context;
use crate::ckks::bytes::{Fingerprint, Kind, malformed, open, seal, take};
use crate::ckks::keys::hex;
use crate::ckks::modulus::Modulus;
use crate::ckks::ring::Poly;
use crate::ckks::sample::Seed;

/// First bytes of a hash of a query's seed: an answer names the query that it is for.
pub(super) type Tag = [u8; 8];

/// An encrypted query: one seeded ciphertext a piece, under the client's secret key.
pub struct Query {
    pub(super) context: Arc<Context>,
    pub(super) key: Fingerprint,
    pub(super) plan: Plan,
    /// What the uniform halves are expanded from, piece after piece.
    pub(super) seed: Seed,
    /// The other halves, transformed.
    pub(super) c0: Vec<Poly>,
}

/// Encrypted scores: the uniform half of every block, and of the other half the coefficients that
/// hold scores.
pub struct Answer {
    pub(super) context: Arc<Context>,
    pub(super) key: Fingerprint,
    pub(super) tag: Tag,
    pub(super) plan: Plan,
    /// Coefficients at the primes that are kept.
    pub(super) c1: Vec<Poly>,
    /// One residue a row for each prime that is kept, prime after prime.
    pub(super) scores: Vec<u64>,
}

impl Query {
    pub(super) fn tag(&self) -> Tag {
        let mut tag = Tag::default();
        blake3::Hasher::new_derive_key("CKKS inference, tag of a query")
            .update(&self.seed)
            .finalize_xof()
            .fill(&mut tag);
        tag
    }

    /// The layout, the noise and the error of its scores.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Fingerprint of its key: 16 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        hex(&self.key)
    }

    /// Serialised: shape, seed, packed residues of each piece.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut payload = self.plan.shape.to_bytes();
        payload.extend_from_slice(&self.seed);
        self.c0.iter().for_each(|c0| self.context.pack(c0, &mut payload));
        seal(Kind::Query, self.context.params(), self.key, &payload)
    }

    /// Reads what [`Query::to_bytes`] wrote.
    ///
    /// # Errors
    /// Bytes of something else, of other parameters, of a shape that they leave no room for,
    /// truncated or altered.
    pub fn from_bytes(context: &Arc<Context>, bytes: &[u8]) -> Result<Query, ProtocolError> {
        let message = open(bytes, &[Kind::Query])?;
        context.expect("query", &message.params)?;
        let mut rest = message.payload;
        let plan = read_plan(context, "query", &mut rest)?;
        let level = context.moduli.len();
        let whole =
            plan.pieces.saturating_mul(context.packed_len(level)).saturating_add(size_of::<Seed>());
        exact("query", rest.len(), whole)?;
        let mut read = || {
            let seed = take(&mut rest, size_of::<Seed>())?.try_into().ok()?;
            let c0 = (0..plan.pieces)
                .map(|_| context.unpack(&mut rest, level))
                .collect::<Option<_>>()?;
            Some(Query { context: context.clone(), key: message.key, plan: plan.clone(), seed, c0 })
        };
        read().ok_or_else(|| malformed("query", "does not hold residues of its moduli"))
    }
}

impl Answer {
    /// The layout, the noise and the error of its scores.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Serialised: shape, the query's tag, packed residues of each block, the coefficients that
    /// hold scores.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut payload = self.plan.shape.to_bytes();
        payload.extend_from_slice(&self.tag);
        self.c1.iter().for_each(|c1| self.context.pack(c1, &mut payload));
        for (modulus, scores) in
            self.kept().iter().zip(self.scores.chunks_exact(self.plan.shape.rows))
        {
            scores.iter().for_each(|score| {
                payload.extend_from_slice(&score.to_le_bytes()[..width(modulus)])
            });
        }
        seal(Kind::Answer, self.context.params(), self.key, &payload)
    }

    /// Reads what [`Answer::to_bytes`] wrote.
    ///
    /// # Errors
    /// As [`Query::from_bytes`].
    pub fn from_bytes(context: &Arc<Context>, bytes: &[u8]) -> Result<Answer, ProtocolError> {
        let message = open(bytes, &[Kind::Answer])?;
        context.expect("answer", &message.params)?;
        let mut rest = message.payload;
        let plan = read_plan(context, "answer", &mut rest)?;
        let kept = &context.moduli[..plan.level];
        let scores: usize = kept.iter().map(|modulus| width(modulus) * plan.shape.rows).sum();
        let blocks = plan.blocks.saturating_mul(context.packed_len(plan.level));
        exact("answer", rest.len(), blocks.saturating_add(scores + size_of::<Tag>()))?;
        let mut read = || {
            let tag = take(&mut rest, size_of::<Tag>())?.try_into().ok()?;
            let c1 = (0..plan.blocks)
                .map(|_| context.unpack(&mut rest, plan.level))
                .collect::<Option<_>>()?;
            let mut scores = Vec::with_capacity(plan.level * plan.shape.rows);
            for modulus in kept {
                scores
                    .extend(residues(modulus, take(&mut rest, width(modulus) * plan.shape.rows)?)?);
            }
            Some(Answer {
                context: context.clone(),
                key: message.key,
                tag,
                plan: plan.clone(),
                c1,
                scores,
            })
        };
        read().ok_or_else(|| malformed("answer", "does not hold residues of its moduli"))
    }

    pub(super) fn kept(&self) -> &[Modulus] {
        &self.context.moduli[..self.plan.level]
    }
}

/// Bytes of a single residue.
fn width(modulus: &Modulus) -> usize {
    modulus.bits.div_ceil(8) as usize
}

/// Single residues; `None` where one is not below its prime.
fn residues(modulus: &Modulus, bytes: &[u8]) -> Option<Vec<u64>> {
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    bytes
        .chunks_exact(width(modulus))
        .map(|bytes| Some(word(bytes)).filter(|r| *r < modulus.q))
        .collect()
}

fn read_plan(context: &Context, what: &str, rest: &mut &[u8]) -> Result<Plan, ProtocolError> {
    let shape = Shape::read(rest).ok_or_else(|| malformed(what, "ends within its head"))?;
    Plan::new(context, shape).map_err(|e: SpecError| malformed(what, e.to_string()))
}

/// Lengths are checked before anything is reserved for them.
fn exact(what: &str, found: usize, expected: usize) -> Result<(), ProtocolError> {
    if found == expected {
        Ok(())
    } else {
        Err(malformed(what, format!("holds {found} bytes where its shape asks for {expected}")))
    }
}
