//! Data that comes with the program: photographs and two small tables.
//!
//! Sources and licences of the files are listed in `assets/*/SOURCES.md`.

mod digits;
mod memory;
mod photos;
mod stratified;
mod table;
mod wdbc;

use crate::DatasetEntry;

/// The embedded data sets' registry lines.
pub static ENTRIES: &[&DatasetEntry] =
    &[&photos::ENTRY, &digits::ENTRY, &wdbc::ENTRY];

#[cfg(test)]
mod tests;
