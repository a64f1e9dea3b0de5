//! `bench history`: headline numbers over all runs below a folder.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;
use serde_json::json;

use crate::settings::Settings;

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// Folder that holds run folders, at any depth
    dir: PathBuf,
    /// Where figures, history.csv and history.md go [default: DIR/history]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Suite file whose [gate] says what a regression is [default: that of each run's suite]
    #[arg(long, value_name = "SUITE")]
    gate: Option<String>,
}

/// Draws the history.
///
/// # Errors
/// A folder without runs, or one that cannot be written.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    let out = args.out.clone().unwrap_or_else(|| args.dir.join("history"));
    let load = |suite| suites::Suite::load_from(&settings.registries.suites, suite, None, &[]);
    let gate = args.gate.as_deref().map(load).transpose()?;
    let history = reports::write_history(&args.dir, &out, gate.as_ref().map(|s| &s.gate))?;
    for skipped in &history.skipped {
        tell!("bench: left out: {skipped}");
    }
    if settings.json {
        println!(
            "{}",
            json!({ "history": out, "runs": history.runs, "regressed": history.regressed })
        )
    } else {
        show!("{} runs, {} regressed", history.runs, history.regressed);
        show!("history: {}", history.page.display());
    }
    Ok(ExitCode::SUCCESS)
}
