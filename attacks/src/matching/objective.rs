//! Distances between the gradients of a candidate and the captured ones.
//!
//! Every distance but `l1` is made of inner products and norms, so it never needs a gradient that
//! is kept as factors. Such a distance is a small difference of large numbers once the candidate is
//! close: in f32 it then carries a rounding error of about 1e-7 of the captured gradient's squared
//! norm (1e-7 for cosines), which would decide which point counts as the best. Its gradient does
//! not suffer in this way. So the value, and only the value, is taken again in f64 where that
//! matters, and stays in f64: rounded back it could tell no two close points apart.

use std::cell::OnceCell;

use learning::layer_grad::{LayerGrad, sum_lanes};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// How gradients are compared.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// Sum of squared differences (Zhu et al. 2019).
    #[default]
    L2,
    /// `l2` over the captured gradient's squared norm: the weight of a prior then means the same
    /// for gradients of any size.
    Relative,
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
    /// Whether scaling a gradient changes nothing.
    pub fn sees_directions_only(self) -> bool {
        matches!(self, Objective::Cosine | Objective::Sim)
    }

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
    /// The same in f64, made when it is first needed.
    double: OnceCell<Box<Target>>,
}

/// Share of the captured gradient's squared norm below which a difference of inner products is
/// computed again in f64.
const CLOSE: f64 = 1e-3;

impl Target {
    /// `tensors[i]` belongs to the `selected[i]`-th trainable parameter and counts `weights[i]`
    /// (`[N]`).
    pub fn new(tensors: Vec<Tensor>, selected: Vec<usize>, weights: Vec<Tensor>) -> Target {
        let norms = tensors.iter().map(|g| sum_lanes(&g.square())).collect();
        Target { tensors, selected, weights, norms, double: OnceCell::new() }
    }

    /// Number of captured signals.
    pub fn lanes(&self) -> i64 {
        self.tensors.first().map_or(0, |t| t.size()[0])
    }

    /// Positions of the matched parameters among the trainable ones.
    pub(super) fn selected(&self) -> &[usize] {
        &self.selected
    }

    /// The captured tensor `[N, ...]` of the i-th matched parameter, and its weight `[N]`.
    pub(super) fn part(&self, i: usize) -> (&Tensor, &Tensor) {
        (&self.tensors[i], &self.weights[i])
    }

    /// The same in another element type.
    pub fn to_kind(&self, kind: Kind) -> Target {
        let cast = |v: &[Tensor]| v.iter().map(|t| t.to_kind(kind)).collect();
        Target::new(cast(&self.tensors), self.selected.clone(), cast(&self.weights))
    }

    /// Distance of each of `T` candidates to its target, `[T]`; candidate `t` belongs to target `t
    /// / (T/N)`.
    ///
    /// `layers` are the gradients of all trainable parameters in order. Differentiable with respect
    /// to whatever they depend on. In f64 where f32 would leave few digits, else in their own kind.
    pub fn distance(&self, objective: Objective, both_weight: f64, layers: &[LayerGrad]) -> Tensor {
        let value = self.formula(objective, both_weight, layers);
        if value.kind() == Kind::Double || !self.is_rounded(objective, &value, layers) {
            return value;
        }
        let exact = tch::no_grad(|| {
            let layers: Vec<LayerGrad> = layers.iter().map(in_double).collect();
            self.double().formula(objective, both_weight, &layers)
        });
        let value = value.to_kind(Kind::Double);
        &value + (exact - &value).detach()
    }

    fn formula(&self, objective: Objective, both_weight: f64, layers: &[LayerGrad]) -> Tensor {
        match objective {
            Objective::L2 => self.l2(layers),
            Objective::Relative => {
                let value = self.l2(layers);
                let size = self.spread(&self.size().clamp_min(1e-30), &value);
                value / size
            }
            Objective::L1 => self.l1(layers),
            Objective::Cosine => self.cosine(layers),
            Objective::Sim => self.sim(layers),
            Objective::Both => {
                self.l2(layers) * (1.0 - both_weight) + self.cosine(layers) * both_weight
            }
        }
    }

    /// Whether any value is so small beside what it is a difference of that f32 leaves few digits
    /// of it.
    fn is_rounded(&self, objective: Objective, value: &Tensor, layers: &[LayerGrad]) -> bool {
        let factored = self.pairs(layers).any(|(_, g)| matches!(g, LayerGrad::Factored { .. }));
        let size = match objective {
            Objective::L1 => return false,
            Objective::L2 | Objective::Relative if !factored => return false,
            Objective::Cosine | Objective::Sim | Objective::Relative => value.ones_like(),
            Objective::L2 | Objective::Both => self.spread(&self.size(), value),
        };
        value.detach().lt_tensor(&(size * CLOSE)).any().int64_value(&[]) != 0
    }

    /// Squared norm of the captured gradients with their weights, `[N]`.
    fn size(&self) -> Tensor {
        total(self.norms.iter().zip(&self.weights).map(|(n, w)| n * w))
    }

    fn double(&self) -> &Target {
        self.double.get_or_init(|| Box::new(self.to_kind(Kind::Double)))
    }

    fn pairs<'a>(
        &'a self,
        layers: &'a [LayerGrad],
    ) -> impl Iterator<Item = (usize, &'a LayerGrad)> {
        self.selected.iter().map(|&i| &layers[i]).enumerate()
    }

    /// `[N]` to `[T]`, each value repeated for the candidates of its target.
    pub(super) fn spread(&self, per_target: &Tensor, like: &Tensor) -> Tensor {
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

/// Cosine from an inner product and squared norms. A vanished norm gives 0, not NaN. The roots are
/// taken before the product: that of two small squared norms is below what f32 holds.
fn similarity(dot: &Tensor, own: &Tensor, theirs: &Tensor) -> Tensor {
    dot / own.clamp_min(1e-36).sqrt() / theirs.clamp_min(1e-36).sqrt()
}

/// The same gradient in f64, without its graph.
fn in_double(grad: &LayerGrad) -> LayerGrad {
    let cast = |t: &Tensor| t.detach().to_kind(Kind::Double);
    match grad {
        LayerGrad::Dense(g) => LayerGrad::Dense(cast(g)),
        LayerGrad::Factored { delta, input, shape } => {
            LayerGrad::Factored { delta: cast(delta), input: cast(input), shape: shape.clone() }
        }
    }
}

fn total(parts: impl IntoIterator<Item = Tensor>) -> Tensor {
    parts.into_iter().reduce(|a, b| a + b).expect("at least one layer is selected")
}
