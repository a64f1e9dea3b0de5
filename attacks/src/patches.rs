//! The image behind a patch embedding, read exactly from one example's gradient.
//!
//! A vision transformer projects each patch, `z_n = W x_n + b`, and adds a position embedding
//! `p_n`. So the gradient of the embedding is the loss gradient at every `z_n`, and `dW = sum_n
//! dL/dz_n x_n^T` is linear in the patches: with as many features as patches, or more, least
//! squares gives them all (after Lu et al., "APRIL: Finding the Achilles' Heel on Privacy for
//! Vision Transformers", CVPR 2022).

use learning::tape::{Conv, Tap, TapKind, Tape};
use learning::{Mode, Observation, Params};
use suites::{Flag, FlagKind};
use tch::{Kind, Tensor};

use crate::analytic::{DOUBTFUL, double_device, is_finite, probe};

/// Tokens that may stand before or behind the patches (a class token, a distillation token).
const TOKENS: i64 = 2;

/// A projection of patches with the embedding of their positions.
#[derive(Clone, Debug)]
pub(crate) struct Patches {
    weight: usize,
    bias: Option<usize>,
    /// Embeddings that may be that of the positions.
    positions: Vec<usize>,
    conv: Conv,
    /// Rows and columns of patches.
    grid: [i64; 2],
    image: [i64; 2],
}

/// What the gradient tells.
pub(crate) struct Found {
    /// The normalised image `[C, H, W]`, f64.
    pub image: Tensor,
    /// Share of dW outside the fit, or of db outside the sum of the rows, whichever is larger.
    pub residual: f64,
    pub flags: Vec<Flag>,
}

/// Finds the projection by one pass over a probe, if the network begins with one.
pub(crate) fn find(seen: &Observation) -> Option<Patches> {
    let [_, height, width] = seen.net.input()[..] else { return None };
    tch::no_grad(|| {
        let device = seen.weights.tensors.first()?.device();
        let probe = probe(&seen.net, device);
        let mut tape = Tape::per_example(&seen.weights, Mode::Eval);
        let _ = seen.net.forward_normalised(&mut tape, &probe);
        let flat = |t: &Tensor| t.reshape([-1]);
        let specs = seen.net.layout().specs();
        let fed = |t: &&Tap| {
            t.kind == TapKind::Conv
                && t.input.numel() == probe.numel()
                && flat(&t.input).equal(&flat(&probe))
        };
        let tap = tape.taps.iter().find(fed)?;
        let conv = tap.conv?;
        let side = conv.kernel;
        let apart = side > 1 && conv.stride == side && conv.padding == 0 && conv.groups == 1;
        let grid = [height / side, width / side];
        let whole = grid[0] * side == height && grid[1] * side == width;
        let count = grid[0] * grid[1];
        // One row of the embedding a patch, and those of the tokens.
        let fits = |t: &&Tap| {
            let shape = &t.output.size()[1..];
            let rows: i64 = shape[..shape.len().saturating_sub(1)].iter().product();
            let tokens = (count..=count + TOKENS).contains(&rows) && shape.len() > 1;
            let sent = specs[t.weight].trainable;
            t.kind == TapKind::Free && shape.last() == Some(&conv.output) && tokens && sent
        };
        let positions: Vec<usize> = tape.taps.iter().filter(fits).map(|t| t.weight).collect();
        let sent = specs[tap.weight].trainable && !positions.is_empty();
        let solvable = apart && whole && count <= conv.output && sent;
        let image = [height, width];
        solvable.then_some(Patches {
            weight: tap.weight,
            bias: tap.bias.filter(|&at| specs[at].trainable),
            positions,
            conv,
            grid,
            image,
        })
    })
}

impl Patches {
    /// Solves for the patches of signal `n`, in f64.
    pub fn image(&self, gradient: &Params, n: i64, device: tch::Device) -> Found {
        let device = double_device(device);
        let get = |i: usize| gradient.tensors[i].get(n).to_device(device).to_kind(Kind::Double);
        tch::no_grad(|| {
            let weight = get(self.weight).flatten(1, -1);
            let fits = self.positions.iter().flat_map(|&at| self.rows(&get(at)));
            let fits = fits.map(|delta| {
                let apart = self.bias.map_or(0.0, |bias| off(&delta, &get(bias)));
                let (patches, residual) = solve(&delta, &weight);
                // As many patches as features fit anything: the bias is what can be wrong then.
                (apart.max(residual), patches)
            });
            let best = fits.min_by(|a, b| a.0.total_cmp(&b.0));
            best.map_or_else(|| self.nothing(device), |(off, patches)| self.found(&patches, off))
        })
    }

    /// The rows that may be those of the patches: tokens stand before or behind them.
    fn rows(&self, embedding: &Tensor) -> Vec<Tensor> {
        let rows = embedding.reshape([-1, self.conv.output]);
        let count = self.grid[0] * self.grid[1];
        (0..=rows.size()[0] - count).map(|from| rows.narrow(0, from, count)).collect()
    }

    fn found(&self, patches: &Tensor, residual: f64) -> Found {
        if !is_finite(patches) || !residual.is_finite() {
            return self.nothing(patches.device());
        }
        let side = [self.conv.kernel; 2];
        let columns = patches.transpose(0, 1).unsqueeze(0);
        let image = columns.col2im(self.image, side, [1, 1], [0, 0], side).squeeze_dim(0);
        let doubted = residual > DOUBTFUL;
        let words = || format!("patch embedding, residual {residual:.2}");
        let flags = doubted.then(|| Flag::with(FlagKind::NotRankOne, words()));
        Found { image, residual, flags: flags.into_iter().collect() }
    }

    fn nothing(&self, device: tch::Device) -> Found {
        let size = [self.conv.input, self.image[0], self.image[1]];
        let flags = vec![Flag::with(FlagKind::ZeroGradient, "patch embedding")];
        Found { image: Tensor::zeros(size, (Kind::Double, device)), residual: 1.0, flags }
    }
}

/// Whether the rows are those of the patches: their sum is the gradient of the bias.
fn off(delta: &Tensor, bias: &Tensor) -> f64 {
    let norm = |t: &Tensor| t.norm().double_value(&[]);
    norm(&(delta.sum_dim_intlist(0, false, None) - bias)) / norm(bias).max(f64::MIN_POSITIVE)
}

/// `X` of the least squares of `dW = delta^T X`, and the share of `dW` outside it.
fn solve(delta: &Tensor, weight: &Tensor) -> (Tensor, f64) {
    let across = delta.transpose(0, 1);
    let patches = across.pinverse(1e-12).matmul(weight);
    let norm = |t: &Tensor| t.norm().double_value(&[]);
    let misfit = norm(&(weight - across.matmul(&patches)));
    (patches, misfit / norm(weight).max(f64::MIN_POSITIVE))
}
