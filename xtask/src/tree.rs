//! The files of the project and the programs that work on them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;

/// One file of the project that is text.
pub struct File {
    /// Its path below the root, with forward slashes.
    pub path: String,
    /// Its whole text.
    pub text: String,
}

impl File {
    /// What the name ends with, without the dot; empty where there is no dot.
    pub fn extension(&self) -> &str {
        Path::new(&self.path).extension().and_then(|e| e.to_str()).unwrap_or("")
    }
}

/// The folder of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").into()
}

/// Every text file of the project: what git tracks or would track, or all there is where git is
/// missing or this is no checkout. Pictures and other bytes are left out.
///
/// # Errors
/// [`Error::File`] for a folder that cannot be read.
pub fn files() -> Result<Vec<File>, Error> {
    let paths = match output("git", &LISTED) {
        Ok(text) => text.lines().map(String::from).collect(),
        Err(_) => walked(&root())?,
    };
    let read = |path: String| {
        let text = std::fs::read_to_string(root().join(&path)).ok()?;
        Some(File { path, text })
    };
    Ok(paths.into_iter().filter_map(read).collect())
}

const LISTED: [&str; 5] =
    ["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"];

/// Folders that hold what is built or fetched, never sources.
const NOT_SOURCES: [&str; 4] = [".git", ".libtorch", "runs", "target"];

/// Paths of all files below a folder, relative to the root, in the order of their names.
fn walked(folder: &Path) -> Result<Vec<String>, Error> {
    let failed = |why| Error::File(folder.display().to_string(), why);
    let entries: Result<Vec<_>, _> = std::fs::read_dir(folder).map_err(failed)?.collect();
    let mut paths: Vec<PathBuf> = entries.map_err(failed)?.iter().map(|e| e.path()).collect();
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if path.is_symlink() || NOT_SOURCES.contains(&name) {
            continue;
        }
        if path.is_dir() {
            found.extend(walked(&path)?);
        } else if let Ok(below) = path.strip_prefix(root()) {
            found.push(below.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(found)
}

/// Whether the project holds a file or folder at `path`, relative to the root.
pub fn exists(path: &Path) -> bool {
    root().join(path).exists()
}

/// What a program prints on standard output.
///
/// # Errors
/// [`Error::Start`] where it is missing, [`Error::Failed`] where it ends with another code than 0.
pub fn output(program: &str, arguments: &[&str]) -> Result<String, Error> {
    let line = format!("{program} {}", arguments.join(" "));
    let done = command(program, arguments)
        .stderr(Stdio::null())
        .output()
        .map_err(|why| Error::Start(line.clone(), why))?;
    match done.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
        _ => Err(Error::Failed(line)),
    }
}

/// Runs cargo in the root, with its words on the terminal and `environment` beside ours.
///
/// # Errors
/// As [`output`].
pub fn cargo(arguments: &[&str], environment: &[(&str, &str)]) -> Result<(), Error> {
    let line = format!("cargo {}", arguments.join(" "));
    eprintln!("xtask: {line}");
    let status = command("cargo", arguments)
        .envs(environment.iter().copied())
        .status()
        .map_err(|why| Error::Start(line.clone(), why))?;
    match status.code() {
        Some(0) => Ok(()),
        _ => Err(Error::Failed(line)),
    }
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_without_git_is_walked() {
        let paths = walked(&root().join("xtask")).unwrap();
        assert!(paths.contains(&"xtask/src/rules/mod.rs".to_owned()), "{paths:?}");
        assert!(walked(&root().join("xtask/gone")).is_err());
    }
}
