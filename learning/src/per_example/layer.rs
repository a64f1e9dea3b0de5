//! One parametrised layer's part in the gradients of single examples.

use tch::Tensor;

use super::columns::{Unfolded, grouped};
use crate::tape::{Tap, TapKind, broadcast_lanes};

/// The gradients that the examples of a batch give one layer's weight and bias, in the form that
/// costs least.
pub(super) struct LayerExamples {
    weight: usize,
    bias: Option<usize>,
    form: Form,
}

enum Form {
    /// dW_i = delta_i input_i^T, an outer product: `[T, B, out]` and `[T, B, in]`.
    Outer { delta: Tensor, input: Tensor },
    /// A convolution through its unfolded input; the bias' gradients `[T, B, out]`.
    Conv { weight: Box<Unfolded>, bias: Option<Tensor> },
    /// dW_i = delta_i input_i^T without its part along the rows of the unit weights, where `delta`
    /// is divided by the weights' norms and `along` `[T, B, out]` is that part.
    Cosine { delta: Tensor, input: Tensor, along: Tensor, unit: Tensor },
    /// Few parameters: their gradients themselves, `[T, B, n]`.
    Formed { weight: Tensor, bias: Option<Tensor> },
}

impl LayerExamples {
    /// From what the tape kept and the loss gradient at the layer's output, `[T, B, ...]`.
    pub(super) fn new(tap: Tap, delta: Tensor) -> LayerExamples {
        let input = broadcast_lanes(&tap.input.detach(), delta.size()[0]);
        let form = match (tap.kind, tap.conv, tap.fixed) {
            (TapKind::Conv, Some(conv), _) if conv.groups > 1 => Form::Formed {
                bias: tap.bias.map(|_| over_positions(&delta)),
                weight: grouped(conv, &input, &delta),
            },
            (TapKind::Conv, Some(conv), _) => Form::Conv {
                bias: tap.bias.map(|_| over_positions(&delta)),
                weight: Box::new(Unfolded::new(conv, input, delta)),
            },
            (TapKind::Scale, _, fixed) => scale(&input, &delta, tap.bias.is_some(), fixed.as_ref()),
            (TapKind::Cosine, _, Some([unit, inverse])) => {
                let delta = delta * inverse.detach().unsqueeze(1);
                let along = &delta * tap.output.detach();
                Form::Cosine { delta, input, along, unit: unit.detach() }
            }
            _ => Form::Outer { delta, input },
        };
        LayerExamples { weight: tap.weight, bias: tap.bias, form }
    }

    /// Of a parameter whose gradient each example has for itself, `[T, B, ...]`.
    pub(super) fn formed(parameter: usize, gradient: &Tensor) -> LayerExamples {
        let weight = gradient.flatten(2, -1);
        LayerExamples { weight: parameter, bias: None, form: Form::Formed { weight, bias: None } }
    }

    /// Position of the weight in the layout.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// Position of the bias in the layout.
    pub(super) fn bias(&self) -> Option<usize> {
        self.bias
    }

    /// Squared norm of each example's gradient, weight and bias together, `[T, B]`.
    pub(super) fn squares(&mut self) -> Tensor {
        match &mut self.form {
            // ||d a^T||^2 = ||d||^2 ||a||^2.
            Form::Outer { delta, input } => {
                let (d, a) = (squares(delta), squares(input));
                if self.bias.is_some() { &d * (a + 1.0) } else { d * a }
            }
            Form::Conv { weight, bias } => {
                let w = weight.squares();
                bias.as_ref().map_or(w.shallow_clone(), |b| w + squares(b))
            }
            // What is left of a_i behind its part along a unit vector: ||a_i||^2 - (a_i u_k)^2.
            Form::Cosine { delta, input, along, .. } => {
                (squares(delta) * squares(input) - squares(along)).clamp_min(0.0)
            }
            Form::Formed { weight, bias } => {
                let w = squares(weight);
                bias.as_ref().map_or(w.shallow_clone(), |b| w + squares(b))
            }
        }
    }

    /// Makes nothing of the examples where `keep` (`[T, B]`) is false.
    pub(super) fn erase(&mut self, keep: &Tensor) {
        match &mut self.form {
            Form::Outer { delta, input } => [delta, input].into_iter().for_each(|t| erase(t, keep)),
            Form::Conv { weight, bias } => {
                weight.erase(keep);
                bias.iter_mut().for_each(|t| erase(t, keep));
            }
            Form::Cosine { delta, input, along, .. } => {
                [delta, input, along].into_iter().for_each(|t| erase(t, keep));
            }
            Form::Formed { weight, bias } => {
                [weight].into_iter().chain(bias).for_each(|t| erase(t, keep));
            }
        }
    }

    /// The sums over each lane's examples of `factors` (`[T, B]`) times their gradients: weight
    /// and bias, each `[T, ...]`.
    pub(super) fn sums(&self, factors: &Tensor) -> (Tensor, Option<Tensor>) {
        let row = factors.unsqueeze(1);
        let sum = |g: &Tensor| row.bmm(g).squeeze_dim(1);
        match &self.form {
            Form::Outer { delta, input } => {
                let scaled = delta * factors.unsqueeze(2);
                (scaled.transpose(1, 2).bmm(input), self.bias.map(|_| sum(delta)))
            }
            Form::Conv { weight, bias } => (weight.sum(factors), bias.as_ref().map(sum)),
            Form::Cosine { delta, input, along, unit } => {
                let scaled = delta * factors.unsqueeze(2);
                (scaled.transpose(1, 2).bmm(input) - sum(along).unsqueeze(2) * unit, None)
            }
            Form::Formed { weight, bias } => (sum(weight), bias.as_ref().map(sum)),
        }
    }
}

/// Gradients of a factor and (`shift`) a shift a channel; with fixed statistics the activation is
/// `scale * input + shift`.
fn scale(input: &Tensor, delta: &Tensor, shift: bool, fixed: Option<&[Tensor; 2]>) -> Form {
    let (product, bias) = (over_positions(&(delta * input)), shift.then(|| over_positions(delta)));
    let weight = match (fixed, &bias) {
        (Some([scale, shift]), Some(bias)) => {
            product * scale.unsqueeze(1) + bias * shift.unsqueeze(1)
        }
        _ => product,
    };
    Form::Formed { weight, bias }
}

/// `[T, B, C, H, W]` to `[T, B, C]`.
fn over_positions(x: &Tensor) -> Tensor {
    x.sum_dim_intlist(&[3i64, 4][..], false, None)
}

/// `[T, B, n]` to `[T, B]`.
fn squares(x: &Tensor) -> Tensor {
    x.square().sum_dim_intlist(2, false, None)
}

/// Zeros in place of the examples that are not kept (`[T, B]`), whatever they hold.
pub(super) fn erase(x: &mut Tensor, keep: &Tensor) {
    let mut size = keep.size();
    size.resize(x.dim(), 1);
    *x = x.where_self(&keep.reshape(size), &x.zeros_like());
}
