//! Differentiating through the client's local steps (Dimitrov et al. 2022; Geiping et al. 2020, section 6).

use learning::client::LocalTraining;
use learning::{Form, LayerGrad, Observation, Params, gradients};
use tch::Tensor;

/// As [`simulate_client`] where the signal is the mean over `contributors` clients: the dummy examples are dealt to them in order.
pub fn simulate(
    seen: &Observation,
    start: &Params,
    images: &Tensor,
    local: &LocalTraining,
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
    let sum = per_client.reduce(|a, b| a.iter().zip(&b).map(|(a, b)| LayerGrad::Dense(a.to_dense() + b.to_dense())).collect());
    sum.unwrap_or_default().iter().map(|g| LayerGrad::Dense(g.to_dense() / clients as f64)).collect()
}

/// Simulates the client's SGD on the dummy examples `[T, E, ...]` and returns `(w_0 - w_E) / (lr * steps)` as dense gradients.
///
/// The adversary does not know the order in which the client visited its examples, nor its augmentations: batches are taken in
/// the dummy order in every epoch, unaugmented. `loss(logits, from)` is that of the examples `from..from + logits.len()`.
fn simulate_client(
    seen: &Observation,
    start: &Params,
    images: &Tensor,
    local: &LocalTraining,
    loss: impl Fn(&Tensor, i64) -> Tensor,
) -> Vec<LayerGrad> {
    let (trials, examples) = (images.size()[0], images.size()[1]);
    let trainable = start.layout().trainable();
    let mut params = start.expand(trials);
    let mut velocity: Vec<Option<Tensor>> = trainable.iter().map(|_| None).collect();
    let batch = (local.batch_size as i64).min(examples);
    let order: Vec<i64> = (0..local.epochs).flat_map(|_| (0..examples).step_by(batch as usize)).collect();
    for &from in &order {
        let x = images.narrow(1, from, batch.min(examples - from));
        let grads =
            gradients(&seen.net, &params, &x, seen.mode, Form::Dense, true, |logits| loss(logits, from));
        for ((slot, &i), grad) in velocity.iter_mut().zip(&trainable).zip(&grads.layers) {
            let mut g = grad.to_dense();
            if local.weight_decay != 0.0 {
                g = g + &params.tensors[i] * local.weight_decay;
            }
            if local.momentum != 0.0 {
                g = slot.take().map_or_else(|| g.shallow_clone(), |v| v * local.momentum + &g);
                *slot = Some(g.shallow_clone());
            }
            params.tensors[i] = &params.tensors[i] - g * local.lr;
        }
    }
    let scale = local.lr * order.len() as f64;
    trainable.iter().map(|&i| LayerGrad::Dense((&start.tensors[i] - &params.tensors[i]) / scale)).collect()
}
