//! `bench export`: a run as one tidy table, for pandas and R.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;
use reports::ExportFormat;
use serde_json::json;

use crate::settings::Settings;

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// Run folder
    run: PathBuf,
    /// csv, jsonl or parquet
    #[arg(long)]
    format: ExportFormat,
    /// File to write [default: RUN/report/export.<format>]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes one row per image and metric.
///
/// # Errors
/// A folder that holds no run, or a file that cannot be written.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    let place = args.output.clone();
    let place = place.unwrap_or_else(|| args.run.join(format!("report/export.{}", args.format)));
    super::say_old(&args.run);
    let rows = reports::export(&args.run, args.format, &place)?;
    if settings.json {
        println!("{}", json!({ "export": place, "rows": rows }))
    } else {
        show!("{rows} rows: {}", place.display())
    }
    Ok(ExitCode::SUCCESS)
}
