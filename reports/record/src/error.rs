//! The crate's error: one clear line for each thing that can go wrong with the folder of a run or
//! of a training.

use std::path::{Path, PathBuf};

/// What went wrong while a run or a training was stored, read or merged.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The operating system refused a read or a write (full disk, no permission, missing folder).
    #[error("cannot {action} {path}: {source}{}", hint(.source))]
    Io {
        /// What was tried, as a verb: "write", "read", "create folder".
        action: &'static str,
        /// The file or folder it was tried on.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The folder holds no `run.json`.
    #[error(
        "{0} is not a run folder (it has no run.json); give the folder that `bench suite` printed"
    )]
    NotARun(PathBuf),
    /// A new run was to be started in a folder that holds other things.
    #[error("{0} is not empty and holds no run; choose an empty or new folder")]
    NotEmpty(PathBuf),
    /// A new run was to be started in a folder that already holds one.
    #[error("{0} already holds a run; resume it, or choose another folder")]
    Exists(PathBuf),
    /// The run was written by a program of another schema major.
    #[error("{path}: schema {found} cannot be read by this program (it knows {known}); \
        {}", if *.newer { "use a newer bench" } else { "use an older bench" })]
    Schema {
        /// The `run.json` concerned.
        path: PathBuf,
        /// The schema it states.
        found: String,
        /// The schema of this program.
        known: &'static str,
        /// Whether the file's schema is newer than the program's.
        newer: bool,
    },
    /// The run folder belongs to another suite, profile or set of overrides.
    #[error(
        "{path} was made by {found}, not by {wanted}: {difference} differs; choose another folder \
         or run what made it"
    )]
    OtherSuite {
        /// The run folder.
        path: PathBuf,
        /// Suite and profile that made the folder.
        found: String,
        /// Suite and profile asked for now.
        wanted: String,
        /// Which part is not the same.
        difference: &'static str,
    },
    /// Another process holds the run folder.
    #[error("{0} is in use by another bench process; wait for it, or choose another folder")]
    Busy(PathBuf),
    /// A file of the run folder does not hold what it should.
    #[error("{path}:{line}:{column}: {message}; {remedy}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1 (0 where a whole line is meant).
        column: usize,
        /// What is wrong there.
        message: String,
        /// How to mend it.
        remedy: &'static str,
    },
    /// A record cannot be written as JSON.
    #[error("the record of cell {cell} cannot be written: {message}")]
    Unwritable {
        /// The cell's id.
        cell: String,
        /// What the serialiser said.
        message: String,
    },
    /// A metric has the name of a fixed column of `records.csv`.
    #[error(
        "{path}: a metric cannot be called `{name}`, which is another column's name or none; \
         rename the metric"
    )]
    Column {
        /// The file that was to be written.
        path: PathBuf,
        /// The metric.
        name: String,
    },
    /// Nothing to merge.
    #[error("no run folder was given to merge; name at least one")]
    NothingToMerge,
}

impl RecordError {
    /// Wraps a system error for `path`; for use in `map_err`.
    ///
    /// `action` is a verb that the message puts before the path, such as "write".
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    /// Whether the system refused a file or folder; what is no file of that kind is the user's to
    /// mend.
    pub fn is_io(&self) -> bool {
        use std::io::ErrorKind::InvalidData;
        matches!(self, Self::Io { source, .. } if source.kind() != InvalidData)
    }
}

/// How to mend the commonest refusals of the system.
fn hint(source: &std::io::Error) -> &'static str {
    use std::io::ErrorKind as K;
    match source.kind() {
        K::StorageFull | K::QuotaExceeded => {
            "; free some space, then resume: finished cells are kept"
        }
        K::PermissionDenied | K::ReadOnlyFilesystem => "; choose a folder that you may write to",
        K::NotADirectory => "; a part of this path is a file, choose another folder",
        _ => "",
    }
}
