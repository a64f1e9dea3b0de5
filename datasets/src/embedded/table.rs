//! Reads an embedded `.csv.gz` table: a header, then rows of a label and its features.

use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;

use crate::DatasetError;

/// Labels `[n]` and features `[n][features]`.
pub(super) struct Table {
    pub labels: Vec<i64>,
    pub rows: Vec<Vec<f64>>,
}

/// Unpacks and parses `bytes`; `name` stands for the file in errors.
///
/// # Errors
/// [`DatasetError::Bad`] with the line, should the file be damaged.
pub(super) fn read(name: &str, bytes: &[u8], features: usize) -> Result<Table, DatasetError> {
    let mut text = String::new();
    GzDecoder::new(bytes)
        .read_to_string(&mut text)
        .map_err(|e| DatasetError::io(Path::new(name), e))?;
    let mut table = Table { labels: Vec::new(), rows: Vec::new() };
    for (number, line) in text.lines().enumerate().skip(1) {
        let (label, row) =
            parse(line).filter(|(_, row)| row.len() == features).ok_or_else(|| {
                DatasetError::Bad {
                    file: name.into(),
                    place: format!("line {}", number + 1),
                    problem: format!("not a label and {features} numbers"),
                    remedy: "rebuild the program from clean sources".into(),
                }
            })?;
        table.labels.push(label);
        table.rows.push(row);
    }
    Ok(table)
}

fn parse(line: &str) -> Option<(i64, Vec<f64>)> {
    let (label, rest) = line.split_once(',')?;
    let row = rest.split(',').map(|v| v.parse().ok()).collect::<Option<Vec<f64>>>()?;
    Some((label.parse().ok()?, row))
}
