//! Convex combinations of a client's own examples, which `mixup` and `instahide` share.

use learning::Network;
use rand_chacha::ChaCha12Rng;
use tch::{Kind, Tensor};

use crate::{DefenseError, Examples};

/// Which examples go into each new example of one client, and how much of each.
pub struct Mixture {
    /// `k` lists of the `E` examples that are taken.
    pub rows: Vec<Vec<i64>>,
    /// `k` lists of `E` coefficients; those of one example sum to 1.
    pub parts: Vec<Vec<f32>>,
}

impl Mixture {
    /// `sum_j parts_j[e] * values[rows_j[e]]` for the values `[E, ...]` of one client.
    fn apply(&self, values: &Tensor) -> Tensor {
        let mut shape = vec![1; values.dim()];
        shape[0] = -1;
        let terms = self.rows.iter().zip(&self.parts).map(|(rows, parts)| {
            let taken =
                values.index_select(0, &Tensor::from_slice(rows).to_device(values.device()));
            let part = Tensor::from_slice(parts).reshape(&shape[..]);
            taken * part.to_device(values.device()).to_kind(values.kind())
        });
        terms.reduce(|sum, term| sum + term).unwrap_or_else(|| values.zeros_like())
    }
}

/// Mixes each client's examples by its own mixture, drawn from its own stream; the loss on the
/// mixed labels is the mixture of the losses, for both losses are linear in the labels.
///
/// # Errors
/// Clients that hold fewer than `least` examples.
pub fn mixed(
    name: &str,
    examples: Examples,
    net: &Network,
    least: i64,
    rngs: &mut [ChaCha12Rng],
    mut draw: impl FnMut(usize, &mut ChaCha12Rng) -> Mixture,
) -> Result<Examples, DefenseError> {
    let each = examples.pixels.size()[1];
    if each < least {
        return Err(DefenseError::Unfit(format!(
            "`{name}` mixes {least} examples of one client, but a client trains on {each}; raise \
             federation.local.batch_size (or federation.clients.examples) to {least} at least"
        )));
    }
    let (labels, soft) = targets(&examples, net.classes());
    let mixtures: Vec<Mixture> = rngs.iter_mut().map(|rng| draw(each as usize, rng)).collect();
    let apply = |values: &Tensor| {
        let rows: Vec<Tensor> =
            mixtures.iter().zip(values.unbind(0)).map(|(m, v)| m.apply(&v)).collect();
        Tensor::stack(&rows, 0)
    };
    Ok(Examples { pixels: apply(&examples.pixels), labels: apply(&labels), soft })
}

/// Labels that can be mixed, `[T, E, K]`, and whether they are probabilities: class indices become
/// one-hot rows.
fn targets(examples: &Examples, classes: i64) -> (Tensor, bool) {
    match examples.labels.kind() {
        Kind::Int64 => (examples.labels.one_hot(classes).to_kind(Kind::Float), true),
        _ => (examples.labels.shallow_clone(), examples.soft),
    }
}
