//! The derivative of a function of parameter gradients by the pictures, from first derivatives
//! alone.
//!
//! With `v` the function's derivative by `g = dL/dW`, what is wanted is `d<v, g>/dx`. That is the
//! directional derivative of dL/dx along `v`: a second pass at `W + h v` gives it as
//! `(dL/dx(W + h v) - dL/dx(W)) / h`, where a second backward pass through the first one's graph
//! would redo every layer twice. A gradient that is kept as factors `d^T a` has derivatives by `d`
//! and by `a` in place of one by `W`: [`Shift`] says how the second pass takes them. It repeats the
//! branches of the first one's piecewise operations (`tape/kinks.rs`).

use tch::Tensor;

use super::{Form, Gradients, layers};
use crate::layer_grad::{LayerGrad, sum_lanes};
use crate::network::Network;
use crate::params::Params;
use crate::tape::{BatchStat, Mode, Shift, Shifts, Tap, TapKind, Tape};

/// A speed whose square f32 still holds: slower steps stay shorter than they are asked to be.
const LEAST_SPEED: f64 = 1e-18;

/// What both passes are about.
#[derive(Clone, Copy)]
pub struct Pass<'a> {
    /// The network.
    pub net: &'a Network,
    /// Its parameters.
    pub params: &'a Params,
    /// BatchNorm's and dropout's behaviour.
    pub mode: Mode,
    /// How weight gradients are represented.
    pub form: Form,
}

/// How long the step from the first pass to the second is.
#[derive(Debug)]
pub struct Step {
    /// Length of each lane's step relative to the parameters, `[T or 1]`, above 0.
    pub size: Tensor,
    /// A third pass at the other side: the error falls with the step's square.
    pub central: bool,
}

/// A layer that keeps its gradient as factors, by its tap.
struct Factors {
    /// Position among the trainable parameters.
    layer: usize,
    output: Tensor,
    conv: bool,
}

/// The first pass, and what the second one needs of it.
pub struct FirstPass {
    /// Loss, gradients and statistics, each of them a leaf: what is computed of them is
    /// differentiated by [`FirstPass::slopes`].
    pub gradients: Gradients,
    /// dL/d variables.
    slope: Tensor,
    branches: Vec<Tensor>,
    taps: Vec<Option<Factors>>,
}

/// The derivative of a function of the gradients by these and by BatchNorm's statistics.
pub struct Slopes {
    layers: Vec<LayerSlope>,
    stats: Vec<[Tensor; 2]>,
}

/// By one gradient, or by its factors.
enum LayerSlope {
    Dense(Tensor),
    Factors { delta: Tensor, input: Tensor },
}

impl FirstPass {
    /// Forward and backward by the parameters and by `variables` `[T, V]`, of which the normalised
    /// input `x` `[T, B, ...]` and the loss are functions.
    pub fn new(
        pass: Pass,
        variables: &Tensor,
        x: &Tensor,
        loss: impl FnOnce(&Tensor) -> Tensor,
    ) -> FirstPass {
        let mut tape = Tape::first(pass.params, pass.mode, pass.form);
        let logits = pass.net.forward_normalised(&mut tape, x);
        let loss = match tape.penalty.take() {
            Some(penalty) => loss(&logits) + penalty,
            None => loss(&logits),
        };
        let outputs = tape.taps.iter().map(|t| &t.output);
        let kernels = tape.taps.iter().flat_map(|t| &t.kernels);
        let wanted: Vec<&Tensor> = [variables].into_iter().chain(outputs).chain(kernels).collect();
        let mut found = Tensor::run_backward(&[loss.sum(loss.kind())], &wanted, false, false);
        let kernels = found.split_off(1 + tape.taps.len());
        let deltas = found.split_off(1);
        let all = tch::no_grad(|| layers(pass.params, &tape.taps, deltas, kernels, pass.form));
        let all: Vec<LayerGrad> = all.iter().map(leaves).collect();
        let trainable = pass.params.layout().trainable();
        let taps = tape.taps.iter().map(|tap| factors(tap, &trainable, &all)).collect();
        let stats = tape.stats.iter().map(|stat| BatchStat {
            running_mean: stat.running_mean,
            mean: leaf(&stat.mean),
            var: leaf(&stat.var),
        });
        let stats = stats.collect();
        FirstPass {
            gradients: Gradients { loss: loss.detach(), layers: all, stats },
            slope: found.remove(0),
            branches: tape.kinks().branches(),
            taps,
        }
    }

