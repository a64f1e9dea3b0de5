//! The operations that a graph may hold, by the names of PyTorch's `aten` without overload.
//!
//! All work on `[L, ...]` (see [`super::value`]) and can be differentiated twice.

mod image;
mod layer;
mod pointwise;
mod reduce;
mod scalar;
mod shape;

use tch::Tensor;

use super::value::{Arg, Call, Number};
use crate::tape::Tape;

/// What an operation does.
#[derive(Clone, Copy)]
pub(super) enum Op {
    /// Gives a tensor.
    One(fn(&Call) -> Tensor),
    /// Gives several.
    Many(fn(&Call) -> Vec<Tensor>),
    /// Gives a number.
    Number(fn(&Call) -> Number),
    /// Is random in train mode.
    Random(fn(&Call, &mut Tape) -> Tensor),
    /// Checks what has been checked, or keeps count of batches.
    Nothing,
}

/// Whether the operation has corners that a second pass cannot repeat: of norms only the Euclidean
/// one is smooth.
pub(super) fn has_corners(name: &str, args: &[(String, Arg)]) -> bool {
    let order = |(name, arg): &(String, Arg)| match (name.as_str(), arg) {
        ("ord" | "p", Arg::Number(n)) => Some(n.float()),
        _ => None,
    };
    ["norm", "linalg_vector_norm"].contains(&name)
        && args.iter().find_map(order).is_some_and(|order| order != 2.0)
}

/// The operation called `name`, without overload and without the `_` of one in place.
pub(super) fn find(name: &str) -> Option<Op> {
    let tables =
        [pointwise::TABLE, reduce::TABLE, shape::TABLE, image::TABLE, layer::TABLE, scalar::TABLE];
    tables.into_iter().flatten().find(|(own, _)| *own == name).map(|(_, op)| *op)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_have_corners_but_for_the_euclidean() {
        let order = |n: f64| vec![("ord".to_owned(), Arg::Number(Number::Float(n)))];
        assert!(has_corners("linalg_vector_norm", &order(1.0)));
        assert!(has_corners("norm", &[("p".to_owned(), Arg::Number(Number::Int(1)))]));
        assert!(!has_corners("linalg_vector_norm", &order(2.0)) && !has_corners("norm", &[]));
        assert!(!has_corners("relu", &order(1.0)));
    }
}
