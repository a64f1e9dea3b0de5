//! The pictures side by side: one line a class; its mean, the nearest training picture, the
//! reconstruction.

use std::path::{Path, PathBuf};

use harness::{HarnessError, artifacts};
use tch::Tensor;

use super::Answer;

/// Pixels between pictures.
const GAP: i64 = 2;

/// Least side of a picture: smaller ones are enlarged by a whole factor.
const SIDE: i64 = 56;

/// Writes `grid.png`, where there are pictures of one or three channels; tables have none.
///
/// # Errors
/// A file that cannot be written.
pub fn write(out: &Path, answer: &Answer) -> Result<Option<PathBuf>, HarnessError> {
    let size = answer.pixels.size();
    if size.len() != 4 || !matches!(size[1], 1 | 3) {
        return Ok(None);
    }
    let path = out.join("grid.png");
    artifacts::write_png(&path, &grid(&[&answer.beside[0], &answer.beside[1], &answer.pixels]))?;
    Ok(Some(path))
}

/// Columns `[N, C, H, W]` as one picture `[C, N lines, columns]` with white gaps.
fn grid(columns: &[&Tensor]) -> Tensor {
    let size = columns[0].size();
    let side = size[2].min(size[3]).max(1);
    let factor = (SIDE + side - 1) / side;
    let framed = |t: &Tensor| {
        let large = t
            .repeat_interleave_self_int(factor, 2, None)
            .repeat_interleave_self_int(factor, 3, None);
        // Padding is with zeros: of the distance from white.
        (large - 1.0).constant_pad_nd([GAP; 4]) + 1.0
    };
    let lines: Vec<Tensor> = (0..size[0])
        .map(|n| {
            let cells: Vec<Tensor> =
                columns.iter().map(|c| framed(&c.narrow(0, n, 1)).squeeze_dim(0)).collect();
            Tensor::cat(&cells, 2)
        })
        .collect();
    Tensor::cat(&lines, 1)
}
