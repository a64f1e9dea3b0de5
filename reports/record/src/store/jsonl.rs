//! `cells.jsonl`: one record a line.

use crate::{CellRecord, RecordError};
use std::collections::HashMap;
use std::path::Path;
use suites::foreign::{self, limits};

/// The records of a file and the length of the part that holds them.
pub(super) struct Lines {
    pub records: Vec<CellRecord>,
    /// Bytes up to the end of the last whole record.
    pub length: u64,
}

/// One record as its line.
pub(super) fn line(record: &CellRecord) -> Result<Vec<u8>, RecordError> {
    let unwritable = |e: serde_json::Error| RecordError::Unwritable {
        cell: record.id.to_string(),
        message: e.to_string(),
    };
    let mut bytes = serde_json::to_vec(record).map_err(unwritable)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads the file at `path`; an absent one holds no records.
pub(super) fn read(path: &Path) -> Result<Lines, RecordError> {
    match foreign::read(path, &limits::RUN) {
        Ok(bytes) => parse(&bytes, path),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Ok(Lines { records: Vec::new(), length: 0 })
        }
        Err(e) => Err(RecordError::io("read", path)(e)),
    }
}

/// Parses whole lines. What follows the last newline is torn; so is a last line that is not a
/// record, since a power cut may have kept its newline and lost its body.
fn parse(bytes: &[u8], path: &Path) -> Result<Lines, RecordError> {
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let mut lines = Lines { records: Vec::new(), length: 0 };
    for (number, line) in bytes[..whole].split_inclusive(|b| *b == b'\n').enumerate() {
        let end = lines.length + line.len() as u64;
        match parsed(line) {
            Ok((record, today)) => {
                if (today || !of_old(path)) && record.id != record.spec.id() {
                    return Err(edited(path, number + 1, &record));
                }
                lines.records.push(record);
            }
            Err(_) if end == whole as u64 => return Ok(lines),
            Err(error) => return Err(malformed(path, number + 1, &error)),
        }
        lines.length = end;
    }
    Ok(lines)
}

/// Whether the records belong to a run of schema 1.x: in no other may a spec be of that language.
fn of_old(path: &Path) -> bool {
    let info = path.parent().and_then(|dir| super::RunInfo::read(dir).ok());
    info.is_some_and(|info| info.old().is_some())
}

/// One record, and whether it is in the language of today: one of schema 1.x is put into it.
fn parsed(line: &[u8]) -> Result<(CellRecord, bool), serde_json::Error> {
    let said = match serde_json::from_slice(line) {
        Ok(record) => return Ok((record, true)),
        Err(said) => said,
    };
    let mut value: serde_json::Value = serde_json::from_slice(line)?;
    if value.get_mut("spec").is_some_and(suites::upgrade_recorded) {
        Ok((serde_json::from_value(value)?, false))
    } else {
        Err(said)
    }
}

/// A record whose spec is not the one that its id was made of.
fn edited(path: &Path, line: usize, record: &CellRecord) -> RecordError {
    RecordError::Malformed {
        path: path.into(),
        line,
        column: 1,
        message: format!(
            "cell {} says another spec than the one it was recorded with (whose id would be {})",
            record.id,
            record.spec.id()
        ),
        remedy: "undo the edit, or delete that line and resume the run",
    }
}

fn malformed(path: &Path, line: usize, error: &serde_json::Error) -> RecordError {
    let remedy = "delete that line and resume the run, which makes the record again";
    RecordError::Malformed {
        path: path.into(),
        line,
        column: error.column(),
        message: reason(error),
        remedy,
    }
}

/// The message without serde's own place, which counts lines within the one line given to it.
pub fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

/// Of several records of one cell (it failed, then ran again) the last, at its own place.
pub(super) fn latest(records: Vec<CellRecord>) -> Vec<CellRecord> {
    let last: HashMap<_, _> =
        records.iter().enumerate().map(|(at, r)| (r.id.clone(), at)).collect();
    records.into_iter().enumerate().filter(|(at, r)| last[&r.id] == *at).map(|(_, r)| r).collect()
}
