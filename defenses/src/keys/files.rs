//! Writing keys: secrets are readable by their owner alone from the moment their file exists, and nothing is overwritten unasked.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::KeyError;

/// A key file to be.
pub struct NewFile {
    /// Name within its folder.
    pub name: String,
    /// Content, wiped when dropped.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Mode 0600 instead of 0644.
    pub secret: bool,
}

/// Writes all files into a folder, which is made with mode 0700 where it is not there. Without `force`, nothing is written where one
/// of them exists. Each file is complete before it has its name.
///
/// # Errors
/// Existing files, or what the system refuses; the first name that could not be written.
pub fn write_all(folder: &Path, files: &[NewFile], force: bool) -> Result<Vec<PathBuf>, KeyError> {
    if folder.exists() && !folder.is_dir() {
        return Err(KeyError::NotAFolder(folder.into()));
    }
    let paths: Vec<PathBuf> = files.iter().map(|f| folder.join(&f.name)).collect();
    if let Some(there) = paths.iter().find(|p| !force && p.symlink_metadata().is_ok()) {
        return Err(KeyError::Exists(there.clone()));
    }
    make_private(folder).map_err(|e| KeyError::io("create", folder, e))?;
    for (file, path) in files.iter().zip(&paths) {
        write(file, path, force)?;
    }
    Ok(paths)
}

fn make_private(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

fn write(file: &NewFile, path: &Path, force: bool) -> Result<(), KeyError> {
    let temporary = path.with_file_name(format!(".{}.{}.new", file.name, std::process::id()));
    let written = fill(&temporary, file).and_then(|()| match force {
        true => std::fs::rename(&temporary, path),
        // Unlike a rename, a link fails where another process was faster.
        false => std::fs::hard_link(&temporary, path).and_then(|()| std::fs::remove_file(&temporary)),
    });
    written.map_err(|e| {
        let _ = std::fs::remove_file(&temporary);
        match e.kind() {
            std::io::ErrorKind::AlreadyExists => KeyError::Exists(path.into()),
            _ => KeyError::io("write", path, e),
        }
    })
}

fn fill(path: &Path, file: &NewFile) -> std::io::Result<()> {
    let mut opened = create(path, if file.secret { 0o600 } else { 0o644 })?;
    opened.write_all(&file.bytes)?;
    opened.sync_all()
}

/// A new file that has its mode from the start: there is no moment at which others could open it.
fn create(path: &Path, mode: u32) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path)
}

/// The permission bits of a file, where the system has them.
pub(super) fn mode(path: &Path) -> Option<u32> {
    #[cfg(unix)]
    return path.metadata().ok().map(|m| std::os::unix::fs::MetadataExt::mode(&m) & 0o777);
    #[cfg(not(unix))]
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn file(name: &str, secret: bool, bytes: &[u8]) -> NewFile {
        NewFile { name: name.into(), bytes: Zeroizing::new(bytes.to_vec()), secret }
    }

    #[test]
    fn secrets_and_their_folder_are_private() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a/b");
        let paths = write_all(&folder, &[file("s", true, b"1"), file("p", false, b"2")], false).unwrap();
        assert_eq!(mode(&paths[0]), Some(0o600));
        assert_eq!(mode(&paths[1]).map(|m| m & 0o700), Some(0o600));
        assert_eq!(mode(&folder), Some(0o700));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2, "no temporary file is left");
    }

    #[test]
    fn nothing_is_overwritten_unasked() {
        let home = tempfile::tempdir().unwrap();
        write_all(home.path(), &[file("s", true, b"old")], false).unwrap();
        let error =
            write_all(home.path(), &[file("p", false, b"new"), file("s", true, b"new")], false).unwrap_err();
        assert!(error.to_string().contains("--force"), "{error}");
        assert_eq!(std::fs::read(home.path().join("s")).unwrap(), b"old");
        assert!(!home.path().join("p").exists(), "none is written where one exists");
        // A file that was too open is replaced, not written into.
        std::fs::set_permissions(home.path().join("s"), std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .unwrap();
        write_all(home.path(), &[file("s", true, b"new")], true).unwrap();
        assert_eq!(std::fs::read(home.path().join("s")).unwrap(), b"new");
        assert_eq!(mode(&home.path().join("s")), Some(0o600));
    }

    #[test]
    fn the_race_is_lost_politely() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("s");
        std::fs::write(&path, b"other").unwrap();
        assert!(matches!(write(&file("s", true, b"mine"), &path, false), Err(KeyError::Exists(_))));
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
        assert!(matches!(write_all(&path, &[], false), Err(KeyError::NotAFolder(_))));
    }
}
