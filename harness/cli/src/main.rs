//! The `bench` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(harness::Registries::builtin())
}
