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

use super::value::{Call, Number};
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

/// The operation called `name`, without overload and without the `_` of one in place.
pub(super) fn find(name: &str) -> Option<Op> {
    let tables =
        [pointwise::TABLE, reduce::TABLE, shape::TABLE, image::TABLE, layer::TABLE, scalar::TABLE];
    tables.into_iter().flatten().find(|(own, _)| *own == name).map(|(_, op)| *op)
}
