//! Row-wise arithmetic on `[T, N]` tensors, and the way between small tensors and host numbers.

use tch::{Device, Kind, Tensor};

/// libtorch splits the reduction of a single row among its threads from 32,768 elements on, which
/// would make the last bits depend on T and on the number of threads. Longer rows are therefore
/// reduced in pieces of this length first.
const PIECE: i64 = 16_384;

/// Reduces each row of `a [T, N]` to `[T]`; `reduce` maps `[.., n]` to `[..]` and must accept its
/// own results.
fn by_pieces(a: &Tensor, reduce: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let (t, n) = a.size2().expect("a matrix [T, N]");
    if n <= PIECE {
        return reduce(a);
    }
    let whole = n / PIECE * PIECE;
    let mut parts = vec![reduce(&a.narrow(1, 0, whole).reshape([t, -1, PIECE]))];
    if whole < n {
        parts.push(reduce(&a.narrow(1, whole, n - whole)).unsqueeze(1));
    }
    reduce(&Tensor::cat(&parts, 1))
}

/// Sum of each row: `[T, N]` -> `[T]`.
pub fn sum(a: &Tensor) -> Tensor {
    by_pieces(a, |a| a.sum_dim_intlist(-1, false, None))
}

/// Inner product of the rows: `[T, N]` x `[T, N]` -> `[T]`.
pub fn dot(a: &Tensor, b: &Tensor) -> Tensor {
    sum(&(a * b))
}

/// L2 norm of each row: `[T, N]` -> `[T]`.
pub fn norm(a: &Tensor) -> Tensor {
    by_pieces(a, |a| a.norm_scalaropt_dim(2, -1, false))
}

/// Largest magnitude in each row, NaN where there is one: `[T, N]` -> `[T]`.
pub fn max_abs(a: &Tensor) -> Tensor {
    a.abs().amax(-1, false)
}

/// Several tensors `[T]` as host numbers, with one wait for the device: `result[i][t]`.
pub fn to_host(tensors: &[&Tensor]) -> Vec<Vec<f64>> {
    // Kinds may differ (an f64 objective beside f32 gradients); stacking takes the wider one.
    let all = Tensor::stack(tensors, 0).to_device(Device::Cpu).to_kind(Kind::Double);
    (0..tensors.len() as i64).map(|i| Vec::try_from(all.get(i)).expect("a vector of f64")).collect()
}

/// Host numbers as a column `[T, 1]` of `like`'s kind and device.
pub fn column(values: &[f64], like: &Tensor) -> Tensor {
    Tensor::from_slice(values).to_kind(like.kind()).to_device(like.device()).unsqueeze(1)
}

/// Host flags as a mask `[T]` on `device`.
pub fn mask(values: &[bool], device: Device) -> Tensor {
    Tensor::from_slice(values).to_device(device)
}

/// Some of the rows of a `[T, N]` tensor, in ascending order.
pub struct Rows {
    /// The rows' numbers.
    pub list: Vec<usize>,
    /// The same on the device; `None` where all rows are meant, which then costs no copy.
    index: Option<Tensor>,
}

impl Rows {
    /// `list` of `total` rows.
    pub fn new(list: Vec<usize>, total: usize, device: Device) -> Rows {
        let index = (list.len() < total).then(|| index(&list, device));
        Rows { list, index }
    }

    /// Whether all rows are meant.
    pub fn all(&self) -> bool {
        self.index.is_none()
    }

    /// These rows of `from [T, N]`: `[R, N]`.
    pub fn pick(&self, from: &Tensor) -> Tensor {
        match &self.index {
            None => from.shallow_clone(),
            Some(index) => from.index_select(0, index),
        }
    }

    /// A copy of `into [T, N]` with these rows replaced by `values [R, N]`.
    pub fn put(&self, into: &Tensor, values: &Tensor) -> Tensor {
        match &self.index {
            None => values.shallow_clone(),
            Some(index) => into.index_copy(0, index, values),
        }
    }
}

/// Row numbers as an index tensor.
pub fn index(list: &[usize], device: Device) -> Tensor {
    Tensor::from_slice(&list.iter().map(|&i| i as i64).collect::<Vec<_>>()).to_device(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_rows_are_reduced_whole() {
        let n = 3 * PIECE + 5;
        let a = Tensor::arange(2 * n, (Kind::Double, Device::Cpu)).view([2, n]) / n as f64;
        for (ours, theirs) in [
            (sum(&a), a.sum_dim_intlist(1, false, None)),
            (norm(&a), a.norm_scalaropt_dim(2, 1, false)),
            (dot(&a, &a), a.square().sum_dim_intlist(1, false, None)),
        ] {
            assert!((ours / theirs - 1.0).abs().max().double_value(&[]) < 1e-12);
        }
    }

    #[test]
    fn rows_are_picked_and_put_back() {
        let a = Tensor::from_slice(&[1., 2., 3., 4., 5., 6.]).view([3, 2]);
        let rows = Rows::new(vec![0, 2], 3, Device::Cpu);
        let b = rows.put(&a, &(rows.pick(&a) * 10.0));
        assert_eq!(Vec::<f64>::try_from(b.view(-1)).unwrap(), [10., 20., 3., 4., 50., 60.]);
        assert!(!rows.all() && Rows::new(vec![0, 1, 2], 3, Device::Cpu).all());
    }
}
