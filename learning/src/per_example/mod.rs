//! Gradients of single examples, clipped and summed: what a step of DP-SGD adds its noise to (Abadi
//! et al. 2016).
//!
//! One forward and one backward pass give each layer's inputs and the loss gradients at its
//! outputs. From these come the norms of all per-example gradients, most often without the
//! gradients themselves (Goodfellow 2015; Li et al. 2022); the clipped sum is then one product a
//! layer, with each example's rows scaled by its clip factor.
//!
//! An example whose gradient is not finite (or whose squared norm exceeds the element type) cannot
//! be clipped: it is left out of the sum, which only lowers what it can contribute, and counted.

mod columns;
mod layer;
mod rule;

use tch::{Kind, Tensor};

use crate::conv::channels_last;
use crate::gradients::{Form, gradients};
use crate::network::Network;
use crate::params::Params;
use crate::tape::{Mode, Tape, broadcast_lanes};

use layer::LayerExamples;
pub use rule::{GradientRule, LARGEST_MULTIPLIER, check_private};

/// What clipping yields.
#[derive(Debug)]
pub struct Clipped {
    /// Sum of the clipped per-example gradients of each lane, `[T, ...]` (buffers get zeros).
    pub sum: Params,
    /// L2 norms of the per-example gradients before clipping, over all trainable parameters, `[T,
    /// B]`.
    pub norms: Tensor,
    /// Counted examples of each lane whose gradient was not finite: they add nothing to the sum.
    pub dropped: Vec<u64>,
}

/// Sums the per-example gradients of `loss`, each scaled by `min(1, clip / norm)`.
///
/// `params` is `[1 or T, ...]`, `x` the normalised input `[T, B, ...]`; `counted` `[T, B]` is 1 for
/// an example and 0 for padding. `loss` maps logits `[T, B, K]` to each lane's mean over `B`. The
/// model must treat examples apart: see [`check_private`].
pub fn clipped_sum(
    net: &Network,
    params: &Params,
    x: &Tensor,
    counted: &Tensor,
    mode: Mode,
    clip: f64,
    loss: impl FnOnce(&Tensor) -> Tensor,
) -> Clipped {
    let mut layers = if net.model().examples_by_lane() {
        by_lane(net, params, x, mode, loss)
    } else {
        backward(net, params, x, mode, loss)
    };
    tch::no_grad(|| {
        let squares = layers.iter_mut().map(LayerExamples::squares).reduce(|a, b| a + b);
        let squares = squares.expect("a model has parametrised layers");
        let norms = squares.sqrt();
        let (finite, counted) = (norms.isfinite(), counted.gt(0.0));
        let used = finite.logical_and(&counted);
        // A true division: an example at or below the norm keeps exactly its gradient.
        let clip = norms.full_like(clip);
        let factors = (&clip / norms.maximum(&clip)).where_self(&used, &norms.zeros_like());
        if finite.all().int64_value(&[]) == 0 {
            // Zero times infinity is NaN: what is dropped has to go before the products.
            layers.iter_mut().for_each(|layer| layer.erase(&finite));
        }
        let lost =
            finite.logical_not().logical_and(&counted).sum_dim_intlist(1, false, Kind::Int64);
        let dropped =
            Vec::<i64>::try_from(&lost).unwrap_or_default().into_iter().map(|n| n as u64).collect();
        Clipped { sum: weighted_sum(params, &layers, &factors), norms, dropped }
    })
}

/// One pass forward and one back to the outputs of the parametrised layers.
fn backward(
    net: &Network,
    params: &Params,
    x: &Tensor,
    mode: Mode,
    loss: impl FnOnce(&Tensor) -> Tensor,
) -> Vec<LayerExamples> {
    let mut tape = Tape::per_example(params, mode);
    // The patches of a convolution are runs of neighbours then, and torch's convolutions and pools
    // keep the order.
    let x = if x.dim() == 5 { channels_last(x) } else { x.shallow_clone() };
    let logits = net.forward_normalised(&mut tape, &x);
    // The sum of the examples' own losses.
    let own = loss(&logits).sum(logits.kind());
    let loss =
        tape.penalty.take().map_or(own.shallow_clone(), |p| own + p.sum(None)) * x.size()[1] as f64;
    let outputs: Vec<&Tensor> = tape.taps.iter().map(|tap| &tap.output).collect();
    let deltas = Tensor::run_backward(&[loss], &outputs, false, false);
    tape.taps.into_iter().zip(deltas).map(|(tap, delta)| LayerExamples::new(tap, delta)).collect()
}

/// Each example in a lane of its own, with its own copy of the parameters: slower, for any model.
fn by_lane(
    net: &Network,
    params: &Params,
    x: &Tensor,
    mode: Mode,
    loss: impl FnOnce(&Tensor) -> Tensor,
) -> Vec<LayerExamples> {
    let (lanes, batch) = (x.size()[0].max(params.lanes()), x.size()[1]);
    let apart =
        |t: &Tensor| broadcast_lanes(t, lanes).repeat_interleave_self_int(batch, 0, lanes * batch);
    let own = params.map(apart).with_draw(params.draw().map(apart));
    let examples = broadcast_lanes(x, lanes).flatten(0, 1).unsqueeze(1);
    let found = gradients(net, &own, &examples, mode, Form::Dense, false, |logits| {
        apart(&loss(&logits.reshape([lanes, batch, -1])))
    });
    let trainable = params.layout().trainable().into_iter();
    let formed = trainable.zip(&found.layers).map(|(at, gradient)| {
        let gradient = gradient.to_dense().detach();
        LayerExamples::formed(at, &gradient.unflatten(0, [lanes, batch]).unsqueeze(-1))
    });
    formed.collect()
}

/// The sum over the examples of each lane of `factors` (`[T, B]`) times their gradients.
fn weighted_sum(params: &Params, layers: &[LayerExamples], factors: &Tensor) -> Params {
    let lanes = factors.size()[0];
    let size = |shape: &[i64]| -> Vec<i64> {
        std::iter::once(lanes).chain(shape.iter().copied()).collect()
    };
    let mut slots: Vec<Option<Tensor>> = params.tensors.iter().map(|_| None).collect();
    for layer in layers {
        let (weight, bias) = layer.sums(factors);
        slots[layer.weight()] = Some(weight);
        if let (Some(slot), Some(bias)) = (layer.bias(), bias) {
            slots[slot] = Some(bias);
        }
    }
    let specs = params.layout().specs().iter().zip(&params.tensors);
    let tensors = specs.zip(slots).map(|((spec, value), sum)| match sum {
        Some(sum) => sum.reshape(size(&spec.shape)),
        None => Tensor::zeros(size(&spec.shape), (value.kind(), value.device())),
    });
    Params::new(params.layout().clone(), tensors.collect())
        .expect("reshaped to the layout's shapes")
}
