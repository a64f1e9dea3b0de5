//! The server: multiplies an encrypted query by its rows, and hides everything of them but the
//! scores.

use std::sync::Arc;

use rand::RngCore;
use rayon::prelude::*;

use super::Plan;
use super::shape::{SLACK, Shape, norm};
use super::wire::{Answer, Query};
use crate::ProtocolError;
use crate::ckks::Context;
use crate::ckks::bytes::malformed;
use crate::ckks::flood::smooth;
use crate::ckks::keys::{PublicKey, hex};
use crate::ckks::ring::Poly;
use crate::ckks::sample::{self, Seed};

/// A server's rows, encoded and transformed for products with queries: 8 bytes a value and prime of
/// the modulus.
pub struct Gallery {
    context: Arc<Context>,
    plan: Plan,
    /// `[block][piece]`
    rows: Vec<Vec<Poly>>,
    /// What is added to each row's score, in units of the ring.
    offsets: Vec<i128>,
}

impl Gallery {
    /// Prepares `shape.rows` rows of `shape.dimension` values each, with `offsets` added to their
    /// scores (one a row, or none).
    ///
    /// # Errors
    /// Another number of values than the shape says, one that is not finite or beyond its bound,
    /// parameters without room.
    pub fn new(
        context: &Arc<Context>,
        shape: Shape,
        rows: &[f32],
        offsets: &[f32],
    ) -> Result<Gallery, ProtocolError> {
        let plan = Plan::new(context, shape)?;
        check(&shape, rows, offsets)?;
        let scale = plan.scale();
        let offsets =
            offsets.iter().map(|v| (f64::from(*v) * scale).round_ties_even() as i128).collect();
        let block = |block| {
            (0..plan.pieces).map(|piece| encode(context, &plan, rows, block, piece)).collect()
        };
        let rows = (0..plan.blocks).into_par_iter().map(block).collect();
        Ok(Gallery { context: context.clone(), plan, rows, offsets })
    }

    /// What clients have to know.
    pub fn shape(&self) -> &Shape {
        &self.plan.shape
    }

    /// The layout, the noise and the error of its scores.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Scores every row against the query. `rng` hides the rows: never hand in a stream that was
    /// used before.
    ///
    /// # Errors
    /// A query for another gallery or under another key than `public`, or a key shared among
    /// several.
    pub fn score(
        &self,
        public: &PublicKey,
        query: &Query,
        rng: &mut impl RngCore,
    ) -> Result<Answer, ProtocolError> {
        self.accepts(public, query)?;
        let uniform =
            |piece| self.context.uniform(&query.seed, piece as u64, self.context.moduli.len());
        let c1: Vec<Poly> = (0..self.plan.pieces).into_par_iter().map(uniform).collect();
        let seed = sample::seed(rng);
        let blocks = (0..self.plan.blocks).into_par_iter();
        let parts: Vec<[Poly; 2]> =
            blocks.map(|b| self.block(public, [&query.c0, &c1], &seed, b)).collect();
        let level = self.plan.level;
        let (rows, n) = (self.plan.shape.rows, self.context.degree());
        let mut scores = Vec::with_capacity(level * rows);
        for prime in 0..level {
            let score = |row| {
                let (block, at) = self.plan.place(row);
                parts[block][0][prime * n + at]
            };
            scores.extend((0..rows).map(score));
        }
        let c1 = parts.into_iter().map(|[_, c1]| c1).collect();
        let (context, plan) = (self.context.clone(), self.plan.clone());
        Ok(Answer { context, key: public.key, tag: query.tag(), plan, c1, scores })
    }

    fn accepts(&self, public: &PublicKey, query: &Query) -> Result<(), ProtocolError> {
        self.context.expect("public key", public.context.params())?;
        self.context.expect("query", query.context.params())?;
        if public.parties != 1 {
            let problem =
                format!("is shared among {}; answers need the key of one client", public.parties);
            return Err(malformed("public key", problem));
        }
        if public.key != query.key {
            let problem = format!(
                "is under key {}, not under the public key given, {}",
                hex(&query.key),
                hex(&public.key)
            );
            return Err(malformed("query", problem));
        }
        if query.plan.shape != self.plan.shape {
            let (asked, is) = (&query.plan.shape, &self.plan.shape);
            let what = |s: &Shape| {
                let (rows, values) = (s.rows, s.dimension);
                format!(
                    "{rows} rows of {values} values, bounds {} x {} + {}",
                    s.query_norm, s.row_norm, s.offset
                )
            };
            let problem =
                format!("is for a gallery of {}, but this one has {}", what(asked), what(is));
            return Err(malformed("query", problem));
        }
        Ok(())
    }

