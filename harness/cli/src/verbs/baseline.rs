//! `bench baseline`: a run's results in one small file, to compare later runs with.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;
use serde_json::json;

use crate::settings::Settings;

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// Run folder
    run: PathBuf,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Writes the baseline.
///
/// # Errors
/// A folder that holds no finished run, or a file that cannot be written.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    reports::refuse_own_files(&args.run, &args.output)?;
    let written = compare::write_baseline(&args.run, &args.output)?;
    if written.failed > 0 {
        tell!(
            "bench: {} of its cells failed; a comparison will not take their failure for news",
            written.failed
        );
    }
    if settings.json {
        println!(
            "{}",
            json!({
                "baseline": args.output, "cells": written.cells, "bytes": written.bytes,
                "failed": written.failed,
            })
        )
    } else {
        show!(
            "baseline: {} ({} cells, {} bytes)",
            args.output.display(),
            written.cells,
            written.bytes
        )
    }
    Ok(ExitCode::SUCCESS)
}
