//! Operations that reduce or normalise along dimensions.

use tch::Tensor;

use super::Op;
use super::Op::One;
use crate::graph::value::Call;

pub(super) static TABLE: &[(&str, Op)] = &[
    ("softmax", One(|c| softmax(c, Tensor::softmax))),
    ("log_softmax", One(|c| softmax(c, Tensor::log_softmax))),
    ("mean", One(mean)),
    ("sum", One(sum)),
    ("amax", One(|c| extreme(c, |x, dims, keep| x.amax(dims, keep)))),
    ("amin", One(|c| extreme(c, |x, dims, keep| x.amin(dims, keep)))),
    ("var", One(var)),
    ("std", One(|c| var(c).sqrt())),
    ("linalg_vector_norm", One(norm)),
    ("norm", One(norm)),
    ("cumsum", One(cumsum)),
    ("logsumexp", One(logsumexp)),
];

fn softmax(c: &Call, f: impl Fn(&Tensor, i64, Option<tch::Kind>) -> Tensor) -> Tensor {
    let x = c.tensor("self");
    f(&x, c.dim("dim", -1, &x), None)
}

fn mean(c: &Call) -> Tensor {
    let x = c.tensor("self");
    x.mean_dim(&c.dims("dim", &x)[..], c.flag("keepdim", false), None)
}

fn sum(c: &Call) -> Tensor {
    let x = c.tensor("self");
    x.sum_dim_intlist(&c.dims("dim", &x)[..], c.flag("keepdim", false), None)
}

fn extreme(c: &Call, f: impl Fn(&Tensor, &[i64], bool) -> Tensor) -> Tensor {
    let (x, keep) = (c.tensor("self"), c.flag("keepdim", false));
    let dims = c.dims("dim", &x);
    // Equal values share the slope, as torch has it.
    let share = || {
        let own = x.eq_tensor(&f(&x, &dims, true)).to_kind(x.kind());
        &own / own.sum_dim_intlist(&dims[..], true, None)
    };
    c.kinks.either(
        share,
        || f(&x, &dims, keep),
        |share| {
            // What has no share may be infinite.
            let own = x.where_self(&share.gt(0.0), &x.zeros_like());
            (own * share).sum_dim_intlist(&dims[..], keep, None)
        },
    )
}

fn cumsum(c: &Call) -> Tensor {
    let x = c.tensor("self");
    x.cumsum(c.dim("dim", 0, &x), None)
}

fn logsumexp(c: &Call) -> Tensor {
    let x = c.tensor("self");
    x.logsumexp(&c.dims("dim", &x)[..], c.flag("keepdim", false))
}

fn var(c: &Call) -> Tensor {
    let x = c.tensor("self");
    let dims = c.dims("dim", &x);
    let n: i64 = dims.iter().map(|&d| x.size()[d as usize]).product();
    // Older graphs say `unbiased`, newer ones how many values are taken off.
    let off = c.number("correction").map_or(f64::from(c.flag("unbiased", true)), |n| n.float());
    let centred = &x - x.mean_dim(&dims[..], true, None);
    centred.square().sum_dim_intlist(&dims[..], c.flag("keepdim", false), None)
        / (n as f64 - off).max(0.0)
}

fn norm(c: &Call) -> Tensor {
    let x = c.tensor("self");
    let dims = c.dims("dim", &x);
    let order = c.number("ord").or_else(|| c.number("p")).map_or(2.0, |n| n.float());
    x.norm_scalaropt_dim(order, &dims[..], c.flag("keepdim", false))
}
