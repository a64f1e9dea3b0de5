//! Arrays of NumPy in nested dicts, as projects that run on JAX pickle their weights.
//!
//! As everywhere in this folder nothing is run: an array is only what `ndarray.__reduce__` writes
//! (an empty array, then its state: version, shape, dtype, order and bytes), in little-endian f32.

use super::pickle::{Machine, shown};
use super::storage::MAX_DIMS;
use super::value::{Array, Callable, Object, Value};
use super::{CheckpointError, Problem};
use std::path::Path;
use suites::foreign::{self, Budget, limits};
use tch::Tensor;

/// Dicts within dicts, at most.
const DEPTH: usize = 8;

/// Keys at most: a pickle can refer to one object as often as it likes.
const MOST_KEYS: usize = 1 << 14;

/// Reads every f32 array of a pickle of nested dicts, on the CPU, in the order of the file; a name
/// is the keys on its way, joined by `/`, such as `AlexNet_0/Conv_0/kernel`.
///
/// # Errors
/// [`CheckpointError`] where the file cannot be read, is damaged, or holds anything but nested
/// dicts of f32 arrays.
pub fn load_arrays(path: &Path) -> Result<Vec<(String, Tensor)>, CheckpointError> {
    let bytes = foreign::read(path, &limits::CHECKPOINT)
        .map_err(|source| CheckpointError::Io { path: path.to_path_buf(), source })?;
    arrays_from_bytes(&bytes, path)
}

/// As [`load_arrays`], of a file held in memory; `origin` only names it in errors.
///
/// # Errors
/// As [`load_arrays`].
pub fn arrays_from_bytes(
    bytes: &[u8],
    origin: &Path,
) -> Result<Vec<(String, Tensor)>, CheckpointError> {
    read(bytes).map_err(|problem| problem.locate(origin))
}

fn read(bytes: &[u8]) -> Result<Vec<(String, Tensor)>, Problem> {
    if bytes.first() != Some(&0x80) {
        return Err(Problem::Unknown("not a pickle".into()));
    }
    let mut machine = Machine::new(bytes, 0).with_arrays();
    let (top, _) = machine.run()?;
    let mut found = Found { arrays: Vec::new(), keys: 0, budget: machine.budget.clone() };
    collect(&machine, top, "", DEPTH, &mut found)?;
    if found.arrays.is_empty() {
        return Err(Problem::Refused("no arrays in its dicts".into()));
    }
    Ok(found.arrays)
}

/// What was met on the way.
struct Found {
    arrays: Vec<(String, Tensor)>,
    keys: usize,
    budget: Budget,
}

impl Found {
    /// Pays for a key, whose name has that many bytes.
    fn key(&mut self, length: usize) -> Result<(), Problem> {
        self.keys += 1;
        if self.keys > MOST_KEYS {
            return Err(Problem::Refused(format!("more than {MOST_KEYS} keys in its dicts")));
        }
        Ok(self.budget.hold_many(1, length)?)
    }
}

fn collect(
    machine: &Machine,
    value: Value,
    name: &str,
    depth: usize,
    found: &mut Found,
) -> Result<(), Problem> {
    match machine.get(value) {
        Some(Object::Dict(pairs)) if depth > 0 => {
            for (key, inner) in pairs {
                let Value::Text(key) = key else {
                    return Err(Problem::Refused(format!("a key that is {}", key.describe())));
                };
                found.key(name.len() + 1 + key.len())?;
                let name = if name.is_empty() { (*key).into() } else { format!("{name}/{key}") };
                collect(machine, *inner, &name, depth - 1, found)?;
            }
            Ok(())
        }
        Some(Object::Array(Some(array))) => {
            // Once as numbers and once as a tensor, which may be of an array met before.
            found.budget.hold_many(2, array.bytes.len())?;
            let values: Vec<f32> = array
                .bytes
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect();
            found
                .arrays
                .push((name.to_owned(), Tensor::from_slice(&values).reshape(&array.shape[..])));
            Ok(())
        }
        _ => Err(Problem::Refused(format!(
            "`{}` is neither an array nor a dict of arrays, or lies deeper than {DEPTH} dicts",
            shown(name)
        ))),
    }
}

