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
    /// What is not known: only its name stays, and nothing of it is run.
    Opaque(Opaque<'a>),
}

/// Something that the file imports by name, or what it asks to have made by that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Opaque<'a> {
    pub module: &'a str,
    pub name: &'a str,
    /// Made by a call, not the import itself.
    pub made: bool,
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
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `collections.defaultdict`; what makes its values is not kept.
    DefaultDict,
    /// `torch._utils._rebuild_tensor` (PyTorch before 0.4) and `_rebuild_tensor_v2`.
    RebuildTensor,
    /// `torch._utils._rebuild_parameter` and, in the oldest files, `torch.nn.parameter.Parameter`;
    /// others that take a tensor first.
    RebuildParameter,
    /// `torch._tensor._rebuild_from_type_v2`: a tensor with attributes, by what makes it.
    RebuildWithState,
    StorageType(Kind),
    /// `numpy.core.multiarray._reconstruct`.
    Reconstruct,
    /// `numpy.ndarray`.
    NdArray,
    /// `numpy.dtype`.
    Dtype,
}

impl Callable {
    /// Looks up an import; what is `None` stays opaque or is refused.
    pub(super) fn find(module: &str, name: &str) -> Option<Callable> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Callable::OrderedDict,
            ("collections", "defaultdict") => Callable::DefaultDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Callable::RebuildTensor,
            (
                "torch._utils",
                "_rebuild_parameter"
                | "_rebuild_parameter_with_state"
                | "_rebuild_device_tensor_from_cpu_tensor",
            )
            | ("torch.nn.parameter", "Parameter") => Callable::RebuildParameter,
            ("torch._tensor", "_rebuild_from_type_v2") => Callable::RebuildWithState,
            ("torch" | "torch.cuda" | "torch.storage", storage) => {
                Callable::StorageType(storage_kind(storage)?)
            }
            _ => return None,
        })
    }
}

/// The storages of PyTorch. Those that are no parameters are known by their width alone: a file
/// without a directory is cut by it.
const STORAGES: [(&str, Kind); 16] = [
    ("FloatStorage", Kind::Float),
    ("DoubleStorage", Kind::Double),
    ("HalfStorage", Kind::Half),
    ("BFloat16Storage", Kind::BFloat16),
    ("LongStorage", Kind::Int64),
    ("IntStorage", Kind::Int),
    ("BoolStorage", Kind::Bool),
    ("ByteStorage", Kind::Uint8),
    ("CharStorage", Kind::Int8),
    ("ShortStorage", Kind::Int16),
    ("ComplexFloatStorage", Kind::ComplexFloat),
    ("ComplexDoubleStorage", Kind::ComplexDouble),
    ("QInt8Storage", Kind::QInt8),
    ("QUInt8Storage", Kind::QUInt8),
    ("QInt32Storage", Kind::QInt32),
    // Its length is in bytes.
    ("UntypedStorage", Kind::Float8e5m2),
];

fn storage_kind(name: &str) -> Option<Kind> {
    STORAGES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}

/// Whether tensors of that kind are read.
pub(super) fn is_read(kind: Kind) -> bool {
    STORAGES[..7].iter().any(|(_, read)| *read == kind)
}

/// What PyTorch calls a storage of that kind.
pub(super) fn storage_name(kind: Kind) -> &'static str {
    STORAGES.iter().find(|(_, known)| *known == kind).map_or("a storage", |(name, _)| name)
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
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TensorRef<'a> {
    pub storage: StorageRef<'a>,
    pub offset: usize,
    pub size: Vec<i64>,
    pub stride: Vec<i64>,
}
