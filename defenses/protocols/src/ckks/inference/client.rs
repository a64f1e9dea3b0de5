//! The client: encrypts its query, decrypts its scores.

use rand::RngCore;
use zeroize::Zeroizing;

use super::Plan;
use super::shape::{SLACK, Shape};
use super::wire::{Answer, Query};
use crate::ProtocolError;
use crate::ckks::bytes::malformed;
use crate::ckks::keys::{SecretKey, hex};
use crate::ckks::ring::Poly;
use crate::ckks::sample;

impl SecretKey {
    /// Encrypts `query` for a gallery of `shape`.
    ///
    /// # Errors
    /// Another number of values than the gallery's rows have, a value that is not finite, a norm
    /// above the shape's bound, parameters without room, or a key that is only a share.
    pub fn ask(
        &self,
        shape: &Shape,
        query: &[f32],
        rng: &mut impl RngCore,
    ) -> Result<Query, ProtocolError> {
        self.whole()?;
        let plan = Plan::new(&self.context, *shape)?;
        check(shape, query)?;
        let seed = sample::seed(rng);
        let pieces = query.chunks(plan.width).enumerate();
        let c0 = pieces.map(|(index, values)| {
            let context = &self.context;
            let mut c0 = self.encode(&plan, values);
            context.add(&mut c0, &context.lift(&context.gaussian.sample(rng, context.degree())));
            context.forward(&mut c0);
            let c1 = context.uniform(&seed, index as u64, context.moduli.len());
            let mut product = Zeroizing::new(vec![0; c1.len()]);
            context.mul_add(&mut product, &c1, &self.secret);
            context.sub(&mut c0, &product);
            c0
        });
        let c0 = c0.collect();
        Ok(Query { context: self.context.clone(), key: self.key, plan, seed, c0 })
    }

    /// `sum round(2^query_bits q_i) X^i`, not transformed.
    fn encode(&self, plan: &Plan, values: &[f32]) -> Poly {
        let scale = 2f64.powi(plan.query_bits);
        let mut coefficients = Zeroizing::new(vec![0.0; self.context.degree()]);
        coefficients
            .iter_mut()
            .zip(values)
            .for_each(|(c, v)| *c = (f64::from(*v) * scale).round_ties_even());
        self.context.lift_float(&coefficients)
    }

    /// The scores of an answer to `query`, row by row.
    ///
    /// # Errors
    /// An answer under another key, to another query or of another gallery, or a key that is only a
    /// share.
    pub fn scores(&self, query: &Query, answer: &Answer) -> Result<Vec<f64>, ProtocolError> {
        self.whole()?;
        if self.key != answer.key {
            let problem = format!(
                "is under key {}, not under the key given, {}",
                hex(&answer.key),
                hex(&self.key)
            );
            return Err(malformed("answer", problem));
        }
        if answer.tag != query.tag() || answer.plan != query.plan {
            return Err(malformed("answer", "is for another query than the one given"));
        }
        let plan = &answer.plan;
        let mut scores = vec![0.0; plan.shape.rows];
        for (block, c1) in answer.c1.iter().enumerate() {
            let opened = self.open_block(answer, block, c1);
            plan.rows_of(block).for_each(|row| scores[row] = opened[plan.place(row).1]);
        }
        Ok(scores)
    }

    /// `c0 + c1 s` where `c0` was sent, over the scale that is left.
    fn open_block(&self, answer: &Answer, block: usize, c1: &[u64]) -> Vec<f64> {
        let (context, plan, rows) = (&self.context, &answer.plan, answer.plan.shape.rows);
        let mut uniform = c1.to_vec();
        context.forward(&mut uniform);
        let mut poly = vec![0; uniform.len()];
        context.mul_add(&mut poly, &uniform, &self.secret[..uniform.len()]);
        context.inverse(&mut poly);
        let kept = answer.kept().iter().zip(poly.chunks_exact_mut(context.degree()));
        for ((modulus, poly), scores) in kept.zip(answer.scores.chunks_exact(rows)) {
            for row in plan.rows_of(block) {
                let at = plan.place(row).1;
                modulus.add(&mut poly[at..=at], &scores[row..=row]);
            }
        }
        let dropped: f64 = context.moduli[plan.level..].iter().map(|m| m.q as f64).product();
        let scale = plan.scale() / dropped;
        context.compose(&poly).into_iter().map(|c| c / scale).collect()
    }
}

fn check(shape: &Shape, query: &[f32]) -> Result<(), ProtocolError> {
    if query.len() != shape.dimension {
        let problem =
            format!("has {} values where the gallery's rows have {}", query.len(), shape.dimension);
        return Err(malformed("query", problem));
    }
    if let Some(at) = query.iter().position(|v| !v.is_finite()) {
        return Err(malformed("query", format!("value {at} is {}", query[at])));
    }
    let norm = super::shape::norm(query);
    if norm <= shape.query_norm * SLACK {
        Ok(())
    } else {
        Err(malformed(
            "query",
            format!("has norm {norm:.6}, above the gallery's bound {}", shape.query_norm),
        ))
    }
}
