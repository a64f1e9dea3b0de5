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
//! values, `OrderedDict`, tensors, parameters and their storages). Of everything else it keeps the
//! name and runs nothing, so that no file can run code; names that exist to run code refuse the
//! file. Sizes that a file declares are checked against the bytes
//! that are there before anything is allocated, and everything built is paid for from one
//! [`suites::foreign::Budget`] a file, whatever the bytes say.

mod appearance;
mod archive;
mod contents;
mod find;
mod header;
mod legacy;
mod names;
mod numpy;
mod opaque;
mod pickle;
mod rebuild;
mod safe;
mod storage;
mod value;

#[cfg(test)]
mod beside;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use suites::foreign::{self, Exceeded, limits};
use tch::Tensor;

use crate::network::Network;
pub use appearance::appearance;
pub use contents::{Beside, Contents, PassedOver};
pub use names::{Unwrapped, adapted, bare, by_position, unwrap};
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
/// A state dict nested under the key `state_dict`, `model`, `model_state_dict`, `net`, `weights`,
/// `params`, `network` or `module` is found, also one key deeper, and one under any other key where
/// there is no other. What stands beside the tensors (an epoch, settings, an optimizer's state) is
/// passed over. Tensors that shared a storage when saved share it again.
///
/// # Errors
/// [`CheckpointError`] where the file cannot be read, is damaged, holds tensors without names, or
/// two sets of them that are equally likely and differ.
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
    let wanted = Wanted { keep: &keep, fits: &|_| true };
    named(read_file(path, &wanted)?).map_err(|problem| problem.locate(path))
}

/// Reads the tensors of a checkpoint that fit a network best, by their names and shapes, and what
/// the file holds beside them.
///
/// # Errors
/// As [`load`], but tensors without names are read, too.
pub fn load_for(net: &Network, path: &Path) -> Result<Contents, CheckpointError> {
    let fits = |shapes: &[(Option<&str>, &[i64])]| names::fit(net, shapes);
    read_file(path, &Wanted { keep: &|_| true, fits: &fits })
}

fn read_file(path: &Path, wanted: &Wanted) -> Result<Contents, CheckpointError> {
    let bytes = foreign::read(path, &limits::CHECKPOINT)
        .map_err(|source| CheckpointError::Io { path: path.to_path_buf(), source })?;
    parse(&bytes, wanted).map_err(|problem| problem.locate(path))
}

fn named(contents: Contents) -> Result<Vec<(String, Tensor)>, Problem> {
    if contents.named {
        return Ok(contents.tensors);
    }
    Err(Problem::Refused(
        "a list of tensors without names; save it with torch.save(model.state_dict(), path)".into(),
    ))
}

/// Reads every tensor of a checkpoint held in memory; `origin` only names it in errors.
///
/// # Errors
/// As [`load`].
pub fn from_bytes(bytes: &[u8], origin: &Path) -> Result<Vec<(String, Tensor)>, CheckpointError> {
    let wanted = Wanted { keep: &|_| true, fits: &|_| true };
    parse(bytes, &wanted).and_then(named).map_err(|problem| problem.locate(origin))
}

type Keep<'k> = &'k dyn Fn(&str) -> bool;
/// Names, where there are any, and shapes.
type Shapes<'s> = &'s [(Option<&'s str>, &'s [i64])];

/// What a reader looks for.
struct Wanted<'k> {
    /// Whether a tensor of that name is built.
    keep: Keep<'k>,
    /// Whether these may be the tensors of the model.
    fits: &'k dyn Fn(Shapes) -> bool,
}

fn parse(bytes: &[u8], wanted: &Wanted) -> Result<Contents, Problem> {
    // safetensors first: it begins with a length, whose bytes may look like the beginning of
    // anything.
    if safe::looks_whole(bytes) {
        safe::read(bytes, wanted)
    } else if bytes.starts_with(b"PK\x03\x04") {
        archive::read(bytes, wanted)
    } else if bytes.first() == Some(&0x80) {
        legacy::read(bytes, wanted)
    } else if bytes.get(8) == Some(&b'{') {
        safe::read(bytes, wanted)
    } else {
        Err(Problem::Unknown(appearance(bytes)))
    }
}