/// `_reconstruct(ndarray, (0,), b"b")`: an array without state.
pub(super) fn blank<'a>(
    machine: &Machine<'a>,
    arguments: &[Value<'a>],
) -> Result<Object<'a>, Problem> {
    let class = arguments.first().and_then(|v| machine.get(*v));
    match class {
        Some(Object::Callable(Callable::NdArray)) => Ok(Object::Array(None)),
        _ => Err(machine.wrong("an array of a class that is not ndarray")),
    }
}

/// `dtype("f4", False, True)`.
pub(super) fn dtype<'a>(
    machine: &Machine<'a>,
    arguments: &[Value<'a>],
) -> Result<Object<'a>, Problem> {
    match arguments.first() {
        Some(Value::Text("f4" | "<f4")) => Ok(Object::Float32),
        Some(Value::Text(other)) => Err(Problem::Refused(format!(
            "an array of type `{}`; only f4 (f32) is read",
            shown(other)
        ))),
        _ => Err(machine.wrong("a dtype without a name")),
    }
}

/// The state of an array: `(version, shape, dtype, Fortran order, bytes)`.
pub(super) fn array<'a>(machine: &Machine<'a>, state: Value<'a>) -> Result<Array<'a>, Problem> {
    let wrong = |what: &str| machine.wrong(what);
    let Some(&[Value::Int(1), shape, dtype, Value::Bool(fortran), Value::Bytes(bytes)]) =
        machine.items(state)
    else {
        return Err(wrong("an array without version, shape, dtype, order and bytes"));
    };
    if !matches!(machine.get(dtype), Some(Object::Float32)) {
        return Err(wrong("an array without its dtype"));
    }
    let sizes = machine.items(shape).filter(|sizes| sizes.len() <= MAX_DIMS);
    let sizes = sizes.ok_or_else(|| wrong("an array without a shape of 16 sizes at most"))?;
    let size = |v: &Value| match v {
        Value::Int(n) if *n >= 0 => Some(*n),
        _ => None,
    };
    let shape: Option<Vec<i64>> = sizes.iter().map(size).collect();
    let shape = shape.ok_or_else(|| wrong("an array whose shape is not made of sizes"))?;
    if fortran && shape.len() > 1 {
        return Err(Problem::Refused("an array in Fortran order; save a C-ordered copy".into()));
    }
    let count = shape.iter().try_fold(1i64, |n, s| n.checked_mul(*s));
    match count.and_then(|n| n.checked_mul(4)) {
        Some(length) if length == bytes.len() as i64 => Ok(Array { shape, bytes }),
        _ => Err(wrong("an array whose shape does not fit its bytes")),
    }
}

/// The state of a dtype: `(3, "<", ...)`.
pub(super) fn little_endian<'a>(machine: &Machine<'a>, state: Value<'a>) -> Result<(), Problem> {
    match machine.items(state) {
        Some([_, Value::Text("<" | "="), ..]) => Ok(()),
        _ => Err(Problem::Refused("an array that is not little-endian".into())),
    }
}