    /// The derivative of `value` `[T]` (each lane's of its own) by what it was computed from.
    pub fn slopes(&self, value: &Tensor) -> Slopes {
        let parts = self.gradients.layers.iter().flat_map(parts);
        let stats = self.gradients.stats.iter().flat_map(|s| [&s.mean, &s.var]);
        let wanted: Vec<&Tensor> = parts.chain(stats).collect();
        let mut found =
            Tensor::run_backward(&[value.sum(value.kind())], &wanted, false, false).into_iter();
        let mut next = || found.next().expect("one gradient for each that was asked for");
        let layers = self.gradients.layers.iter().map(|grad| match grad {
            LayerGrad::Dense(_) => LayerSlope::Dense(next()),
            LayerGrad::Factored { .. } => LayerSlope::Factors { delta: next(), input: next() },
        });
        let layers = layers.collect();
        let stats = self.gradients.stats.iter().map(|_| [next(), next()]).collect();
        Slopes { layers, stats }
    }

    /// The derivative of the function behind `slopes` by the variables `[T, V]`; and how much the
    /// step changed dL/d variables, relative to it `[T]`: rounding leaves that many times fewer
    /// digits. `again` gives the input and the loss anew, as a function of the variables.
    pub fn derivative<'b, L: FnOnce(&Tensor) -> Tensor + 'b>(
        &self,
        pass: Pass,
        slopes: &Slopes,
        step: &Step,
        variables: &Tensor,
        again: impl Fn() -> (Tensor, L),
    ) -> (Tensor, Tensor) {
        let length = self.speed(pass.params, slopes).clamp_min(LEAST_SPEED).reciprocal()
            * step.size.to_kind(variables.kind());
        let at = |length: &Tensor| {
            let (x, loss) = again();
            self.second(pass, slopes, length, variables, &x, loss)
        };
        let ahead = at(&length);
        let (behind, span) = if step.central {
            (at(&-&length), &length * 2.0)
        } else {
            (self.slope.shallow_clone(), length)
        };
        let change = ahead - behind;
        let norm = |t: &Tensor| sum_lanes(&t.square()).sqrt();
        let relative = norm(&change) / norm(&self.slope).clamp_min(1e-30);
        (change / span.unsqueeze(1), relative)
    }

    /// How fast a step along the slopes leaves the parameters, relative to them, `[T]`: the inverse
    /// is the length of a step as large as they are.
    fn speed(&self, params: &Params, slopes: &Slopes) -> Tensor {
        let mut squares = [Vec::new(), Vec::new()];
        for (slope, weight) in slopes.layers.iter().zip(params.trainable()) {
            if let LayerSlope::Dense(v) = slope
                && v.defined()
            {
                squares[0].push(sum_lanes(&v.square()));
                squares[1].push(sum_lanes(&weight.square()));
            }
        }
        let total = |all: Vec<Tensor>| all.into_iter().reduce(|a, b| a + b);
        let [moved, weights] = squares;
        let dense = total(moved).zip(total(weights));
        let dense = dense.map(|(v, w)| (v / w.clamp_min(1e-30)).sqrt());
        let factored = self.taps.iter().flatten().filter_map(|tap| {
            let LayerSlope::Factors { delta, .. } = &slopes.layers[tap.layer] else { return None };
            let size = sum_lanes(&tap.output.square()).clamp_min(1e-30);
            delta.defined().then(|| (sum_lanes(&delta.square()) / size).sqrt())
        });
        total(dense.into_iter().chain(factored).collect())
            .unwrap_or_else(|| self.gradients.loss.zeros_like())
    }

