//! Opening a file that somebody hands in.

use std::fs::{File, Metadata};
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

use super::limits::Limit;

/// Opens a regular file within the size of its kind, and tells its size in bytes. Pipes, devices
/// and folders are refused before they are opened: a pipe would wait for ever, a device never end.
///
/// # Errors
/// Those of the system; [`ErrorKind::InvalidData`] for what is no regular file, or too large.
pub fn open(path: &Path, limit: &Limit) -> Result<(File, u64)> {
    checked(&std::fs::metadata(path)?, limit)?;
    let file = File::open(path)?;
    // Another file may have come under the name meanwhile.
    let size = checked(&file.metadata()?, limit)?;
    Ok((file, size))
}

/// Reads a regular file whole; see [`open`].
///
/// # Errors
/// As [`open`], and where memory for it cannot be had.
pub fn read(path: &Path, limit: &Limit) -> Result<Vec<u8>> {
    let (file, size) = open(path, limit)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size as usize).map_err(|_| Error::from(ErrorKind::OutOfMemory))?;
    // A file of /proc has no size, and any file may grow while it is read.
    file.take(limit.file.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit.file { Err(too_large(limit)) } else { Ok(bytes) }
}

/// Reads a regular file of text whole; see [`read`].
///
/// # Errors
/// As [`read`]; [`ErrorKind::InvalidData`] for bytes that are not UTF-8.
pub fn read_text(path: &Path, limit: &Limit) -> Result<String> {
    String::from_utf8(read(path, limit)?).map_err(|e| {
        let place = e.utf8_error().valid_up_to();
        invalid(format!("byte {place} is not text in UTF-8; save it as UTF-8"))
    })
}

fn checked(about: &Metadata, limit: &Limit) -> Result<u64> {
    if about.is_dir() {
        Err(invalid(format!("a folder, not a {}; give a file", limit.kind)))
    } else if !about.is_file() {
        Err(invalid("no regular file but a pipe or a device; save it as a file, and give that"))
    } else if about.len() > limit.file {
        Err(too_large(limit))
    } else {
        Ok(about.len())
    }
}

fn too_large(limit: &Limit) -> Error {
    invalid(format!(
        "larger than {} bytes, the most that a {} may have; give a smaller file",
        limit.file, limit.kind
    ))
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, what.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foreign::limits::{CHECKPOINT, SUITE};

    #[test]
    fn only_regular_files_within_their_size_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        std::fs::write(&path, "a = 1").unwrap();
        assert_eq!(read_text(&path, &SUITE).unwrap(), "a = 1");
        std::fs::write(&path, [b'a', 0xff]).unwrap();
        assert!(read_text(&path, &SUITE).unwrap_err().to_string().contains("byte 1"));
        let said = |path: &Path| {
            let error = read(path, &SUITE).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
            error.to_string()
        };
        assert!(said(dir.path()).contains("a folder, not a suite"));
        File::create(&path).unwrap().set_len(SUITE.file + 1).unwrap();
        assert!(said(&path).contains("larger than 4194304 bytes"));
        assert!(open(&path, &SUITE).is_err(), "it is not even opened");
        assert_eq!(read(Path::new("nowhere"), &SUITE).unwrap_err().kind(), ErrorKind::NotFound);
    }

    /// A file of the system's that says it has no bytes.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_grows_ends_where_its_kind_does() {
        let small = Limit { file: 10, ..SUITE };
        let said = read(Path::new("/proc/self/maps"), &small).unwrap_err().to_string();
        assert!(said.contains("larger than 10 bytes"), "{said}");
    }

    #[cfg(unix)]
    #[test]
    fn devices_and_pipes_are_refused_at_once() {
        let said = read(Path::new("/dev/zero"), &CHECKPOINT).unwrap_err().to_string();
        assert!(said.contains("no regular file"), "{said}");
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe.pt");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert!(read(&pipe, &CHECKPOINT).unwrap_err().to_string().contains("no regular file"));
    }
}
