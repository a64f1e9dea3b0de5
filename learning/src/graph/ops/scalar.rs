//! Sizes and what is computed of them, and checks that say nothing here.

use super::Op;
use super::Op::Nothing;
use crate::graph::value::{Call, Number, place};

pub(super) static TABLE: &[(&str, Op)] = &[
    ("sym_size", Op::Number(size)),
    ("sym_numel", Op::Number(numel)),
    ("operator.mul", Op::Number(|c| exact(c, |a, b| a.checked_mul(b), |a, b| a * b))),
    ("operator.add", Op::Number(|c| exact(c, |a, b| a.checked_add(b), |a, b| a + b))),
    ("operator.sub", Op::Number(|c| exact(c, |a, b| a.checked_sub(b), |a, b| a - b))),
    ("operator.floordiv", Op::Number(floordiv)),
    ("operator.truediv", Op::Number(|c| Number::Float(a(c).float() / b(c).float()))),
    ("operator.mod", Op::Number(|c| exact(c, |a, b| a.checked_rem_euclid(b), f64::rem_euclid))),
    ("operator.pow", Op::Number(|c| exact(c, power, f64::powf))),
    (
        "operator.neg",
        Op::Number(|c| match a(c) {
            Number::Int(n) => Number::Int(-n),
            Number::Float(v) => Number::Float(-v),
        }),
    ),
    ("operator.eq", Nothing),
    ("operator.ne", Nothing),
    ("operator.le", Nothing),
    ("operator.lt", Nothing),
    ("operator.ge", Nothing),
    ("operator.gt", Nothing),
    ("sym_constrain_range", Nothing),
    ("sym_constrain_range_for_size", Nothing),
    ("_assert_scalar", Nothing),
    ("_assert_tensor_metadata", Nothing),
    ("_assert_async", Nothing),
];

fn size(c: &Call) -> Number {
    let x = c.tensor("self");
    Number::Int(x.size()[place(c.int("dim", 0), &x) as usize])
}

fn numel(c: &Call) -> Number {
    Number::Int(c.tensor("self").size()[1..].iter().product())
}

fn a(c: &Call) -> Number {
    c.number("a").or_else(|| c.number("self")).unwrap_or(Number::Int(0))
}

fn b(c: &Call) -> Number {
    c.number("b").or_else(|| c.number("other")).unwrap_or(Number::Int(0))
}

/// Of two integers an integer, else a real.
fn exact(
    c: &Call,
    whole: impl Fn(i64, i64) -> Option<i64>,
    real: impl Fn(f64, f64) -> f64,
) -> Number {
    match (a(c), b(c)) {
        (Number::Int(a), Number::Int(b)) => {
            Number::Int(whole(a, b).unwrap_or_else(|| panic!("a size beyond 64 bits")))
        }
        (a, b) => Number::Float(real(a.float(), b.float())),
    }
}

fn power(a: i64, b: i64) -> Option<i64> {
    a.checked_pow(u32::try_from(b).ok()?)
}

fn floordiv(c: &Call) -> Number {
    let floor = |a: i64, b: i64| (b != 0).then(|| a.div_euclid(b));
    exact(c, floor, |a, b| (a / b).floor())
}
