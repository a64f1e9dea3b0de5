//! Run folders below a folder.

use crate::CompareError;
use crate::Side;
use record::RecordError;
use record::store::RUN;
use std::path::{Path, PathBuf};

/// Folders nested deeper than this are not searched.
const DEPTH: usize = 8;

/// A run that was read.
pub(crate) struct Found {
    /// Path below the folder searched.
    pub name: String,
    pub side: Side,
    /// When its last cell was finished, in seconds since 1970.
    pub finished: u64,
}

/// The runs below `dir`, and why others were left out.
pub(crate) fn runs(dir: &Path) -> Result<(Vec<Found>, Vec<String>), CompareError> {
    let mut folders = Vec::new();
    let mut skipped = Vec::new();
    // The folder asked for must be there; what lies below may be anything.
    std::fs::read_dir(dir).map_err(RecordError::io("read folder", dir))?;
    search(dir, 0, &mut folders, &mut skipped);
    let mut found = Vec::new();
    for folder in folders {
        match Side::open(&folder) {
            Ok(side) if side.records.is_empty() => {
                skipped.push(format!("{} holds no finished cell", folder.display()));
            }
            Ok(side) => {
                let below = folder.strip_prefix(dir).unwrap_or(&folder).display().to_string();
                let name = if below.is_empty() { ".".into() } else { below };
                let finished = side.records.iter().map(|r| r.wall.finished_unix).max().unwrap_or(0);
                found.push(Found { name, side, finished });
            }
            Err(error) => skipped.push(error.to_string()),
        }
    }
    Ok((found, skipped))
}

/// Collects folders that hold a run, in the order of their names; nothing below a run is searched,
/// and no link is followed.
fn search(dir: &Path, depth: usize, folders: &mut Vec<PathBuf>, skipped: &mut Vec<String>) {
    if dir.join(RUN).is_file() {
        return folders.push(dir.into());
    }
    if depth == DEPTH {
        return skipped.push(format!("{} is nested too deep and was not searched", dir.display()));
    }
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => return skipped.push(RecordError::io("read folder", dir)(error).to_string()),
    };
    let is_folder = |e: &std::fs::DirEntry| e.file_type().is_ok_and(|t| t.is_dir());
    let mut below: Vec<PathBuf> = entries.flatten().filter(is_folder).map(|e| e.path()).collect();
    below.sort();
    below.iter().for_each(|folder| search(folder, depth + 1, folders, skipped));
}
