//! Operations on each value, and on pairs of values that broadcast.

use tch::{Kind, Scalar, Tensor};

use super::Op;
use super::Op::One;
use crate::graph::value::{Call, Number, align};

pub(super) static TABLE: &[(&str, Op)] = &[
    ("relu", One(|c| c.kinks.relu(&c.tensor("self")))),
    ("relu6", One(|c| between(c, 0.0, 6.0))),
    ("leaky_relu", One(leaky_relu)),
    ("elu", One(elu)),
    ("selu", One(selu)),
    ("celu", One(celu)),
    ("gelu", One(|c| c.tensor("self").gelu(c.text("approximate").unwrap_or("none")))),
    ("silu", One(|c| c.tensor("self").silu())),
    ("mish", One(mish)),
    ("hardswish", One(hardswish)),
    ("hardsigmoid", One(hardsigmoid)),
    ("hardtanh", One(hardtanh)),
    ("sigmoid", One(|c| c.tensor("self").sigmoid())),
    ("log_sigmoid", One(|c| c.tensor("self").log_sigmoid())),
    ("tanh", One(|c| c.tensor("self").tanh())),
    ("softplus", One(softplus)),
    ("exp", One(|c| c.tensor("self").exp())),
    ("expm1", One(|c| c.tensor("self").expm1())),
    ("log", One(|c| c.tensor("self").log())),
    ("log1p", One(|c| c.tensor("self").log1p())),
    ("sqrt", One(|c| c.tensor("self").sqrt())),
    ("rsqrt", One(|c| c.tensor("self").rsqrt())),
    ("square", One(|c| c.tensor("self").square())),
    ("abs", One(abs)),
    ("neg", One(|c| c.tensor("self").neg())),
    ("sign", One(|c| c.kinks.fixed(|| c.tensor("self").sign()))),
    ("floor", One(|c| c.kinks.fixed(|| c.tensor("self").floor()))),
    ("erf", One(|c| c.tensor("self").erf())),
    ("sin", One(|c| c.tensor("self").sin())),
    ("cos", One(|c| c.tensor("self").cos())),
    ("reciprocal", One(|c| c.tensor("self").reciprocal())),
    ("logical_not", One(|c| c.tensor("self").logical_not())),
    ("bitwise_not", One(|c| c.tensor("self").bitwise_not())),
    ("clamp", One(clamp)),
    ("clamp_min", One(clamp)),
    ("clamp_max", One(clamp)),
    ("add", One(add)),
    ("sub", One(sub)),
    ("subtract", One(sub)),
    ("rsub", One(rsub)),
    ("mul", One(|c| pair(c, |a, b| a * b))),
    ("multiply", One(|c| pair(c, |a, b| a * b))),
    ("div", One(div)),
    ("onnx.div", One(|c| pair(c, quotient))),
    ("true_divide", One(|c| pair(c, |a, b| a / b))),
    ("pow", One(pow)),
    ("maximum", One(|c| pair(c, |a, b| extreme(c, a, b, Tensor::maximum)))),
    ("minimum", One(|c| pair(c, |a, b| extreme(c, a, b, Tensor::minimum)))),
    ("eq", One(|c| compared(c, Tensor::eq_tensor))),
    ("ne", One(|c| compared(c, Tensor::ne_tensor))),
    ("lt", One(|c| compared(c, Tensor::lt_tensor))),
    ("le", One(|c| compared(c, Tensor::le_tensor))),
    ("gt", One(|c| compared(c, Tensor::gt_tensor))),
    ("ge", One(|c| compared(c, Tensor::ge_tensor))),
    ("logical_and", One(|c| pair(c, Tensor::logical_and))),
    ("logical_or", One(|c| pair(c, Tensor::logical_or))),
    ("bitwise_and", One(|c| pair(c, Tensor::bitwise_and_tensor))),
    ("bitwise_or", One(|c| pair(c, Tensor::bitwise_or_tensor))),
    ("where", One(choose)),
    ("masked_fill", One(masked_fill)),
    ("prelu", One(prelu)),
    ("clone", One(|c| c.tensor("self"))),
    ("contiguous", One(|c| c.tensor("self"))),
    ("alias", One(|c| c.tensor("self"))),
    ("lift_fresh_copy", One(|c| c.tensor("self"))),
    ("detach", One(|c| c.kinks.fixed(|| c.tensor("self").detach()))),
    ("to", One(cast)),
    ("_to_copy", One(cast)),
    ("type_as", One(|c| c.tensor("self").to_kind(c.tensor("other").kind()))),
];

fn leaky_relu(c: &Call) -> Tensor {
    let x = c.tensor("self");
    // At zero the slope is the negative side's, as torch has it.
    let above = c.kinks.fixed(|| x.gt(0.0));
    x.where_self(&above, &(&x * c.float("negative_slope", 0.01)))
}

fn hardtanh(c: &Call) -> Tensor {
    between(c, c.float("min_val", -1.0), c.float("max_val", 1.0))
}

