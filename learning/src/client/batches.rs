//! Which examples a step takes, and what augmentation makes of them.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha12Rng;
use tch::{Kind, Tensor};

/// An order of the examples for each client, `[T, E]` on the CPU.
pub(super) fn shuffled(rngs: &mut [ChaCha12Rng], examples: usize) -> Tensor {
    let orders: Vec<i64> = rngs
        .iter_mut()
        .flat_map(|rng| {
            let mut order: Vec<i64> = (0..examples as i64).collect();
            order.shuffle(rng);
            order
        })
        .collect();
    Tensor::from_slice(&orders).reshape([rngs.len() as i64, examples as i64])
}

/// Rows `rows[t]` of each lane of `values` `[T, E, ...]`; pixels kept as bytes become values in
/// `[0, 1]`.
pub(super) fn pick(values: &Tensor, rows: &Tensor) -> Tensor {
    let rows = rows.to_device(values.device());
    let picked: Vec<Tensor> =
        (0..rows.size()[0]).map(|t| values.get(t).index_select(0, &rows.get(t))).collect();
    let picked = Tensor::stack(&picked, 0);
    if picked.kind() == Kind::Uint8 { picked.to_kind(Kind::Float) / 255.0 } else { picked }
}

/// Flips each image with probability 1/2 and shifts it by up to an eighth of its side, with zeros
/// coming in.
pub(super) fn augment(x: &Tensor, rngs: &mut [ChaCha12Rng]) -> Tensor {
    let size = x.size();
    let reach = size[3] / 8;
    let padded = x.flatten(0, 1).constant_pad_nd([reach; 4]).reshape([
        size[0],
        size[1],
        size[2],
        size[3] + 2 * reach,
        size[4] + 2 * reach,
    ]);
    let mut out = Vec::new();
    for (t, rng) in rngs.iter_mut().enumerate() {
        for b in 0..size[1] {
            let (dy, dx) = (rng.random_range(0..=2 * reach), rng.random_range(0..=2 * reach));
            let view = padded.get(t as i64).get(b).narrow(1, dy, size[3]).narrow(2, dx, size[4]);
            out.push(if rng.random::<bool>() { view.flip([2]) } else { view });
        }
    }
    Tensor::stack(&out, 0).reshape(&size[..])
}
