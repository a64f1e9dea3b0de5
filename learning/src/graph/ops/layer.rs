//! Layers whose parameters are values like others: any lane may have its own, and autograd forms
//! their gradients. The commonest layers are the tape's own instead (see `lower.rs`).

use tch::{Kind, Tensor};

use super::Op;
use super::Op::{One, Random};
use super::shape::matmul;
use crate::graph::layers::SIDE;
use crate::graph::value::{Call, align};
use crate::tape::{Tape, broadcast_lanes, images, unfold_lanes};

pub(super) static TABLE: &[(&str, Op)] = &[
    ("linear", One(linear)),
    ("addmm", One(addmm)),
    ("mm", One(|c| matmul(&c.tensor("self"), &c.tensor("mat2")))),
    ("bmm", One(|c| matmul(&c.tensor("self"), &c.tensor("mat2")))),
    ("baddbmm", One(baddbmm)),
    ("matmul", One(|c| matmul(&c.tensor("self"), &c.tensor("other")))),
    ("conv1d", One(|c| convolution(c, 1))),
    ("conv2d", One(|c| convolution(c, 2))),
    ("layer_norm", One(layer_norm)),
    ("rms_norm", One(rms_norm)),
    ("group_norm", One(group_norm)),
    ("instance_norm", One(instance_norm)),
    ("dropout", Random(|c, tape| tape.dropout(&dropped(c), c.float("p", 0.5)))),
    ("feature_dropout", Random(|c, tape| tape.channel_dropout(&dropped(c), c.float("p", 0.5)))),
    ("scaled_dot_product_attention", Random(attention)),
];

fn linear(c: &Call) -> Tensor {
    let (x, w) = (c.tensor("input"), c.tensor("weight"));
    let flat = x.flatten(1, -2).matmul(&w.transpose(-1, -2));
    let mut size = x.size();
    size[0] = flat.size()[0];
    size.pop();
    size.push(w.size()[1]);
    add_bias(flat.reshape(size), c.maybe("bias"))
}

fn add_bias(z: Tensor, bias: Option<Tensor>) -> Tensor {
    let Some(bias) = bias else { return z };
    let both = align(&[&z, &bias]);
    &both[0] + &both[1]
}

/// `beta self + alpha a b`.
fn addmm(c: &Call) -> Tensor {
    let product = matmul(&c.tensor("mat1"), &c.tensor("mat2")) * c.float("alpha", 1.0);
    add_bias(product, Some(c.tensor("self") * c.float("beta", 1.0)))
}

fn baddbmm(c: &Call) -> Tensor {
    let product = matmul(&c.tensor("batch1"), &c.tensor("batch2")) * c.float("alpha", 1.0);
    add_bias(product, Some(c.tensor("self") * c.float("beta", 1.0)))
}

/// Zeros on both sides of each dimension, `[before, after]` from the last on, for an output as
/// large as the input.
fn same(kernel: &[i64], dilation: &[i64]) -> Vec<i64> {
    let sides = kernel.iter().zip(dilation).rev();
    sides.flat_map(|(k, d)| [d * (k - 1) / 2, d * (k - 1) - d * (k - 1) / 2]).collect()
}

/// Convolution of `n` dimensions; one of all lanes where they share the kernel, else a grouped one.
fn convolution(c: &Call, n: usize) -> Tensor {
    let (mut x, w) = (c.tensor("input"), c.tensor("weight"));
    assert!(x.dim() == n + 3, "a convolution of what is no batch");
    let (stride, dilation) = (c.each("stride", n, 1), c.each("dilation", n, 1));
    let padding = match c.text("padding") {
        Some("same") => {
            x = x.pad(same(&w.size()[3..], &dilation), "constant", 0.0);
            vec![0; n]
        }
        Some(_) => vec![0; n],
        None => c.each("padding", n, 0),
    };
    assert!(padding.iter().all(|p| (0..=SIDE).contains(p)), "a padding of {padding:?}");
    let groups = c.int("groups", 1);
    let run = |x: &Tensor, w: &Tensor, groups: i64| {
        let none = None::<Tensor>;
        x.convolution(w, none, &stride[..], &padding[..], &dilation[..], false, vec![0; n], groups)
    };
    let lanes = w.size()[0];
    let z = if lanes == 1 {
        unfold_lanes(&run(&images(&x), &w.squeeze_dim(0), groups), x.size()[0])
    } else {
        let x = broadcast_lanes(&x, lanes);
        let side_by_side = x.transpose(0, 1).flatten(1, 2);
        let z = run(&side_by_side, &w.flatten(0, 1), lanes * groups);
        z.unflatten(1, [lanes, w.size()[1]]).transpose(0, 1)
    };
    add_bias(z, c.maybe("bias").map(|b| per_channel(&b, n)))
}

