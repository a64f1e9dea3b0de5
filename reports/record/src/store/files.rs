//! Whole files, written so that a reader sees the old or the new one and never half of either.

use crate::RecordError;
use std::io::Write;
use std::path::Path;

const PREFIX: &str = ".bench-";
const SUFFIX: &str = ".tmp";

/// Writes `bytes` to `path` by way of a temporary file beside it; makes the folder if absent.
///
/// # Errors
/// [`RecordError::Io`]; the old file, if any, is then untouched.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    write_streamed(path, |file| file.write_all(bytes))
}

/// As [`write_whole`], for a file that `fill` writes piece by piece; hands on what `fill` returns.
///
/// # Errors
/// [`RecordError::Io`]; the old file, if any, is then untouched.
pub fn write_streamed<T>(
    path: &Path,
    fill: impl FnOnce(&mut std::fs::File) -> std::io::Result<T>,
) -> Result<T, RecordError> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).map_err(RecordError::io("create folder", dir))?;
    let write = || -> std::io::Result<T> {
        let mut file = temporary(dir)?;
        let filled = fill(file.as_file_mut())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        sync_folder(dir)?;
        Ok(filled)
    };
    write().map_err(RecordError::io("write", path))
}

fn temporary(dir: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    // A run folder is shared with colleagues: the user's umask decides, not the temporary file's
    // 0600.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(dir)
}

/// The rename itself must survive a power cut, too.
fn sync_folder(dir: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    std::fs::File::open(dir)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}

fn is_temporary(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|n| n.starts_with(PREFIX) && n.ends_with(SUFFIX))
}

/// Removes the temporary files that a killed process left directly in `dir`.
pub(super) fn sweep(dir: &Path) -> Result<(), RecordError> {
    for entry in std::fs::read_dir(dir).map_err(RecordError::io("read folder", dir))? {
        let entry = entry.map_err(RecordError::io("read folder", dir))?;
        if is_temporary(&entry.file_name()) {
            std::fs::remove_file(entry.path()).map_err(RecordError::io("remove", &entry.path()))?;
        }
    }
    Ok(())
}

/// Whether `dir` holds nothing that a killed `create` would not have left there.
pub(super) fn empty_but_for_temporaries(dir: &Path) -> Result<bool, RecordError> {
    for entry in std::fs::read_dir(dir).map_err(RecordError::io("read folder", dir))? {
        let entry = entry.map_err(RecordError::io("read folder", dir))?;
        let unwritten =
            entry.file_name() == super::CELLS && entry.metadata().is_ok_and(|m| m.len() == 0);
        if !is_temporary(&entry.file_name()) && !unwritten {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Copies a folder with all below it; files go by way of temporary names.
pub(super) fn copy_folder(from: &Path, to: &Path) -> Result<(), RecordError> {
    std::fs::create_dir_all(to).map_err(RecordError::io("create folder", to))?;
    for entry in std::fs::read_dir(from).map_err(RecordError::io("read folder", from))? {
        let entry = entry.map_err(RecordError::io("read folder", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(RecordError::io("read", &source))?;
        if kind.is_dir() {
            copy_folder(&source, &target)?;
        } else if kind.is_file() && !is_temporary(&entry.file_name()) {
            let bytes = std::fs::read(&source).map_err(RecordError::io("read", &source))?;
            write_whole(&target, &bytes)?;
        }
    }
    Ok(())
}