    /// dL/d variables of the pass that is moved by `length` `[T]` along the slopes.
    fn second(
        &self,
        pass: Pass,
        slopes: &Slopes,
        length: &Tensor,
        variables: &Tensor,
        x: &Tensor,
        loss: impl FnOnce(&Tensor) -> Tensor,
    ) -> Tensor {
        let params = moved(pass.params, slopes, length);
        let shifts = self.taps.iter().map(|tap| shift(tap.as_ref()?, slopes, length));
        let shifts = Shifts::new(shifts.collect::<Vec<_>>().into_iter());
        let mut tape = Tape::second(&params, pass.mode, pass.form, &self.branches, shifts);
        let logits = pass.net.forward_normalised(&mut tape, x);
        let loss = loss(&logits);
        let added = tape.added();
        let statistics = tape.stats.iter().flat_map(|stat| [&stat.mean, &stat.var]);
        let pairs = statistics.zip(slopes.stats.iter().flatten());
        let moved = pairs
            .filter(|(_, slope)| slope.defined())
            .map(|(value, slope)| sum_lanes(&(value * slope)) * length);
        // Not in place: autograd may need what the loss was made of.
        let loss = added.into_iter().chain(moved).fold(loss, |sum, term| &sum + term);
        Tensor::run_backward(&[loss.sum(loss.kind())], &[variables], false, false).remove(0)
    }
}

fn leaf(t: &Tensor) -> Tensor {
    t.detach().set_requires_grad(true)
}

fn leaves(grad: &LayerGrad) -> LayerGrad {
    match grad {
        LayerGrad::Dense(g) => LayerGrad::Dense(leaf(g)),
        LayerGrad::Factored { delta, input, shape } => {
            LayerGrad::Factored { delta: leaf(delta), input: leaf(input), shape: shape.clone() }
        }
    }
}

fn parts(grad: &LayerGrad) -> Vec<&Tensor> {
    match grad {
        LayerGrad::Dense(g) => vec![g],
        LayerGrad::Factored { delta, input, .. } => vec![delta, input],
    }
}

fn factors(tap: &Tap, trainable: &[usize], layers: &[LayerGrad]) -> Option<Factors> {
    let layer = trainable.iter().position(|&i| i == tap.weight)?;
    matches!(layers[layer], LayerGrad::Factored { .. }).then(|| Factors {
        layer,
        output: tap.output.detach(),
        conv: tap.kind == TapKind::Conv,
    })
}

/// `[T]` shaped to broadcast over `t`.
fn over(length: &Tensor, t: &Tensor) -> Tensor {
    let mut size = vec![1; t.dim()];
    size[0] = -1;
    length.reshape(size)
}

/// The parameters, each lane's moved by its own slope.
fn moved(params: &Params, slopes: &Slopes, length: &Tensor) -> Params {
    let mut all = slopes.layers.iter();
    let trainable: Vec<bool> = params.layout().specs().iter().map(|s| s.trainable).collect();
    let mut trainable = trainable.into_iter();
    params.map(|w| {
        let slope = if trainable.next() == Some(true) { all.next() } else { None };
        match slope {
            Some(LayerSlope::Dense(v)) if v.defined() => w.addcmul(v, &over(length, v)),
            _ => w.shallow_clone(),
        }
    })
}

/// What the second pass adds at a layer with factors.
fn shift(tap: &Factors, slopes: &Slopes, length: &Tensor) -> Option<Shift> {
    let LayerSlope::Factors { delta, input } = &slopes.layers[tap.layer] else { return None };
    if !delta.defined() {
        return None;
    }
    let (delta, input) = (delta * over(length, delta), input * over(length, input));
    let size = tap.output.size();
    if !tap.conv {
        return Some(Shift { output: delta.reshape(size), input });
    }
    // Rows are places of a convolution, examples last.
    let [lanes, batch, out] = [size[0], size[1], size[2]];
    let output = delta.transpose(1, 2).reshape([lanes, out, batch, size[3], size[4]]);
    Some(Shift { output: output.transpose(1, 2), input: input.transpose(1, 2) })
}
