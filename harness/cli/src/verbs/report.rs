//! `bench report`: writes the report of a finished or unfinished run or training, or compares
//! trainings.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;
use serde_json::json;

use crate::settings::Settings;

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// The folder of a run or a training; of several trainings, to compare them
    #[arg(required = true)]
    runs: Vec<PathBuf>,
    /// Where a comparison is written [default: comparison]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Writes `report/` and says where.
///
/// # Errors
/// A folder that is no run, or cannot be written.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    let path = match &args.runs[..] {
        [one] if federation::is_training(one) => federation::write_report(one)?,
        [one] => {
            super::say_old(one);
            reports::write_report(one)?
        }
        several => compared(several, args.out.as_deref().unwrap_or(Path::new("comparison")))?,
    };
    if settings.json {
        println!("{}", json!({ "report": path }))
    } else {
        show!("report: {}", super::page(&path).display())
    }
    Ok(ExitCode::SUCCESS)
}

fn compared(trainings: &[PathBuf], out: &Path) -> Result<PathBuf> {
    let label = |dir: &PathBuf| {
        dir.file_name().map_or_else(|| dir.display().to_string(), |n| n.to_string_lossy().into())
    };
    let named: Vec<(String, PathBuf)> =
        trainings.iter().map(|dir| (label(dir), dir.clone())).collect();
    Ok(reports::compare_trainings(&named, out)?)
}
