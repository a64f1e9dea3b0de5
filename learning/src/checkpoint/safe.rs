//! safetensors, both ways.

use super::contents::{Contents, PassedOver};
use super::pickle::shown;
use super::{CheckpointError, Problem, Wanted, header};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::io::Write;
use std::path::Path;
use suites::foreign::{self, Budget, limits};
use tch::{Device, Kind, Tensor};

/// The kinds that both sides know.
const KINDS: [(Dtype, Kind); 7] = [
    (Dtype::F32, Kind::Float),
    (Dtype::F64, Kind::Double),
    (Dtype::F16, Kind::Half),
    (Dtype::BF16, Kind::BFloat16),
    (Dtype::I64, Kind::Int64),
    (Dtype::I32, Kind::Int),
    (Dtype::BOOL, Kind::Bool),
];

/// Bytes that reading a header takes for each byte of it: sizes, names and offsets, twice.
const HEADER: usize = 16;

/// Whether the file begins with the length of a JSON header that lies within it.
pub(super) fn looks_whole(bytes: &[u8]) -> bool {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return false;
    };
    rest.first() == Some(&b'{') && u64::from_le_bytes(*length) <= rest.len() as u64
}

/// Reads the tensors that are wanted, in the order of their data. Those of other kinds are passed
/// over.
pub(super) fn read(bytes: &[u8], wanted: &Wanted) -> Result<Contents, Problem> {
    let damaged = |e: safetensors::SafeTensorError| Problem::malformed(0, e.to_string());
    let mut budget = Budget::new(&limits::CHECKPOINT, bytes.len() as u64);
    budget.hold_many(header_length(bytes), HEADER)?;
    header::check(bytes)?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
    let mut passed_over = PassedOver::default();
    let mut tensors = Vec::new();
    for name in header.offset_keys() {
        let view = file.tensor(&name).map_err(damaged)?;
        let Some((_, kind)) = KINDS.iter().find(|(dtype, _)| *dtype == view.dtype()) else {
            passed_over.add(shown(&name), format!("{:?}", view.dtype()), true);
            continue;
        };
        if (wanted.keep)(&name) {
            budget.build(1, view.data().len())?;
            let tensor = tensor(&view, &name, *kind)?;
            tensors.push((name, tensor));
        }
    }
    Ok(Contents { tensors, named: true, place: None, ordered: false, passed_over })
}

/// Length of the header as the file states it, at most what there is.
fn header_length(bytes: &[u8]) -> usize {
    let stated = bytes.first_chunk::<8>().map_or(0, |n| u64::from_le_bytes(*n));
    usize::try_from(stated).unwrap_or(usize::MAX).min(bytes.len())
}

fn tensor(view: &TensorView, name: &str, kind: Kind) -> Result<Tensor, Problem> {
    let size: Option<Vec<i64>> = view.shape().iter().map(|&n| i64::try_from(n).ok()).collect();
    let size = size.ok_or_else(|| Problem::malformed(0, format!("tensor `{name}`: its size")))?;
    // A bool may be stored as any byte; libtorch needs 0 or 1.
    let normal: Vec<u8>;
    let data = if kind == Kind::Bool {
        normal = view.data().iter().map(|&b| u8::from(b != 0)).collect();
        &normal
    } else {
        view.data()
    };
    Tensor::f_from_data_size(data, &size, kind)
        .map_err(|e| Problem::malformed(0, format!("tensor `{name}`: {e}")))
}

/// Writes named tensors as safetensors: under a temporary name beside `path`, then renamed, so that
/// a reader sees the old file or the new one and never half of it. Tensors may be on any device and
/// strided.
///
/// # Errors
/// [`CheckpointError::Io`] where the file cannot be written, [`CheckpointError::Refused`] for a
/// name given twice or a kind other than float, double, half, bfloat16, long, int and bool.
pub fn save_safetensors(path: &Path, tensors: &[(String, Tensor)]) -> Result<(), CheckpointError> {
    write(path, tensors, None)
}

/// Key of the description in the format's `__metadata__`. One key only: the writer keeps no order,
/// and equal models give equal bytes.
const DESCRIPTION: &str = "bench";

