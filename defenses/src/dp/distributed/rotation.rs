//! A public random rotation that spreads an update's norm evenly over its coordinates: signs, then
//! Walsh-Hadamard transforms of blocks.
//!
//! The number of values is cut into blocks of powers of two (the binary digits of the number), so
//! that nothing is padded.

use std::sync::Arc;

use learning::Params;
use learning::params::Layout;
use rand::Rng;
use tch::Tensor;

/// All values of each client, `[T, d]`.
pub fn rows(update: &Params) -> Tensor {
    let parts: Vec<Tensor> = update.tensors.iter().map(|t| t.flatten(1, -1)).collect();
    Tensor::cat(&parts, 1)
}

/// The inverse of [`rows`].
pub fn params(rows: &Tensor, layout: &Arc<Layout>) -> Params {
    let mut from = 0;
    let tensors = layout.specs().iter().map(|spec| {
        let n = spec.shape.iter().product::<i64>();
        let size: Vec<i64> =
            std::iter::once(rows.size()[0]).chain(spec.shape.iter().copied()).collect();
        from += n;
        rows.narrow(1, from - n, n).reshape(size)
    });
    let tensors = tensors.collect();
    Params::new(layout.clone(), tensors).expect("the rows were made of this layout")
}

/// `H D x` of each row.
pub fn forward(rows: &Tensor) -> Tensor {
    hadamard(&(rows * signs(rows)))
}

/// `D H y` of each row: the inverse, since both are orthogonal and symmetric.
pub fn backward(rows: &Tensor) -> Tensor {
    hadamard(rows) * signs(rows)
}

/// The same signs for everyone and every round: they are no secret.
fn signs(rows: &Tensor) -> Tensor {
    let mut rng = suites::rng::stream(0, "dp-distributed", "rotation");
    let signs: Vec<f32> =
        (0..rows.size()[1]).map(|_| if rng.random::<bool>() { 1.0 } else { -1.0 }).collect();
    Tensor::from_slice(&signs).to_device(rows.device()).to_kind(rows.kind())
}

/// Orthonormal Walsh-Hadamard transform of each block of each row.
fn hadamard(rows: &Tensor) -> Tensor {
    let (mut blocks, mut from, mut left) = (Vec::new(), 0, rows.size()[1]);
    while left > 0 {
        let len = 1i64 << (63 - left.leading_zeros());
        blocks.push(transform(&rows.narrow(1, from, len)));
        (from, left) = (from + len, left - len);
    }
    Tensor::cat(&blocks, 1)
}

fn transform(block: &Tensor) -> Tensor {
    let (t, n) = (block.size()[0], block.size()[1]);
    let mut x = block.shallow_clone();
    let mut half = 1;
    while half < n {
        let pairs = x.reshape([t, -1, 2, half]);
        let (a, b) = (pairs.select(2, 0), pairs.select(2, 1));
        x = Tensor::stack(&[&a + &b, &a - &b], 2).reshape([t, n]);
        half *= 2;
    }
    x / (n as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn the_rotation_keeps_norms_and_can_be_undone() {
        let x = Tensor::arange(22, (Kind::Double, tch::Device::Cpu)).reshape([2, 11]);
        let y = forward(&x);
        assert!((y.norm() - x.norm()).abs().double_value(&[]) < 1e-9);
        assert!((backward(&y) - &x).abs().max().double_value(&[]) < 1e-12);
        // A single large value ends up spread over its block.
        let spike = Tensor::from_slice(&[8f64, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]).unsqueeze(0);
        let largest = forward(&spike).abs().max().double_value(&[]);
        assert!((largest - 8.0 / 8f64.sqrt()).abs() < 1e-12, "{largest}");
    }

    #[test]
    fn rows_and_params_are_inverse() {
        let update = crate::testing::update(3, 5, 2.0);
        let back = params(&rows(&update), update.layout());
        assert_eq!(back.tensors[0], update.tensors[0]);
        assert_eq!(back.tensors[0].kind(), Kind::Float);
    }
}
