//! The verbs of the command line, one file each.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use federation::model_file::{self, ModelFile};
use harness::Registries;
use suites::foreign::printable;

use crate::cli::{Cli, Verb};
use crate::settings::Settings;

pub mod attack;
pub mod baseline;
pub mod check;
pub mod compare;
pub mod data;
pub mod doctor;
pub mod dp;
pub mod embed;
pub mod export;
pub mod extract;
pub mod history;
pub mod infer;
pub mod invert;
pub mod keys;
pub mod list;
pub mod merge;
pub mod model;
pub mod paper;
pub mod predict;
pub mod report;
pub mod run;
pub mod score;
pub mod suite;
pub mod train;
pub mod verify;

/// Opens a trained model; what has to be said of it goes to stderr.
fn model(settings: &Settings, path: &Path) -> Result<ModelFile> {
    let model = model_file::open(&settings.registries.federation, path)?;
    model.caution.iter().for_each(|caution| tell!("note: {}: {caution}", path.display()));
    Ok(model)
}

/// The page beside a report's Markdown, which is what a person opens; the Markdown where there is
/// none.
fn page(report: &Path) -> std::path::PathBuf {
    let page = report.with_extension("html");
    if page.is_file() { page } else { report.to_path_buf() }
}

/// Tells the user where the run in a folder is of an older schema.
fn say_old(dir: &Path) {
    let old = record::RunInfo::read(dir).ok().and_then(|info| info.old());
    old.into_iter().for_each(|old| tell!("note: {}: {old}", dir.display()));
}

/// Runs the verb.
///
/// # Errors
/// One line for the user; [`exit_code`] says which code it stands for.
pub fn dispatch(cli: &Cli, registries: Registries) -> Result<ExitCode> {
    let settings = Settings::gather(&cli.flags, registries)?;
    // What is small only waits for its threads; a verb that computes sets its own number.
    if !matches!(cli.verb, Verb::Score(_)) {
        tch::set_num_threads(1);
    }
    match &cli.verb {
        Verb::Suite(args) => suite::run(args, &settings),
        Verb::Check(args) => check::run(args, &settings),
        Verb::Run(args) => run::run(args, &settings),
        Verb::Attack(args) => attack::run(args, &settings),
        Verb::Invert(args) => invert::run(args, &settings),
        Verb::List(args) => list::run(args, &settings),
        Verb::Keys(args) => keys::run(args, &settings),
        Verb::Data(args) => data::run(args, &settings),
        Verb::Dp(args) => dp::run(args, &settings),
        Verb::Model(args) => model::run(args, &settings),
        Verb::Doctor(args) => doctor::run(args, &settings),
        Verb::Infer(args) => infer::run(args, &settings),
        Verb::Predict(args) => predict::run(args, &settings),
        Verb::Embed(args) => embed::run(args, &settings),
        Verb::Verify(args) => verify::run(args, &settings),
        Verb::Score(args) => score::run(args, &settings),
        Verb::Train(args) => train::run(args, &settings),
        Verb::Merge(args) => merge::run(args, &settings),
        Verb::Report(args) => report::run(args, &settings),
        Verb::Baseline(args) => baseline::run(args, &settings),
        Verb::Compare(args) => compare::run(args, &settings),
        Verb::History(args) => history::run(args, &settings),
        Verb::Export(args) => export::run(args, &settings),
        Verb::Paper(args) => paper::run(args, &settings),
    }
}

/// An error and its causes on one line.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if !parts.iter().any(|p| p.contains(&text)) {
            parts.push(text);
        }
    }
    printable(&parts.join(": ")).into_owned()
}

/// 3 where files or the machine refused, 2 for everything the user can mend on the command line or
/// in a suite, such as the name of a file that is not there, or of one that is something else.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    use std::io::ErrorKind::{InvalidData, NotFound};
    let system = error.chain().any(|c| {
        c.downcast_ref::<std::io::Error>()
            .is_some_and(|e| !matches!(e.kind(), NotFound | InvalidData))
            || c.downcast_ref().is_some_and(record::RecordError::is_io)
            || c.downcast_ref().is_some_and(::compare::CompareError::is_io)
            || c.downcast_ref().is_some_and(reports::ReportError::is_io)
    });
    if system { 3 } else { 2 }
}
