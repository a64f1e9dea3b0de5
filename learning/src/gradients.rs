//! Parameter gradients from taps: one backward pass to the layer outputs, then one small product a
//! layer. Large convolutions leave the product to autograd.

mod difference;
mod training;

use tch::Tensor;

use crate::conv::{examples_last, stack};
use crate::layer_grad::LayerGrad;
use crate::network::Network;
use crate::params::Params;
use crate::tape::{BatchStat, Mode, Tap, TapKind, Tape, broadcast_lanes};

pub use difference::{FirstPass, Pass, Slopes, Step};

/// How weight gradients are represented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Whichever costs less for inner products and norms, layer by layer.
    Auto,
    /// Always formed.
    Dense,
    /// Always as factors.
    Factored,
    /// Always formed, by the cheapest way there is where nothing is differentiated again (without
    /// `create_graph`; with it, as `Dense`).
    Training,
}

/// What a differentiated pass yields.
#[derive(Debug)]
pub struct Gradients {
    /// Loss of each lane with what the model itself adds to it, `[T]`.
    pub loss: Tensor,
    /// Gradients of the trainable parameters, in the layout's order.
    pub layers: Vec<LayerGrad>,
    /// Statistics that BatchNorm layers saw.
    pub stats: Vec<BatchStat>,
}

impl Gradients {
    /// All gradients formed, as parameters (buffers get zeros). For capture, not for matching.
    pub fn to_params(&self, like: &Params) -> Params {
        let lanes = self.loss.size()[0];
        let mut layers = self.layers.iter();
        let tensors = like.layout().specs().iter().zip(&like.tensors).map(|(spec, value)| {
            if spec.trainable {
                layers.next().map(LayerGrad::to_dense).unwrap_or_else(|| value.zeros_like())
            } else {
                let mut size = value.size();
                size[0] = lanes;
                Tensor::zeros(size, (value.kind(), value.device()))
            }
        });
        let tensors = tensors.collect();
        Params::new(like.layout().clone(), tensors)
            .expect("gradients have the shapes of their parameters")
    }
}

/// Differentiates `loss(logits)` (`[T]`, one value a lane) with respect to every trainable
/// parameter.
///
/// `x` is the network's normalised input `[T, B, ...]`. With `create_graph` the result is itself
/// differentiable with respect to whatever `x`, the parameters or the loss depend on.
pub fn gradients(
    net: &Network,
    params: &Params,
    x: &Tensor,
    mode: Mode,
    form: Form,
    create_graph: bool,
    loss: impl FnOnce(&Tensor) -> Tensor,
) -> Gradients {
    if form == Form::Training && !create_graph {
        return training::gradients(net, params, x, mode, loss);
    }
    let mut tape = Tape::recording(params, mode, form);
    let logits = net.forward_normalised(&mut tape, x);
    let loss = match tape.penalty.take() {
        Some(penalty) => loss(&logits) + penalty,
        None => loss(&logits),
    };
    let outputs = tape.taps.iter().map(|t| &t.output);
    let wanted: Vec<&Tensor> = outputs.chain(tape.taps.iter().flat_map(|t| &t.kernels)).collect();
    let mut deltas =
        Tensor::run_backward(&[loss.sum(loss.kind())], &wanted, create_graph, create_graph);
    let kernels = deltas.split_off(tape.taps.len());
    let layers = layers(params, &tape.taps, deltas, kernels, form);
    Gradients { loss, layers, stats: tape.stats }
}

