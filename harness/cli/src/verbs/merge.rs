//! `bench merge`: puts the run folders of several shards together.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;
use serde_json::json;

use crate::settings::Settings;

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// Run folders of one suite
    #[arg(required = true, num_args = 1..)]
    runs: Vec<PathBuf>,
    /// New run folder for all their cells
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Merges by cell id and writes the report.
///
/// # Errors
/// Folders of different suites, or an `--out` that is not empty.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    let cells = record::merge(&args.runs, &args.out)?;
    let info = record::RunInfo::read(&args.out)?;
    info.mixed().iter().for_each(|note| tell!("note: {note}"));
    let report = reports::write_report(&args.out)?;
    if settings.json {
        println!("{}", json!({ "cells": cells, "report": report }))
    } else {
        show!("{cells} cells merged\nreport: {}", super::page(&report).display())
    }
    Ok(ExitCode::SUCCESS)
}
