//! Named tensors in files: safetensors, and the state dicts that `torch.save` writes.
//!
//! Three containers are read, told apart by their first bytes:
//!
//! | container | written by |
//! |---|---|
//! | safetensors | `safetensors.torch.save_file`, [`save_safetensors`] |
//! | zip | `torch.save` since PyTorch 1.6 |
//! | legacy pickle | `torch.save` before 1.6, or with `_use_new_zipfile_serialization=False` |
//!
//! A pickle is a program. The interpreter here knows only what a state dict consists of (plain
//! values, `OrderedDict`, tensors, parameters and their storages) and refuses everything else by
//! its name, so that no file can run code. Sizes that a file declares are checked against the bytes
//! that are there before anything is allocated, and everything built is paid for from one
//! [`suites::foreign::Budget`] a file, whatever the bytes say.

mod archive;
mod legacy;
mod names;
mod numpy;
mod pickle;
mod rebuild;
mod safe;
mod storage;
mod value;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use suites::foreign::{self, Exceeded, limits};
use tch::Tensor;

pub use names::{Unwrapped, by_position, unwrap};
pub use numpy::{arrays_from_bytes, load_arrays};
pub use safe::{description, save_described, save_safetensors};

/// Why a checkpoint could not be read or written. Every message is one line that names the file.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file could not be opened, read, written or renamed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Neither safetensors nor a file of `torch.save`.
    #[error("{}: not a checkpoint: {what}", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What it looks like instead.
        what: String,
    },
    /// The container is damaged or truncated.
    #[error("{}: damaged at byte {at}: {what}; fetch or save it again", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Offset in the part of the file being read (0 where no single place is at fault).
        at: usize,
        /// What is wrong there.
        what: String,
    },
    /// The file is sound but holds something that a state dict does not need.
    #[error("{}: refused: {what}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What was refused, by name, and what to do instead.
        what: String,
    },
}

/// What the parsers report; [`CheckpointError`] adds the path.
#[derive(Debug)]
enum Problem {
    Unknown(String),
    Malformed { at: usize, what: String },
    Refused(String),
}

impl From<Exceeded> for Problem {
    fn from(exceeded: Exceeded) -> Self {
        Problem::Refused(format!("{exceeded}; save it with torch.save(model.state_dict(), path)"))
    }
}

impl Problem {
    fn malformed(at: usize, what: impl Into<String>) -> Self {
        Problem::Malformed { at, what: what.into() }
    }

    fn locate(self, path: &Path) -> CheckpointError {
        let path = path.to_path_buf();
        match self {
            Problem::Unknown(what) => CheckpointError::Unknown { path, what },
            Problem::Malformed { at, what } => CheckpointError::Malformed { path, at, what },
            Problem::Refused(what) => CheckpointError::Refused { path, what },
        }
    }
}

/// Reads every tensor of a checkpoint, in the order of the file, on the CPU and in the stored
/// precision (float, double, half, bfloat16, long, int or bool).
///
/// A state dict nested under the key `state_dict`, `model` or `model_state_dict` is found. Plain
/// values beside the tensors (an epoch, a name) are passed over. Tensors that shared a storage when
/// saved share it again.
///
/// # Errors
/// [`CheckpointError`] where the file cannot be read, is damaged, or holds what a state dict does
/// not need.
pub fn load(path: &Path) -> Result<Vec<(String, Tensor)>, CheckpointError> {
    load_where(path, |_| true)
}

/// As [`load`], but only the tensors whose name `keep` accepts are built.
///
/// # Errors
/// As [`load`].
pub fn load_where(
    path: &Path,
    keep: impl Fn(&str) -> bool,
) -> Result<Vec<(String, Tensor)>, CheckpointError> {
    let bytes = foreign::read(path, &limits::CHECKPOINT)
        .map_err(|source| CheckpointError::Io { path: path.to_path_buf(), source })?;
    parse(&bytes, &keep).map_err(|problem| problem.locate(path))
}

/// Reads every tensor of a checkpoint held in memory; `origin` only names it in errors.
///
/// # Errors
/// As [`load`].
pub fn from_bytes(bytes: &[u8], origin: &Path) -> Result<Vec<(String, Tensor)>, CheckpointError> {
    parse(bytes, &|_| true).map_err(|problem| problem.locate(origin))
}

type Keep<'k> = &'k dyn Fn(&str) -> bool;

fn parse(bytes: &[u8], keep: Keep) -> Result<Vec<(String, Tensor)>, Problem> {
    // safetensors first: it begins with a length, whose bytes may look like the beginning of
    // anything.
    if safe::looks_whole(bytes) {
        safe::read(bytes, keep)
    } else if bytes.starts_with(b"PK\x03\x04") {
        archive::read(bytes, keep)
    } else if bytes.first() == Some(&0x80) {
        legacy::read(bytes, keep)
    } else if bytes.get(8) == Some(&b'{') {
        safe::read(bytes, keep)
    } else {
        Err(Problem::Unknown(appearance(bytes)))
    }
}

/// Says what a file that is no checkpoint seems to be; the common accidents have their own words.
fn appearance(bytes: &[u8]) -> String {
    let what = if bytes.is_empty() {
        "the file is empty"
    } else if bytes.starts_with(b"version https://git-lfs") {
        "a Git LFS pointer; run `git lfs pull` to get the weights themselves"
    } else if bytes.get(257..262) == Some(b"ustar") {
        "a tar archive, as PyTorch wrote before 0.1.10; load and save it again with a newer PyTorch"
    } else if bytes.starts_with(b"<") {
        "a web page; the download went wrong"
    } else {
        "neither safetensors nor a file of torch.save"
    };
    what.to_string()
}
