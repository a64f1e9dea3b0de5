//! The command line: one variant a verb, one file a verb.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};

use crate::elsewhere::counterpart;
use crate::settings::Flags;
use crate::verbs;

/// What an attacker can really recover from what federated-learning clients send, and what each
/// defense costs.
#[derive(Debug, Parser)]
#[command(name = "bench", version, about, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// Flags of every verb.
    #[command(flatten)]
    pub flags: Flags,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 ran, but cells failed; 2 bad input; 3 files or \
    machine refused; 101 a fault in bench itself; 130 stopped with Ctrl-C; 141 standard output \
    closed.";

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a suite by name or path, or go on with one
    Suite(verbs::suite::Args),
    /// Build every cell of a suite without running it
    Check(verbs::check::Args),
    /// Run one cell described by flags
    Run(verbs::run::Args),
    /// Train a task, federated, centralised or on a single client, with any defense in the loop
    Train(verbs::train::Args),
    /// Attack an update captured by another federated-learning stack
    Attack(verbs::attack::Args),
    /// Score a picture against a gallery, or a row of a table, under encryption
    Infer(verbs::infer::Args),
    /// Use a trained model on a table or on pictures, and judge it where labels are known
    Predict(verbs::predict::Args),
    /// Invert a trained model: pictures of its classes from its weights alone
    Invert(verbs::invert::Args),
    /// What a trained model makes of pictures: their embeddings
    Embed(verbs::embed::Args),
    /// Whether pictures show the same person, and how well a model tells
    Verify(verbs::verify::Args),
    /// Score pictures against their originals with every metric
    Score(verbs::score::Args),
    /// List attacks, defenses, data sets, models, metrics and suites
    List(verbs::list::Args),
    /// Show a network, built in or from a file, layer by layer
    Model(verbs::model::Args),
    /// List, verify and fetch data sets
    Data(verbs::data::Args),
    /// Make keys for encryption and signatures, and say what key files are
    Keys(verbs::keys::Args),
    /// The epsilon of noise, and the noise for an epsilon
    Dp(verbs::dp::Args),
    /// Say what was found on this machine and how to mend what is missing
    Doctor(verbs::doctor::Args),
    /// Put the run folders of several shards together
    Merge(verbs::merge::Args),
    /// Write the report of a run folder
    Report(verbs::report::Args),
    /// Keep what a run found in one small file, to compare later runs with
    Baseline(verbs::baseline::Args),
    /// Compare two runs, or a run with a baseline, and fail where something regressed
    Compare(verbs::compare::Args),
    /// Draw headline numbers over all runs below a folder and mark what regressed
    History(verbs::history::Args),
    /// Draw the figures and tables that a suite declares at the width of a venue's column
    Paper(verbs::paper::Args),
    /// Write a run as one tidy table: CSV, JSON lines or Parquet
    Export(verbs::export::Args),
}

/// Answers a command line that is not to be run: help and version as they are, mistakes on one
/// line. Returns the exit code.
pub fn refuse(error: &clap::Error) -> u8 {
    let help =
        !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if help {
        let _ = error.print();
    } else {
        let line = one_line(&error.render().to_string());
        match elsewhere(error) {
            // Another system's word: its counterpart, not the word that looks most like it.
            Some(here) => {
                let what = line.split("; ").next().unwrap_or(&line);
                eprintln!("bench: {what}; here: {here}");
            }
            None => eprintln!("bench: {line}"),
        }
    }
    if error.use_stderr() { 2 } else { 0 }
}

/// The counterpart of an unknown flag or verb that another system has.
fn elsewhere(error: &clap::Error) -> Option<&'static str> {
    let kind = match error.kind() {
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        _ => return None,
    };
    match error.get(kind)? {
        ContextValue::String(word) => counterpart(word),
        _ => None,
    }
}

/// clap's several lines as one: what is wrong and its tips, without the usage.
fn one_line(text: &str) -> String {
    let lines = text
        .lines()
        .map(str::trim)
        .take_while(|l| !l.starts_with("Usage:") && !l.starts_with("For more information"));
    let parts: Vec<&str> =
        lines.filter(|l| !l.is_empty()).map(|l| l.trim_start_matches("error: ")).collect();
    format!("{}; see --help", parts.join("; ").replace(":; ", ": "))
}
