//! The command line of `bench`: one verb a file, and what only verbs need.

use std::process::ExitCode;

use clap::Parser;
use harness::Registries;

use crate::cli::Cli;

/// A line on standard error, whose names and texts may be foreign.
macro_rules! tell {
    ($($words:tt)*) => { eprintln!("{}", suites::foreign::printable(&format!($($words)*))) };
}

/// Lines on standard output, whose names and texts may be foreign.
macro_rules! show {
    ($($words:tt)*) => { println!("{}", suites::foreign::printable_lines(&format!($($words)*))) };
}

/// As `show`, of text that ends its own lines.
macro_rules! show_all {
    ($($words:tt)*) => { print!("{}", suites::foreign::printable_lines(&format!($($words)*))) };
}

pub mod capture;
pub mod cli;
mod clock;
pub mod device;
mod elsewhere;
pub mod infer;
pub mod invert;
pub mod machine;
mod named;
mod progress;
pub mod score_files;
pub mod settings;
mod signals;
pub mod verbs;

/// Does what the process's arguments ask for and says how it ended; `bench --help` lists the codes.
/// `registries` holds everything that has a name: what ships with the project, and what a program
/// of somebody else's adds.
pub fn run(registries: Registries) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(cli::refuse(&error)),
    };
    federation::panics::quiet_panics();
    signals::refuse_instead_of_dying();
    match verbs::dispatch(&cli, registries) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {}", verbs::one_line(&error));
            ExitCode::from(verbs::exit_code(&error))
        }
    }
}
