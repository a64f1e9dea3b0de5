//! Operations that move values, cut and join, and tensors made from nothing.

use tch::{Kind, Tensor};

use super::Op;
use super::Op::{Many, One};
use crate::graph::value::{Arg, Call, afford, align, place};
use crate::tape::broadcast_lanes;

pub(super) static TABLE: &[(&str, Op)] = &[
    ("view", One(|c| view(c, "size"))),
    ("reshape", One(|c| view(c, "shape"))),
    ("_unsafe_view", One(|c| view(c, "size"))),
    ("flatten", One(flatten)),
    ("unflatten", One(unflatten)),
    ("permute", One(permute)),
    ("transpose", One(transpose)),
    ("t", One(|c| c.tensor("self").transpose(-1, -2))),
    ("squeeze", One(squeeze)),
    ("unsqueeze", One(unsqueeze)),
    ("expand", One(expand)),
    ("expand_as", One(|c| expanded(&c.tensor("self"), &c.tensor("other").size()[1..]))),
    ("repeat", One(repeat)),
    ("cat", One(|c| join(c, Tensor::cat, 0))),
    ("concat", One(|c| join(c, Tensor::cat, 0))),
    ("stack", One(stack)),
    ("split", Many(split)),
    ("split_with_sizes", Many(split_with_sizes)),
    ("chunk", Many(chunk)),
    ("unbind", Many(unbind)),
    ("select", One(select)),
    ("slice", One(slice)),
    ("narrow", One(narrow)),
    ("index_select", One(index_select)),
    ("index", One(index)),
    ("embedding", One(embedding)),
    ("flip", One(flip)),
    ("roll", One(roll)),
    ("tril", One(|c| c.tensor("self").tril(c.int("diagonal", 0)))),
    ("triu", One(|c| c.tensor("self").triu(c.int("diagonal", 0)))),
    ("arange", One(arange)),
    ("full", One(|c| made(c, "size", c.float("fill_value", 0.0)))),
    ("zeros", One(|c| made(c, "size", 0.0))),
    ("ones", One(|c| made(c, "size", 1.0))),
    ("new_zeros", One(|c| made(c, "size", 0.0))),
    ("new_ones", One(|c| made(c, "size", 1.0))),
    ("new_full", One(|c| made(c, "size", c.float("fill_value", 0.0)))),
    ("zeros_like", One(|c| typed(c, c.tensor("self").zeros_like()))),
    ("ones_like", One(|c| typed(c, c.tensor("self").ones_like()))),
    ("full_like", One(|c| typed(c, c.tensor("self").full_like(c.float("fill_value", 0.0))))),
    ("scalar_tensor", One(|c| c.full(&[], c.float("s", 0.0)))),
];

/// An element type of PyTorch's, as exported programs number them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::graph) struct Type(pub i64);

impl Type {
    pub fn is_real(self) -> bool {
        matches!(self.0, 6 | 7 | 8 | 13)
    }

    /// Of integers the longest, of reals f32: what a pass needs is told by [`Type::is_real`].
    pub fn kind(self) -> Kind {
        match self.0 {
            12 => Kind::Bool,
            6..=8 | 13 => Kind::Float,
            _ => Kind::Int64,
        }
    }
}

/// The element type that the node asks for.
pub(super) fn kind(c: &Call) -> Option<Type> {
    ["dtype", "other"].into_iter().find_map(|name| match c.arg(name)? {
        Arg::Type(number) => Some(Type(*number)),
        _ => None,
    })
}

fn behind(lanes: i64, shape: &[i64]) -> Vec<i64> {
    std::iter::once(lanes).chain(shape.iter().copied()).collect()
}

fn view(c: &Call, name: &str) -> Tensor {
    let x = c.tensor("self");
    x.reshape(behind(x.size()[0], &c.shape(name)))
}

fn flatten(c: &Call) -> Tensor {
    let x = c.tensor("self");
    x.flatten(c.dim("start_dim", 0, &x), c.dim("end_dim", -1, &x))
}

fn unflatten(c: &Call) -> Tensor {
    let x = c.tensor("self");
    x.unflatten(c.dim("dim", 0, &x), c.ints("sizes"))
}

