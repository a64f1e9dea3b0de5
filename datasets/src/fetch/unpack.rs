//! Takes the wanted files out of a `.tar.gz`.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use tar::Archive;

use super::FileState;
use super::items::Member;
use crate::DatasetError;

/// Compares an unpacked file with what the archive holds, by its size.
///
/// # Errors
/// When it is there but cannot be looked at.
pub(super) fn state(member: &Member, path: &Path) -> Result<FileState, DatasetError> {
    match fs::metadata(path) {
        Ok(found) if found.len() == member.bytes => Ok(FileState::Sound),
        Ok(found) => Ok(FileState::Differs(format!(
            "it has {} bytes instead of {}",
            found.len(),
            member.bytes
        ))),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(FileState::Absent),
        Err(e) => Err(DatasetError::io(path, e)),
    }
}

/// Unpacks `members` into `folder`: each under a temporary name first, renamed when all are there.
///
/// # Errors
/// A damaged archive, one that lacks a member, or an unwritable folder.
pub(super) fn tar_gz(
    archive: &Path,
    members: &[Member],
    folder: &Path,
) -> Result<(), DatasetError> {
    let damaged = |problem: String| DatasetError::Bad {
        file: archive.into(),
        place: "archive".into(),
        problem,
        remedy: "remove it and fetch it again".into(),
    };
    let file = File::open(archive).map_err(|e| DatasetError::io(archive, e))?;
    let mut tar = Archive::new(GzDecoder::new(BufReader::new(file)));
    let mut ready: Vec<(PathBuf, PathBuf)> = Vec::new();
    for entry in tar.entries().map_err(|e| damaged(e.to_string()))? {
        let mut entry = entry.map_err(|e| damaged(e.to_string()))?;
        let path = entry.path().map_err(|e| damaged(e.to_string()))?.into_owned();
        let Some(member) = members.iter().find(|m| Path::new(m.path) == path) else { continue };
        if entry.size() != member.bytes {
            return Err(damaged(format!(
                "{} has {} bytes instead of {}",
                member.path,
                entry.size(),
                member.bytes
            )));
        }
        let part = folder.join(format!("{}.part", member.file));
        write(&mut entry, &part)?;
        ready.push((part, folder.join(member.file)));
    }
    if let Some(absent) =
        members.iter().find(|m| ready.iter().all(|(_, to)| *to != folder.join(m.file)))
    {
        return Err(damaged(format!("{} is not in it", absent.path)));
    }
    ready
        .iter()
        .try_for_each(|(from, to)| fs::rename(from, to).map_err(|e| DatasetError::io(to, e)))
}

fn write(from: &mut impl Read, to: &Path) -> Result<(), DatasetError> {
    let written = File::create(to).and_then(|mut file| {
        std::io::copy(from, &mut file)?;
        file.sync_all()
    });
    written.map_err(|e| {
        // The first error is what the user must hear; the leftover may not even exist.
        let _ = fs::remove_file(to);
        DatasetError::io(to, e)
    })
}
