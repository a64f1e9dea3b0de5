//! `bench invert`: pictures of a trained model's classes from its weights alone, and what they are
//! worth.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use attacks::{Progress, Run};
use clap::Args as ClapArgs;
use federation::model_file::ModelFile;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use suites::rng::AttackSeed;

use crate::device;
use crate::invert::{self, ATTACK, Question};
use crate::named::parameters;
use crate::settings::Settings;

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// A model that `bench train` wrote
    checkpoint: PathBuf,
    /// Class numbers to invert [default: all, up to 100]
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true)]
    classes: Option<Vec<i64>>,
    /// Set a parameter of the attack: --set restarts=8 (see docs/attacks.md)
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// A model of the same task trained apart (another seed, other data), which says what it sees
    /// in the pictures
    #[arg(long, value_name = "CHECKPOINT")]
    evaluator: Option<PathBuf>,
    /// Seed of the attack's starting points and of the noise beside it
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// libtorch threads; another number gives results that differ in rounding
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Folder for the table (JSON, CSV, Markdown) and the pictures
    #[arg(long, value_name = "DIR", default_value = "inversion-out")]
    out: PathBuf,
}

/// Inverts, scores and writes.
///
/// # Errors
/// Files that are no models, an evaluator that is the attacked model or of its training, classes
/// that do not exist, absent data.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    let device = device::resolve(&settings.device)?;
    tch::set_num_threads(args.threads.into());
    let attack = (settings.registries.attacks.find(ATTACK)?.build)(&parameters(&args.set)?)?;
    let model = super::model(settings, &args.checkpoint)?;
    let evaluator = match &args.evaluator {
        Some(path) => Some(another(path, &args.checkpoint, settings)?),
        None => None,
    };
    let question = Question::new(model, evaluator, args.classes.as_deref(), settings)?;
    writable(&args.out)?;
    let bar = bar(settings);
    let report = |p: Progress| show(bar.as_ref(), p);
    let cancel = AtomicBool::new(false);
    let run = Run {
        seed: AttackSeed::new(args.seed),
        key: "bench invert",
        device,
        cancel: &cancel,
        progress: &report,
    };
    let answer = question.answer(attack.as_ref(), &run)?;
    bar.iter().for_each(ProgressBar::finish_and_clear);
    let files = invert::keep(&args.out, &question, &answer, attack.as_ref(), args.seed)?;
    let means = answer.table.means();
    if settings.json {
        println!(
            "{}",
            json!({ "files": files, "means": means, "flags": answer.found.flags.first() })
        );
        return Ok(ExitCode::SUCCESS);
    }
    show_all!("{}", invert::means(&means));
    answer.found.flags.iter().flatten().for_each(|f| show!("doubt: {f}"));
    if question.evaluator.is_none() {
        show!(
            "note: the model's own confidence proves little; --evaluator asks a model that was \
             trained apart"
        );
    }
    files.iter().for_each(|f| show!("wrote {}", f.display()));
    Ok(ExitCode::SUCCESS)
}

/// The evaluator, which must not be the attacked file.
fn another(path: &Path, attacked: &Path, settings: &Settings) -> Result<ModelFile> {
    let place = |p: &Path| std::fs::canonicalize(p).unwrap_or_else(|_| p.into());
    if place(path) == place(attacked) {
        bail!(
            "--evaluator {}: is the attacked model itself, which would only confirm itself; give \
             one of the same task, trained with another seed or on other data",
            path.display()
        );
    }
    super::model(settings, path)
}

/// Finds out before the attack whether its result can be kept.
fn writable(out: &Path) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    tempfile::tempfile_in(out).map(drop).with_context(|| {
        format!("cannot write to {}; choose another folder with --out", out.display())
    })
}

fn bar(settings: &Settings) -> Option<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} {eta} left").ok()?;
    (!settings.json).then(|| ProgressBar::new(1).with_style(style))
}

fn show(bar: Option<&ProgressBar>, p: Progress) {
    if let Some(bar) = bar {
        bar.set_length(p.total as u64);
        bar.set_position(p.iteration as u64);
        bar.set_message(p.objective.map_or_else(String::new, |o| format!("objective {o:.3e}")));
    }
}
