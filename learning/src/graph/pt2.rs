//! `.pt2` files, as `torch.export.save` writes them: a zip with the graph as JSON, the weights as
//! raw bytes and a table of where each lies.
//!
//! Nothing in the file is run: pickles in it (the sample inputs are one) are passed over.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use suites::foreign::{self, Budget, limits};
use tch::{Kind, Tensor};
use zip::ZipArchive;

use super::lower;
use super::schema::{Meta, Payloads, Program, numbers};
use super::{Graph, GraphError};

/// The major version of the schema that is read.
const SCHEMA: i64 = 8;
const EXPORT: &str = "export it again with torch.export.save of PyTorch 2.9 or later";

/// The graph of an exported program, and what wrote it.
///
/// # Errors
/// As [`super::read`].
pub(super) fn from_bytes(bytes: &[u8]) -> Result<(Graph, String), GraphError> {
    let mut archive = Archive::open(bytes)?;
    let program: Program = archive.json("models/model.json")?;
    let (major, minor) = (program.schema_version.major, program.schema_version.minor);
    if major != SCHEMA {
        return Err(GraphError::new(
            format!(
                "an exported program of schema {major}.{minor} (PyTorch {}), of which {SCHEMA}.x \
                 is read",
                program.torch_version
            ),
            "export it with a PyTorch that writes schema 8, such as 2.11 or 2.15",
        ));
    }
    let torch_version = program.torch_version.clone();
    let graph = lower::lower(program.graph_module, &mut archive)?;
    Ok((graph, torch_version))
}

/// The zip, with what reading it may cost.
pub(super) struct Archive<'b> {
    zip: ZipArchive<Cursor<&'b [u8]>>,
    root: String,
    budget: Budget,
    weights: BTreeMap<String, super::schema::Payload>,
    constants: BTreeMap<String, super::schema::Payload>,
    /// Who was read first at each place of the file: entry, sizes, strides and offset.
    first: BTreeMap<(String, Place), String>,
}

/// Sizes, strides and offset.
type Place = (Vec<i64>, Vec<i64>, Vec<i64>);

