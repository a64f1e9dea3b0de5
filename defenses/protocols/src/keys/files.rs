//! Writing and reading keys: secrets are readable by their owner alone from the moment their file
//! exists, and nothing is overwritten unasked.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use suites::foreign::{self, limits};
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

/// Writes all files into a folder, which is made with mode 0700 where it is not there. Without
/// `force`, nothing is written where one of them exists; with it, other keys of the same scheme in
/// the folder are removed. Each file is complete before it has its name.
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
    // All are whole before the first has its name: what a full disk refuses changes nothing.
    let new = files.iter().zip(&paths).map(|(file, path)| Unnamed::write(file, path));
    let new = new.collect::<Result<Vec<Unnamed>, KeyError>>()?;
    for (new, path) in new.iter().zip(&paths) {
        new.publish(path, force)?;
    }
    if force {
        remove_others(folder, files)?;
    }
    Ok(paths)
}

/// Removes keys of the same schemes that are not among the new ones: shares of an earlier key that
/// would be taken for shares of this.
fn remove_others(folder: &Path, files: &[NewFile]) -> Result<(), KeyError> {
    let entries = std::fs::read_dir(folder).map_err(|e| KeyError::io("read", folder, e))?;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
        let scheme = share_of(name);
        let stale = scheme.is_some_and(|s| files.iter().any(|f| share_of(&f.name) == Some(s)));
        if stale && files.iter().all(|f| f.name != name) {
            std::fs::remove_file(&path).map_err(|e| KeyError::io("remove", &path, e))?;
        }
    }
    Ok(())
}

