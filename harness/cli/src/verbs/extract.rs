//! `bench data extract`: a RecordIO file taken apart into a folder per label and a file per image.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args as ClapArgs, ValueEnum};
use datasets::recordio::{self, Event, Report, Sources};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::settings::Settings;

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// The records
    #[arg(long, value_name = "FILE")]
    rec: PathBuf,
    /// Keys and offsets; without it the records are read from the first to the last
    #[arg(long, value_name = "FILE")]
    idx: Option<PathBuf>,
    /// Keys, labels and paths; its labels win over those in the records
    #[arg(long, value_name = "FILE")]
    lst: Option<PathBuf>,
    /// Folder to write LABEL/KEY.jpg into; what an earlier extraction wrote there is kept
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What to do about a record that cannot be used
    #[arg(long, value_enum, default_value = "stop")]
    on_error: OnError,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OnError {
    /// Name it and go on
    Skip,
    /// Name it and end there
    Stop,
}

/// Extracts and says what came of it.
///
/// # Errors
/// Files that are absent or of another format, a folder that holds something else, a record that
/// cannot be used (with `stop`).
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    let beside = Sources::beside(&args.rec);
    let sources = Sources { idx: args.idx.clone(), lst: args.lst.clone(), ..beside };
    let on_error = match args.on_error {
        OnError::Skip => recordio::OnError::Skip,
        OnError::Stop => recordio::OnError::Stop,
    };
    let bar = bar(settings);
    let tell = |event: Event| match event {
        Event::Begin(images) => bar.set_length(images),
        Event::Image => bar.inc(1),
        Event::Skipped(fault) => bar.suspend(|| tell!("skipped {fault}")),
    };
    let report = recordio::extract(&sources, &args.out, on_error, &tell);
    bar.finish_and_clear();
    let report = report?;
    if settings.json {
        println!("{}", as_json(&args.out, &report))
    } else {
        show_all!("{}", as_text(&args.out, &report))
    }
    Ok(ExitCode::SUCCESS)
}

fn bar(settings: &Settings) -> ProgressBar {
    let shown = std::io::stderr().is_terminal() && !settings.json;
    let target =
        if shown { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
    let style = "images  {bar:24.cyan/blue} {pos}/{len}  {per_sec}, {eta} left";
    let style =
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(None, target).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Images a second, those included that were there already.
fn rate(report: &Report) -> f64 {
    report.records as f64 / report.seconds.max(1e-9)
}

fn as_text(out: &Path, report: &Report) -> String {
    let notes: String = report.notes.iter().map(|n| format!("note: {n}\n")).collect();
    let kept =
        if report.kept > 0 { format!(", {} of them kept", report.kept) } else { String::new() };
    format!(
        "{notes}{}: {} images of {} labels{kept}; {} records skipped; {:.1} MB written in {:.1} s \
         ({:.0} records/s)\n",
        out.display(),
        report.records,
        report.identities,
        report.skipped.len(),
        report.bytes as f64 / 1e6,
        report.seconds,
        rate(report)
    )
}

fn as_json(out: &Path, report: &Report) -> serde_json::Value {
    let skipped: Vec<_> = report
        .skipped
        .iter()
        .map(|f| json!({ "key": f.key, "offset": f.offset, "why": f.why }))
        .collect();
    json!({
        "out": out, "records": report.records, "kept": report.kept, "labels": report.identities,
        "bytes": report.bytes, "skipped": skipped, "notes": report.notes, "seconds": report.seconds,
        "records_per_second": rate(report),
    })
}
