//! What a pickle's calls may do, and finding the state dict in what it leaves.

use super::Problem;
use super::numpy;
use super::pickle::Machine;
use super::storage::MAX_DIMS;
use super::value::{Callable, Object, StorageRef, TensorRef, Value};
use std::collections::HashSet;

/// Keys under which training scripts commonly nest the state dict.
const NESTED: [&str; 3] = ["state_dict", "model", "model_state_dict"];

/// Performs a REDUCE: `function(*arguments)`.
pub(super) fn call<'a>(
    machine: &mut Machine<'a>,
    function: Value<'a>,
    arguments: Value<'a>,
) -> Result<Value<'a>, Problem> {
    let Some(&Object::Callable(callable)) = machine.get(function) else {
        return Err(machine.wrong("a call of something that cannot be called"));
    };
    // A call that takes the same long list again and again costs its length every time.
    machine.keep(machine.items(arguments).map_or(0, <[_]>::len))?;
    let Some(Object::Tuple(arguments)) = machine.get(arguments) else {
        return Err(machine.wrong("a call without a tuple of arguments"));
    };
    let arguments = arguments.clone();
    match callable {
        Callable::OrderedDict => ordered_dict(machine, &arguments),
        Callable::RebuildTensor => {
            let tensor = tensor(machine, &arguments).ok_or_else(|| {
                machine.wrong(
                    "a tensor without storage, offset, size and stride (of 16 dimensions at most)",
                )
            })?;
            machine.add(Object::Tensor(tensor))
        }
        Callable::RebuildParameter => match arguments.first() {
            Some(&data) if matches!(machine.get(data), Some(Object::Tensor(_))) => Ok(data),
            _ => Err(machine.wrong("a parameter without its tensor")),
        },
        Callable::Reconstruct => {
            let array = numpy::blank(machine, &arguments)?;
            machine.add(array)
        }
        Callable::Dtype => {
            let dtype = numpy::dtype(machine, &arguments)?;
            machine.add(dtype)
        }
        Callable::NdArray => Err(machine.wrong("an array built in place")),
        Callable::StorageType(kind) => Err(Problem::Refused(format!(
            "a storage of {kind:?} built in place, which torch.save does not write"
        ))),
    }
}

/// `OrderedDict()` as Python 3 writes it, `OrderedDict([[key, value], ...])` as Python 2 did.
fn ordered_dict<'a>(
    machine: &mut Machine<'a>,
    arguments: &[Value<'a>],
) -> Result<Value<'a>, Problem> {
    let mut pairs = Vec::new();
    if let Some(&list) = arguments.first() {
        machine.keep(2 * machine.items(list).map_or(0, <[_]>::len))?;
        let wrong = || machine.wrong("an OrderedDict not made of pairs");
        for &item in machine.items(list).ok_or_else(wrong)? {
            match machine.items(item) {
                Some(&[key, value]) => pairs.push((key, value)),
                _ => return Err(wrong()),
            }
        }
    }
    machine.add(Object::Dict(pairs))
}

/// `(storage, offset, size, stride, ...)`; what follows are gradient flags and hooks.
fn tensor<'a>(machine: &Machine<'a>, arguments: &[Value<'a>]) -> Option<TensorRef<'a>> {
    let &[storage, Value::Int(offset), size, stride, ..] = arguments else {
        return None;
    };
    let &Object::Storage(storage) = machine.get(storage)? else {
        return None;
    };
    Some(TensorRef {
        storage,
        offset: usize::try_from(offset).ok()?,
        size: integers(machine.items(size)?)?,
        stride: integers(machine.items(stride)?)?,
    })
}

/// Sizes or strides; the list itself may be one that many tensors name.
fn integers(values: &[Value]) -> Option<Vec<i64>> {
    if values.len() > MAX_DIMS {
        return None;
    }
    let int = |v: &Value| match v {
        Value::Int(n) if *n >= 0 => Some(*n),
        _ => None,
    };
    values.iter().map(int).collect()
}

/// A persistent id: `("storage", type, key, location, elements)` and, in legacy files, view
/// metadata.
pub(super) fn storage<'a>(machine: &Machine<'a>, id: Value<'a>) -> Result<StorageRef<'a>, Problem> {
    let wrong = || machine.wrong("a persistent id that is not a storage");
    let parts = machine.items(id).ok_or_else(wrong)?;
    let &[
        Value::Text("storage"),
        kind,
        Value::Text(key),
        Value::Text(_),
        Value::Int(len),
        ref view @ ..,
    ] = parts
    else {
        return Err(wrong());
    };
    let Some(&Object::Callable(Callable::StorageType(kind))) = machine.get(kind) else {
        return Err(wrong());
    };
    if !matches!(view, [] | [Value::None]) {
        return Err(Problem::Refused(
            "a view of a storage, as PyTorch before 0.4 wrote; load and save it again with a \
             newer PyTorch"
                .into(),
        ));
    }
    let len = usize::try_from(len).map_err(|_| wrong())?;
    let storage = StorageRef { key, kind, len };
    match machine.storages.get(key) {
        Some(other) if *other != storage => {
            Err(machine.wrong("one storage under two types or lengths"))
        }
        _ => Ok(storage),
    }
}

/// The named tensors of the state dict in `top`: itself, or what lies under one of the customary
/// keys.
pub(super) fn state_dict<'m, 'a>(
    machine: &'m Machine<'a>,
    top: Value<'a>,
) -> Result<Vec<(&'a str, &'m TensorRef<'a>)>, Problem> {
    let Some(Object::Dict(pairs)) = machine.get(top) else {
        let what = top.describe();
        return Err(Problem::Refused(format!(
            "it holds {what}, not a dict of named tensors; save it with \
             torch.save(model.state_dict(), path)"
        )));
    };
    let direct = named_tensors(machine, pairs)?;
    if !direct.is_empty() {
        return Ok(direct);
    }
    for key in NESTED {
        let inner = pairs.iter().find(|(k, _)| *k == Value::Text(key));
        if let Some(Object::Dict(inner)) = inner.and_then(|(_, v)| machine.get(*v)) {
            let found = named_tensors(machine, inner)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }
    Err(Problem::Refused(format!(
        "no named tensors, neither at the top nor under `{}`",
        NESTED.join("`, `")
    )))
}

fn named_tensors<'m, 'a>(
    machine: &'m Machine<'a>,
    pairs: &[(Value<'a>, Value<'a>)],
) -> Result<Vec<(&'a str, &'m TensorRef<'a>)>, Problem> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for (key, value) in pairs {
        if let (Value::Text(name), Some(Object::Tensor(tensor))) = (key, machine.get(*value)) {
            if !seen.insert(*name) {
                return Err(Problem::malformed(0, format!("`{name}` appears twice")));
            }
            found.push((*name, tensor));
        }
    }
    Ok(found)
}
