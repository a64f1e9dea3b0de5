//! Extracting a RecordIO file into a folder per label and a file per image.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rayon::prelude::*;

use super::catalog::{Catalog, Entry};
use super::{Fault, Sources, ending, manifest};
use crate::DatasetError;

const REMEDY: &str = "get the file again, or leave such records out with --on-error skip";

/// What to do about a record that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// Leave it out and say so.
    Skip,
    /// Stop at once.
    Stop,
}

/// What happens during an extraction.
#[derive(Debug)]
pub enum Event<'a> {
    /// So many images are to be written.
    Begin(u64),
    /// One more is in its place.
    Image,
    /// A record is left out.
    Skipped(&'a Fault),
}

/// What an extraction did.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Images in their places now.
    pub records: u64,
    /// Those of them that an earlier extraction had written.
    pub kept: u64,
    /// Number of labels among them.
    pub identities: u64,
    /// Bytes written now.
    pub bytes: u64,
    /// Records left out, by their place in the file.
    pub skipped: Vec<Fault>,
    /// What does not match between the files.
    pub notes: Vec<String>,
    /// How long it took.
    pub seconds: f64,
}

/// Writes every image to `out/<label>/<key>.<ending>`, its bytes exactly as they are stored. A file
/// appears under its name only when it is whole, so that an extraction which was killed can be
/// started again and goes on where it was.
///
/// # Errors
/// Files that are absent, unreadable or of another format; an `out` that holds something else; a
/// file that cannot be written; with [`OnError::Stop`] a record that cannot be used.
pub fn extract(
    sources: &Sources,
    out: &Path,
    on_error: OnError,
    report: &(dyn Fn(Event) + Sync),
) -> Result<Report, DatasetError> {
    let start = Instant::now();
    let mut catalog = Catalog::open(sources)?;
    let _claim = manifest::claim(out, sources, &catalog)?;
    let stop = on_error == OnError::Stop;
    if let Some(fault) = catalog.faults.first().filter(|_| stop) {
        return Err(fault.error(&catalog.path, REMEDY));
    }
    catalog.faults.iter().for_each(|fault| report(Event::Skipped(fault)));
    for (label, _) in catalog.labels() {
        let dir = folder(out, label);
        std::fs::create_dir_all(&dir).map_err(|e| DatasetError::io(&dir, e))?;
    }
    report(Event::Begin(catalog.entries.len() as u64));
    let work = Work::new(&catalog, out, stop, report);
    catalog.entries.par_iter().with_min_len(64).try_for_each(|entry| work.extract(entry))?;
    let (found, kept, bytes) = work.end();
    catalog.faults.extend(found);
    catalog.faults.sort_by_key(|f| f.offset);
    let lost: HashSet<u64> = catalog.faults.iter().map(|f| f.offset).collect();
    catalog.entries.retain(|e| !lost.contains(&e.offset));
    Ok(Report {
        records: catalog.entries.len() as u64,
        kept,
        identities: catalog.labels().len() as u64,
        bytes,
        skipped: std::mem::take(&mut catalog.faults),
        notes: std::mem::take(&mut catalog.notes),
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// What all threads of one extraction share.
struct Work<'a> {
    catalog: &'a Catalog,
    out: &'a Path,
    stop: bool,
    report: &'a (dyn Fn(Event) + Sync),
    faults: Mutex<Vec<Fault>>,
    kept: AtomicU64,
    bytes: AtomicU64,
}

impl<'a> Work<'a> {
    fn new(
        catalog: &'a Catalog,
        out: &'a Path,
        stop: bool,
        report: &'a (dyn Fn(Event) + Sync),
    ) -> Self {
        let (kept, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { catalog, out, stop, report, faults: Mutex::default(), kept, bytes }
    }

    /// Brings one image to its place, unless it lies there with the same bytes.
    fn extract(&self, entry: &Entry) -> Result<(), DatasetError> {
        match self.catalog.read(entry) {
            Ok(record) => self.write(entry, &record.payload)?,
            Err(fault) if self.stop => return Err(fault.error(&self.catalog.path, REMEDY)),
            Err(fault) => {
                (self.report)(Event::Skipped(&fault));
                self.faults.lock().unwrap_or_else(|p| p.into_inner()).push(fault);
                return Ok(());
            }
        }
        (self.report)(Event::Image);
        Ok(())
    }

    fn write(&self, entry: &Entry, payload: &[u8]) -> Result<(), DatasetError> {
        let path = place(self.out, entry, ending(payload).unwrap_or("bin"));
        // Compared byte for byte: the records may have changed since the file was written.
        let sized = path.metadata().is_ok_and(|m| m.is_file() && m.len() == entry.length);
        if sized && std::fs::read(&path).is_ok_and(|there| there == payload) {
            self.kept.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let partial = path.with_extension("part");
        let failed = |e| DatasetError::io(&path, e);
        let written = std::fs::write(&partial, payload);
        written.and_then(|()| std::fs::rename(&partial, &path)).map_err(|e| {
            // The first error is what the user must hear; the leftover may not even exist.
            let _ = std::fs::remove_file(&partial);
            failed(e)
        })?;
        self.bytes.fetch_add(payload.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn end(self) -> (Vec<Fault>, u64, u64) {
        let faults = self.faults.into_inner().unwrap_or_else(|p| p.into_inner());
        (faults, self.kept.into_inner(), self.bytes.into_inner())
    }
}

fn folder(out: &Path, label: f32) -> PathBuf {
    out.join(label.to_string())
}

fn place(out: &Path, entry: &Entry, ending: &str) -> PathBuf {
    folder(out, entry.label).join(format!("{}.{ending}", entry.key))
}