fn permute(c: &Call) -> Tensor {
    let x = c.tensor("self");
    x.permute(behind(0, &c.dims("dims", &x)))
}

fn transpose(c: &Call) -> Tensor {
    let x = c.tensor("self");
    x.transpose(c.dim("dim0", 0, &x), c.dim("dim1", 1, &x))
}

fn squeeze(c: &Call) -> Tensor {
    let x = c.tensor("self");
    let mut dims = c.dims("dim", &x);
    dims.retain(|&d| x.size()[d as usize] == 1);
    dims.sort_unstable();
    dims.iter().rev().fold(x, |x, &d| x.squeeze_dim(d))
}

fn unsqueeze(c: &Call) -> Tensor {
    let (x, d) = (c.tensor("self"), c.int("dim", 0));
    x.unsqueeze(if d < 0 { d + x.dim() as i64 + 1 } else { d + 1 })
}

fn expanded(x: &Tensor, shape: &[i64]) -> Tensor {
    let mut size = x.size();
    let missing = (shape.len() + 1).saturating_sub(size.len());
    size.splice(1..1, std::iter::repeat_n(1, missing));
    x.reshape(size).expand(behind(-1, shape), true)
}

fn expand(c: &Call) -> Tensor {
    expanded(&c.tensor("self"), &c.shape("size"))
}

fn repeat(c: &Call) -> Tensor {
    let (x, times) = (c.tensor("self"), c.ints("repeats"));
    let mut size = x.size();
    size.splice(1..1, std::iter::repeat_n(1, (times.len() + 1).saturating_sub(size.len())));
    let large: Vec<i64> =
        size.iter().skip(1).zip(&times).map(|(n, t)| n.saturating_mul(*t)).collect();
    afford(&large);
    x.reshape(size).repeat(behind(1, &times))
}

fn same_lanes(parts: Vec<Tensor>) -> Vec<Tensor> {
    let lanes = parts.iter().map(|t| t.size()[0]).max().unwrap_or(1);
    parts.iter().map(|t| broadcast_lanes(t, lanes)).collect()
}

fn join(c: &Call, f: impl Fn(&[Tensor], i64) -> Tensor, default: i64) -> Tensor {
    let parts = same_lanes(c.tensors("tensors"));
    let dim = c.dim("dim", default, &parts[0]);
    afford(&[parts.iter().map(|t| t.numel() as i64).sum()]);
    f(&parts, dim)
}

fn stack(c: &Call) -> Tensor {
    let parts = same_lanes(c.tensors("tensors"));
    let d = c.int("dim", 0);
    let dim = if d < 0 { d + parts[0].dim() as i64 + 1 } else { d + 1 };
    Tensor::stack(&parts, dim)
}

fn split(c: &Call) -> Vec<Tensor> {
    let x = c.tensor("self");
    match c.arg("split_size") {
        Some(Arg::Wholes(_)) => x.split_with_sizes(c.ints("split_size"), c.dim("dim", 0, &x)),
        _ => x.split(c.int("split_size", 1), c.dim("dim", 0, &x)),
    }
}

fn split_with_sizes(c: &Call) -> Vec<Tensor> {
    let x = c.tensor("self");
    x.split_with_sizes(c.ints("split_sizes"), c.dim("dim", 0, &x))
}

fn chunk(c: &Call) -> Vec<Tensor> {
    let x = c.tensor("self");
    x.chunk(c.int("chunks", 1), c.dim("dim", 0, &x))
}

fn unbind(c: &Call) -> Vec<Tensor> {
    let x = c.tensor("self");
    x.unbind(c.dim("dim", 0, &x))
}

fn select(c: &Call) -> Tensor {
    let x = c.tensor("self");
    x.select(c.dim("dim", 0, &x), c.int("index", 0))
}

fn slice(c: &Call) -> Tensor {
    let x = c.tensor("self");
    let dim = c.dim("dim", 0, &x);
    x.slice(dim, c.maybe_int("start"), c.maybe_int("end"), c.int("step", 1))
}

