//! The gradient of one weight, dense or as the product of two thin factors (Goodfellow 2015; Li et
//! al. 2022).
//!
//! For a linear layer dW = D^T A with `D` the loss gradient at the layer's outputs and `A` its
//! inputs, so `||dW||^2 = sum((D D^T) * (A A^T))` and `<dW, G> = sum(D * (A G^T))` without forming
//! dW. A convolution is the same through its unfolded input, one row for each output position.

use tch::Tensor;

/// Gradient of one parameter for each of `T` lanes.
#[derive(Debug)]
pub enum LayerGrad {
    /// `[T, ...shape]`.
    Dense(Tensor),
    /// dW = delta^T input.
    Factored {
        /// Loss gradient at the outputs, `[T, M, out]` (`M` = examples times positions).
        delta: Tensor,
        /// Layer inputs, `[T, M, in]`.
        input: Tensor,
        /// Shape of the weight, without the lane dimension.
        shape: Vec<i64>,
    },
}

impl LayerGrad {
    /// The same tensors.
    pub fn shallow_clone(&self) -> LayerGrad {
        match self {
            LayerGrad::Dense(g) => LayerGrad::Dense(g.shallow_clone()),
            LayerGrad::Factored { delta, input, shape } => LayerGrad::Factored {
                delta: delta.shallow_clone(),
                input: input.shallow_clone(),
                shape: shape.clone(),
            },
        }
    }

    /// Squared L2 norm of each lane, `[T]`.
    pub fn norm2(&self) -> Tensor {
        match self {
            // As a distance from zero: one sweep in the backward pass where a square takes three.
            LayerGrad::Dense(g) => {
                let zero = Tensor::zeros([1], (g.kind(), g.device())).expand(g.size(), true);
                sum_lanes(&g.mse_loss(&zero, tch::Reduction::None))
            }
            LayerGrad::Factored { delta, input, .. } => {
                if delta.size()[1] == 1 {
                    return sum_lanes(&delta.square()) * sum_lanes(&input.square());
                }
                let gram = |t: &Tensor| t.bmm(&t.transpose(1, 2));
                sum_lanes(&(gram(delta) * gram(input)))
            }
        }
    }

    /// Inner product with a target `[N, ...shape]`; lane `t` belongs to target `t / (T/N)`. Gives
    /// `[T]`.
    pub fn dot(&self, target: &Tensor) -> Tensor {
        match self {
            LayerGrad::Dense(g) => {
                let (grouped, target) = align(g, target);
                (grouped * target).flatten(2, -1).sum_dim_intlist(2, false, None).reshape([-1])
            }
            LayerGrad::Factored { delta, input, .. } => {
                let n = target.size()[0];
                let (d, a) = (delta.size(), input.size());
                let target = target.reshape([n, d[2], a[2]]);
                let projected = input.reshape([n, -1, a[2]]).matmul(&target.transpose(1, 2));
                sum_lanes(&(projected.reshape(&d[..]) * delta))
            }
        }
    }

    /// The gradient itself, `[T, ...shape]`, differentiable.
    pub fn to_dense(&self) -> Tensor {
        match self {
            LayerGrad::Dense(g) => g.shallow_clone(),
            LayerGrad::Factored { delta, input, shape } => {
                let size: Vec<i64> =
                    std::iter::once(delta.size()[0]).chain(shape.iter().copied()).collect();
                delta.transpose(1, 2).bmm(input).reshape(size)
            }
        }
    }

    /// `g - target` as `[N, T/N, ...shape]`, formed densely.
    pub fn residual(&self, target: &Tensor) -> Tensor {
        let dense = self.to_dense();
        let (grouped, target) = align(&dense, target);
        grouped - target
    }
}

/// Views `[T, ...]` as `[N, T/N, ...]` beside the target as `[N, 1, ...]`.
fn align(g: &Tensor, target: &Tensor) -> (Tensor, Tensor) {
    let n = target.size()[0];
    let mut size = g.size();
    let lanes = size[0] / n;
    size.splice(0..1, [n, lanes]);
    (g.reshape(size), target.unsqueeze(1))
}

/// Sums all but the first dimension.
pub fn sum_lanes(t: &Tensor) -> Tensor {
    if t.dim() == 1 { t.shallow_clone() } else { t.flatten(1, -1).sum_dim_intlist(1, false, None) }
}
