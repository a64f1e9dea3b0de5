//! Gradients for a step of training: the parameters are leaves, torch's fused kernels run, and
//! autograd does the rest.
//!
//! Nothing here is differentiated twice, so no taps are kept. On a CPU a few lanes go forward at a
//! time: what one layer leaves for the next then stays in the processor's cache, where all lanes
//! together would not fit; and images have each pixel's channels side by side, in which order
//! torch's convolutions and pools are faster.

use tch::{Device, Tensor};

use super::Gradients;
use crate::conv::channels_last_marked;
use crate::layer_grad::LayerGrad;
use crate::models::has_bottleneck;
use crate::network::Network;
use crate::params::Params;
use crate::tape::{BatchStat, Mode, Tape, broadcast_lanes};

/// Bytes of images that go forward at once on a CPU.
const TOGETHER: i64 = 1 << 16;

/// What one pass left.
struct Pass {
    leaves: Params,
    logits: Tensor,
    penalty: Option<Tensor>,
    stats: Vec<BatchStat>,
}

pub(super) fn gradients(
    net: &Network,
    params: &Params,
    x: &Tensor,
    mode: Mode,
    loss: impl FnOnce(&Tensor) -> Tensor,
) -> Gradients {
    let lanes = x.size()[0].max(params.lanes());
    let (params, x) = (params.expand(lanes), broadcast_lanes(x, lanes));
    let few = together(net, &params, &x, lanes);
    let passes = (0..lanes).step_by(few as usize).map(|from| {
        let len = few.min(lanes - from);
        forward(net, &params.narrow(from, len), &x.narrow(0, from, len), mode)
    });
    let mut passes: Vec<Pass> = passes.collect();
    let loss = loss(&join(passes.iter().map(|p| p.logits.shallow_clone())));
    let penalties: Option<Vec<Tensor>> = passes.iter_mut().map(|p| p.penalty.take()).collect();
    let loss = match penalties {
        Some(penalties) => loss + join(penalties.into_iter()),
        None => loss,
    };
    let leaves: Vec<&Tensor> = passes.iter().flat_map(|p| p.leaves.trainable()).collect();
    let grads = Tensor::run_backward(&[loss.sum(loss.kind())], &leaves, false, false);
    let each = leaves.len() / passes.len();
    let layers =
        (0..each).map(|i| join(grads.iter().skip(i).step_by(each).map(Tensor::shallow_clone)));
    Gradients {
        loss: loss.detach(),
        layers: layers.map(LayerGrad::Dense).collect(),
        stats: stats(&passes),
    }
}

/// How many lanes go forward at once.
fn together(net: &Network, params: &Params, x: &Tensor, lanes: i64) -> i64 {
    // Lanes that share one seed count their turns by who runs beside them.
    let one_seed = params.draw().is_some_and(|d| d.size()[0] == 1) || has_bottleneck(net.layout());
    if x.device() != Device::Cpu || x.dim() != 5 || one_seed {
        return lanes;
    }
    let bytes = x.numel() as i64 / lanes * x.kind().elt_size_in_bytes() as i64;
    (TOGETHER / bytes.max(1)).clamp(1, lanes)
}

fn forward(net: &Network, params: &Params, x: &Tensor, mode: Mode) -> Pass {
    let specs = params.layout().specs();
    let mut trainable = specs.iter().map(|spec| spec.trainable);
    let leaves = params.map(|w| w.detach().set_requires_grad(trainable.next() == Some(true)));
    let mut tape = Tape::training(&leaves, mode);
    let last = x.dim() == 5 && x.device() == Device::Cpu;
    let x = if last { channels_last_marked(x) } else { x.shallow_clone() };
    let logits = net.forward_normalised(&mut tape, &x);
    let (penalty, stats) = (tape.penalty.take(), std::mem::take(&mut tape.stats));
    drop(tape);
    Pass { leaves, logits, penalty, stats }
}

/// Each layer's statistics of all passes.
fn stats(passes: &[Pass]) -> Vec<BatchStat> {
    let layers = passes.first().map_or(0, |p| p.stats.len());
    let of = |i: usize, f: fn(&BatchStat) -> &Tensor| {
        join(passes.iter().map(|p| f(&p.stats[i]).shallow_clone()))
    };
    (0..layers)
        .map(|i| BatchStat {
            running_mean: passes[0].stats[i].running_mean,
            mean: of(i, |s| &s.mean),
            var: of(i, |s| &s.var),
        })
        .collect()
}

/// Lanes side by side again.
fn join(parts: impl Iterator<Item = Tensor>) -> Tensor {
    let mut parts: Vec<Tensor> = parts.collect();
    if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(&parts, 0) }
}
