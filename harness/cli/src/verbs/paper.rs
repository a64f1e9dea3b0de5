//! `bench paper`: the figures and tables that a suite declares, at the width of a venue's column.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;
use reports::StyleName;
use serde_json::json;

use crate::settings::Settings;

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// Run folder
    run: PathBuf,
    /// neurips, ieee, acm or thesis
    #[arg(long, default_value = "neurips")]
    style: StyleName,
    /// Where the files go [default: RUN/paper-<style>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// File with [[figure]] and [[table]] to use instead of the suite's
    #[arg(long, value_name = "FILE")]
    figures: Option<PathBuf>,
}

/// Writes figures, tables, their data, the manifest and the reproducibility paragraph.
///
/// # Errors
/// A folder that holds no run, or one that cannot be written. What is wrong with a single figure is
/// told, the others are written, and the exit code is 2.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    let out = args.out.clone().unwrap_or_else(|| args.run.join(format!("paper-{}", args.style)));
    super::say_old(&args.run);
    let paper = reports::write_paper(&args.run, &out, args.style, args.figures.as_deref())?;
    for line in paper.errors.iter().chain(&paper.remarks) {
        tell!("bench: {line}");
    }
    if settings.json {
        println!(
            "{}",
            json!({
                "paper": out, "figures": paper.figures, "tables": paper.tables,
                "errors": paper.errors,
            })
        )
    } else {
        show!("{} figures, {} tables: {}", paper.figures, paper.tables, out.display())
    }
    Ok(ExitCode::from(if paper.errors.is_empty() { 0 } else { 2 }))
}
