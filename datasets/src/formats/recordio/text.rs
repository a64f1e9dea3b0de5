//! The text files beside a RecordIO file: `.idx`, `.lst` and InsightFace's `property`.

use suites::foreign::{Budget, limits};

use super::super::{AGAIN, FormatError, one_line};

/// Bytes that a line may come to in memory: its row, its key, and what is said of its record.
const ROW: usize = 256;

/// One line of a `.lst` file.
#[derive(Clone, Debug, PartialEq)]
pub struct ListRow<'a> {
    /// The record's key.
    pub key: u64,
    /// Its first label.
    pub label: f32,
    /// The image's path when the record was made.
    pub path: &'a str,
}

/// InsightFace's `property`: `identities,height,width`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Property {
    /// Number of identities.
    pub identities: u64,
    /// Height of the images in pixels.
    pub height: usize,
    /// Width of the images in pixels.
    pub width: usize,
}

/// Keys and offsets in file order, which need not be the order of keys.
///
/// # Errors
/// Lines that are not `key TAB offset`, a key given twice, or no lines at all.
pub fn parse_index(bytes: &[u8]) -> Result<Vec<(u64, u64)>, FormatError> {
    let rows = rows(bytes, |line, _| {
        let mut fields = line.split_whitespace().map(|f| f.parse::<u64>().ok());
        match (fields.next(), fields.next(), fields.next()) {
            (Some(Some(key)), Some(Some(offset)), None) => Ok((key, offset)),
            _ => Err(("a line is a key, a tab and an offset", line)),
        }
    })?;
    let mut keys: Vec<(u64, usize)> = rows.iter().enumerate().map(|(i, row)| (row.0, i)).collect();
    keys.sort_unstable();
    match keys.windows(2).find(|w| w[0].0 == w[1].0) {
        Some(twice) => Err(FormatError::new(
            format!("entry {}", twice[1].1 + 1),
            format!("key {} for the second time", twice[0].0),
            "leave the .idx out, so that the .rec is read from its start",
        )),
        None => Ok(rows),
    }
}

/// Keys, labels and paths. Understood are MXNet's `key TAB label ... TAB path` and InsightFace's
/// `aligned TAB path TAB label ...`, whose keys are the numbers of its lines, counted from 1.
///
/// # Errors
/// Lines of neither form, labels that are no numbers, or no lines at all.
pub fn parse_list(bytes: &[u8]) -> Result<Vec<ListRow<'_>>, FormatError> {
    rows(bytes, |line, number| {
        let remedy = "a line is key, label and path, or aligned, path and label, with tabs between";
        let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
        let label = |text: &str| text.parse::<f32>().ok().filter(|l| l.is_finite());
        let row = match fields[..] {
            [key, first, .., path] if label(first).is_some() => {
                key.parse().ok().zip(label(first)).map(|(key, label)| ListRow { key, label, path })
            }
            [_, path, third, ..] => {
                label(third).map(|label| ListRow { key: number as u64, label, path })
            }
            _ => None,
        };
        row.ok_or((remedy, line))
    })
}

/// The one line of `property`.
///
/// # Errors
/// Anything but three whole numbers with commas between, height and width at least 1.
pub fn parse_property(bytes: &[u8]) -> Result<Property, FormatError> {
    let found = rows(bytes, |line, _| {
        let numbers: Option<Vec<usize>> = line.split(',').map(|f| f.trim().parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[identities, height, width]) if height > 0 && width > 0 => {
                Ok(Property { identities: identities as u64, height, width })
            }
            _ => Err(("the line is identities,height,width", line)),
        }
    })?;
    Ok(found[0])
}

/// Reads every line that is not blank; a failed one gives the remedy and what it is about.
fn rows<'a, T>(
    bytes: &'a [u8],
    read: impl Fn(&'a str, usize) -> Result<T, (&'static str, &'a str)>,
) -> Result<Vec<T>, FormatError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|e| FormatError::new(format!("byte {}", e.valid_up_to()), "not text", AGAIN))?;
    let mut budget = Budget::new(&limits::TABLE, bytes.len() as u64);
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, l)| !l.trim().is_empty()) {
        budget.build(1, ROW).map_err(|e| FormatError::exceeded(format!("line {number}"), &e))?;
        let row = read(line, number).map_err(|(remedy, what)| {
            FormatError::new(format!("line {number}"), format!("`{}`", one_line(what)), remedy)
        })?;
        found.push(row);
    }
    if found.is_empty() {
        return Err(FormatError::new("line 1", "no lines", AGAIN));
    }
    Ok(found)
}
