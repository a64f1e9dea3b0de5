//! `cargo xtask`: the checks and chores of this workspace.
//!
//! It needs neither libtorch nor any dependency, so it builds in a second on a fresh machine.

mod allowed;
mod chores;
mod docs;
mod error;
mod rules;
mod sbom;
mod steps;
mod tree;

use std::process::ExitCode;

use error::Error;

const USAGE: &str = "\
cargo xtask COMMAND

  check            formatting, lints and the rules of the text; every finding in one line
  check --fast     the same without clippy, in seconds: what a pre-commit hook calls
  check --shrink   writes xtask/allowed.txt anew where less is found than it allows
  bless            runs the tests that have snapshots and accepts what they give
  gallery          draws docs/figures and the declarations of docs/figures.md anew
  docs             links of the documents, then the tests that hold the documents to the code
  sbom             prints what the binary is built of: CycloneDX 1.5, JSON

Exit codes: 0 done; 1 findings, or a command that failed; 2 bad arguments.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::from(error.code())
        }
    }
}

/// Runs the command that the arguments name.
fn run(arguments: &[&str]) -> Result<(), Error> {
    match arguments {
        ["check"] => steps::check(),
        ["check", "--fast"] => steps::fast(),
        ["check", "--shrink"] => steps::shrink(),
        ["bless"] => chores::bless(),
        ["gallery"] => chores::gallery(),
        ["docs"] => docs::check(),
        ["sbom"] => sbom::print(),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => Err(Error::Usage(arguments.join(" "))),
    }
}
