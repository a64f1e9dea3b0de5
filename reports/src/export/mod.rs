//! A run for other programs: the files beside the report, and [`export`], one tidy table in one
//! file.

mod columns;
mod field;
mod files;
mod parquet;
mod rows;
mod text;

pub(crate) use files::{cells_csv, records_csv, summary_json};

use crate::ReportError;
use record::RecordError;
use record::run::Run;
use record::store::{CELLS, RUN, write_streamed};
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use suites::SpecError;

/// Format of an exported table; all three have the same columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// `"csv"`: RFC 4180 with a header; an empty field is null.
    Csv,
    /// `"jsonl"`: one object a line; what is not finite is the word `inf`, `-inf` or `nan`.
    Jsonl,
    /// `"parquet"`: typed nullable columns, uncompressed, with dictionaries.
    Parquet,
}

const FORMATS: [(&str, ExportFormat); 3] = [
    ("csv", ExportFormat::Csv),
    ("jsonl", ExportFormat::Jsonl),
    ("parquet", ExportFormat::Parquet),
];

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = FORMATS.iter().find(|(_, format)| format == self).map(|(name, _)| *name);
        f.pad(name.unwrap_or_default())
    }
}

impl FromStr for ExportFormat {
    type Err = SpecError;

    fn from_str(word: &str) -> Result<Self, SpecError> {
        let found = FORMATS.iter().find(|(name, _)| *name == word).map(|(_, format)| *format);
        found.ok_or_else(|| SpecError::unknown_name("format", word, FORMATS.map(|(name, _)| name)))
    }
}

/// Writes the records of the run folder `run` to the file `out` and returns how many rows that
/// were.
///
/// One row for each image, metric and scorer (`by`: `attack`, or a null baseline such as
/// `null:grey`). What has no score has a row, too, whose `status` says why: a metric that was not
/// measured, an image that a failed attack lost (once for each metric of the run), a cell that
/// failed or cannot apply, a planned cell that has not been run. The same records give the same
/// bytes.
///
/// # Errors
/// [`ReportError`] where the run cannot be read or `out` cannot be written; `out` is then as it
/// was.
pub fn export(run: &Path, format: ExportFormat, out: &Path) -> Result<usize, ReportError> {
    let loaded = Run::load(run)?;
    refuse_own_files(run, out)?;
    let rows = write_streamed(out, |file| match format {
        ExportFormat::Csv => text::csv(&loaded, file),
        ExportFormat::Jsonl => text::jsonl(&loaded, file),
        ExportFormat::Parquet => parquet::write(&loaded, file),
    })?;
    Ok(rows)
}

/// Refuses to write over the records of the run at `run`, which would destroy them; a `run` that is
/// a file, such as a baseline, is its own.
///
/// # Errors
/// [`RecordError::Io`] where `out` is one of the run's own files.
pub fn refuse_own_files(run: &Path, out: &Path) -> Result<(), ReportError> {
    let real = |path: &Path| path.canonicalize().ok();
    let files = [run.join(CELLS), run.join(RUN), run.to_path_buf()];
    let own = files.iter().any(|file| real(out).is_some_and(|o| real(file) == Some(o)));
    let refusal = || std::io::Error::other("it is the run's own file; choose another name");
    if own { Err(RecordError::io("write", out)(refusal()).into()) } else { Ok(()) }
}
