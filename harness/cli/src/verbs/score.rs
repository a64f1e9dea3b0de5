//! `bench score`: all metrics for pictures that anybody made.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;

use crate::device;
use crate::score_files::{ScoreOptions, score_files};
use crate::settings::Settings;

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// The original: a picture, or a folder of them
    truth: PathBuf,
    /// The reconstruction: a picture, or a folder of them
    guess: PathBuf,
    /// Folders: pair by least error instead of by file name
    #[arg(long)]
    pair: bool,
}

/// Prints a table, or JSON.
///
/// # Errors
/// Files that cannot be read, sizes that differ, names without a partner.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    let device = device::resolve(&settings.device)?;
    let options = ScoreOptions {
        metrics: &settings.registries.metrics,
        data_root: settings.data.as_deref(),
        device,
        pair: args.pair,
    };
    let table = score_files(&args.truth, &args.guess, &options)?;
    if settings.json {
        println!("{}", serde_json::to_string(&table)?)
    } else {
        show_all!("{table}")
    }
    Ok(ExitCode::SUCCESS)
}