/// The gradients of the trainable parameters from those at the taps and of the taps' own kernels.
fn layers(
    params: &Params,
    taps: &[Tap],
    deltas: Vec<Tensor>,
    kernels: Vec<Tensor>,
    form: Form,
) -> Vec<LayerGrad> {
    let mut kernels = kernels.into_iter();
    let mut slots: Vec<Option<LayerGrad>> = params.tensors.iter().map(|_| None).collect();
    for (tap, delta) in taps.iter().zip(deltas) {
        let weight_shape = &params.layout().specs()[tap.weight].shape;
        slots[tap.weight] = Some(match tap.kernels.len() {
            0 => weight_gradient(tap, &delta, weight_shape, form),
            lanes => LayerGrad::Dense(stack(&kernels.by_ref().take(lanes).collect::<Vec<_>>())),
        });
        if let Some(bias) = tap.bias {
            slots[bias] = Some(LayerGrad::Dense(bias_gradient(tap, &delta)));
        }
    }
    let trainable = params.layout().trainable();
    trainable
        .into_iter()
        .map(|i| slots[i].take().expect("every trainable parameter has a tap"))
        .collect()
}

fn bias_gradient(tap: &Tap, delta: &Tensor) -> Tensor {
    match tap.kind {
        TapKind::Linear | TapKind::Cosine => delta.sum_dim_intlist(1, false, None),
        TapKind::Conv | TapKind::Scale | TapKind::Free => per_channel_sum(delta),
    }
}

/// `[T, B, C, H, W]` to `[T, C]`.
fn per_channel_sum(x: &Tensor) -> Tensor {
    x.sum_dim_intlist(&[1i64, 3, 4][..], false, None)
}

fn weight_gradient(tap: &Tap, delta: &Tensor, shape: &[i64], form: Form) -> LayerGrad {
    let lanes = tap.output.size()[0];
    match (tap.kind, &tap.fixed) {
        (TapKind::Free, _) if delta.defined() => LayerGrad::Dense(delta.shallow_clone()),
        (TapKind::Free, _) => LayerGrad::Dense(tap.output.zeros_like()),
        (TapKind::Scale, fixed) => {
            let product = per_channel_sum(&(delta * &tap.input));
            LayerGrad::Dense(match fixed {
                Some([scale, shift]) => product * scale + per_channel_sum(delta) * shift,
                None => product,
            })
        }
        (TapKind::Cosine, Some([unit, inverse])) => {
            LayerGrad::Dense(cosine_gradient(tap, delta, unit, inverse))
        }
        (TapKind::Linear | TapKind::Cosine, _) => {
            let rows = delta.size()[1];
            let input = broadcast_lanes(&tap.input, lanes);
            choose(delta.shallow_clone(), input, shape, rows, form)
        }
        (TapKind::Conv, _) => {
            let (delta, columns) = (examples_last(delta), broadcast_lanes(&tap.input, lanes));
            let rows = delta.size()[2];
            choose(delta.transpose(1, 2), columns.transpose(1, 2), shape, rows, form)
        }
    }
}

/// With `u = W / ||W||` and `z = a u^T`: dL/du = delta^T a, of which only what is orthogonal to `u`
/// turns `W`.
fn cosine_gradient(tap: &Tap, delta: &Tensor, unit: &Tensor, inverse: &Tensor) -> Tensor {
    let scaled = delta * inverse.unsqueeze(1);
    let along = (&scaled * &tap.output).sum_dim_intlist(1, false, None);
    scaled.transpose(1, 2).matmul(&tap.input) - along.unsqueeze(2) * unit
}

fn choose(delta: Tensor, input: Tensor, shape: &[i64], rows: i64, form: Form) -> LayerGrad {
    let (out, inp) = (delta.size()[2], input.size()[2]);
    let factored = match form {
        Form::Auto => factored_is_cheaper(rows, out, inp),
        Form::Dense | Form::Training => false,
        Form::Factored => true,
    };
    let grad = LayerGrad::Factored { delta, input, shape: shape.to_vec() };
    if factored { grad } else { LayerGrad::Dense(grad.to_dense()) }
}

/// Factors cost 2 M O I multiply-adds (the product with a fixed target) and 3 M^2 (O + I) for the
/// Gram matrices, and touch the weights twice; forming dW costs 3 M O I and ten sweeps over O I
/// values. The line is where both took the same time on a CPU.
pub(crate) fn factored_is_cheaper(rows: i64, out: i64, inp: i64) -> bool {
    2 * rows * (out + inp) < out * inp
}
