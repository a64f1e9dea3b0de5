//! What a server makes of the mean update: FedAvg and FedAdam.

use tch::Tensor;

use crate::params::Params;

/// The server's rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ServerRule {
    /// `w + lr * mean` (McMahan et al. 2017 at `lr = 1`).
    FedAvg {
        /// Server step size.
        lr: f64,
    },
    /// Adam with the mean update as its direction (Reddi et al. 2021, algorithm 2): no bias
    /// correction.
    FedAdam {
        /// Server step size.
        lr: f64,
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the root of the second moment, which it also starts from (`tau^2`).
        tau: f64,
    },
}

/// The server's memory from round to round: nothing before the first.
#[derive(Clone, Debug, Default)]
pub struct ServerState {
    /// FedAdam's `m`, `[1, ...]`.
    pub first: Option<Params>,
    /// FedAdam's `v`, `[1, ...]`.
    pub second: Option<Params>,
}

impl ServerRule {
    /// The next weights from the last and the mean update, all `[1, ...]`. Buffers, such as
    /// BatchNorm's running statistics, are averaged as FedAvg averages them: a second moment of
    /// them would mean nothing.
    pub fn step(&self, weights: &Params, mean: &Params, state: &mut ServerState) -> Params {
        match *self {
            ServerRule::FedAvg { lr } => split(weights, mean, |w, d| w + d * lr),
            ServerRule::FedAdam { lr, beta1, beta2, tau } => {
                let first = match state.first.take() {
                    Some(m) => m.zip(mean, |m, d| m * beta1 + d * (1.0 - beta1)),
                    None => mean.scale(1.0 - beta1),
                };
                let old =
                    state.second.take().unwrap_or_else(|| mean.map(|d| d.zeros_like() + tau * tau));
                let second = old.zip(mean, |v, d| v * beta2 + d.square() * (1.0 - beta2));
                let direction = first.zip(&second, |m, v| m / (v.sqrt() + tau));
                (state.first, state.second) = (Some(first), Some(second));
                let stepped = split(weights, &direction, |w, d| w + d * lr);
                let mut flags = trainable(weights);
                let averaged = weights.zip(mean, |w, d| w + d);
                stepped.zip(&averaged, |s, a| {
                    if flags.next() == Some(true) { s } else { a }.shallow_clone()
                })
            }
        }
    }
}

fn trainable(params: &Params) -> impl Iterator<Item = bool> + use<> {
    let flags: Vec<bool> = params.layout().specs().iter().map(|s| s.trainable).collect();
    flags.into_iter()
}

/// `f` on trainable parameters; buffers take the whole mean change.
fn split(
    weights: &Params,
    change: &Params,
    mut f: impl FnMut(&Tensor, &Tensor) -> Tensor,
) -> Params {
    let mut flags = trainable(weights);
    weights.zip(change, |w, d| if flags.next() == Some(true) { f(w, d) } else { w + d })
}
