//! Distances between the gradients of a candidate and the captured ones.

use learning::layer_grad::{LayerGrad, sum_trials};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// How gradients are compared.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// Sum of squared differences (Zhu et al. 2019).
    #[default]
    L2,
    /// Sum of absolute differences.
    L1,
    /// One minus the cosine similarity of the whole gradient (Geiping et al. 2020).
    Cosine,
    /// Mean over layers of one minus the layer's cosine similarity.
    Sim,
    /// `(1 - both_weight) * l2 + both_weight * cosine`.
    Both,
}

impl Objective {
    /// Whether it can be computed from inner products and norms alone.
    pub fn is_factorable(self) -> bool {
        self != Objective::L1
    }
}

/// The captured gradients with what can be precomputed of them.
pub struct Target {
    /// `[N, ...shape]` for each selected trainable parameter.
    tensors: Vec<Tensor>,
    /// Positions of the selected parameters among the trainable ones.
    selected: Vec<usize>,
    /// Weight of each selected parameter, `[N]`.
    weights: Vec<Tensor>,
    /// Squared norm of each, `[N]`.
    norms: Vec<Tensor>,
}

impl Target {
    /// `tensors[i]` belongs to the `selected[i]`-th trainable parameter and counts `weights[i]` (`[N]`).
    pub fn new(tensors: Vec<Tensor>, selected: Vec<usize>, weights: Vec<Tensor>) -> Target {
        let norms = tensors.iter().map(|g| sum_trials(&g.square())).collect();
        Target { tensors, selected, weights, norms }
    }

    /// Number of captured signals.
    pub fn trials(&self) -> i64 {
        self.tensors.first().map_or(0, |t| t.size()[0])
    }

    /// The same in another element type.
    pub fn to_kind(&self, kind: Kind) -> Target {
        let cast = |v: &[Tensor]| v.iter().map(|t| t.to_kind(kind)).collect();
        Target::new(cast(&self.tensors), self.selected.clone(), cast(&self.weights))
    }

    /// Distance of each of `T` candidates to its target, `[T]`; candidate `t` belongs to target `t / (T/N)`.
    pub fn distance(&self, objective: Objective, both_weight: f64, layers: &[LayerGrad]) -> Tensor {
        match objective {
            Objective::L2 => self.l2(layers),
            Objective::L1 => self.l1(layers),
            Objective::Cosine => self.cosine(layers),
            Objective::Sim => self.sim(layers),
            Objective::Both => self.l2(layers) * (1.0 - both_weight) + self.cosine(layers) * both_weight,
        }
    }

    fn pairs<'a>(&'a self, layers: &'a [LayerGrad]) -> impl Iterator<Item = (usize, &'a LayerGrad)> {
        self.selected.iter().map(|&i| &layers[i]).enumerate()
    }

    /// `[N]` to `[T]`, each value repeated for the candidates of its target.
    fn spread(&self, per_target: &Tensor, like: &Tensor) -> Tensor {
        let restarts = like.size()[0] / per_target.size()[0];
        if restarts == 1 {
            per_target.shallow_clone()
        } else {
            per_target.repeat_interleave_self_int(restarts, 0, None)
        }
    }

    fn l2(&self, layers: &[LayerGrad]) -> Tensor {
        total(self.pairs(layers).map(|(i, grad)| {
            let squared = match grad {
                LayerGrad::Dense(_) => grad
                    .residual(&self.tensors[i])
                    .square()
                    .flatten(2, -1)
                    .sum_dim_intlist(2, false, None)
                    .reshape([-1]),
                // ||g - G||^2 = ||g||^2 - 2 <g, G> + ||G||^2
                LayerGrad::Factored { .. } => {
                    let own = grad.norm2();
                    let norm = self.spread(&self.norms[i], &own);
                    own - grad.dot(&self.tensors[i]) * 2.0 + norm
                }
            };
            let weight = self.spread(&self.weights[i], &squared);
            squared * weight
        }))
    }

    fn l1(&self, layers: &[LayerGrad]) -> Tensor {
        total(self.pairs(layers).map(|(i, grad)| {
            let absolute = grad
                .residual(&self.tensors[i])
                .abs()
                .flatten(2, -1)
                .sum_dim_intlist(2, false, None)
                .reshape([-1]);
            let weight = self.spread(&self.weights[i], &absolute);
            absolute * weight
        }))
    }

    fn cosine(&self, layers: &[LayerGrad]) -> Tensor {
        let (mut dots, mut owns, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        for (i, grad) in self.pairs(layers) {
            let dot = grad.dot(&self.tensors[i]);
            let weight = self.spread(&self.weights[i], &dot);
            owns.push(grad.norm2() * &weight);
            theirs.push(self.spread(&self.norms[i], &dot) * &weight);
            dots.push(dot * weight);
        }
        similarity(&total(dots), &total(owns), &total(theirs)).neg() + 1.0
    }

    fn sim(&self, layers: &[LayerGrad]) -> Tensor {
        let count = total(self.weights.iter().map(Tensor::shallow_clone));
        let sum = total(self.pairs(layers).map(|(i, grad)| {
            let dot = grad.dot(&self.tensors[i]);
            let weight = self.spread(&self.weights[i], &dot);
            let norm = self.spread(&self.norms[i], &dot);
            (similarity(&dot, &grad.norm2(), &norm).neg() + 1.0) * weight
        }));
        let count = self.spread(&count, &sum);
        sum / count
    }
}

/// Cosine from an inner product and squared norms. A vanished norm gives 0, not NaN.
fn similarity(dot: &Tensor, own: &Tensor, theirs: &Tensor) -> Tensor {
    dot / (own.clamp_min(1e-30) * theirs.clamp_min(1e-30)).sqrt().clamp_min(1e-20)
}

fn total(parts: impl IntoIterator<Item = Tensor>) -> Tensor {
    parts.into_iter().reduce(|a, b| a + b).expect("at least one layer is selected")
}
