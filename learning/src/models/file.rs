//! A network from a file of the user's, by the name `file`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use suites::foreign::{self, Budget, limits, printable};
use suites::{Entry, ModelSpec, SpecError};

use super::{Architecture, Model, Shape};
use crate::graph::{self, FileModel};
use crate::network::Network;
use crate::panics;

/// Registry entry.
pub static ENTRY: Entry<dyn Architecture> = Entry {
    name: "file",
    summary: "a network of your own with its weights: `model = { file = \"net.pt2\" }`, as \
        torch.export.save writes it (docs/own-model.md)",
    reference: "torch.export, PyTorch 2.9 and later",
    build: |map| {
        let mut params: FileParams = suites::params("file", map)?;
        if params.file.as_os_str().is_empty() {
            // The entry without its file, as `bench list` knows it.
            return Ok(Box::new(params));
        }
        let own = params.hash()?;
        if params.sha256.get_or_insert_with(|| own.clone()) != &own {
            return Err(SpecError::value(
                "model.sha256",
                format!("{} is not the file that this was written for", params.file.display()),
                "give the same file, or leave `sha256` out",
            ));
        }
        Ok(Box::new(params))
    },
};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FileParams {
    /// The exported program.
    #[serde(default)]
    file: PathBuf,
    /// Names of the trainable parameters, where the file does not tell them from constants (ONNX).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trainable: Option<Vec<String>>,
    /// Its SHA-256 in hexadecimal digits; spelled out by itself, so that ids name the contents.
    #[serde(default)]
    sha256: Option<String>,
}

/// Path, length and time of the last change.
type State = (PathBuf, u64, Option<SystemTime>);

/// Hashes of files as they were.
static KNOWN: LazyLock<Mutex<HashMap<State, String>>> = LazyLock::new(Mutex::default);

impl FileParams {
    /// SHA-256 of the file, read once for every cell that names it as long as it stays as it is.
    fn hash(&self) -> Result<String, SpecError> {
        let wrong = |e: std::io::Error| {
            SpecError::value(
                "model.file",
                format!("{}: {e}", self.file.display()),
                "give a .pt2 file that torch.export.save wrote",
            )
        };
        let about = std::fs::metadata(&self.file).map_err(wrong)?;
        let state = (self.file.clone(), about.len(), about.modified().ok());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(hash) = known.get(&state) {
            return Ok(hash.clone());
        }
        let bytes = foreign::read(&self.file, &limits::CHECKPOINT).map_err(wrong)?;
        let hash: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        known.insert(state, hash.clone());
        Ok(hash)
    }

    fn wrong(&self, problem: &str, remedy: &str) -> SpecError {
        let file = self.file.display();
        SpecError::value("model.file", printable(&format!("{file}: {problem}")).as_ref(), remedy)
    }
}

impl Architecture for FileParams {
    fn build(&self, shape: &Shape) -> Result<Box<dyn Model>, SpecError> {
        if self.file.as_os_str().is_empty() {
            let remedy = "write model = { file = \"net.pt2\" }";
            return Err(SpecError::value("model.file", "is missing", remedy));
        }
        let mut found = open(&self.file)?;
        if let Some(names) = &self.trainable {
            found.train_only(names).map_err(|name| {
                self.wrong(&format!("has no parameter `{name}`"), "see `bench model show`")
            })?;
        }
        if found.input() != shape.input || found.classes() != shape.classes {
            let problem = format!(
                "takes examples of {:?} and gives {} outputs, but the task has {:?} and {} classes",
                found.input(),
                found.classes(),
                shape.input,
                shape.classes
            );
            return Err(self.wrong(&problem, "export a model for the task, or set `task.size`"));
        }
        // What cannot run is found now, not in the middle of a suite.
        let (model, size) = (found.into_model(), shape.input[0] as usize);
        let stored = std::fs::metadata(&self.file).map_or(0, |about| about.len());
        let budget = Budget::new(&limits::MODEL, stored);
        let ones = vec![1.0; size];
        let tried = panics::guarded(|| Network::within(model, vec![0.0; size], ones, budget));
        tried.map(Network::into_model).map_err(|said| {
            let place = graph::stopped_at().map_or(String::new(), |at| format!(" ({at})"));
            self.wrong(
                &format!("does not run on one example: {said}{place}"),
                "export it with dynamic_shapes=({0: torch.export.Dim(\"batch\")},) and try it on \
                 other batches first",
            )
        })
    }
}

/// Whether a file gives this model, with its weights.
pub fn gives(spec: &ModelSpec) -> bool {
    spec.name == ENTRY.name
}

/// What a model's own file says of its examples; nothing of a model that has no file.
///
/// # Errors
/// As [`open`].
pub fn shape(spec: &ModelSpec) -> Result<Option<Shape>, SpecError> {
    let file = spec.params.get("file").and_then(|file| file.as_str()).filter(|_| gives(spec));
    let Some(file) = file else { return Ok(None) };
    let found = open(Path::new(file))?;
    Ok(Some(Shape { input: found.input().to_vec(), classes: found.classes() }))
}

/// Reads a network from a file.
///
/// # Errors
/// One line that says what is wrong with the file and what mends it.
pub fn open(file: &Path) -> Result<FileModel, SpecError> {
    graph::read(file).map_err(|e| SpecError::value("model.file", e.problem, e.remedy))
}
