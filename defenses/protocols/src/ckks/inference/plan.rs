//! How a scoring is laid out and scaled, how much noise hides it, and how far off its scores can
//! be.

use serde::Serialize;
use suites::SpecError;

use super::shape::{SLACK, Shape};
use crate::ckks::Context;
use crate::ckks::sample::SIGMA;

/// Deviations that bound the largest of many millions of Gaussian values.
const DEVIATIONS: f64 = 6.0;
/// Largest error that a plan may have, as a share of the range of scores.
const TOLERANCE: f64 = 1e-5;
/// Most bits of an encoded row's norm and of an encoded query's: within what an `i64` and an `i128`
/// hold.
const ROW_BITS: i32 = 44;
const QUERY_BITS: i32 = 118;
/// What a score in units of the ring stays below, flooding apart: within an `i128`.
const WIDEST: f64 = (1u128 << 124) as f64;

/// The layout, scales, noise and error of one scoring; both sides derive it from the parameters and
/// the [`Shape`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// What it is for.
    pub shape: Shape,
    /// Values of the query in one of its ciphertexts.
    pub width: usize,
    /// Ciphertexts of a query.
    pub pieces: usize,
    /// Rows that one ciphertext of the answer scores.
    pub rows_per_block: usize,
    /// Ciphertexts of an answer.
    pub blocks: usize,
    /// A query's values are multiplied by `2^query_bits` and rounded.
    pub query_bits: i32,
    /// A row's values are multiplied by `2^row_bits` and rounded.
    pub row_bits: i32,
    /// Primes that an answer keeps.
    pub level: usize,
    /// Standard deviation of the noise that is hidden, in a score.
    pub noise: f64,
    /// Standard deviation of the flooding noise over it, in a score.
    pub flooding: f64,
    /// Bound on the error of a score: certain for the roundings, six deviations for the noise.
    pub error: f64,
}

impl Plan {
    /// The plan with the fewest bytes, and for these the least error.
    ///
    /// # Errors
    /// A shape out of range, or parameters that leave no room for the noise.
    pub fn new(context: &Context, shape: Shape) -> Result<Plan, SpecError> {
        shape.check()?;
        let (pieces, width) = layout(context, &shape);
        let rows_per_block = context.degree() / width;
        let blocks = shape.rows.div_ceil(rows_per_block);
        let plan = |row_bits| {
            let ([noise, flooding, error], query_bits, level) = ([0.0; 3], 0, context.moduli.len());
            let plan = Plan {
                shape,
                width,
                pieces,
                rows_per_block,
                blocks,
                query_bits,
                row_bits,
                level,
                noise,
                flooding,
                error,
            };
            plan.scaled(context)
        };
        let most = ROW_BITS - shape.row_norm.log2().ceil() as i32;
        let best =
            (most - ROW_BITS..=most).filter_map(plan).min_by(|a, b| a.error.total_cmp(&b.error));
        let bits = context.params().modulus_bits();
        match best {
            Some(plan) if plan.error <= TOLERANCE * shape.range() => Ok(plan.shortened(context)),
            _ => Err(SpecError::value(
                "parameters",
                format!(
                    "{} ({bits} modulus bits) leave no room for scores of {} rows hidden to 2^-{}",
                    context.params(),
                    shape.rows,
                    shape.hiding_bits
                ),
                "use fedavg (100 bits at degree 4096), or a larger set such as 8192/60,60,60/40",
            )),
        }
    }

    /// With the largest scale of the query that the modulus has room for, and the error that this
    /// leaves.
    fn scaled(mut self, context: &Context) -> Option<Plan> {
        let half = context.moduli.iter().map(|m| m.q as f64).product::<f64>() / 2.0;
        let hidden = self.hidden(context);
        let flooding =
            2f64.powi(self.shape.hiding_bits as i32 - 1) * (self.shape.rows as f64).sqrt() * hidden;
        let room = (half * (1.0 - 1e-3) - 2.0 * DEVIATIONS * flooding).min(WIDEST);
        let scale_bits = (room / (self.shape.range() * SLACK * SLACK)).log2().floor();
        if !(room > 0.0 && scale_bits.is_finite()) || flooding > 2f64.powi(108) {
            return None;
        }
        let most = QUERY_BITS - self.shape.query_norm.log2().ceil() as i32;
        self.query_bits = (scale_bits as i32 - self.row_bits).min(most);
        self.noise = hidden / self.scale();
        self.flooding = flooding / self.scale();
        self.error = self.roundings() + DEVIATIONS * self.flooding.hypot(self.noise);
        Some(self)
    }

    /// Standard deviation of a score's noise before flooding: `SIGMA^2` times the squared norm of
    /// all the rows of a block (the query's errors times the rows), and `4/3 N SIGMA^2` of the
    /// encryption of zero.
    fn hidden(&self, context: &Context) -> f64 {
        let row = self.row_length();
        let rows = self.rows_per_block.min(self.shape.rows) as f64;
        SIGMA * (rows * row * row + 4.0 / 3.0 * context.degree() as f64).sqrt()
    }

    /// Bound on the norm of an encoded row.
    fn row_length(&self) -> f64 {
        self.shape.row_norm * SLACK * 2f64.powi(self.row_bits)
            + (self.shape.dimension as f64).sqrt() / 2.0
    }