/// The scheme in a name like `ckks-secret-001.key`, `ckks-secret.key` or `rsa-public.pem`.
fn share_of(name: &str) -> Option<&str> {
    let stem = name.strip_suffix(".key").or_else(|| name.strip_suffix(".pem"))?;
    let stem = stem.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('-');
    stem.strip_suffix("-secret").or_else(|| stem.strip_suffix("-public"))
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

/// A whole file under a temporary name, which ends with this.
struct Unnamed(PathBuf);

impl Unnamed {
    fn write(file: &NewFile, path: &Path) -> Result<Unnamed, KeyError> {
        let temporary = path.with_file_name(format!(".{}.{}.new", file.name, std::process::id()));
        // Where this fails, the file is another's: it stays.
        let opened = create(&temporary, if file.secret { 0o600 } else { 0o644 });
        let opened = opened.map_err(|e| KeyError::io("create", &temporary, e))?;
        let new = Unnamed(temporary);
        fill(opened, file).map_err(|e| KeyError::io("write", path, e))?;
        Ok(new)
    }

    fn publish(&self, path: &Path, force: bool) -> Result<(), KeyError> {
        let named = if force {
            std::fs::rename(&self.0, path)
        } else {
            std::fs::hard_link(&self.0, path).or_else(|e| claim(e, &self.0, path))
        };
        named.map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => KeyError::Exists(path.into()),
            _ => KeyError::io("write", path, e),
        })
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        // It is gone where it was renamed.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The name for a file where the file system has no links: unlike a rename alone, both fail where
/// another process was faster.
fn claim(linking: std::io::Error, temporary: &Path, path: &Path) -> std::io::Result<()> {
    if linking.kind() == std::io::ErrorKind::AlreadyExists {
        return Err(linking);
    }
    create(path, 0o600)?;
    std::fs::rename(temporary, path)
}

fn fill(mut opened: File, file: &NewFile) -> std::io::Result<()> {
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

/// A secret's bytes, wiped when dropped; only of a file, in a folder, that nobody else can open or
/// change.
///
/// # Errors
/// What is no file, larger than a key, readable or writable by others, in a folder that others may
/// write (they could have put their key there), or refused by the system.
pub fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let failed = |e| KeyError::io("read", path, e);
    let (file, size) = foreign::open(path, &limits::KEY).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    exposed(path, mode_of(&about), 0o077, "chmod 600")?;
    let folder = parent.unwrap_or(Path::new("."));
    exposed(folder, mode(folder), 0o022, "chmod go-w")?;
    // As long as it has to be from the start: what a vector outgrows would not be wiped.
    let mut bytes = Zeroizing::new(Vec::with_capacity(size as usize + 1));
    file.take(size + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// A public key's bytes.
///
/// # Errors
/// What is no file, larger than a key, or refused by the system.
pub fn read_public(path: &Path) -> Result<Vec<u8>, KeyError> {
    foreign::read(path, &limits::KEY).map_err(|e| KeyError::io("read", path, e))
}

fn exposed(
    path: &Path,
    mode: Option<u32>,
    others: u32,
    remedy: &'static str,
) -> Result<(), KeyError> {
    match mode.filter(|mode| mode & others != 0) {
        Some(mode) => Err(KeyError::Exposed { path: path.into(), mode, remedy }),
        None => Ok(()),
    }
}

/// The permission bits of a file, where the system has them.
pub(super) fn mode(path: &Path) -> Option<u32> {
    #[cfg(unix)]
    return path.metadata().ok().and_then(|m| mode_of(&m));
    #[cfg(not(unix))]
    None
}

fn mode_of(about: &Metadata) -> Option<u32> {
    #[cfg(unix)]
    return Some(std::os::unix::fs::MetadataExt::mode(about) & 0o777);
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
        let paths =
            write_all(&folder, &[file("s", true, b"1"), file("p", false, b"2")], false).unwrap();
        assert_eq!(mode(&paths[0]), Some(0o600));
        assert_eq!(mode(&paths[1]).map(|m| m & 0o700), Some(0o600));
        assert_eq!(mode(&folder), Some(0o700));
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2, "no temporary file is left");
    }

    #[test]
    fn a_secret_that_others_can_reach_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("keys");
        let path = write_all(&folder, &[file("s", true, b"secret")], false).unwrap().remove(0);
        assert_eq!(read_secret(&path).unwrap().as_slice(), b"secret");
        let set = |path: &Path, mode: u32| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(path, mode).unwrap();
        };
        for loose in [0o640, 0o604, 0o620, 0o666] {
            set(&path, loose);
            let said = read_secret(&path).unwrap_err().to_string();
            assert!(said.contains(&format!("{loose:04o}")) && said.contains("chmod 600"), "{said}");
        }
        set(&path, 0o400);
        assert!(read_secret(&path).is_ok());
        for loose in [0o770, 0o702] {
            set(&folder, loose);
            let said = read_secret(&path).unwrap_err().to_string();
            assert!(said.contains("chmod go-w"), "{said}");
        }
        set(&folder, 0o755);
        assert!(read_secret(&path).is_ok());
        assert!(read_secret(&folder).unwrap_err().to_string().contains("a folder, not a"));
    }

    #[test]
    fn nothing_is_overwritten_unasked() {
        let home = tempfile::tempdir().unwrap();
        write_all(home.path(), &[file("s", true, b"old")], false).unwrap();
        let error =
            write_all(home.path(), &[file("p", false, b"new"), file("s", true, b"new")], false)
                .unwrap_err();
        assert!(error.to_string().contains("--force"), "{error}");
        assert_eq!(std::fs::read(home.path().join("s")).unwrap(), b"old");
        assert!(!home.path().join("p").exists(), "none is written where one exists");
        // A file that was too open is replaced, not written into.
        std::fs::set_permissions(
            home.path().join("s"),
            std::os::unix::fs::PermissionsExt::from_mode(0o666),
        )
        .unwrap();
        write_all(home.path(), &[file("s", true, b"new")], true).unwrap();
        assert_eq!(std::fs::read(home.path().join("s")).unwrap(), b"new");
        assert_eq!(mode(&home.path().join("s")), Some(0o600));
    }

    #[test]
    fn force_leaves_no_share_of_an_earlier_key() {
        let home = tempfile::tempdir().unwrap();
        let share = |i: usize| file(&format!("ckks-secret-{i:03}.key"), true, b"share");
        std::fs::write(home.path().join("ckks-secret-notes.txt"), b"").unwrap();
        let first = [share(1), share(2), share(3), file("ckks-public.key", false, b"")];
        write_all(home.path(), &first, false).unwrap();
        write_all(home.path(), &[file("rsa-secret.pem", true, b"")], false).unwrap();
        write_all(home.path(), &[share(1), file("ckks-public.key", false, b"")], true).unwrap();
        let entries = std::fs::read_dir(home.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let kept =
            ["ckks-public.key", "ckks-secret-001.key", "ckks-secret-notes.txt", "rsa-secret.pem"];
        assert_eq!(names, kept);
    }

    #[test]
    fn without_links_a_name_is_claimed_once_and_another_s_unfinished_file_stays() {
        let home = tempfile::tempdir().unwrap();
        let (new, path) = (home.path().join("new"), home.path().join("s"));
        let unsupported = || std::io::Error::from(std::io::ErrorKind::Unsupported);
        std::fs::write(&new, b"mine").unwrap();
        claim(unsupported(), &new, &path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        std::fs::write(&new, b"late").unwrap();
        assert!(claim(unsupported(), &new, &path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        let unfinished = home.path().join(format!(".k.{}.new", std::process::id()));
        std::fs::write(&unfinished, b"other").unwrap();
        assert!(write_all(home.path(), &[file("k", true, b"mine")], false).is_err());
        assert_eq!(std::fs::read(&unfinished).unwrap(), b"other");
    }

    #[test]
    fn the_race_is_lost_politely() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("s");
        std::fs::write(&path, b"other").unwrap();
        let late = Unnamed::write(&file("s", true, b"mine"), &path).unwrap();
        assert!(matches!(late.publish(&path, false), Err(KeyError::Exists(_))));
        drop(late);
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
        assert!(matches!(write_all(&path, &[], false), Err(KeyError::NotAFolder(_))));
    }
}
