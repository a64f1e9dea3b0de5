//! Small dense systems.

/// A matrix as its rows.
pub type Matrix = Vec<Vec<f64>>;

/// The inverse and the logarithm of the determinant's magnitude, by Gauss-Jordan elimination with
/// partial pivoting; `None` where a pivot is below 1e-9.
pub fn inverse(matrix: &Matrix) -> Option<(Matrix, f64)> {
    let n = matrix.len();
    let unit = |i: usize| (0..n).map(move |j| f64::from(u8::from(i == j)));
    let mut rows: Matrix =
        (0..n).map(|i| matrix[i].iter().copied().chain(unit(i)).collect()).collect();
    let mut log_det = 0.0;
    for column in 0..n {
        let best =
            (column..n).max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()))?;
        rows.swap(column, best);
        let pivot = rows[column][column];
        if pivot.abs() < 1e-9 {
            return None;
        }
        log_det += pivot.abs().ln();
        rows[column].iter_mut().for_each(|v| *v /= pivot);
        for other in (0..n).filter(|&other| other != column) {
            let (factor, own) = (rows[other][column], rows[column].clone());
            rows[other].iter_mut().zip(&own).for_each(|(v, o)| *v -= factor * o);
        }
    }
    Some((rows.into_iter().map(|row| row[n..].to_vec()).collect(), log_det))
}

/// `matrix` times the rows of `values`.
pub fn times(matrix: &Matrix, values: &Matrix) -> Matrix {
    let length = values.first().map_or(0, Vec::len);
    matrix
        .iter()
        .map(|row| {
            let mut out = vec![0.0; length];
            for (factor, value) in row.iter().zip(values) {
                out.iter_mut().zip(value).for_each(|(o, v)| *o += factor * v);
            }
            out
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inverse_times_its_matrix_is_one() {
        let matrix = vec![vec![0.0, 2.0, 1.0], vec![1.0, 0.5, 0.0], vec![0.3, 0.3, 0.4]];
        let (inverse, log_det) = inverse(&matrix).unwrap();
        // det = 2 (0 * 0.3 - 1 * 0.4) + 1 (0.3 - 0.15), by hand.
        assert!((log_det - (-0.8f64 + 0.15).abs().ln()).abs() < 1e-12);
        for (i, row) in times(&inverse, &matrix).iter().enumerate() {
            for (j, v) in row.iter().enumerate() {
                assert!((v - f64::from(u8::from(i == j))).abs() < 1e-12, "{i} {j}: {v}");
            }
        }
        assert!(super::inverse(&vec![vec![0.5, 0.5], vec![0.5, 0.5]]).is_none());
    }
}
