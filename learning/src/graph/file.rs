//! Networks from files, told apart by their endings: `.pt2` and `.onnx`.

use std::path::Path;

use suites::foreign::{self, limits, printable};

use super::{Graph, GraphError, onnx, pt2};
use crate::models::Model;

/// A network from a file.
pub struct FileModel {
    graph: Graph,
    /// What wrote it, such as `2.11.0`; empty for ONNX.
    pub torch_version: String,
}

impl FileModel {
    /// The network.
    pub fn into_model(self) -> Box<dyn Model> {
        Box::new(self.graph)
    }

    /// Holds every parameter fixed but these.
    ///
    /// # Errors
    /// A name that no parameter has.
    pub fn train_only(&mut self, names: &[String]) -> Result<(), String> {
        let has = |name: &&String| self.graph.specs.iter().any(|spec| spec.name == **name);
        if let Some(name) = names.iter().find(|name| !has(name)) {
            return Err(name.clone());
        }
        self.graph.train_only(names);
        Ok(())
    }

    /// Shape of one example, `[C, H, W]` or `[F]`.
    pub fn input(&self) -> &[i64] {
        &self.graph.shape
    }

    /// Number of outputs.
    pub fn classes(&self) -> i64 {
        self.graph.classes
    }
}

/// Reads a network.
///
/// # Errors
/// [`GraphError`] for a file that is no exported program, is damaged or of another schema, holds
/// operations that are not known (all are named, each with the line of Python that calls it), or
/// has more than one input or output.
pub fn read(path: &Path) -> Result<FileModel, GraphError> {
    let bytes = foreign::read(path, &limits::CHECKPOINT).map_err(|e| {
        GraphError::new(format!("{}: {e}", path.display()), "give a file that can be read")
    })?;
    let onnx = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx"));
    let found = if onnx { onnx_of(&bytes, path.parent()) } else { from_bytes(&bytes) };
    found.map_err(|e| {
        GraphError::new(printable(&format!("{}: {}", path.display(), e.problem)), e.remedy)
    })
}

/// As [`read`], of the bytes of a `.pt2` file.
///
/// # Errors
/// As [`read`].
pub fn from_bytes(bytes: &[u8]) -> Result<FileModel, GraphError> {
    let (graph, torch_version) = pt2::from_bytes(bytes)?;
    Ok(FileModel { graph, torch_version })
}

/// As [`read`], of the bytes of an ONNX file; tensors in files beside it are refused.
///
/// # Errors
/// As [`read`].
pub fn onnx_from_bytes(bytes: &[u8]) -> Result<FileModel, GraphError> {
    onnx_of(bytes, None)
}

fn onnx_of(bytes: &[u8], folder: Option<&Path>) -> Result<FileModel, GraphError> {
    let graph = onnx::from_bytes(bytes, folder)?;
    Ok(FileModel { graph, torch_version: String::new() })
}
