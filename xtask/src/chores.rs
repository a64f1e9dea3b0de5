//! Chores that write into the tree: look at the difference before you commit it.

use std::collections::BTreeSet;
use std::path::Path;

use crate::error::Error;
use crate::tree::{self, File};

/// The arguments of every test run.
pub const TEST: [&str; 3] = ["test", "--release", "--locked"];

/// Runs the tests of every crate that has snapshots and writes what they give over what is
/// committed.
///
/// # Errors
/// A test that fails for another reason than its snapshot.
pub fn bless() -> Result<(), Error> {
    let files = tree::files()?;
    let packages: BTreeSet<String> = files.iter().filter_map(snapshot_of).collect();
    let chosen = packages.iter().flat_map(|name| ["--package", name]);
    let arguments: Vec<&str> = TEST.into_iter().chain(chosen).collect();
    tree::cargo(&arguments, &[("INSTA_UPDATE", "always")])
}

/// The package that a snapshot belongs to: each is named like its folder.
fn snapshot_of(file: &File) -> Option<String> {
    let mut folders = Path::new(&file.path).ancestors().skip(1);
    let package = folders.find(|folder| tree::exists(&folder.join("Cargo.toml")))?;
    let name = package.file_name()?.to_str()?;
    (file.extension() == "snap").then(|| name.to_owned())
}

/// Draws the pictures of `docs/figures` anew, and writes their declarations into `docs/figures.md`.
///
/// # Errors
/// A figure that cannot be drawn.
pub fn gallery() -> Result<(), Error> {
    let test = ["--package", "reports", "--test", "gallery"];
    tree::cargo(&[&TEST[..], &test].concat(), &[("BENCH_DRAW_GALLERY", "1")])
}
