//! What both sides know of each other before a query: sizes and bounds, no values.

use serde::Serialize;
use suites::SpecError;

use crate::ckks::bytes::take;

/// Most rows, and most values of a row.
const MOST_ROWS: usize = 1 << 24;
const MOST_VALUES: usize = 1 << 16;
/// How far above its bound a norm may be: what normalising in 32-bit floating point leaves.
pub(super) const SLACK: f64 = 1.0 + 1e-5;

/// Sizes and bounds of a gallery and of the queries to it; the server publishes them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Shape {
    /// Rows of the gallery, each of which gets a score: 1 to 2^24.
    pub rows: usize,
    /// Values of a row and of a query: 1 to 65,536.
    pub dimension: usize,
    /// Bound on the Euclidean norm of a query.
    pub query_norm: f64,
    /// Bound on the Euclidean norm of a row.
    pub row_norm: f64,
    /// Bound on the magnitude of what is added to a score; 0 where nothing is.
    pub offset: f64,
    /// The answer is within total variation `2^-hiding_bits` of one whose noise does not depend on
    /// the rows: 20 to 64.
    pub hiding_bits: u32,
}

impl Shape {
    /// `rows` unit vectors of `dimension` values, scored against a unit vector: cosines, hidden to
    /// `2^-40`.
    pub fn unit(rows: usize, dimension: usize) -> Shape {
        Shape { rows, dimension, query_norm: 1.0, row_norm: 1.0, offset: 0.0, hiding_bits: 40 }
    }

    /// The shape of a linear layer: `weights` row by row, `dimension` values each, plus `offsets`
    /// (one a row, or none), for queries of norm `query_norm`. Bounds are the next powers of two,
    /// so that they say no more of the weights than their size.
    pub fn linear(weights: &[f32], dimension: usize, offsets: &[f32], query_norm: f64) -> Shape {
        let rows = weights.chunks(dimension.max(1));
        let largest = rows.clone().map(norm).fold(0.0, f64::max);
        let offset = offsets.iter().fold(0.0, |most: f64, v| most.max(f64::from(v.abs())));
        let (row_norm, offset) =
            (power_above(largest), if offset > 0.0 { power_above(offset) } else { 0.0 });
        Shape { rows: rows.len(), dimension, query_norm, row_norm, offset, hiding_bits: 40 }
    }

    /// Largest magnitude of a score.
    pub fn range(&self) -> f64 {
        self.query_norm * self.row_norm + self.offset
    }

    /// # Errors
    /// Sizes or bounds out of range.
    pub(super) fn check(&self) -> Result<(), SpecError> {
        let refuse =
            |problem: String, remedy: &str| Err(SpecError::value("gallery", problem, remedy));
        if self.rows == 0 || self.dimension == 0 {
            return refuse(
                format!("{} rows of {} values", self.rows, self.dimension),
                "give at least one row of at least one value",
            );
        }
        if self.rows > MOST_ROWS || self.dimension > MOST_VALUES {
            return refuse(
                format!("{} rows of {} values", self.rows, self.dimension),
                "split it into galleries of at most 2^24 rows of 65536 values",
            );
        }
        let positive = |v: f64| (2f64.powi(-40)..=2f64.powi(40)).contains(&v);
        let bounded = (0.0..=2f64.powi(40)).contains(&self.offset);
        if !(bounded && positive(self.query_norm) && positive(self.row_norm)) {
            let (q, r, o) = (self.query_norm, self.row_norm, self.offset);
            return refuse(
                format!("bounds {q:e} (query), {r:e} (row) and {o:e} (offset) are out of range"),
                "scale the values to norms near 1",
            );
        }
        match self.hiding_bits {
            20..=64 => Ok(()),
            bits => refuse(format!("{bits} bits of hiding"), "write 20 to 64, e.g. 40"),
        }
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut out = (self.rows as u32).to_le_bytes().to_vec();
        out.extend((self.dimension as u32).to_le_bytes());
        [self.query_norm, self.row_norm, self.offset]
            .iter()
            .for_each(|v| out.extend(v.to_le_bytes()));
        out.push(self.hiding_bits as u8);
        out
    }

    pub(super) fn read(rest: &mut &[u8]) -> Option<Shape> {
        let mut count = || Some(u32::from_le_bytes(take(rest, 4)?.try_into().ok()?) as usize);
        let (rows, dimension) = (count()?, count()?);
        let mut bound = || Some(f64::from_le_bytes(take(rest, 8)?.try_into().ok()?));
        let (query_norm, row_norm, offset) = (bound()?, bound()?, bound()?);
        let hiding_bits = u32::from(take(rest, 1)?[0]);
        Some(Shape { rows, dimension, query_norm, row_norm, offset, hiding_bits })
    }
}

/// Euclidean norm in double precision.
pub(super) fn norm(row: &[f32]) -> f64 {
    row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt()
}

/// The least power of two that is at least `value`; `2^-20` where that is larger.
fn power_above(value: f64) -> f64 {
    2f64.powf(value.max(2f64.powi(-20)).log2().ceil())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_survive_bytes_and_bounds_cover() {
        let shape = Shape::linear(&[3.0, 4.0, 0.0, 1.0], 2, &[-0.3, 0.1], 1.5);
        assert_eq!((shape.rows, shape.row_norm, shape.offset, shape.range()), (2, 8.0, 0.5, 12.5));
        assert_eq!(Shape::read(&mut shape.to_bytes().as_slice()), Some(shape));
        assert!(Shape::read(&mut &shape.to_bytes()[1..]).is_none());
        shape.check().unwrap();
    }

    #[test]
    fn impossible_shapes_are_refused() {
        let unit = Shape::unit(10, 512);
        for bad in [
            Shape { rows: 0, ..unit },
            Shape { dimension: 0, ..unit },
            Shape { rows: 1 << 25, ..unit },
            Shape { dimension: 65_537, ..unit },
            Shape { query_norm: f64::NAN, ..unit },
            Shape { row_norm: -1.0, ..unit },
            Shape { offset: f64::INFINITY, ..unit },
            Shape { hiding_bits: 65, ..unit },
        ] {
            let line = bad.check().unwrap_err().to_string();
            assert!(line.starts_with("gallery: ") && !line.contains('\n'), "{line}");
        }
    }
}
