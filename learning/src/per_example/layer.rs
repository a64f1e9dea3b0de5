//! One parametrised layer's part in the gradients of single examples.

use tch::Tensor;

use super::columns::Unfolded;
use crate::tape::{Tap, TapKind, broadcast_trials};

/// The gradients that the examples of a batch give one layer's weight and bias, in the form that costs least.
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
    /// One factor and one shift a channel: both gradients formed, `[T, B, C]`.
    Scale { weight: Tensor, bias: Tensor },
}

impl LayerExamples {
    /// From what the tape kept and the loss gradient at the layer's output, `[T, B, ...]`.
    pub(super) fn new(tap: Tap, delta: Tensor) -> LayerExamples {
        let input = broadcast_trials(&tap.input.detach(), delta.size()[0]);
        let form = match (tap.kind, tap.conv) {
            (TapKind::Conv, Some(conv)) => Form::Conv {
                bias: tap.bias.map(|_| over_positions(&delta)),
                weight: Box::new(Unfolded::new(conv, input, delta)),
            },
            (TapKind::Scale, _) => scale(&input, &delta, tap.fixed.as_ref()),
            _ => Form::Outer { delta, input },
        };
        LayerExamples { weight: tap.weight, bias: tap.bias, form }
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
            Form::Scale { weight, bias } => squares(weight) + squares(bias),
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
            Form::Scale { weight, bias } => [weight, bias].into_iter().for_each(|t| erase(t, keep)),
        }
    }

    /// The sums over each trial's examples of `factors` (`[T, B]`) times their gradients: weight and bias, each `[T, ...]`.
    pub(super) fn sums(&self, factors: &Tensor) -> (Tensor, Option<Tensor>) {
        let row = factors.unsqueeze(1);
        let sum = |g: &Tensor| row.bmm(g).squeeze_dim(1);
        match &self.form {
            Form::Outer { delta, input } => {
                let scaled = delta * factors.unsqueeze(2);
                (scaled.transpose(1, 2).bmm(input), self.bias.map(|_| sum(delta)))
            }
            Form::Conv { weight, bias } => (weight.sum(factors), bias.as_ref().map(sum)),
            Form::Scale { weight, bias } => (sum(weight), Some(sum(bias))),
        }
    }
}

/// Gradients of a normalisation's factor and shift; with fixed statistics its activation is `scale * input + shift`.
fn scale(input: &Tensor, delta: &Tensor, fixed: Option<&[Tensor; 2]>) -> Form {
    let (product, bias) = (over_positions(&(delta * input)), over_positions(delta));
    let weight = match fixed {
        Some([scale, shift]) => product * scale.unsqueeze(1) + &bias * shift.unsqueeze(1),
        None => product,
    };
    Form::Scale { weight, bias }
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
