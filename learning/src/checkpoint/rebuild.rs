//! What a pickle's calls may do.

use super::pickle::Machine;
use super::storage::MAX_DIMS;
use super::value::{Callable, Object, Opaque, StorageRef, TensorRef, Value, storage_name};
use super::{Problem, numpy, opaque};

/// Performs a REDUCE: `function(*arguments)`.
pub(super) fn call<'a>(
    machine: &mut Machine<'a>,
    function: Value<'a>,
    arguments: Value<'a>,
) -> Result<Value<'a>, Problem> {
    // A call that takes the same long list again and again costs its length every time.
    machine.keep(machine.items(arguments).map_or(0, <[_]>::len))?;
    let Some(Object::Tuple(arguments)) = machine.get(arguments) else {
        return Err(machine.wrong("a call without a tuple of arguments"));
    };
    let arguments = arguments.clone();
    match machine.get(function) {
        Some(&Object::Callable(callable)) => known(machine, callable, &arguments),
        Some(&Object::Opaque(function)) => opaque::call(machine, function, &arguments),
        _ => Err(machine.wrong("a call of something that cannot be called")),
    }
}

fn known<'a>(
    machine: &mut Machine<'a>,
    callable: Callable,
    arguments: &[Value<'a>],
) -> Result<Value<'a>, Problem> {
    match callable {
        Callable::OrderedDict => ordered_dict(machine, arguments),
        Callable::DefaultDict => machine.add(Object::Dict(Vec::new())),
        Callable::RebuildTensor => rebuilt(machine, arguments),
        Callable::RebuildParameter => match arguments.first() {
            Some(&data) if is_tensor(machine, data) => Ok(data),
            _ => Err(machine.wrong("a parameter without its tensor")),
        },
        Callable::RebuildWithState => with_state(machine, arguments),
        Callable::Reconstruct => {
            let array = numpy::blank(machine, arguments)?;
            machine.add(array)
        }
        Callable::Dtype => {
            let dtype = numpy::dtype(machine, arguments)?;
            machine.add(dtype)
        }
        Callable::NdArray => Err(machine.wrong("an array built in place")),
        Callable::StorageType(kind) => Err(Problem::Refused(format!(
            "a {} built in place, which torch.save does not write",
            storage_name(kind)
        ))),
    }
}

/// A tensor, or what stands for one of a kind that is not known.
fn is_tensor<'a>(machine: &Machine<'a>, value: Value<'a>) -> bool {
    matches!(machine.get(value), Some(Object::Tensor(_) | Object::Opaque(_)))
}

fn rebuilt<'a>(machine: &mut Machine<'a>, arguments: &[Value<'a>]) -> Result<Value<'a>, Problem> {
    let storage = arguments.first().and_then(|&storage| machine.get(storage));
    if let Some(&Object::Opaque(storage)) = storage {
        return opaque::made(machine, storage);
    }
    let tensor = tensor(machine, arguments).ok_or_else(|| {
        machine
            .wrong("a tensor without storage, offset, size and stride (of 16 dimensions at most)")
    })?;
    machine.add(Object::Tensor(tensor))
}

/// `(function, class, its arguments, state)`: the state holds attributes, and no values.
fn with_state<'a>(
    machine: &mut Machine<'a>,
    arguments: &[Value<'a>],
) -> Result<Value<'a>, Problem> {
    let wrong = |machine: &Machine| machine.wrong("a tensor with attributes, without its values");
    let &[function, _, inner, ..] = arguments else { return Err(wrong(machine)) };
    match machine.get(function) {
        // One level: a tensor within is made by one of the plain functions.
        Some(Object::Callable(Callable::RebuildTensor | Callable::RebuildParameter))
        | Some(Object::Opaque(_)) => call(machine, function, inner),
        _ => Err(wrong(machine)),
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
/// metadata. A storage of a type that is not known is known by that alone.
pub(super) fn storage<'a>(machine: &Machine<'a>, id: Value<'a>) -> Result<Stored<'a>, Problem> {
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
    let kind = match machine.get(kind) {
        Some(&Object::Callable(Callable::StorageType(kind))) => kind,
        Some(&Object::Opaque(class)) => return Ok(Stored::Opaque(class)),
        _ => return Err(wrong()),
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
        _ => Ok(Stored::Known(storage)),
    }
}

/// A storage, or the class of one that is not known.
pub(super) enum Stored<'a> {
    Known(StorageRef<'a>),
    Opaque(Opaque<'a>),
}
