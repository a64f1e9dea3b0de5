//! The `bench` binary.

use std::process::ExitCode;

use clap::Parser;
use harness::cli::{self, Cli};
use harness::verbs;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(cli::refuse(&error)),
    };
    harness::cell::quiet_panics();
    match verbs::dispatch(&cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {}", verbs::one_line(&error));
            ExitCode::from(verbs::exit_code(&error))
        }
    }
}
