//! The run folder: `run.json`, `cells.jsonl`, `artifacts/<cell>/`, `report/`.
//!
//! Whole files are written to a temporary name and renamed. A record is one line, appended and
//! synced; a torn last line is dropped when the folder is opened, and its cell runs again.

mod files;
mod fingerprint;
mod info;
mod jsonl;
mod merge;

pub use files::{write_streamed, write_whole};
pub use fingerprint::fingerprint;
pub use info::{Host, RunInfo, SCHEMA, SuiteInfo, check_schema};
pub use jsonl::reason;
pub use merge::merge;

use crate::{CellRecord, RecordError};
use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use suites::CellId;

/// Name of the record file.
pub const CELLS: &str = "cells.jsonl";
/// Name of the description of the run.
pub const RUN: &str = "run.json";

/// A run folder opened for writing by this process alone.
#[derive(Debug)]
pub struct RunStore {
    dir: PathBuf,
    info: RunInfo,
    cells: File,
    length: u64,
    done: HashSet<CellId>,
}

impl RunStore {
    /// Starts a run in `dir`, which must be absent or empty.
    ///
    /// # Errors
    /// [`RecordError::Exists`], [`RecordError::NotEmpty`], or what the system refuses.
    pub fn create(dir: &Path, info: RunInfo) -> Result<Self, RecordError> {
        let free = || {
            if dir.join(RUN).exists() {
                Err(RecordError::Exists(dir.into()))
            } else if dir.exists() && !files::empty_but_for_temporaries(dir)? {
                Err(RecordError::NotEmpty(dir.into()))
            } else {
                Ok(())
            }
        };
        free()?;
        std::fs::create_dir_all(dir).map_err(RecordError::io("create folder", dir))?;
        // Of two that begin at once the second finds the folder locked, or the run of the first.
        let cells = locked(dir)?;
        free()?;
        info.write(dir)?;
        Self::of(dir, info, cells)
    }

    /// Opens a run to go on with it: locks it, sweeps temporary files away and drops a torn last
    /// line.
    ///
    /// # Errors
    /// [`RecordError::NotARun`], [`RecordError::Schema`], [`RecordError::Busy`],
    /// [`RecordError::Malformed`].
    pub fn open(dir: &Path) -> Result<Self, RecordError> {
        let info = RunInfo::read(dir)?;
        let cells = locked(dir)?;
        Self::of(dir, info, cells)
    }

    fn of(dir: &Path, info: RunInfo, mut cells: File) -> Result<Self, RecordError> {
        let path = dir.join(CELLS);
        files::sweep(dir)?;
        let read = jsonl::read(&path)?;
        cells.set_len(read.length).map_err(RecordError::io("truncate", &path))?;
        cells.seek(SeekFrom::End(0)).map_err(RecordError::io("seek in", &path))?;
        let done = jsonl::latest(read.records)
            .into_iter()
            .filter(CellRecord::settled)
            .map(|r| r.id)
            .collect();
        Ok(Self { dir: dir.into(), info, cells, length: read.length, done })
    }

    /// Goes on with the run in `dir` where there is one, else starts it.
    ///
    /// # Errors
    /// [`RecordError::OtherSuite`] where the folder was made by another suite text, profile or set
    /// of overrides; else as [`RunStore::create`] and [`RunStore::open`].
    pub fn resume(dir: &Path, info: RunInfo) -> Result<Self, RecordError> {
        if !dir.join(RUN).exists() {
            match Self::create(dir, info.clone()) {
                // Another process was faster.
                Err(RecordError::Exists(_)) => {}
                made => return made,
            }
        }
        RunInfo::read(dir)?.same_experiment(&info, dir)?;
        let mut store = Self::open(dir)?;
        if store.info.note_host(info.host()) | store.info.note_metrics(&info) {
            store.info.write(dir)?;
        }
        Ok(store)
    }