    /// What a score is multiplied by.
    pub(super) fn scale(&self) -> f64 {
        2f64.powi(self.query_bits + self.row_bits)
    }

    /// Standard deviation of the flooding noise in units of the ring.
    pub(super) fn flood_sigma(&self) -> f64 {
        self.flooding * self.scale()
    }

    /// Bound on what rounding the rows, the query and the offset does to a score (Cauchy and
    /// Schwarz), with `2^-45` of the range for decoding in 64-bit floating point.
    fn roundings(&self) -> f64 {
        let half = (self.shape.dimension as f64).sqrt() / 2.0;
        let of_rows = self.shape.query_norm * SLACK * half * 2f64.powi(-self.row_bits);
        let of_query =
            self.row_length() * 2f64.powi(-self.row_bits) * half * 2f64.powi(-self.query_bits);
        of_rows + of_query + 0.5 / self.scale() + self.shape.range() * 2f64.powi(-45)
    }

    /// With as few primes in the answer as add at most an eighth to the error: dropping them rounds
    /// `c0` and `c1` to whole numbers at the scale that is left, whose deviation in a score is
    /// `sqrt((1 + 2/3 N) / 12)`.
    fn shortened(mut self, context: &Context) -> Plan {
        let rounding = ((1.0 + 2.0 / 3.0 * context.degree() as f64) / 12.0).sqrt();
        for level in 1..context.moduli.len() {
            let dropped: f64 = context.moduli[level..].iter().map(|m| m.q as f64).product();
            let added = DEVIATIONS * rounding * dropped / self.scale();
            if added <= self.error / 8.0 {
                self.level = level;
                self.error += added;
                break;
            }
        }
        self
    }

    /// Block of a row, and the coefficient that holds its score there.
    pub(super) fn place(&self, row: usize) -> (usize, usize) {
        (row / self.rows_per_block, row % self.rows_per_block * self.width + self.width - 1)
    }

    /// Rows that block `block` scores.
    pub(super) fn rows_of(&self, block: usize) -> std::ops::Range<usize> {
        let first = block * self.rows_per_block;
        first..(first + self.rows_per_block).min(self.shape.rows)
    }
}

/// Number of pieces and their width for the fewest bytes: a piece goes up at full modulus, a block
/// comes down with, as a rule, the first prime alone.
fn layout(context: &Context, shape: &Shape) -> (usize, usize) {
    let (up, down) = (context.packed_len(context.moduli.len()), context.packed_len(1));
    let bytes = |&(pieces, width): &(usize, usize)| {
        pieces * up + shape.rows.div_ceil(context.degree() / width) * down
    };
    let widths = (1..=shape.dimension).map(|pieces| (pieces, shape.dimension.div_ceil(pieces)));
    let fit = widths.filter(|&(pieces, width)| {
        width <= context.degree() && shape.dimension.div_ceil(width) == pieces
    });
    fit.min_by_key(bytes).unwrap_or((shape.dimension, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ckks::ParameterSet;

    fn plan(set: &str, shape: Shape) -> Result<Plan, SpecError> {
        Plan::new(&Context::new(&set.parse::<ParameterSet>().unwrap()), shape)
    }

    #[test]
    fn ten_thousand_embeddings_are_laid_out_for_few_bytes() {
        let plan = plan("fedavg", Shape::unit(10_000, 512)).unwrap();
        assert_eq!((plan.pieces, plan.width, plan.rows_per_block, plan.blocks), (27, 19, 215, 47));
        assert_eq!(plan.level, 1);
        assert!(plan.error < 1e-5 && plan.error > plan.flooding, "{plan:?}");
        assert!((plan.flooding / plan.noise).log2() > 45.0, "{plan:?}");
        let fine = self::plan("8192/60,60/40", Shape::unit(10_000, 512)).unwrap();
        assert!(fine.error < 2e-9, "{:e}", fine.error);
    }

    #[test]
    fn places_are_disjoint_and_hold_whole_products() {
        for (rows, dimension) in [(1, 1), (1, 30), (3, 4096), (777, 100), (5000, 2), (2, 5000)] {
            let plan = plan("fedavg", Shape::unit(rows, dimension)).unwrap();
            assert!(
                plan.width * plan.rows_per_block <= 4096 && plan.width * plan.pieces >= dimension
            );
            let mut places: Vec<_> = (0..rows).map(|row| plan.place(row)).collect();
            assert!(places.iter().enumerate().all(|(row, (block, at))| {
                plan.rows_of(*block).contains(&row) && *at < 4096 && *at >= plan.width - 1
            }));
            places.dedup();
            assert_eq!(places.len(), rows);
        }
    }

    #[test]
    fn sets_without_room_are_refused_with_a_remedy() {
        let line = plan("compact", Shape::unit(10, 512)).unwrap_err().to_string();
        assert_eq!(
            line,
            "parameters: 2048/53/40 (53 modulus bits) leave no room for scores of 10 rows hidden \
             to 2^-40; use fedavg \
             (100 bits at degree 4096), or a larger set such as 8192/60,60,60/40"
        );
        let hard = Shape { hiding_bits: 64, ..Shape::unit(1 << 20, 512) };
        assert!(plan("fedavg", hard).is_err());
        assert!(plan("8192/60,60,60/40", hard).unwrap().error < 1e-5);
    }
}
