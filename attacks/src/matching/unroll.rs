//! Differentiating through the client's local steps (Dimitrov et al. 2022; Geiping et al. 2020,
//! section 6).

use learning::client::{ADAM_EPS, LocalTraining, StepRule};
use learning::{Form, LayerGrad, Observation, Params, gradients};
use tch::Tensor;

use super::signal;

/// What keeps the slope of a square root finite at 0: far below the square of Adam's epsilon.
const TINY: f64 = 1e-30;

/// As [`simulate_client`] where the signal is the mean over several clients: the dummy examples are
/// dealt to them in order, and each weighs by its share.
pub fn simulate(
    seen: &Observation,
    start: &Params,
    images: &Tensor,
    local: (&LocalTraining, f64),
    loss: impl Fn(&Tensor, i64) -> Tensor,
) -> Vec<LayerGrad> {
    let shares = signal::shares(seen, images.size()[1]);
    if shares.len() == 1 {
        return simulate_client(seen, start, images, local, loss);
    }
    let (clients, total) = (shares.len() as f64, shares.iter().sum::<i64>().max(1) as f64);
    let starts = shares.iter().scan(0, |next, share| {
        let from = *next;
        *next += share;
        Some(from)
    });
    let per_client = starts.zip(&shares).map(|(first, &share)| {
        let own = images.narrow(1, first, share);
        let loss = |logits: &Tensor, from: i64| loss(logits, first + from);
        let weight = share as f64 * clients / total;
        let weighted = |g: &LayerGrad| LayerGrad::Dense(g.to_dense() * weight);
        let layers = simulate_client(seen, start, &own, local, loss);
        layers.iter().map(weighted).collect::<Vec<_>>()
    });
    let add = |a: &LayerGrad, b: &LayerGrad| LayerGrad::Dense(a.to_dense() + b.to_dense());
    let sum = per_client.reduce(|a, b| a.iter().zip(&b).map(|(a, b)| add(a, b)).collect());
    sum.unwrap_or_default().iter().map(|g| LayerGrad::Dense(g.to_dense() / clients)).collect()
}

/// Simulates the client's training on the dummy examples `[T, E, ...]` and returns `(w_0 - w_E) /
/// scale` as dense gradients, read as [`super::signal::gradient`] reads the captured update
/// (`scale` is its `step_scale`).
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
    let mut moments: Vec<Moments> = trainable.iter().map(|_| Moments::default()).collect();
    let batch = (local.batch_size.max(1) as i64).min(examples);
    let batches = (0..local.epochs).flat_map(|_| (0..examples).step_by(batch as usize));
    for (step, from) in batches.enumerate() {
        let x = images.narrow(1, from, batch.min(examples - from));
        let grads = gradients(&seen.net, &params, &x, seen.mode, Form::Dense, true, |logits| {
            loss(logits, from)
        });
        for (k, (&i, grad)) in trainable.iter().zip(&grads.layers).enumerate() {
            let mut grad = grad.to_dense();
            if local.weight_decay != 0.0 {
                grad += &params.tensors[i] * local.weight_decay;
            }
            if let (Some(moved), true) = (&moved[k], local.prox != 0.0) {
                grad -= moved * local.prox;
            }
            let by = moments[k].direction(local, step, grad) * local.rate(step);
            let all = moved[k].take().map_or_else(|| by.shallow_clone(), |m| m + &by);
            params.tensors[i] = &start.tensors[i] - &all;
            moved[k] = Some(all);
        }
    }
    let read = |(&i, moved): (&usize, Option<Tensor>)| {
        let moved = moved.unwrap_or_else(|| start.tensors[i].zeros_like());
        let gradient = moved / scale;
        LayerGrad::Dense(match signal::decay(local) {
            0.0 => gradient,
            decay => gradient - &start.tensors[i] * decay,
        })
    };
    trainable.iter().zip(moved).map(read).collect()
}

/// What an optimiser remembers of one parameter from step to step.
#[derive(Default)]
struct Moments {
    first: Option<Tensor>,
    second: Option<Tensor>,
}

impl Moments {
    /// The direction of one step of `torch.optim.SGD` or `Adam`, counted from 0; `grad` holds the
    /// weight decay.
    fn direction(&mut self, local: &LocalTraining, step: usize, grad: Tensor) -> Tensor {
        match local.rule {
            StepRule::Sgd if local.momentum == 0.0 => grad,
            StepRule::Sgd => {
                let next = match self.first.take() {
                    Some(v) => v * local.momentum + grad,
                    None => grad,
                };
                self.first = Some(next.shallow_clone());
                next
            }
            StepRule::Adam { beta1, beta2 } => {
                let moment = |old: Option<Tensor>, beta: f64, new: Tensor| match old {
                    Some(old) => old * beta + new * (1.0 - beta),
                    None => new * (1.0 - beta),
                };
                let square = grad.square();
                let first = moment(self.first.take(), beta1, grad);
                let second = moment(self.second.take(), beta2, square);
                let steps = (step + 1) as i32;
                let (rise, root) = (1.0 - beta1.powi(steps), 1.0 - beta2.powi(steps));
                let magnitude = (&second / root + TINY).sqrt();
                let direction = &first / rise / (magnitude + ADAM_EPS);
                (self.first, self.second) = (Some(first), Some(second));
                direction
            }
        }
    }
}

#[cfg(test)]
mod tests;