/// `clamp`, whose slope at both ends is 0, as that of `hardtanh` is and `clamp`'s is not.
fn between(c: &Call, low: f64, high: f64) -> Tensor {
    let x = c.tensor("self");
    let inside = || x.gt(low).logical_and(&x.lt(high));
    c.kinks.between(&x, inside, || x.where_self(&inside(), &x.detach().clamp(low, high)))
}

fn hardsigmoid(c: &Call) -> Tensor {
    let x = (c.tensor("self") + 3.0) / 6.0;
    c.kinks.between(&x, || within(&x, Some(0.0), Some(1.0)), || x.clamp(0.0, 1.0))
}

/// Where `clamp` has a slope.
fn within(x: &Tensor, least: Option<f64>, most: Option<f64>) -> Tensor {
    x.ge(least.unwrap_or(f64::NEG_INFINITY)).logical_and(&x.le(most.unwrap_or(f64::INFINITY)))
}

/// `x * relu6(x + 3) / 6`.
fn hardswish(c: &Call) -> Tensor {
    let x = c.tensor("self");
    // 1 above the bend, -1 below it, 0 inside.
    let side = || x.gt(3.0).to_kind(x.kind()) - x.lt(-3.0).to_kind(x.kind());
    c.kinks.either(
        side,
        || x.hardswish(),
        |side| {
            let bend = &x * (&x + 3.0) / 6.0;
            let low = bend.where_self(&side.ge(-0.5), &x.zeros_like());
            x.where_self(&side.gt(0.5), &low)
        },
    )
}

fn abs(c: &Call) -> Tensor {
    let x = c.tensor("self");
    c.kinks.either(|| x.sign(), || x.abs(), |sign| &x * sign)
}

/// The larger or smaller of two values; of equal ones half of each.
fn extreme(c: &Call, a: &Tensor, b: &Tensor, f: impl Fn(&Tensor, &Tensor) -> Tensor) -> Tensor {
    let share = || {
        let (top, kind) = (f(a, b), a.kind());
        let own = a.eq_tensor(&top).to_kind(kind);
        &own / (&own + b.eq_tensor(&top).to_kind(kind))
    };
    if !a.is_floating_point() {
        return f(a, b);
    }
    // What has no share may be infinite.
    let part = |t: &Tensor, share: &Tensor| t.where_self(&share.gt(0.0), &t.zeros_like()) * share;
    c.kinks.either(share, || f(a, b), |share| part(a, share) + part(b, &(share.neg() + 1.0)))
}

fn compared(c: &Call, f: impl Fn(&Tensor, &Tensor) -> Tensor) -> Tensor {
    c.kinks.fixed(|| pair(c, f))
}

fn prelu(c: &Call) -> Tensor {
    let (x, slope) = (c.tensor("self"), c.tensor("weight"));
    // One slope a channel, or one for all.
    let mut size = vec![1i64; x.dim()];
    size[0] = slope.size()[0];
    if x.dim() > 2 {
        size[2] = slope.size()[1];
    }
    let above = c.kinks.fixed(|| x.gt(0.0));
    x.where_self(&above, &(&x * slope.reshape(size)))
}

/// `scale * (x, or alpha (exp(rate x) - 1) where x is negative)`.
fn elu(c: &Call) -> Tensor {
    let (alpha, rate) = (c.float("alpha", 1.0), c.float("input_scale", 1.0));
    exponential(c, alpha, rate) * c.float("scale", 1.0)
}

fn celu(c: &Call) -> Tensor {
    let alpha = c.float("alpha", 1.0);
    exponential(c, alpha, 1.0 / alpha)
}

/// At zero the slope is the negative side's and the curvature none, as torch has them.
fn exponential(c: &Call, alpha: f64, rate: f64) -> Tensor {
    let x = &c.tensor("self");
    let curved = |x: Tensor| (x * rate).expm1() * alpha;
    let joined = |above: &Tensor, below: &Tensor, curved: Tensor| {
        x.where_self(above, &curved.where_self(below, &(x * (alpha * rate))))
    };
    let plain = || joined(&x.gt(0.0), &x.lt(0.0), curved(x.clamp_max(0.0)));
    c.kinks.either(
        || x.sign(),
        plain,
        |sign| {
            // The bound keeps what is not taken finite.
            joined(&sign.gt(0.0), &sign.lt(0.0), curved(x.clamp_max(1.0)))
        },
    )
}

/// torch's `selu`.
fn selu(c: &Call) -> Tensor {
    const SCALE: f64 = 1.050_700_987_355_480_5;
    const ALPHA: f64 = 1.673_263_242_354_377_2;
    let x = c.tensor("self");
    c.kinks.either(
        || x.gt(0.0),
        || x.selu(),
        |above| {
            // The bound keeps the branch that is not taken finite.
            let below = x.clamp_max(1.0).expm1() * ALPHA;
            x.where_self(above, &below) * SCALE
        },
    )
}

fn mish(c: &Call) -> Tensor {
    let x = c.tensor("self");
    &x * x.softplus().tanh()
}

