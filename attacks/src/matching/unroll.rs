//! Differentiating through the client's local steps (Dimitrov et al. 2022; Geiping et al. 2020, section 6).

use learning::client::LocalTraining;
use learning::{Form, LayerGrad, Observation, Params, gradients};
use tch::Tensor;

/// Simulates the client's SGD on the dummy examples `[T, E, ...]` and returns `(w_0 - w_E) / (lr * steps)` as dense gradients.
///
/// The adversary does not know the order in which the client visited its examples, nor its augmentations: batches are taken in
/// the dummy order in every epoch, unaugmented. `loss(logits, from)` is that of the examples `from..from + logits.len()`.
pub fn simulate(
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
