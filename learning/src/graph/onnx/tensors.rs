//! Constants of an ONNX file: initialisers, inside it or in a file beside it, and `Constant` nodes.

use std::collections::BTreeMap;
use std::path::Path;

use rten_onnx::onnx::{DataLocation, DataType, GraphProto, TensorProto};
use suites::foreign::{self, Budget, limits};
use tch::{Kind, Tensor};

use super::super::GraphError;
use super::super::value::Whole;
use super::EXPORT;

/// All constants by name.
pub struct Tensors {
    named: BTreeMap<String, Tensor>,
    /// Names in the file's order.
    order: Vec<String>,
}

impl Tensors {
    /// The initialisers.
    ///
    /// # Errors
    /// A tensor that does not fit its bytes, of a type that is not known, or outside the folder.
    pub fn of(
        graph: &GraphProto,
        folder: Option<&Path>,
        mut budget: Budget,
    ) -> Result<Tensors, GraphError> {
        let mut all = Tensors { named: BTreeMap::new(), order: Vec::new() };
        let mut files = BTreeMap::new();
        for proto in &graph.initializer {
            let name = proto.name.clone().unwrap_or_default();
            let wrong = |what: String| GraphError::new(format!("tensor `{name}` {what}"), EXPORT);
            let value = if proto.data_location == Some(DataLocation::EXTERNAL) {
                beside(proto, folder, &mut files).map_err(wrong)?
            } else {
                build(proto, &bytes(proto)).map_err(wrong)?
            };
            let size = value.numel() * value.kind().elt_size_in_bytes();
            if proto.data_location == Some(DataLocation::EXTERNAL) {
                // Paid for by the bytes of the file beside.
                all.insert(&name, value);
                continue;
            }
            budget.hold(size as u64).map_err(|e| wrong(format!("costs too much: {e}")))?;
            all.insert(&name, value);
        }
        Ok(all)
    }

    pub fn insert(&mut self, name: &str, value: Tensor) {
        self.order.push(name.to_owned());
        self.named.insert(name.to_owned(), value);
    }

    /// The same values by another name.
    pub fn copy(&mut self, name: &str, of: &str) {
        if let Some(value) = self.named.get(of).map(Tensor::shallow_clone) {
            self.insert(name, value);
        }
    }

    pub fn has(&self, name: &str) -> bool {
        self.named.contains_key(name)
    }

    pub fn names(&self) -> Vec<String> {
        self.order.clone()
    }

    /// The values: reals as f32, whole numbers as 64 bits.
    ///
    /// # Errors
    /// A name that is no constant.
    pub fn get(&self, name: &str) -> Result<Tensor, GraphError> {
        self.named
            .get(name)
            .map(Tensor::shallow_clone)
            .ok_or_else(|| GraphError::new(format!("`{name}` is no constant"), EXPORT))
    }
}

/// A list of whole numbers, or one of them.
pub fn whole(value: &Tensor) -> Vec<Whole> {
    let all = Vec::<i64>::try_from(value.to_kind(Kind::Int64).reshape([-1])).unwrap_or_default();
    all.into_iter().map(Whole::Given).collect()
}

/// The bytes of a tensor, little-endian.
fn bytes(proto: &TensorProto) -> Vec<u8> {
    if let Some(raw) = &proto.raw_data {
        return raw.borrow().clone();
    }
    let narrow = |n: &i32| match proto.data_type {
        Some(DataType::FLOAT16 | DataType::BFLOAT16) => n.to_le_bytes()[..2].to_vec(),
        Some(DataType::BOOL | DataType::INT8 | DataType::UINT8) => n.to_le_bytes()[..1].to_vec(),
        Some(DataType::INT16 | DataType::UINT16) => n.to_le_bytes()[..2].to_vec(),
        _ => n.to_le_bytes().to_vec(),
    };
    let floats = proto.float_data.iter().flat_map(|v| v.to_le_bytes());
    let doubles = proto.double_data.iter().flat_map(|v| v.to_le_bytes());
    let longs = proto.int64_data.iter().flat_map(|v| v.to_le_bytes());
    floats.chain(doubles).chain(longs).chain(proto.int32_data.iter().flat_map(narrow)).collect()
}

/// A tensor of those bytes.
///
/// # Errors
/// In words, without its name.
pub fn build(proto: &TensorProto, bytes: &[u8]) -> Result<Tensor, String> {
    let (kind, width) = match proto.data_type {
        Some(DataType::FLOAT) => (Kind::Float, 4),
        Some(DataType::DOUBLE) => (Kind::Double, 8),
        Some(DataType::FLOAT16) => (Kind::Half, 2),
        Some(DataType::BFLOAT16) => (Kind::BFloat16, 2),
        Some(DataType::INT64) => (Kind::Int64, 8),
        Some(DataType::INT32) => (Kind::Int, 4),
        Some(DataType::INT16) => (Kind::Int16, 2),
        Some(DataType::INT8) => (Kind::Int8, 1),
        Some(DataType::UINT8) => (Kind::Uint8, 1),
        Some(DataType::BOOL) => (Kind::Bool, 1),
        other => {
            let name = other.and_then(|kind| kind.name().map(str::to_owned));
            return Err(format!("is of type {}", name.unwrap_or_else(|| "unknown".into())));
        }
    };
    let count = proto.dims.iter().try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?));
    if count.and_then(|n| n.checked_mul(width)) != Some(bytes.len()) {
        return Err(format!("has {} bytes for {:?}", bytes.len(), proto.dims));
    }
    let normal: Vec<u8>;
    let bytes = if kind == Kind::Bool {
        normal = bytes.iter().map(|&b| u8::from(b != 0)).collect();
        &normal
    } else {
        bytes
    };
    let value = Tensor::f_from_data_size(bytes, &proto.dims, kind).map_err(|e| e.to_string())?;
    Ok(match kind {
        Kind::Float | Kind::Bool | Kind::Int64 => value,
        Kind::Double | Kind::Half | Kind::BFloat16 => value.to_kind(Kind::Float),
        _ => value.to_kind(Kind::Int64),
    })
}

/// `Constant`'s own tensor.
///
/// # Errors
/// As [`build`].
pub fn own(proto: &TensorProto) -> Result<Tensor, String> {
    build(proto, &bytes(proto))
}

/// A tensor whose bytes are in a file of the same folder.
fn beside(
    proto: &TensorProto,
    folder: Option<&Path>,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> Result<Tensor, String> {
    let entry = |key: &str| {
        let found = proto.external_data.iter().find(|e| e.key.as_deref() == Some(key));
        found.and_then(|e| e.value.clone())
    };
    let number = |key: &str| entry(key).and_then(|text| text.parse::<usize>().ok());
    let name = entry("location").ok_or("lies in a file without a name")?;
    let path = Path::new(&name);
    let folder = folder.filter(|_| path.file_name() == Some(path.as_os_str()));
    let folder = folder.ok_or_else(|| format!("lies in `{name}`, which is not beside the file"))?;
    if !files.contains_key(&name) {
        let read = foreign::read(&folder.join(path), &limits::CHECKPOINT);
        files.insert(name.clone(), read.map_err(|e| format!("lies in `{name}`: {e}"))?);
    }
    let (all, from) = (&files[&name], number("offset").unwrap_or(0));
    let length = number("length").unwrap_or(all.len().saturating_sub(from));
    let part = from.checked_add(length).and_then(|to| all.get(from..to));
    build(proto, part.ok_or_else(|| format!("ends behind the end of `{name}`"))?)
}
