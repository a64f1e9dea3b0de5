//! `bench report`: writes the report of a finished or unfinished run.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;
use serde_json::json;

use crate::settings::Settings;

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// The run folder
    run: PathBuf,
}

/// Writes `report/` and says where.
///
/// # Errors
/// A folder that is no run, or cannot be written.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    let path = reports::write_report(&args.run)?;
    match settings.json {
        true => println!("{}", json!({ "report": path })),
        false => println!("report: {}", path.display()),
    }
    Ok(ExitCode::SUCCESS)
}
