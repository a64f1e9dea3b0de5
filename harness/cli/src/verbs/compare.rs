//! `bench compare`: what changed between two runs, or between a baseline and a run, and whether the
//! gate lets it pass.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;
use compare::{Pairing, Side};

use crate::settings::Settings;

/// Arguments.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "Exit codes: 0 nothing regressed; 1 a regression beyond the gate; 2 the two \
        cannot be compared; 3 cells newly failed."
)]
pub struct Args {
    /// Run folder, or baseline file, that is taken as right
    base: PathBuf,
    /// Run folder, or baseline file, that is judged
    new: PathBuf,
    /// The runs differ in their seeds: match cells without them
    #[arg(long)]
    across_seeds: bool,
    /// Suite file whose [gate] holds [default: that of the suite that NEW ran]
    #[arg(long, value_name = "SUITE")]
    gate: Option<String>,
    /// Also write the comparison as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Also write the comparison as JSON
    #[arg(long, value_name = "FILE")]
    json_out: Option<PathBuf>,
}

/// Compares, prints, and answers with the gate's exit code.
///
/// # Errors
/// None: what cannot be read or written is told here and answered with 2, since 3 means failed
/// cells.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    Ok(compared(args, settings).unwrap_or_else(|error| {
        tell!("bench: {}", super::one_line(&error));
        ExitCode::from(2)
    }))
}

fn compared(args: &Args, settings: &Settings) -> Result<ExitCode> {
    for out in args.markdown.iter().chain(&args.json_out) {
        reports::refuse_own_files(&args.base, out)?;
        reports::refuse_own_files(&args.new, out)?;
    }
    let (base, new) = (Side::open(&args.base)?, Side::open(&args.new)?);
    let gate = match &args.gate {
        Some(suite) => {
            suites::Suite::load_from(&settings.registries.suites, suite, None, &[])?.gate
        }
        None => new.gate()?,
    };
    let pairing = if args.across_seeds { Pairing::AcrossSeeds } else { Pairing::SameSeed };
    let comparison = compare::compare(&base, &new, &gate, pairing)?;
    let json = || serde_json::to_string_pretty(&comparison.json()).map(|text| text + "\n");
    if let Some(path) = &args.markdown {
        record::write_whole(path, comparison.markdown().as_bytes())?;
    }
    if let Some(path) = &args.json_out {
        record::write_whole(path, json()?.as_bytes())?;
    }
    if settings.json {
        print!("{}", json()?)
    } else {
        show_all!("{}", comparison.terminal())
    }
    Ok(ExitCode::from(comparison.verdict().exit_code()))
}
