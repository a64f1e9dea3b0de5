//! Writes a synthetic run and its report to a folder, to look at every table and figure.
//!
//! `cargo run --release -p reports --example gallery -- FOLDER`

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::PathBuf;

fn main() {
    let Some(dir) = std::env::args().nth(1).map(PathBuf::from) else {
        eprintln!("give a new folder for the run");
        std::process::exit(2);
    };
    common::gallery::write(&dir);
    match reports::write_report(&dir) {
        Ok(report) => println!("{}", report.display()),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}