impl<'b> Archive<'b> {
    fn open(bytes: &'b [u8]) -> Result<Archive<'b>, GraphError> {
        let damaged = |e: &dyn std::fmt::Display| {
            GraphError::new(format!("no zip that can be read: {e}"), EXPORT)
        };
        let mut source = Cursor::new(bytes);
        foreign::check_zip(&mut source).map_err(|e| damaged(&e))?;
        let zip = ZipArchive::new(source).map_err(|e| damaged(&e))?;
        let root = |name: &str| name.strip_suffix("models/model.json").map(str::to_owned);
        let Some(root) = zip.file_names().flatten().find_map(|name| root(&name)) else {
            return Err(GraphError::new(
                "a zip without models/model.json, so not one of torch.export.save",
                EXPORT,
            ));
        };
        let budget = Budget::new(&limits::CHECKPOINT, bytes.len() as u64);
        let none = BTreeMap::new;
        let (weights, constants, first) = (none(), none(), BTreeMap::new());
        let mut archive = Archive { zip, root, budget, weights, constants, first };
        archive.check_byte_order()?;
        archive.weights = archive.table("weights", "model_weights_config.json")?;
        archive.constants = archive.table("constants", "model_constants_config.json")?;
        Ok(archive)
    }

    fn check_byte_order(&mut self) -> Result<(), GraphError> {
        let name = format!("{}byteorder", self.root);
        if self.zip.index_for_name(&name).is_none() || self.entry("byteorder")? == b"little" {
            return Ok(());
        }
        Err(GraphError::new("written on a big-endian machine", "export it on a little-endian one"))
    }

    fn table(
        &mut self,
        folder: &str,
        file: &str,
    ) -> Result<BTreeMap<String, super::schema::Payload>, GraphError> {
        let name = format!("data/{folder}/{file}");
        if self.zip.index_for_name(&format!("{}{name}", self.root)).is_none() {
            return Ok(BTreeMap::new());
        }
        Ok(self.json::<Payloads>(&name)?.config)
    }

    fn json<T: serde::de::DeserializeOwned>(&mut self, name: &str) -> Result<T, GraphError> {
        let bytes = self.entry(name)?;
        // A node of JSON takes a few times the bytes that it has in the file.
        self.budget.hold(4 * bytes.len() as u64).map_err(|e| costs(&e))?;
        serde_json::from_slice(&bytes)
            .map_err(|e| GraphError::new(format!("`{name}` is damaged: {e}"), EXPORT))
    }

    fn entry(&mut self, name: &str) -> Result<Vec<u8>, GraphError> {
        let damaged = |e: &dyn std::fmt::Display| {
            GraphError::new(format!("entry `{name}` is damaged: {e}"), EXPORT)
        };
        let entry = self.zip.by_name(&format!("{}{name}", self.root)).map_err(|e| damaged(&e))?;
        self.budget.hold(entry.size()).map_err(|e| costs(&e))?;
        let size = entry.size();
        let mut out = Vec::new();
        // The zip's own check of the bytes runs at the end of the entry.
        entry.take(size + 1).read_to_end(&mut out).map_err(|e| damaged(&e))?;
        if out.len() as u64 == size { Ok(out) } else { Err(damaged(&"of another length")) }
    }

    /// The name under which the values of a parameter or buffer were read before, where the file
    /// holds them once for several names: the exporter keeps a tensor that modules share once.
    pub fn shared_with(&mut self, name: &str) -> Option<String> {
        let payload = self.weights.get(name)?;
        let place = |meta: &Meta| {
            let offset = meta.storage_offset.iter().cloned().collect::<Vec<_>>();
            Some((meta.fixed()?, numbers(&meta.strides)?, numbers(&offset)?))
        };
        let key = (payload.path_name.clone(), place(payload.tensor_meta.as_ref()?)?);
        let first = self.first.entry(key).or_insert_with(|| name.to_owned());
        (*first != name).then(|| first.clone())
    }

    /// The values of a parameter or buffer, or of a constant, on the CPU.
    pub fn tensor(&mut self, name: &str, constant: bool) -> Result<Tensor, GraphError> {
        let wrong = |what: String| GraphError::new(format!("tensor `{name}` {what}"), EXPORT);
        let (table, folder) =
            if constant { (&self.constants, "constants") } else { (&self.weights, "weights") };
        let payload = table.get(name).ok_or_else(|| wrong("has no values in the file".into()))?;
        let meta = payload.tensor_meta.clone();
        if payload.use_pickle {
            return Err(wrong("is stored as a pickle, which is never run".into()));
        }
        let meta = meta.ok_or_else(|| wrong("has no shape".into()))?;
        let path = format!("data/{folder}/{}", payload.path_name);
        let bytes = self.entry(&path)?;
        build(&bytes, &meta).map_err(wrong)
    }
}

fn costs(e: &foreign::Exceeded) -> GraphError {
    GraphError::new(e.to_string(), EXPORT)
}

/// The element type by PyTorch's number in exported programs, and its bytes.
fn kind(number: i64) -> Option<(Kind, usize)> {
    Some(match number {
        1 => (Kind::Uint8, 1),
        2 => (Kind::Int8, 1),
        3 => (Kind::Int16, 2),
        4 => (Kind::Int, 4),
        5 => (Kind::Int64, 8),
        6 => (Kind::Half, 2),
        7 => (Kind::Float, 4),
        8 => (Kind::Double, 8),
        12 => (Kind::Bool, 1),
        13 => (Kind::BFloat16, 2),
        _ => return None,
    })
}

/// A tensor of raw bytes: reals as they are stored, whole numbers as 64 bits.
fn build(bytes: &[u8], meta: &Meta) -> Result<Tensor, String> {
    let (kind, width) = kind(meta.dtype).ok_or(format!("is of type {}", meta.dtype))?;
    let sizes = meta.fixed().ok_or("has a size that is no number")?;
    let strides = numbers(&meta.strides).ok_or("has a stride that is no number")?;
    let offset = match &meta.storage_offset {
        None => 0,
        Some(size) => numbers(std::slice::from_ref(size)).ok_or("has no offset")?[0],
    };
    if sizes.iter().chain(&strides).any(|&n| n < 0) || strides.len() != sizes.len() || offset < 0 {
        return Err(format!("has sizes {sizes:?} and strides {strides:?}"));
    }
    let stored = bytes.len() / width;
    if sizes.contains(&0) {
        return Ok(Tensor::zeros(sizes, (kind, tch::Device::Cpu)));
    }
    let reach = |at: i64, (n, s): (&i64, &i64)| at.checked_add((n - 1).checked_mul(*s)?);
    let last = sizes.iter().zip(&strides).try_fold(offset, reach);
    if !bytes.len().is_multiple_of(width) || last.is_none_or(|at| at >= stored as i64) {
        return Err(format!("has {} bytes, too few for {sizes:?}", bytes.len()));
    }
    let flat = Tensor::from_data_size(bytes, &[stored as i64], kind);
    let t = flat.as_strided(sizes, strides, offset).contiguous();
    Ok(if real(kind) || kind == Kind::Bool { t } else { t.to_kind(Kind::Int64) })
}

/// Whether a kind is of real numbers.
fn real(kind: Kind) -> bool {
    matches!(kind, Kind::Half | Kind::Float | Kind::Double | Kind::BFloat16)
}
