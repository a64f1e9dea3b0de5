//! `bench`, with one more attack, one more model and the suite that uses both.

use std::process::ExitCode;

use harness::Registries;
use suites::{SpecError, SuiteEntry};

mod attack;
mod model;

static SUITE: SuiteEntry = SuiteEntry { name: "own", text: include_str!("../own.toml") };

fn main() -> ExitCode {
    match registries() {
        Ok(registries) => cli::run(registries),
        Err(error) => {
            eprintln!("own-bench: {error}");
            ExitCode::from(2)
        }
    }
}

/// What ships with `bench`, and what is added here.
fn registries() -> Result<Registries, SpecError> {
    Registries::builtin().with_attack(&attack::ENTRY)?.with_model(&model::ENTRY)?.with_suite(&SUITE)
}
