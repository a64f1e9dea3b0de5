//! Downloads from public addresses, each checked against its published checksum.
//!
//! A file comes in under a temporary name beside its target (`NAME.part`), is resumed there after
//! an interruption (HTTP `Range`), checked, and only then renamed: under its final name a file is
//! whole or absent. What cannot be fetched is listed too, with the place where it belongs.

mod checksum;
mod download;
mod http;
mod items;
mod unpack;

use std::path::{Path, PathBuf};

pub use checksum::Checksum;
pub use items::{How, ITEMS, Item, Member, Remote, Size};

use crate::error::nearest;
use crate::{DatasetError, embedded};

/// How to fetch.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder address (`http://` or `https://`) that is asked for `MIRROR/FILE` instead of the
    /// public addresses.
    pub mirror: Option<String>,
    /// Draws a progress bar on standard error, where that is a terminal.
    pub progress: bool,
    /// How often a transfer that got nowhere is tried again before giving up.
    pub retries: u32,
    /// Seconds before the first new try; doubled for each further one.
    pub pause: f64,
    /// Replaces a file that is there but differs from the published one, instead of refusing.
    pub force: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { mirror: None, progress: false, retries: 4, pause: 1.0, force: false }
    }
}

/// What became of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was there, whole.
    Kept,
    /// Downloaded; `resumed` bytes of it were there from an earlier try.
    Downloaded {
        /// Size in bytes.
        bytes: u64,
        /// Bytes that an earlier try had left.
        resumed: u64,
    },
}

/// What [`fetch`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchReport {
    /// The item's name.
    pub name: String,
    /// The folder that now holds it.
    pub folder: PathBuf,
    /// Each file (for an archive: the archive, which is unpacked and not kept) and what became of
    /// it.
    pub files: Vec<(PathBuf, Outcome)>,
}

/// How a file that should be there compares with the published one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// Checksum (for files out of an archive: size) as published.
    Sound,
    /// Not there.
    Absent,
    /// There, but different; the text says how.
    Differs(String),
}

/// Finds a downloadable item, or one that has to be put in place by hand.
///
/// # Errors
/// [`DatasetError::Unknown`] with the nearest name; [`DatasetError::Request`] for embedded data,
/// which needs no download.
pub fn item(name: &str) -> Result<&'static Item, DatasetError> {
    if embedded::ENTRIES.iter().any(|e| e.name == name) {
        return Err(DatasetError::request(
            name,
            "nothing to fetch",
            "it comes with the program: use it as it is",
        ));
    }
    ITEMS.iter().find(|i| i.name == name).ok_or_else(|| DatasetError::Unknown {
        what: "download",
        name: name.into(),
        hint: nearest(name, ITEMS.iter().map(|i| i.name)),
    })
}

/// Fetches the item `name` into its folder below the data root `root`; what is already there and
/// sound is kept.
///
/// # Errors
/// An unknown name, an item that must be put in place by hand (the message says where), a transfer
/// that failed for good, a checksum that does not match, an existing file that differs, or an
/// unwritable folder. An interrupted transfer is continued by the next call.
pub fn fetch(name: &str, root: &Path, options: &Options) -> Result<FetchReport, DatasetError> {
    fetch_item(item(name)?, root, options)
}

/// [`fetch`] for an item that is not in the registry.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_item(
    item: &Item,
    root: &Path,
    options: &Options,
) -> Result<FetchReport, DatasetError> {
    let folder = root.join(item.folder);
    let remotes = remotes(item, &folder)?;
    std::fs::create_dir_all(&folder).map_err(|e| DatasetError::io(&folder, e))?;
    let mut files = Vec::new();
    for remote in remotes {
        let target = folder.join(remote.file);
        let outcome = if remote.unpack.is_empty() {
            download::file(item.name, remote, &target, options)?
        } else {
            archive(item.name, remote, &folder, options)?
        };
        files.push((target, outcome));
    }
    Ok(FetchReport { name: item.name.into(), folder, files })
}

/// Compares the files of an item with the published ones.
///
/// # Errors
/// An unknown name, an item without published files, or a file that cannot be read.
pub fn verify(name: &str, root: &Path) -> Result<Vec<(PathBuf, FileState)>, DatasetError> {
    let item = item(name)?;
    let folder = root.join(item.folder);
    let mut states = Vec::new();
    for remote in remotes(item, &folder)? {
        if remote.unpack.is_empty() {
            let path = folder.join(remote.file);
            let state = download::state(remote, &path)?;
            states.push((path, state));
        }
        for member in remote.unpack {
            let path = folder.join(member.file);
            let state = unpack::state(member, &path)?;
            states.push((path, state));
        }
    }
    Ok(states)
}

fn remotes(item: &Item, folder: &Path) -> Result<&'static [Remote], DatasetError> {
    match item.how {
        How::Files(remotes) => Ok(remotes),
        How::ByHand { home, why, steps } => Err(DatasetError::Fetch {
            what: item.name.into(),
            url: home.into(),
            problem: why.into(),
            remedy: steps.replace("{folder}", &folder.display().to_string()),
        }),
    }
}

/// Fetches an archive unless what it holds is there, unpacks it and removes it.
fn archive(
    name: &str,
    remote: &Remote,
    folder: &Path,
    options: &Options,
) -> Result<Outcome, DatasetError> {
    let mut whole = true;
    for member in remote.unpack {
        whole &= unpack::state(member, &folder.join(member.file))? == FileState::Sound;
    }
    if whole && !options.force {
        return Ok(Outcome::Kept);
    }
    let target = folder.join(remote.file);
    let outcome = download::file(name, remote, &target, options)?;
    unpack::tar_gz(&target, remote.unpack, folder)?;
    std::fs::remove_file(&target).map_err(|e| DatasetError::io(&target, e))?;
    Ok(outcome)
}

#[cfg(test)]
mod tests;