/// [`save_safetensors`] with a description beside the tensors, which [`description`] reads back.
///
/// # Errors
/// As [`save_safetensors`].
pub fn save_described(
    path: &Path,
    tensors: &[(String, Tensor)],
    description: &str,
) -> Result<(), CheckpointError> {
    write(path, tensors, Some(description))
}

fn write(
    path: &Path,
    tensors: &[(String, Tensor)],
    words: Option<&str>,
) -> Result<(), CheckpointError> {
    let bytes = encode(tensors, words).map_err(|problem| problem.locate(path))?;
    let io = |source| CheckpointError::Io { path: path.to_path_buf(), source };
    let name = path.file_name().map(|n| n.to_string_lossy());
    let name = name.ok_or_else(|| io(std::io::ErrorKind::InvalidFilename.into()))?;
    let temporary = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    write_and_rename(&temporary, path, &bytes).map_err(|e| {
        // The first error is what the user must hear; the leftover may not even exist.
        let _ = std::fs::remove_file(&temporary);
        io(e)
    })
}

fn write_and_rename(temporary: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::File::create(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(temporary, path)?;
    // The rename itself must survive a power cut, too.
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let here = std::path::Path::new(".");
        let folder = if folder.as_os_str().is_empty() { here } else { folder };
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// What [`save_described`] wrote beside the tensors; `None` in a file without it.
///
/// # Errors
/// A file that cannot be read or is not safetensors.
pub fn description(path: &Path) -> Result<Option<String>, CheckpointError> {
    let bytes = foreign::read(path, &limits::CHECKPOINT)
        .map_err(|source| CheckpointError::Io { path: path.to_path_buf(), source })?;
    let damaged =
        |e: safetensors::SafeTensorError| Problem::malformed(0, e.to_string()).locate(path);
    let mut budget = Budget::new(&limits::CHECKPOINT, bytes.len() as u64);
    let located = |exceeded| Problem::from(exceeded).locate(path);
    budget.hold_many(header_length(&bytes), HEADER).map_err(located)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
    let words = header.metadata().as_ref().and_then(|words| words.get(DESCRIPTION));
    match words {
        Some(words) if words.len() as u64 > limits::MODEL.file => Err(Problem::Refused(format!(
            "its description has {} bytes, more than the {} of any model; give a checkpoint that \
             `bench train` wrote",
            words.len(),
            limits::MODEL.file
        ))
        .locate(path)),
        words => Ok(words.cloned()),
    }
}

fn encode(tensors: &[(String, Tensor)], words: Option<&str>) -> Result<Vec<u8>, Problem> {
    let mut seen = std::collections::HashSet::new();
    let mut flat = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        if !seen.insert(name) {
            return Err(Problem::Refused(format!("two tensors named `{name}`")));
        }
        flat.push(bytes_of(name, tensor)?);
    }
    let refused = |e: safetensors::SafeTensorError| Problem::Refused(e.to_string());
    let views: Result<Vec<_>, _> = tensors
        .iter()
        .zip(&flat)
        .map(|((name, _), (dtype, shape, data))| {
            Ok((name, TensorView::new(*dtype, shape.clone(), data)?))
        })
        .collect();
    let words = words.map(|w| [(DESCRIPTION.to_string(), w.to_string())].into());
    safetensors::serialize(views.map_err(refused)?, words).map_err(refused)
}

fn bytes_of(name: &str, tensor: &Tensor) -> Result<(Dtype, Vec<usize>, Vec<u8>), Problem> {
    let kind = tensor.kind();
    let dtype = KINDS.iter().find(|(_, k)| *k == kind);
    let (dtype, _) = dtype.ok_or_else(|| {
        Problem::Refused(format!("tensor `{name}` is {kind:?}, which is not written"))
    })?;
    let flat = tensor.to_device(Device::Cpu).contiguous();
    let mut data = vec![0; flat.numel() * kind.elt_size_in_bytes()];
    flat.f_copy_data_u8(&mut data, flat.numel())
        .map_err(|e| Problem::Refused(format!("tensor `{name}`: {e}")))?;
    let shape = flat.size().iter().map(|&n| n as usize).collect();
    Ok((*dtype, shape, data))
}
