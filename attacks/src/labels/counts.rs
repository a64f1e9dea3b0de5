//! Labels by counting: how many examples of each class explain the gradient.

use tch::{Device, Kind, Tensor};

use super::LastLayer;
use crate::AttackError;

/// Whole counts `[K]` of at least 0 that sum to `batch`, as near to `counts` as that allows
/// (largest remainders).
pub fn rounded(counts: &[f64], batch: usize) -> Vec<usize> {
    // What is no number counts for nothing, and nobody has more than all.
    let finite = |v: &f64| if v.is_finite() { v.clamp(0.0, batch as f64) } else { 0.0 };
    let wanted: Vec<f64> = counts.iter().map(finite).collect();
    let mut given: Vec<usize> = wanted.iter().map(|v| v.floor() as usize).collect();
    let over = |given: &[usize], k: usize| given[k] as f64 - wanted[k];
    loop {
        let (sum, all) = (given.iter().sum::<usize>(), 0..given.len());
        if sum < batch && !given.is_empty() {
            let short = all.min_by(|&a, &b| over(&given, a).total_cmp(&over(&given, b)));
            given[short.unwrap_or(0)] += 1;
        } else if sum > batch {
            let some = all.filter(|&k| given[k] > 0);
            let long = some.max_by(|&a, &b| over(&given, a).total_cmp(&over(&given, b)));
            given[long.unwrap_or(0)] -= 1;
        } else {
            return given;
        }
    }
}

/// Counts `[K]` of `batch` examples by batch embeddings (Geng et al. 2021): with probabilities `p`
/// and the mean sum `s` of the last layer's input, taken of pictures of noise, a row's sum is
/// `(p_k - n_k / B) s`.
pub fn by_embeddings(sums: &[f64], p: &[f64], s: f64, batch: usize) -> Vec<f64> {
    sums.iter().zip(p).map(|(g, p)| batch as f64 * (p - g / s)).collect()
}

/// Counts `[K]` of `batch` examples by instance-wise restoration (Ma et al. 2023): the mean input
/// of a class is its row over its bias's entry; through the layer's weight `[K, F]` and bias `[K]`
/// it gives the class's probabilities, and `B db = (P - I)^T n` with `sum n = B` is solved by least
/// squares.
///
/// # Errors
/// As [`LastLayer::rows`] and [`LastLayer::bias`]; `BadSignal` where the equations have no finite
/// solution.
pub fn restored(
    layer: &LastLayer,
    weight: &Tensor,
    bias: &Tensor,
    batch: usize,
) -> Result<Vec<f64>, AttackError> {
    let (rows, db) = (layer.rows()?, layer.bias()?);
    let k = db.len() as i64;
    let mean = |(row, &b): (&Vec<f64>, &f64)| {
        let b = if b == 0.0 { f64::MIN_POSITIVE } else { b };
        Tensor::from_slice(&row.iter().map(|w| (w / b).clamp(-MOST, MOST)).collect::<Vec<_>>())
    };
    let inputs: Vec<Tensor> = rows.iter().zip(db).map(mean).collect();
    let host = |t: &Tensor| t.to_device(Device::Cpu).to_kind(Kind::Double);
    let logits = Tensor::stack(&inputs, 0).matmul(&host(weight).tr()) + host(bias);
    let of_class = logits.softmax(1, None::<Kind>);
    let options = (Kind::Double, Device::Cpu);
    let equations = of_class.tr() - Tensor::eye(k, options);
    let equations = Tensor::cat(&[Tensor::ones([1, k], options), equations], 0);
    let seen: Vec<f64> = std::iter::once(1.0).chain(db.iter().copied()).collect();
    let seen = Tensor::from_slice(&seen) * batch as f64;
    let broken = || AttackError::BadSignal("gives no finite counts of labels".into());
    let inverse = equations.f_linalg_pinv(1e-15, false).map_err(|_| broken())?;
    let counts: Vec<f64> = Vec::try_from(inverse.mv(&seen)).map_err(|_| broken())?;
    if counts.iter().all(|v| v.is_finite()) { Ok(counts) } else { Err(broken()) }
}

/// Largest magnitude of an input that is read off a quotient: a class that nobody has, nor is
/// mistaken for, has an entry of rounding's size.
const MOST: f64 = 1e10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_become_whole_and_sum_to_the_batch() {
        assert_eq!(rounded(&[1.6, 0.3, -0.4, 2.1], 4), [2, 0, 0, 2]);
        assert_eq!(rounded(&[0.0, 0.0], 3), [2, 1]);
        assert_eq!(rounded(&[3.9, 3.2, 0.1], 4), [2, 2, 0]);
        assert_eq!(rounded(&[f64::NAN, f64::INFINITY, 1.0], 2), [1, 0, 1]);
        assert_eq!(rounded(&[9.0], 2), [2]);
    }
}