/// `[L, C]` beside `[L, B, C, ...]` of `n` dimensions behind the channels.
fn per_channel(t: &Tensor, n: usize) -> Tensor {
    let mut size = vec![t.size()[0], 1, t.size()[1]];
    size.extend(std::iter::repeat_n(1, n));
    t.reshape(size)
}

/// Times the scale and plus the shift, where there are some.
fn affine(hat: Tensor, c: &Call, channels: Option<usize>) -> Tensor {
    let shaped = |t: Tensor| channels.map_or(t.shallow_clone(), |n| per_channel(&t, n));
    let mut out = hat;
    if let Some(scale) = c.maybe("weight") {
        let both = align(&[&out, &shaped(scale)]);
        out = &both[0] * &both[1];
    }
    add_bias(out, c.maybe("bias").map(shaped))
}

fn layer_norm(c: &Call) -> Tensor {
    let x = c.tensor("input");
    let none = None::<Tensor>;
    let shape = c.ints("normalized_shape");
    let hat = x.layer_norm(&shape[..], none.as_ref(), None, c.float("eps", 1e-5), false);
    affine(hat, c, None)
}

/// Zhang and Sennrich 2019.
fn rms_norm(c: &Call) -> Tensor {
    let x = c.tensor("input");
    let last: Vec<i64> = (1..=c.ints("normalized_shape").len() as i64).map(|d| -d).collect();
    let eps = c.number("eps").map_or(default_eps(x.kind()), |n| n.float());
    let hat = &x * (x.square().mean_dim(&last[..], true, None) + eps).rsqrt();
    affine(hat, c, None)
}

/// The spacing of numbers at 1, PyTorch's default for RMSNorm.
fn default_eps(kind: Kind) -> f64 {
    if kind == Kind::Double { f64::EPSILON } else { f64::from(f32::EPSILON) }
}

fn group_norm(c: &Call) -> Tensor {
    let (x, groups) = (c.tensor("input"), c.int("num_groups", 1));
    let none = None::<Tensor>;
    let hat = images(&x).group_norm(groups, none.as_ref(), None, c.float("eps", 1e-5), false);
    affine(unfold_lanes(&hat, x.size()[0]), c, Some(x.dim() - 3))
}

/// Each channel of each example by its own statistics (Ulyanov et al. 2016).
fn instance_norm(c: &Call) -> Tensor {
    let x = c.tensor("input");
    assert!(c.flag("use_input_stats", true), "InstanceNorm by running statistics");
    let places: Vec<i64> = (3..x.dim() as i64).collect();
    let centred = &x - x.mean_dim(&places[..], true, None);
    let var = centred.square().mean_dim(&places[..], true, None);
    affine(centred * (var + c.float("eps", 1e-5)).rsqrt(), c, Some(x.dim() - 3))
}

fn dropped(c: &Call) -> Tensor {
    c.tensor(if c.arg("input").is_some() { "input" } else { "self" })
}

/// `softmax(q k^T scale + mask) v`, written out: the fused kernels know no second derivative.
fn attention(c: &Call, tape: &mut Tape) -> Tensor {
    let (q, k, v) = (c.tensor("query"), c.tensor("key"), c.tensor("value"));
    assert!(!c.flag("enable_gqa", false), "attention with grouped queries is not supported");
    let width = q.size()[q.dim() - 1] as f64;
    let scale = c.number("scale").map_or(width.powf(-0.5), |n| n.float());
    let mut scores = matmul(&q, &k.transpose(-1, -2)) * scale;
    let mask = if c.flag("is_causal", false) {
        let size = scores.size();
        let square = [1, size[size.len() - 2], size[size.len() - 1]];
        Some(Tensor::ones(square, (Kind::Bool, scores.device())).tril(0))
    } else {
        c.maybe("attn_mask")
    };
    if let Some(mask) = mask {
        let both = align(&[&scores, &mask]);
        scores = match mask.kind() {
            Kind::Bool => both[0].masked_fill(&both[1].logical_not(), f64::NEG_INFINITY),
            _ => &both[0] + &both[1],
        };
    }
    let weights = scores.softmax(-1, None);
    matmul(&tape.dropout(&weights, c.float("dropout_p", 0.0)), &v)
}