/// What NumPy 1 and 2 call the parts of a pickled array; `None` refuses an import.
pub(super) fn find(module: &str, name: &str) -> Option<Callable> {
    match (module, name) {
        ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => {
            Some(Callable::Reconstruct)
        }
        ("numpy", "ndarray") => Some(Callable::NdArray),
        ("numpy", "dtype") => Some(Callable::Dtype),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `pickle.dumps({"net": {"kernel": numpy.arange(6, dtype="f4").reshape(2, 3)}}, 3)` of NumPy
    /// 1, with the bytes of another shape, order, dtype or class where a test puts them.
    fn pickled(class: &str, shape: [u8; 2], dtype: &str, endian: &str, fortran: bool) -> Vec<u8> {
        let text = |s: &str| [b"X", &(s.len() as u32).to_le_bytes()[..], s.as_bytes()].concat();
        let values: Vec<u8> = (0..6).flat_map(|v| (v as f32).to_le_bytes()).collect();
        let order = if fortran { 0x88 } else { 0x89 };
        let import = |module: &str, name: &str| format!("c{module}\n{name}\n").into_bytes();
        let dtype = [
            &import("numpy", "dtype")[..],
            &text(dtype),
            b"\x89\x88\x87R(K\x03",
            &text(endian),
            b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
        ]
        .concat();
        [
            &b"\x80\x03}"[..],
            &text("net"),
            b"}",
            &text("kernel"),
            &import("numpy.core.multiarray", "_reconstruct"),
            &import("numpy", class),
            b"K\x00\x85C\x01b\x87R(K\x01K",
            &shape[..1],
            b"K",
            &shape[1..],
            b"\x86",
            &dtype,
            &[order, b'B'],
            &24u32.to_le_bytes(),
            &values,
            b"tbss.",
        ]
        .concat()
    }

    fn said(bytes: &[u8]) -> String {
        arrays_from_bytes(bytes, Path::new("w.ckpt")).unwrap_err().to_string()
    }

    #[test]
    fn arrays_are_read_by_the_keys_on_their_way() {
        let bytes = pickled("ndarray", [2, 3], "f4", "<", false);
        let found = arrays_from_bytes(&bytes, Path::new("w.ckpt")).unwrap();
        let (name, tensor) = &found[0];
        assert_eq!((found.len(), name.as_str(), tensor.size()), (1, "net/kernel", vec![2, 3]));
        assert_eq!(tensor.kind(), tch::Kind::Float);
        assert_eq!(tensor.double_value(&[1, 2]), 5.0);
    }

    #[test]
    fn other_arrays_are_refused_in_one_line() {
        let cases = [
            (pickled("matrix", [2, 3], "f4", "<", false), "numpy.matrix"),
            (pickled("ndarray", [2, 4], "f4", "<", false), "does not fit its bytes"),
            (pickled("ndarray", [2, 3], "f8", "<", false), "type `f8`"),
            (pickled("ndarray", [2, 3], "f4", ">", false), "little-endian"),
            (pickled("ndarray", [2, 3], "f4", "<", true), "Fortran"),
            (b"\x80\x03cos\nsystem\nX\x02\x00\x00\x00id\x85R.".to_vec(), "os.system"),
            (b"\x80\x03}.".to_vec(), "no arrays"),
            (b"PK".to_vec(), "not a pickle"),
        ];
        for (bytes, part) in cases {
            let text = said(&bytes);
            assert!(text.contains(part) && !text.contains('\n'), "{part}: {text}");
        }
    }

    /// Eight dicts, each of which names the next 64 times: 64^8 arrays in a few hundred bytes.
    #[test]
    fn shared_objects_are_not_copied_without_end() {
        let inner = pickled("ndarray", [2, 3], "f4", "<", false);
        let array = &inner[inner.iter().position(|&b| b == b'c').unwrap()..inner.len() - 3];
        let mut bytes = [&b"\x80\x03"[..], array, b"q\x00"].concat();
        for level in 0u8..7 {
            bytes.push(b'}');
            for key in 0u8..64 {
                bytes.extend([b'X', 1, 0, 0, 0, b'0' + key % 64, b'h', level, b's']);
            }
            bytes.extend([b'q', level + 1]);
        }
        bytes.push(b'.');
        assert!(said(&bytes).contains("more than 16384 keys"), "{}", said(&bytes));
    }

    #[test]
    fn no_cut_and_no_changed_byte_panics() {
        let whole = pickled("ndarray", [2, 3], "f4", "<", false);
        for cut in 0..whole.len() {
            assert!(arrays_from_bytes(&whole[..cut], Path::new("w.ckpt")).is_err());
        }
        for at in 0..whole.len() {
            for flip in [1, 0x80, 0xff] {
                let mut spoilt = whole.clone();
                spoilt[at] ^= flip;
                let _ = arrays_from_bytes(&spoilt, Path::new("w.ckpt"));
            }
        }
    }
}
