//! A paper's figures and tables from synthetic records: the numbers, the files, and what a bad
//! suite or run is told.

mod common;

#[path = "paper/cells.rs"]
mod cells;
#[path = "paper/kinds.rs"]
mod kinds;
#[path = "paper/means.rs"]
mod means;
#[path = "paper/worth.rs"]
mod worth;
