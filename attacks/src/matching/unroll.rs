//! Differentiating through the client's local steps (Dimitrov et al. 2022; Geiping et al. 2020,
//! section 6).

use learning::client::LocalTraining;
use learning::{Form, LayerGrad, Observation, Params, gradients};
use tch::Tensor;

/// As [`simulate_client`] where the signal is the mean over `contributors` clients: the dummy
/// examples are dealt to them in order.
pub fn simulate(
    seen: &Observation,
    start: &Params,
    images: &Tensor,
    local: (&LocalTraining, f64),
    loss: impl Fn(&Tensor, i64) -> Tensor,
) -> Vec<LayerGrad> {
    let clients = seen.known.contributors.max(1);
    if clients == 1 {
        return simulate_client(seen, start, images, local, loss);
    }
    let examples = images.size()[1] / clients;
    let per_client = (0..clients).map(|c| {
        let own = images.narrow(1, c * examples, examples);
        simulate_client(seen, start, &own, local, |logits, from| loss(logits, c * examples + from))
    });
    let add = |a: &LayerGrad, b: &LayerGrad| LayerGrad::Dense(a.to_dense() + b.to_dense());
    let sum = per_client.reduce(|a, b| a.iter().zip(&b).map(|(a, b)| add(a, b)).collect());
    sum.unwrap_or_default()
        .iter()
        .map(|g| LayerGrad::Dense(g.to_dense() / clients as f64))
        .collect()
}

/// Simulates the client's SGD on the dummy examples `[T, E, ...]` and returns `(w_0 - w_E) / scale`
/// as dense gradients, read as [`super::signal::gradient`] reads the captured update (`scale` is
/// its `step_scale`).
///
/// The adversary does not know the order in which the client visited its examples, nor its
/// augmentations: batches are taken in the dummy order in every epoch, unaugmented. `loss(logits,
/// from)` is that of the examples `from..from + logits.len()`.
fn simulate_client(
    seen: &Observation,
    start: &Params,
    images: &Tensor,
    (local, scale): (&LocalTraining, f64),
    loss: impl Fn(&Tensor, i64) -> Tensor,
) -> Vec<LayerGrad> {
    let examples = images.size()[1];
    let trainable = start.layout().trainable();
    // Shared weights stay shared until the first step parts them. What they moved by is summed for
    // itself: `w_0 - w_E` would lose the digits that small steps do not change.
    let mut params = start.clone();
    let mut moved: Vec<Option<Tensor>> = trainable.iter().map(|_| None).collect();
    let mut velocity: Vec<Option<Tensor>> = trainable.iter().map(|_| None).collect();
    let batch = (local.batch_size.max(1) as i64).min(examples);
    for from in (0..local.epochs).flat_map(|_| (0..examples).step_by(batch as usize)) {
        let x = images.narrow(1, from, batch.min(examples - from));
        let grads = gradients(&seen.net, &params, &x, seen.mode, Form::Dense, true, |logits| {
            loss(logits, from)
        });
        for (k, (&i, grad)) in trainable.iter().zip(&grads.layers).enumerate() {
            let step = sgd(local, grad.to_dense(), &params.tensors[i], &mut velocity[k]) * local.lr;
            let all = moved[k].take().map_or_else(|| step.shallow_clone(), |m| m + &step);
            params.tensors[i] = &start.tensors[i] - &all;
            moved[k] = Some(all);
        }
    }
    let read = |(&i, moved): (&usize, Option<Tensor>)| {
        let moved = moved.unwrap_or_else(|| start.tensors[i].zeros_like());
        let gradient = moved / scale;
        LayerGrad::Dense(match local.weight_decay {
            0.0 => gradient,
            decay => gradient - &start.tensors[i] * decay,
        })
    };
    trainable.iter().zip(moved).map(read).collect()
}

/// The direction of one step of `torch.optim.SGD`.
fn sgd(
    local: &LocalTraining,
    grad: Tensor,
    weight: &Tensor,
    velocity: &mut Option<Tensor>,
) -> Tensor {
    let grad = if local.weight_decay != 0.0 { grad + weight * local.weight_decay } else { grad };
    if local.momentum == 0.0 {
        return grad;
    }
    let next = velocity.take().map_or_else(|| grad.shallow_clone(), |v| v * local.momentum + &grad);
    *velocity = Some(next.shallow_clone());
    next
}

#[cfg(test)]
mod tests;