fn narrow(c: &Call) -> Tensor {
    let x = c.tensor("self");
    x.narrow(c.dim("dim", 0, &x), c.int("start", 0), c.int("length", 0))
}

/// Positions that are the same for all lanes.
fn positions(index: &Tensor) -> Tensor {
    assert!(
        index.size()[0] == 1 && index.kind() != Kind::Bool,
        "an index that depends on the input is not supported"
    );
    index.squeeze_dim(0).to_kind(Kind::Int64)
}

fn index_select(c: &Call) -> Tensor {
    let x = c.tensor("self");
    x.index_select(c.dim("dim", 0, &x), &positions(&c.tensor("index")))
}

/// `x[..., index, ...]` with one index.
fn index(c: &Call) -> Tensor {
    let (x, indices) = (c.tensor("self"), c.optional_tensors("indices"));
    let mut given = indices.iter().enumerate().filter_map(|(d, i)| Some((d, i.as_ref()?)));
    let (Some((d, at)), None) = (given.next(), given.next()) else {
        panic!("indexing by more than one tensor at once is not supported");
    };
    let (at, dim) = (positions(at), place(d as i64, &x));
    let mut size = x.size();
    size.splice(dim as usize..=dim as usize, at.size());
    x.index_select(dim, &at.reshape([-1])).reshape(size)
}

/// Rows of a table for each token.
fn embedding(c: &Call) -> Tensor {
    let (table, tokens) = (c.tensor("weight"), c.tensor("indices").to_kind(Kind::Int64));
    assert!(!c.flag("scale_grad_by_freq", false), "embedding with scale_grad_by_freq");
    let (rows, width) = (table.size()[1], table.size()[2]);
    let lanes = table.size()[0].max(tokens.size()[0]);
    let mut tokens = broadcast_lanes(&tokens, lanes);
    if table.size()[0] > 1 {
        // Each lane has rows of its own, one table behind the other.
        let mut first = vec![1i64; tokens.dim()];
        first[0] = lanes;
        let offset = Tensor::arange(lanes, (Kind::Int64, tokens.device())) * rows;
        tokens = offset.reshape(first) + tokens;
    }
    let mut size = tokens.size();
    size.push(width);
    let found = table.reshape([-1, width]).index_select(0, &tokens.reshape([-1])).reshape(size);
    match c.int("padding_idx", -1) {
        padding if padding >= 0 => {
            // The row of padding has no gradient.
            let padded = tokens.remainder(rows).eq(padding).unsqueeze(-1);
            found.detach().where_self(&padded, &found)
        }
        _ => found,
    }
}

fn flip(c: &Call) -> Tensor {
    let x = c.tensor("self");
    x.flip(c.dims("dims", &x))
}

fn roll(c: &Call) -> Tensor {
    let x = c.tensor("self");
    x.roll(c.ints("shifts"), c.dims("dims", &x))
}

fn arange(c: &Call) -> Tensor {
    let (from, to) = (c.float("start", 0.0), c.float("end", 0.0));
    let kind = match kind(c) {
        Some(kind) if kind.is_real() => c.like.0,
        _ => Kind::Int64,
    };
    let step = c.float("step", 1.0);
    afford(&[((to - from) / step).abs() as i64]);
    let all = Tensor::arange_start_step(from, to, step, (kind, c.like.1));
    all.unsqueeze(0)
}

fn made(c: &Call, name: &str, value: f64) -> Tensor {
    typed(c, c.full(&c.shape(name), value))
}

/// In the element type that is asked for; reals keep the precision of the pass.
fn typed(c: &Call, t: Tensor) -> Tensor {
    match kind(c) {
        Some(kind) if !kind.is_real() => t.to_kind(kind.kind()),
        Some(_) => t.to_kind(c.like.0),
        None => t,
    }
}

/// `a` times `b`, matrices behind their lanes.
pub(super) fn matmul(a: &Tensor, b: &Tensor) -> Tensor {
    assert!(a.dim() > 2 && b.dim() > 2, "a product with a vector is not supported");
    let both = align(&[a, b]);
    both[0].matmul(&both[1])
}