    /// Appends one record: one line, flushed and synced before this returns.
    ///
    /// # Errors
    /// [`RecordError::Io`], such as on a full disk; what was written of the line is then taken
    /// back.
    pub fn append(&mut self, record: &CellRecord) -> Result<(), RecordError> {
        let line = jsonl::line(record)?;
        if let Err(error) = self.cells.write_all(&line).and_then(|()| self.cells.sync_data()) {
            // If taking it back fails too, the torn line is dropped by the next `open`.
            let _ = self
                .cells
                .set_len(self.length)
                .and_then(|()| self.cells.seek(SeekFrom::Start(self.length)));
            return Err(RecordError::io("write", &self.dir.join(CELLS))(error));
        }
        self.length += line.len() as u64;
        if record.settled() {
            self.done.insert(record.id.clone());
        }
        Ok(())
    }

    /// All records, the latest of each cell, in the order they were finished.
    ///
    /// # Errors
    /// As [`read_records`].
    pub fn records(&self) -> Result<Vec<CellRecord>, RecordError> {
        read_records(&self.dir)
    }

    /// The cells that a resume skips: Done or NotApplicable. Failed cells run again.
    pub fn done(&self) -> &HashSet<CellId> {
        &self.done
    }

    /// The description of the run.
    pub fn info(&self) -> &RunInfo {
        &self.info
    }

    /// The run folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder for a cell's files, made if absent, cleared of half-written ones.
    ///
    /// # Errors
    /// [`RecordError::Io`].
    pub fn artifacts_dir(&self, cell: &CellId) -> Result<PathBuf, RecordError> {
        let dir = self.dir.join("artifacts").join(cell.as_str());
        std::fs::create_dir_all(&dir).map_err(RecordError::io("create folder", &dir))?;
        files::sweep(&dir)?;
        Ok(dir)
    }
}

/// The file of records, made if absent, and locked for this process.
fn locked(dir: &Path) -> Result<File, RecordError> {
    let path = dir.join(CELLS);
    let cells = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let cells = cells.map_err(RecordError::io("open", &path))?;
    match cells.try_lock() {
        Err(TryLockError::WouldBlock) => Err(RecordError::Busy(dir.into())),
        // Some network file systems know no locks; one writer is then the user's care.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(cells),
    }
}

/// The records of a run folder, the latest of each cell, without locking or changing it; a torn
/// last line is left out.
///
/// # Errors
/// [`RecordError::Io`], or [`RecordError::Malformed`] for a line before the last that is not a
/// record.
pub fn read_records(dir: &Path) -> Result<Vec<CellRecord>, RecordError> {
    Ok(jsonl::latest(jsonl::read(&dir.join(CELLS))?.records))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::{Cost, Outcome, Wall};

    #[test]
    fn a_full_disk_is_one_clear_line() {
        let spec = suites::CellSpec::new("photos", "mlp", "dlg");
        let record = CellRecord {
            id: spec.id(),
            spec,
            outcome: Outcome::Done,
            threat: String::new(),
            signals: Vec::new(),
            images: Vec::new(),
            baselines: Default::default(),
            candidates: None,
            task: Default::default(),
            defenses: Vec::new(),
            cost: Cost::default(),
            trace: Vec::new(),
            flags: Vec::new(),
            notes: Vec::new(),
            wall: Wall::default(),
        };
        let dir = tempfile::tempdir().unwrap();
        let info: RunInfo =
            serde_json::from_str(include_str!("../../tests/golden/run.json")).unwrap();
        let mut store = RunStore::create(dir.path(), info).unwrap();
        store.cells = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let message = store.append(&record).unwrap_err().to_string();
        assert!(
            message.contains("cells.jsonl") && message.contains("free some space, then resume"),
            "{message}"
        );
        assert!(!message.contains('\n') && store.done().is_empty());
        drop(store);
        assert_eq!(RunStore::open(dir.path()).unwrap().records().unwrap(), vec![]);
    }
}