fn softplus(c: &Call) -> Tensor {
    let (x, beta) = (c.tensor("self"), c.float("beta", 1.0));
    let soft = (&x * beta).softplus() / beta;
    let curved = c.kinks.fixed(|| (&x * beta).le(c.float("threshold", 20.0)));
    soft.where_self(&curved, &x)
}

/// Bounds are numbers or tensors.
fn clamp(c: &Call) -> Tensor {
    let mut x = c.tensor("self");
    if let Some(least) = c.number("min") {
        let least = least.float();
        x = c.kinks.between(&x, || within(&x, Some(least), None), || x.clamp_min(least));
    } else if let Some(least) = c.maybe("min") {
        let both = align(&[&x, &least]);
        x = extreme(c, &both[0], &both[1], Tensor::maximum);
    }
    match (c.number("max"), c.maybe("max")) {
        (Some(most), _) => {
            let most = most.float();
            c.kinks.between(&x, || within(&x, None, Some(most)), || x.clamp_max(most))
        }
        (None, Some(most)) => {
            let both = align(&[&x, &most]);
            extreme(c, &both[0], &both[1], Tensor::minimum)
        }
        (None, None) => x,
    }
}

/// The two operands, `self` and `other`; a number beside a tensor keeps the tensor's element type.
fn operands(c: &Call) -> (Tensor, Tensor) {
    let (a, b) = (c.tensor("self"), c.tensor("other"));
    let (a, b) = match (c.number("self"), c.number("other")) {
        (None, Some(n)) => (a.shallow_clone(), typed(b, &a, n)),
        (Some(n), None) => (typed(a, &b, n), b),
        _ => (a, b),
    };
    let mut both = align(&[&a, &b]).into_iter();
    (both.next().expect("two"), both.next().expect("two"))
}

fn typed(number: Tensor, like: &Tensor, value: Number) -> Tensor {
    match (like.kind(), value) {
        (Kind::Bool, _) => number,
        (kind, Number::Int(_)) => number.to_kind(kind),
        (kind, Number::Float(_)) if like.is_floating_point() => number.to_kind(kind),
        _ => number,
    }
}

fn pair(c: &Call, f: impl Fn(&Tensor, &Tensor) -> Tensor) -> Tensor {
    let (a, b) = operands(c);
    f(&a, &b)
}

fn scaled(c: &Call, b: Tensor) -> Tensor {
    match c.number("alpha") {
        Some(alpha) if alpha.float() != 1.0 => b * alpha.float(),
        _ => b,
    }
}

fn add(c: &Call) -> Tensor {
    let (a, b) = operands(c);
    a + scaled(c, b)
}

fn sub(c: &Call) -> Tensor {
    let (a, b) = operands(c);
    a - scaled(c, b)
}

fn rsub(c: &Call) -> Tensor {
    let (a, b) = operands(c);
    b - scaled(c, a)
}

fn div(c: &Call) -> Tensor {
    match c.text("rounding_mode") {
        Some("floor") => c.kinks.fixed(|| pair(c, |a, b| (a / b).floor())),
        Some(_) => c.kinks.fixed(|| pair(c, |a, b| (a / b).trunc())),
        None => pair(c, |a, b| a / b),
    }
}

/// Of whole numbers a whole number, as ONNX divides.
fn quotient(a: &Tensor, b: &Tensor) -> Tensor {
    let whole = !a.is_floating_point() && !b.is_floating_point();
    if whole { (a / b).trunc().to_kind(Kind::Int64) } else { a / b }
}

fn pow(c: &Call) -> Tensor {
    let base = c.tensor("self");
    match c.number("exponent") {
        Some(Number::Int(2)) => base.square(),
        Some(n) => base.pow_tensor_scalar(scalar(n)),
        None => {
            let both = align(&[&base, &c.tensor("exponent")]);
            both[0].pow(&both[1])
        }
    }
}

fn scalar(n: Number) -> Scalar {
    match n {
        Number::Int(n) => Scalar::int(n),
        Number::Float(v) => Scalar::float(v),
    }
}

fn choose(c: &Call) -> Tensor {
    let all = align(&[&c.tensor("condition"), &c.tensor("self"), &c.tensor("other")]);
    all[1].where_self(&all[0].to_kind(Kind::Bool), &all[2])
}

fn masked_fill(c: &Call) -> Tensor {
    let (x, mask, value) = (c.tensor("self"), c.tensor("mask"), c.tensor("value"));
    let all = align(&[&x, &mask, &value.to_kind(x.kind())]);
    all[2].where_self(&all[1].to_kind(Kind::Bool), &all[0])
}

/// To another element type. Among those of reals the pass keeps its own precision.
fn cast(c: &Call) -> Tensor {
    let x = c.tensor("self");
    match super::shape::kind(c) {
        Some(kind) if kind.is_real() && x.is_floating_point() => x,
        Some(kind) if kind.is_real() => x.to_kind(c.like.0),
        Some(kind) => c.kinks.fixed(|| x.to_kind(kind.kind())),
        None => x,
    }
}
