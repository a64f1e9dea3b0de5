//! Shards of one suite, run on several machines, put together.

use super::{CELLS, RunInfo, files, jsonl, read_records};
use crate::{CellRecord, Outcome, RecordError};
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// Merges run folders of one suite into the new folder `into`; returns the number of cells there.
///
/// Of several records of one cell a Done one wins over NotApplicable, that over Failed, and among
/// equals the first folder's. Pictures and tensors of the winning records are copied.
///
/// # Errors
/// [`RecordError::OtherSuite`] where the folders hold different suites, [`RecordError::Exists`] or
/// [`RecordError::NotEmpty`] for `into`, and what reading or writing may refuse.
pub fn merge(dirs: &[PathBuf], into: &Path) -> Result<usize, RecordError> {
    let info = merged_info(dirs)?;
    if into.join(super::RUN).exists() {
        return Err(RecordError::Exists(into.into()));
    }
    let _lock = claim(into)?;
    let winners = winners(dirs)?;
    let mut text = Vec::new();
    for (record, dir) in &winners {
        copy_artifacts(record, dir, into)?;
        text.extend(jsonl::line(record)?);
    }
    files::write_whole(&into.join(CELLS), &text)?;
    // Last, so that a merge cut short leaves no folder that looks whole.
    info.write(into)?;
    let marker = into.join(MERGING);
    std::fs::remove_file(&marker).map_err(RecordError::io("remove", &marker))?;
    Ok(winners.len())
}

/// Marks a folder without a description as that of a merge, which begins anew if it was killed.
const MERGING: &str = ".merging";

/// Takes the folder for this merge alone: an empty one, or what a merge that was killed left.
fn claim(into: &Path) -> Result<File, RecordError> {
    std::fs::create_dir_all(into).map_err(RecordError::io("create folder", into))?;
    let marker = into.join(MERGING);
    if !marker.exists() && !files::empty_but_for_temporaries(into)? {
        return Err(RecordError::NotEmpty(into.into()));
    }
    let lock = File::create(&marker).map_err(RecordError::io("create", &marker))?;
    if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
        return Err(RecordError::Busy(into.into()));
    }
    files::sweep(into)?;
    let half = into.join("artifacts");
    match std::fs::remove_dir_all(&half) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(RecordError::io("remove", &half)(e))
        }
        _ => Ok(lock),
    }
}

fn merged_info(dirs: &[PathBuf]) -> Result<RunInfo, RecordError> {
    let first = dirs.first().ok_or(RecordError::NothingToMerge)?;
    let mut info = RunInfo::read(first)?;
    for dir in &dirs[1..] {
        let other = RunInfo::read(dir)?;
        other.same_experiment(&info, dir)?;
        if other.shard != info.shard {
            info.shard = None;
        }
        let new: Vec<_> =
            other.suite.cells.iter().filter(|id| !info.suite.cells.contains(id)).cloned().collect();
        info.suite.cells.extend(new);
        info.note_metrics(&other);
        for host in std::iter::once(other.host()).chain(other.elsewhere) {
            info.note_host(host);
        }
    }
    Ok(info)
}

/// The record to keep of each cell and the folder it comes from, in the order first met.
fn winners(dirs: &[PathBuf]) -> Result<Vec<(CellRecord, &Path)>, RecordError> {
    let mut kept: Vec<(CellRecord, &Path)> = Vec::new();
    let mut place = BTreeMap::new();
    for dir in dirs {
        for record in read_records(dir)? {
            match place.get(&record.id) {
                None => {
                    place.insert(record.id.clone(), kept.len());
                    kept.push((record, dir));
                }
                Some(&at) if rank(&record) < rank(&kept[at].0) => kept[at] = (record, dir),
                Some(_) => {}
            }
        }
    }
    Ok(kept)
}

fn rank(record: &CellRecord) -> u8 {
    match record.outcome {
        Outcome::Done => 0,
        Outcome::NotApplicable { .. } => 1,
        Outcome::Failed { .. } => 2,
    }
}

fn copy_artifacts(record: &CellRecord, from: &Path, into: &Path) -> Result<(), RecordError> {
    let below = Path::new("artifacts").join(record.id.as_str());
    match from.join(&below) {
        source if source.is_dir() => files::copy_folder(&source, &into.join(below)),
        _ => Ok(()),
    }
}
