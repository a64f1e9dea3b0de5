//! From the bytes of a storage to the tensors that view it.

use super::pickle::shown;
use super::value::{StorageRef, TensorRef};
use super::{Keep, Problem};
use std::borrow::Cow;
use std::collections::HashMap;
use suites::foreign::Budget;
use tch::{Kind, Tensor};

/// More dimensions than any weight has.
pub(super) const MAX_DIMS: usize = 16;

/// Where a container keeps the bytes of its storages.
pub(super) trait Source<'a> {
    /// The bytes of one storage, exactly `len * element size` of them.
    fn bytes(&mut self, storage: &StorageRef<'a>) -> Result<Cow<'a, [u8]>, Problem>;
}

/// Builds the tensors that `keep` accepts. Storages and the copies that strided views need are paid
/// for before they are made.
pub(super) fn build<'a>(
    named: Vec<(Cow<'a, str>, &TensorRef<'a>)>,
    source: &mut dyn Source<'a>,
    keep: Keep,
    budget: &mut Budget,
) -> Result<Vec<(String, Tensor)>, Problem> {
    let mut storages: HashMap<&str, Tensor> = HashMap::new();
    let mut out = Vec::new();
    for (name, tensor) in named.into_iter().filter(|(name, _)| keep(name)) {
        let wrong =
            |what: &str| Problem::malformed(0, format!("tensor `{}`: {what}", shown(&name)));
        check(tensor).map_err(wrong)?;
        let key = tensor.storage.key;
        if !storages.contains_key(key) {
            budget.hold_many(2, byte_len(&tensor.storage).unwrap_or(usize::MAX))?;
            let bytes = source.bytes(&tensor.storage)?;
            storages.insert(key, flat(&bytes, &tensor.storage)?);
        }
        let view = view(&storages[key], tensor).map_err(|e| wrong(&e.to_string()))?;
        let view = if view.is_contiguous() {
            view
        } else {
            let elements = element_count(&tensor.size).unwrap_or(usize::MAX);
            budget.hold_many(elements, tensor.storage.kind.elt_size_in_bytes())?;
            view.contiguous()
        };
        budget.hold_many(1, name.len())?;
        out.push((name.into_owned(), view));
    }
    Ok(out)
}

/// The product of the sizes; `None` where it overflows (zeros are left out, so that they cannot
/// hide an overflow).
fn element_count(size: &[i64]) -> Option<usize> {
    let product = size.iter().filter(|&&n| n != 0).try_fold(1_i64, |n, &s| n.checked_mul(s))?;
    if size.contains(&0) { Some(0) } else { usize::try_from(product).ok() }
}

/// A view must lie inside its storage and not be larger than it.
fn check(tensor: &TensorRef) -> Result<(), &'static str> {
    let TensorRef { size, stride, .. } = tensor;
    if size.len() != stride.len() || size.len() > MAX_DIMS {
        return Err("sizes and strides that do not belong together");
    }
    let count = element_count(size).ok_or("a size beyond all memory")?;
    if count > tensor.storage.len {
        return Err("larger than its storage");
    }
    let steps = size.iter().zip(stride);
    let last = steps
        .filter(|(n, _)| **n > 0)
        .try_fold(0_i64, |end, (n, s)| end.checked_add((n - 1).checked_mul(*s)?))
        .and_then(|last| usize::try_from(last).ok()?.checked_add(tensor.offset));
    match last {
        Some(last) if count == 0 || last < tensor.storage.len => Ok(()),
        _ => Err("it reaches beyond its storage"),
    }
}

/// One storage as a vector. A bool may be stored as any byte; libtorch needs 0 or 1.
fn flat(bytes: &[u8], storage: &StorageRef) -> Result<Tensor, Problem> {
    let normal: Vec<u8>;
    let bytes = if storage.kind == Kind::Bool {
        normal = bytes.iter().map(|&b| u8::from(b != 0)).collect();
        &normal
    } else {
        bytes
    };
    let size = [i64::try_from(storage.len).unwrap_or(i64::MAX)];
    Tensor::f_from_data_size(bytes, &size, storage.kind)
        .map_err(|e| Problem::malformed(0, format!("storage {}: {e}", storage.key)))
}

fn view(storage: &Tensor, tensor: &TensorRef) -> Result<Tensor, tch::TchError> {
    if tensor.size.contains(&0) {
        return Tensor::f_zeros(&tensor.size, (tensor.storage.kind, tch::Device::Cpu));
    }
    storage.f_as_strided(&tensor.size, &tensor.stride, tensor.offset as i64)
}

/// The bytes that a storage must have, `None` on overflow.
pub(super) fn byte_len(storage: &StorageRef) -> Option<usize> {
    storage.len.checked_mul(storage.kind.elt_size_in_bytes())
}
