//! Networks that begin as `[3x3 convolution -> ReLU -> average pool by 2]^L -> fully connected`,
//! which can be recovered.
//!
//! With normalised pixels `u = a_0`:  `z_l = conv(W_l, a_{l-1}) + b_l`,  `m_l = [z_l > 0]`,  `a_l =
//! pool2(m_l z_l)`.

use learning::tape::{Tap, Tape};
use learning::{Form, Observation, Params};
use tch::{Kind, Tensor};

use crate::analytic::{FirstLinear, probe};

/// One convolution: `W` `[O, C, 3, 3]`, `b` `[O]`, and where they are in the layout.
pub struct ConvLayer {
    pub weight: Tensor,
    pub bias: Tensor,
    pub position: usize,
}

impl ConvLayer {
    /// `z` of `a` `[T, C, H, W]`.
    pub fn apply(&self, a: &Tensor) -> Tensor {
        a.conv2d(&self.weight, Some(&self.bias), [1, 1], [1, 1], [1, 1], 1)
    }

    /// The linear part alone.
    pub fn linear(&self, a: &Tensor) -> Tensor {
        a.conv2d(&self.weight, None::<&Tensor>, [1, 1], [1, 1], [1, 1], 1)
    }

    /// The adjoint of the linear part.
    pub fn adjoint(&self, d: &Tensor) -> Tensor {
        d.conv_transpose2d(&self.weight, None::<&Tensor>, [1, 1], [1, 1], [0, 0], 1, [1, 1])
    }
}

/// The layers before the first fully connected one, in one element type.
pub struct Chain {
    pub layers: Vec<ConvLayer>,
}

impl Chain {
    /// Whether the network begins this way, found numerically: each output must be the
    /// convolution of `pool2(relu(previous output))`.
    pub fn detect(seen: &Observation, weights: &Params, first: &FirstLinear) -> Option<Chain> {
        let device = weights.tensors.first()?.device();
        let u = probe(&seen.net, device);
        tch::no_grad(|| {
            let mut tape = Tape::recording(weights, seen.mode, Form::Factored);
            let _ = seen.net.forward_normalised(&mut tape, &u);
            let taps = tape.taps.get(..=first.tap)?;
            let mut a = u.flatten(0, 1);
            for tap in &taps[..first.tap] {
                a = follow(weights, tap, &a)?;
            }
            let convolutions = &taps[..first.tap];
            (!convolutions.is_empty() && same(&taps[first.tap].input, &a))
                .then(|| Chain { layers: convolutions.iter().map(|t| layer(weights, t)).collect() })
        })
    }

    /// The same in another element type.
    pub fn to_kind(&self, kind: Kind) -> Chain {
        let cast = |l: &ConvLayer| ConvLayer {
            weight: l.weight.to_kind(kind),
            bias: l.bias.to_kind(kind),
            position: l.position,
        };
        Chain { layers: self.layers.iter().map(cast).collect() }
    }

    /// `a_depth` of normalised images `[T, C, H, W]`.
    pub fn encode(&self, u: &Tensor, depth: usize) -> Tensor {
        self.layers[..depth]
            .iter()
            .fold(u.shallow_clone(), |a, layer| pool2(&layer.apply(&a).relu()))
    }
}

fn layer(weights: &Params, tap: &Tap) -> ConvLayer {
    let weight = weights.tensors[tap.weight].get(0);
    let zero = || Tensor::zeros([weight.size()[0]], (weight.kind(), weight.device()));
    let bias = tap.bias.map_or_else(zero, |b| weights.tensors[b].get(0));
    ConvLayer { weight, bias, position: tap.weight }
}

/// `pool2(relu(z))` if the tap's output is the 3x3 convolution `z` of `a` `[1, C, H, W]` with
/// padding and stride 1.
fn follow(weights: &Params, tap: &Tap, a: &Tensor) -> Option<Tensor> {
    let (size, kernel) = (a.size(), weights.tensors[tap.weight].size());
    let fits =
        kernel.len() == 5 && kernel[2..] == [size[1], 3, 3] && size[2] % 2 == 0 && size[3] % 2 == 0;
    if !fits {
        return None;
    }
    let z = layer(weights, tap).apply(a);
    same(&tap.output, &z).then(|| pool2(&z.relu()))
}

fn same(seen: &Tensor, expected: &Tensor) -> bool {
    let (a, b) = (seen.reshape([-1]), expected.reshape([-1]));
    a.size() == b.size() && {
        let scale = b.abs().max().double_value(&[]);
        (a - b).abs().max().double_value(&[]) <= 1e-5 * scale
    }
}

/// Mean of 2x2 cells.
pub fn pool2(a: &Tensor) -> Tensor {
    a.avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None)
}

/// Every value repeated over its 2x2 cell; `up2(d) / 4` is the adjoint of [`pool2`].
pub fn up2(a: &Tensor) -> Tensor {
    a.repeat_interleave_self_int(2, -1, None).repeat_interleave_self_int(2, -2, None)
}
