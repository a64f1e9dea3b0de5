//! Finding files below a data root.

use std::io::Read;
use std::path::{Path, PathBuf};

use suites::foreign::{self, Limit};

use crate::{DatasetError, Presence};

/// The folders a data set may lie in: `root/name` for each name, then `root` itself.
///
/// # Errors
/// [`DatasetError::Missing`] when no root is given, or it is no folder.
pub(crate) fn folders(
    what: &str,
    root: Option<&Path>,
    names: &[&str],
    remedy: &str,
) -> Result<Vec<PathBuf>, DatasetError> {
    let missing = |looked: String, remedy: String| DatasetError::Missing {
        what: what.to_string(),
        looked,
        remedy,
    };
    let Some(root) = root else {
        let how =
            format!("give a data folder with --data, BENCH_DATA or the config file; {remedy}");
        return Err(missing("any data folder, as none is set".into(), how));
    };
    if !root.is_dir() {
        return Err(missing(
            root.display().to_string(),
            "that is no folder: correct --data or BENCH_DATA".into(),
        ));
    }
    let below = names.iter().map(|n| root.join(n)).filter(|d| d.is_dir());
    Ok(below.chain([root.to_path_buf()]).collect())
}

/// The first of `dirs` x `names` that is a file, folders before names; one that lies in a folder of
/// its own name, as some archives unpack, counts as well.
pub(crate) fn first(dirs: &[PathBuf], names: &[&str]) -> Option<PathBuf> {
    let of = |dir: &PathBuf, name: &str| {
        let plain = dir.join(name);
        [plain.join(name), plain].into_iter().rev().find(|path| path.is_file())
    };
    dirs.iter().find_map(|dir| names.iter().find_map(|name| of(dir, name)))
}

/// As [`first`], for files that a data set cannot do without; errors call them `what`.
///
/// # Errors
/// [`DatasetError::Missing`] when there is none.
pub(crate) fn find(
    what: impl Into<String>,
    dirs: &[PathBuf],
    names: &[&str],
    remedy: &str,
) -> Result<PathBuf, DatasetError> {
    first(dirs, names).ok_or_else(|| DatasetError::missing(what, &dirs[0], remedy))
}

/// As [`find`], for a folder.
///
/// # Errors
/// [`DatasetError::Missing`] when there is none.
pub(crate) fn find_folder(
    what: impl Into<String>,
    dirs: &[PathBuf],
    names: &[&str],
    remedy: &str,
) -> Result<PathBuf, DatasetError> {
    let all = dirs.iter().flat_map(|dir| names.iter().map(move |name| dir.join(name)));
    let found = all.into_iter().find(|path| path.is_dir());
    found.ok_or_else(|| DatasetError::missing(what, &dirs[0], remedy))
}

/// Names (UTF-8 ones) of what lies in a folder, sorted.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn listing(dir: &Path) -> Result<Vec<String>, DatasetError> {
    let io = |e| DatasetError::io(dir, e);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io)? {
        names.extend(entry.map_err(io)?.file_name().into_string().ok());
    }
    names.sort_unstable();
    Ok(names)
}

/// A whole file of a kind.
///
/// # Errors
/// When it cannot be read, is no regular file, or larger than its kind may be.
pub(crate) fn read(path: &Path, limit: &Limit) -> Result<Vec<u8>, DatasetError> {
    foreign::read(path, limit).map_err(|e| DatasetError::io(path, e))
}

/// The first bytes of a file (enough for any header), and its whole size.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read_start(path: &Path, limit: &Limit) -> Result<(Vec<u8>, u64), DatasetError> {
    let io = |e| DatasetError::io(path, e);
    let (file, size) = foreign::open(path, limit).map_err(io)?;
    let mut start = Vec::new();
    file.take(4096).read_to_end(&mut start).map_err(io)?;
    Ok((start, size))
}

/// Presence, from what a search found.
pub(crate) fn presence(found: Result<PathBuf, DatasetError>) -> Presence {
    match found {
        Ok(at) => Presence::Present(at),
        Err(DatasetError::Missing { what, remedy, .. }) => {
            Presence::Absent(format!("{what} not found; {remedy}"))
        }
        Err(other) => Presence::Absent(other.to_string()),
    }
}
