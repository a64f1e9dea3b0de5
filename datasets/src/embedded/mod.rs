//! Data that comes with the program: photographs, two small tables and a generator of faces.
//!
//! Sources and licences of the files are listed in `assets/*/SOURCES.md`.

mod digits;
mod photos;
pub mod synthfaces;

use crate::DatasetEntry;
use crate::tables::wdbc;

/// The embedded data sets' registry lines.
pub static ENTRIES: &[&DatasetEntry] =
    &[&photos::ENTRY, &digits::ENTRY, &wdbc::EMBEDDED, &synthfaces::ENTRY];

#[cfg(test)]
mod tests;