    /// The sum of the pieces' products with a block's rows, over a fresh encryption of zero,
    /// flooded; in coefficients at the primes that are kept.
    fn block(
        &self,
        public: &PublicKey,
        query: [&[Poly]; 2],
        seed: &Seed,
        block: usize,
    ) -> [Poly; 2] {
        let context = &self.context;
        let mut rng = sample::expand(seed, block as u64);
        let mut v = context.lift(&sample::ternary(&mut rng, context.degree()));
        context.forward(&mut v);
        let [mut c0, mut c1] = [vec![0; v.len()], context.error(&mut rng)];
        context.mul_add(&mut c0, &public.b, &v);
        context.mul_add(&mut c1, &public.a, &v);
        for (acc, pieces) in [&mut c0, &mut c1].into_iter().zip(query) {
            pieces
                .iter()
                .zip(&self.rows[block])
                .for_each(|(piece, rows)| context.mul_add(acc, piece, rows));
            context.inverse(acc);
        }
        context
            .add(&mut c0, &context.lift_wide(&self.added(&mut rng, block), context.moduli.len()));
        for part in [&mut c0, &mut c1] {
            while context.level(part).len() > self.plan.level {
                context.drop_last(part);
            }
        }
        [c0, c1]
    }

    /// Flooding noise and offsets, at the coefficients that hold scores.
    fn added(&self, rng: &mut impl RngCore, block: usize) -> Vec<i128> {
        let rows = self.plan.rows_of(block);
        let mut out = vec![0; self.context.degree()];
        let noise = smooth(rng, self.plan.flood_sigma(), rows.len());
        for (row, noise) in rows.zip(noise) {
            out[self.plan.place(row).1] = noise + self.offsets.get(row).copied().unwrap_or(0);
        }
        out
    }
}

/// `sum_r sum_i round(2^row_bits g_(r,i)) X^(r w + w - 1 - i)` over the rows of a block, the values
/// being those of a piece; transformed.
fn encode(context: &Context, plan: &Plan, rows: &[f32], block: usize, piece: usize) -> Poly {
    let (scale, dimension) = (2f64.powi(plan.row_bits), plan.shape.dimension);
    let mut coefficients = vec![0i64; context.degree()];
    let columns = piece * plan.width..((piece + 1) * plan.width).min(dimension);
    for row in plan.rows_of(block) {
        let (last, values) = (plan.place(row).1, &rows[row * dimension..][columns.clone()]);
        for (i, value) in values.iter().enumerate() {
            coefficients[last - i] = (f64::from(*value) * scale).round_ties_even() as i64;
        }
    }
    let mut poly = context.lift(&coefficients);
    context.forward(&mut poly);
    poly
}

fn check(shape: &Shape, rows: &[f32], offsets: &[f32]) -> Result<(), ProtocolError> {
    if rows.len() != shape.rows * shape.dimension {
        let (found, asked) = (rows.len(), shape.rows * shape.dimension);
        return Err(malformed(
            "gallery",
            format!("has {found} values where its shape asks for {asked}"),
        ));
    }
    if !offsets.is_empty() && offsets.len() != shape.rows {
        return Err(malformed(
            "gallery",
            format!("has {} offsets for {} rows", offsets.len(), shape.rows),
        ));
    }
    for (index, row) in rows.chunks_exact(shape.dimension).enumerate() {
        let norm = norm(row);
        if norm.is_nan() || norm > shape.row_norm * SLACK {
            return Err(malformed(
                "gallery",
                format!("row {index} has norm {norm:.6}, bound {}", shape.row_norm),
            ));
        }
    }
    match offsets.iter().position(|v| v.is_nan() || f64::from(v.abs()) > shape.offset * SLACK) {
        Some(at) => Err(malformed(
            "gallery",
            format!("offset {at} is {}, bound {}", offsets[at], shape.offset),
        )),
        None => Ok(()),
    }
}
