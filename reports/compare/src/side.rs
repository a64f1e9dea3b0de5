//! What is compared: a run folder, or the baseline that was exported from one.

use crate::CompareError;
use crate::baseline;
use record::axes::acting;
use record::store::{CELLS, read_records};
use record::validity::{self, Validity};
use record::{CellRecord, Metrics, RunInfo, fingerprint};
use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::Path;
use suites::{Gate, SpecError};

/// One side of a comparison, read into memory.
#[derive(Clone, Debug)]
pub struct Side {
    /// The path as given.
    pub(crate) name: String,
    pub(crate) info: RunInfo,
    /// In the suite's order; without null baselines, traces and pictures.
    pub(crate) records: Vec<CellRecord>,
    /// Per record: a hash of its canonical bytes, equal exactly where two records are (but for
    /// times).
    pub(crate) prints: Vec<String>,
    /// Per record: why a defended cell is not measurable, where it is not.
    pub(crate) doubts: Vec<Option<String>>,
    /// Why the run is not whole, if it is not.
    pub(crate) unfinished: Option<String>,
    /// The gate that a baseline file keeps; a run folder has its suite's text.
    pub(crate) gate: Option<Gate>,
}

impl Side {
    /// Reads a run folder or a file that [`crate::write_baseline`] wrote, changing neither.
    ///
    /// # Errors
    /// [`record::RecordError::NotARun`], [`record::RecordError::Schema`] for a newer program's
    /// file, [`record::RecordError::Malformed`] for a torn or foreign one,
    /// [`record::RecordError::Io`].
    pub fn open(path: &Path) -> Result<Side, CompareError> {
        if path.is_file() { baseline::read(path) } else { Side::of_run(path) }
    }

    /// Text of the suite that made the run; empty for a baseline, which does not keep it.
    pub fn suite_text(&self) -> &str {
        &self.info.suite.text
    }

    /// The gate of the suite that made the run; the default one for a baseline older than schema
    /// 1.1, which does not keep it.
    ///
    /// # Errors
    /// [`SpecError`] where the suite's text holds a gate that cannot be read.
    pub fn gate(&self) -> Result<Gate, SpecError> {
        match &self.gate {
            Some(gate) => Ok(gate.clone()),
            None => Gate::of_suite_text(&format!("suite of {}", self.name), self.suite_text()),
        }
    }

    /// Suite, profile, program and machine.
    pub fn info(&self) -> &RunInfo {
        &self.info
    }

    /// In the suite's order; without null baselines, traces and pictures.
    pub fn records(&self) -> &[CellRecord] {
        &self.records
    }

    /// Why the run is not whole (another process writes it, or cells are still to run); `None`
    /// where it is.
    pub fn unfinished(&self) -> Option<&str> {
        self.unfinished.as_deref()
    }

    fn of_run(dir: &Path) -> Result<Side, CompareError> {
        let info = RunInfo::read(dir)?;
        let busy = being_written(dir);
        let mut side = Side::of_records(&dir.display().to_string(), info, read_records(dir)?)?;
        if busy {
            let (there, planned) = (side.records.len(), side.info.suite.cells.len());
            side.unfinished = Some(format!(
                "another process is writing it; {there} of {planned} cells are there"
            ));
        }
        Ok(side)
    }

    /// A side of records in memory, one a cell; `name` is what findings call it.
    ///
    /// # Errors
    /// [`record::RecordError::Unwritable`] where a record cannot be serialised.
    pub fn of_records(
        name: &str,
        info: RunInfo,
        mut records: Vec<CellRecord>,
    ) -> Result<Side, CompareError> {
        let order: HashMap<_, _> =
            info.suite.cells.iter().enumerate().map(|(at, id)| (id, at)).collect();
        records.sort_by_key(|r| (order.get(&r.id).copied().unwrap_or(usize::MAX), r.id.clone()));
        let prints = prints(&records)?;
        let doubts = doubts(&info, &records);
        records.iter_mut().for_each(slim);
        let unfinished = missing(&info, &records);
        Ok(Side { name: name.into(), info, records, prints, doubts, unfinished, gate: None })
    }
}

/// Why defended cells are not measurable; null baselines tell, which are not kept.
fn doubts(info: &RunInfo, records: &[CellRecord]) -> Vec<Option<String>> {
    let all = validity::judge(records, &Metrics::from_run(info)).into_iter().zip(records);
    let doubt = |(own, record): (Validity, &CellRecord)| {
        let acts = acting(&record.spec).next().is_some();
        let judged = own.untrained() || own.fails() && acts;
        own.doubt().filter(|_| judged)
    };
    all.map(doubt).collect()
}

/// A hash of the canonical bytes of each record; the work of a thousand records is shared by two
/// threads.
fn prints(records: &[CellRecord]) -> Result<Vec<String>, CompareError> {
    let each = |records: &[CellRecord]| -> Result<Vec<String>, CompareError> {
        let print = |record: &CellRecord| {
            let bytes = fingerprint(std::slice::from_ref(record))?;
            Ok(blake3::hash(&bytes).to_hex()[..32].to_owned())
        };
        records.iter().map(print).collect()
    };
    let (first, second) = records.split_at(records.len() / 2);
    let (first, second) = std::thread::scope(|scope| {
        let other = scope.spawn(|| each(second));
        // A thread that panicked is taken up here, where its records are done again.
        (each(first), other.join().unwrap_or_else(|_| each(second)))
    });
    Ok([first?, second?].concat())
}

/// Drops what no comparison reads.
fn slim(record: &mut CellRecord) {
    record.baselines.clear();
    record.trace.clear();
    record.notes.clear();
    record.defenses.clear();
    for image in &mut record.images {
        (image.truth_png, image.guess_png) = (None, None);
    }
}

/// Whether another process holds the run's lock. Ours is shared and dropped at once.
fn being_written(dir: &Path) -> bool {
    let locked = |file: File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    let cells = dir.join(CELLS);
    cells.is_file() && File::open(cells).is_ok_and(locked)
}

/// How many planned cells are there, where some are not.
fn missing(info: &RunInfo, records: &[CellRecord]) -> Option<String> {
    let have: std::collections::HashSet<_> = records.iter().map(|r| &r.id).collect();
    let planned = info.suite.cells.len();
    let there = info.suite.cells.iter().filter(|id| have.contains(id)).count();
    let resume = &info.resume;
    (there < planned)
        .then(|| format!("{there} of {planned} cells are there; resume it with `{resume}`"))
}
