//! Data that comes with the program: photographs, two small tables and a generator of faces.
//!
//! Sources and licences of the files are listed in `assets/*/SOURCES.md`.

mod digits;
mod memory;
mod photos;
mod stratified;
pub mod synthfaces;
mod table;
mod wdbc;

use crate::DatasetEntry;

/// The embedded data sets' registry lines.
pub static ENTRIES: &[&DatasetEntry] =
    &[&photos::ENTRY, &digits::ENTRY, &wdbc::ENTRY, &synthfaces::ENTRY];

#[cfg(test)]
mod tests;
