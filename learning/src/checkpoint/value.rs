//! The values that the restricted unpickler can produce.
//!
//! Compound values live in an arena and refer to each other by index, so that a deeply nested or
//! cyclic file can neither overflow the stack when dropped nor be walked for ever.

use tch::Kind;

/// A value on the unpickler's stack. Text and long integers borrow from the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than eight bytes, little-endian two's complement.
    Long(&'a [u8]),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// Index into the arena.
    Ref(usize),
}

impl Value<'_> {
    /// What to call this value in a message.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Value::None => "None",
            Value::Bool(_) => "a bool",
            Value::Int(_) | Value::Long(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Text(_) => "a string",
            Value::Bytes(_) => "bytes",
            Value::Ref(_) => "an object",
        }
    }
}

/// A compound value.
#[derive(Debug)]
pub(super) enum Object<'a> {
    Tuple(Vec<Value<'a>>),
    List(Vec<Value<'a>>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    Callable(Callable),
    Storage(StorageRef<'a>),
    Tensor(TensorRef<'a>),
    /// An array of NumPy; without its state until that is built.
    Array(Option<Array<'a>>),
    /// NumPy's dtype of f32.
    Float32,
}

/// An f32 array of NumPy in C order, little-endian; four bytes an element.
#[derive(Clone, Debug)]
pub(super) struct Array<'a> {
    pub shape: Vec<i64>,
    pub bytes: &'a [u8],
}

/// The names that a pickle may import.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Callable {
    OrderedDict,
    /// `torch._utils._rebuild_tensor` (PyTorch before 0.4) and `_rebuild_tensor_v2`.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter` and, in the oldest files, `torch.nn.parameter.Parameter`.
    RebuildParameter,
    StorageType(Kind),
    /// `numpy.core.multiarray._reconstruct`.
    Reconstruct,
    /// `numpy.ndarray`.
    NdArray,
    /// `numpy.dtype`.
    Dtype,
}

impl Callable {
    /// Looks up an import; `None` refuses it.
    pub(super) fn find(module: &str, name: &str) -> Option<Callable> {
        match (module, name) {
            ("collections", "OrderedDict") => Some(Callable::OrderedDict),
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => {
                Some(Callable::RebuildTensor)
            }
            ("torch._utils", "_rebuild_parameter") | ("torch.nn.parameter", "Parameter") => {
                Some(Callable::RebuildParameter)
            }
            ("torch" | "torch.cuda", storage) => storage_kind(storage).map(Callable::StorageType),
            _ => None,
        }
    }
}

fn storage_kind(name: &str) -> Option<Kind> {
    Some(match name {
        "FloatStorage" => Kind::Float,
        "DoubleStorage" => Kind::Double,
        "HalfStorage" => Kind::Half,
        "BFloat16Storage" => Kind::BFloat16,
        "LongStorage" => Kind::Int64,
        "IntStorage" => Kind::Int,
        "BoolStorage" => Kind::Bool,
        _ => return None,
    })
}

/// A storage named by a persistent id: its bytes lie elsewhere in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StorageRef<'a> {
    pub key: &'a str,
    pub kind: Kind,
    /// Elements.
    pub len: usize,
}

/// A strided view of a storage; sizes, strides and offset are in elements.
#[derive(Clone, Debug)]
pub(super) struct TensorRef<'a> {
    pub storage: StorageRef<'a>,
    pub offset: usize,
    pub size: Vec<i64>,
    pub stride: Vec<i64>,
}
