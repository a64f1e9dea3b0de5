//! `bench train`: trains a task, or goes on with a training.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;
use federation::randomness::Draws;
use federation::{Execution, FederationError, Folder, Header};
use indicatif::{ProgressBar, ProgressStyle};
use record::RoundRecord;
use serde_json::{Value, json};
use suites::train;

use super::suite::{on_interrupt, quote};
use crate::settings::Settings;
use crate::{clock, device, machine, named};

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// Name of a task (see `bench list tasks`) or path of a TOML file
    task: String,
    /// A profile of the task, such as smoke
    #[arg(long)]
    profile: Option<String>,
    /// Who trains: federated, centralised or single-client [default: the task's own]
    #[arg(long)]
    regime: Option<String>,
    /// Rounds [default: the task's own]
    #[arg(long)]
    rounds: Option<usize>,
    /// A defense or protocol instead of the task's own, repeatable, in order: NAME or
    /// NAME:key=value; `none` for none
    #[arg(long, value_name = "DEFENSE")]
    defense: Vec<String>,
    /// Set any value of the task: --set federation.clients.total=20
    #[arg(long = "set", value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Seed of the first weights and of who holds what; where no guarantee is claimed, of all draws
    #[arg(long)]
    seed: Option<u64>,
    /// Draw a private mechanism's noise and sampling from the seed: the same bits again, and no
    /// guarantee outside this run
    #[arg(long)]
    reproducible: bool,
    /// Folder of the training; one that exists is gone on with [default: runs/<task>-<date>-<time>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Rounds whose model is kept in checkpoints/, such as 0,1,5,20
    #[arg(long, value_delimiter = ',', value_name = "ROUNDS")]
    keep: Vec<usize>,
    /// Lots of clients that work at the same time [default: one a core on the CPU, one on a GPU]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// libtorch threads of each; another number gives results that differ in rounding
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
}

/// Trains and writes the report.
///
/// # Errors
/// Bad input, a folder that cannot be used, or training that diverges.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    let train::Task { spec, notes } =
        train::load(&args.task, args.profile.as_deref(), &overrides(args)?)?;
    notes.iter().for_each(|note| tell!("{}: {note}", args.task));
    let device = device::resolve(&settings.device)?;
    if let Some(round) = args.keep.iter().find(|r| **r > spec.federation.rounds) {
        anyhow::bail!(
            "--keep {round}: the training has {} rounds; name rounds from 0 to that",
            spec.federation.rounds
        );
    }
    let (cancel, parts) = (on_interrupt()?, &settings.registries.federation);
    let mut federation = match federation::prepare(parts, &spec, settings.data.as_deref(), &cancel)
    {
        Err(FederationError::Cancelled) => return Ok(ExitCode::from(130)),
        prepared => prepared?,
    };
    let dir = args.out.clone().unwrap_or_else(|| default_dir(&spec.name));
    let header = Header {
        schema: record::SCHEMA.into(),
        bench_version: env!("CARGO_PKG_VERSION").into(),
        digest: federation.spec.digest(),
        spec: federation.spec.clone(),
        libtorch: machine::libtorch(),
        device: machine::device(device),
        machine: machine::describe(),
        processor: machine::processor(),
        elsewhere: Vec::new(),
        draws: Draws::of(federation.claims(), args.reproducible),
        threads: args.threads.into(),
        resume: resume(args, &dir),
    };
    let folder = Folder::open(&dir, header)?;
    federation.randomness = folder.randomness(&federation.spec)?;
    folder.header().draws.caution().iter().for_each(|caution| tell!("warning: {caution}"));
    folder.header().mixed().iter().for_each(|note| tell!("note: {note}"));
    federation.notes.iter().for_each(|note| tell!("{note}"));
    let display = Display::new(settings.json, federation.spec.federation.rounds);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let default =
        if device == tch::Device::Cpu { (cores / usize::from(args.threads)).max(1) } else { 1 };
    tch::set_num_threads(args.threads.into());
    let execution = Execution {
        device,
        jobs: args.jobs.map(usize::from).or(settings.jobs).unwrap_or(default),
        threads: args.threads.into(),
        keep: args.keep.clone(),
        cancel: &cancel,
        tell: &|record| display.round(record),
        carried: &|_, _| {},
    };
    let told = federation::train(&federation, &folder, &execution)?;
    display.end();
    if told.stopped {
        tell!("stopped; finished rounds are kept. Go on with: {}", folder.header().resume);
        return Ok(ExitCode::from(130));
    }
    conclude(settings, &told, folder.header().draws);
    Ok(ExitCode::SUCCESS)
}

fn overrides(args: &Args) -> Result<Vec<(String, Value)>> {
    let mut all = Vec::new();
    let mut put = |path: &str, value: Value| all.push((path.to_string(), value));
    args.regime.iter().for_each(|v| put("federation.regime", json!(v)));
    args.rounds.iter().for_each(|v| put("federation.rounds", json!(v)));
    args.seed.iter().for_each(|v| put("seed", json!(v)));
    if !args.defense.is_empty() {
        let named = args.defense.iter().filter(|d| *d != "none").map(|d| named::defense(d));
        put("defenses", serde_json::to_value(named.collect::<Result<Vec<_>>>()?)?);
    }
    for set in &args.set {
        all.push(suites::parse_pair(set)?);
    }
    Ok(all)
}

/// The command that goes on with the training.
fn resume(args: &Args, dir: &std::path::Path) -> String {
    let mut parts: Vec<String> = std::env::args().skip(1).map(|a| quote(&a)).collect();
    if args.out.is_none() {
        parts.extend(["--out".into(), quote(&dir.display().to_string())]);
    }
    format!("bench {}", parts.join(" "))
}

fn default_dir(name: &str) -> PathBuf {
    let name = format!("{name}-{}", clock::stamp());
    let names = std::iter::once(name.clone()).chain((2..).map(|n| format!("{name}-{n}")));
    names.map(|n| PathBuf::from("runs").join(n)).find(|p| !p.exists()).unwrap_or_default()
}

fn conclude(settings: &Settings, told: &federation::TrainingResult, draws: Draws) {
    let (last, caution) = (told.rounds.last(), draws.caution());
    if settings.json {
        let metrics = last.map(|r| &r.metrics);
        println!(
            "{}",
            json!({
                "event": "end", "metrics": metrics, "model": told.model, "report": told.report,
                "caution": caution,
            })
        );
        return;
    }
    let words: Vec<String> = last.map(words).unwrap_or_default();
    let done = match last.map_or(0, |r| r.round) {
        1 => "1 round".into(),
        n => format!("{n} rounds"),
    };
    show!("{done}: {}", words.join(", "));
    show!("model:  {}", told.model.display());
    show!("report: {}", super::page(&told.report).display());
    caution.iter().for_each(|caution| show!("{caution}"));
}

/// One line a round, or a bar.
struct Display {
    json: bool,
    rounds: usize,
    bar: Option<ProgressBar>,
}

impl Display {
    fn new(json: bool, rounds: usize) -> Display {
        let bar = (!json && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(rounds as u64);
            let style = ProgressStyle::with_template(
                "rounds {bar:24.cyan/blue} {pos}/{len} {elapsed}, {eta} left  {msg}",
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Display { json, rounds, bar }
    }

    fn round(&self, record: &RoundRecord) {
        let words = words(record).join(", ");
        match (&self.bar, self.json) {
            (_, true) => println!(
                "{}",
                serde_json::to_string(&json!({ "event": "round", "record": record }))
                    .unwrap_or_default()
            ),
            (Some(bar), _) => {
                bar.set_position(record.round as u64);
                bar.set_message(words);
            }
            (None, _) => tell!("round {}/{}: {words}", record.round, self.rounds),
        }
    }

    fn end(&self) {
        self.bar.iter().for_each(ProgressBar::finish);
    }
}

/// What a round reached, in words.
fn words(record: &RoundRecord) -> Vec<String> {
    let mut words = Vec::new();
    for (name, label) in
        [("accuracy", "accuracy"), ("macro_f1", "macro-F1"), ("auc", "AUC"), ("loss", "loss")]
    {
        words.extend(record.metrics.get(name).map(|v| format!("{label} {v:.4}")));
    }
    words.extend(record.train_loss.map(|l| format!("training loss {l:.4}")));
    words.extend(record.epsilon.map(|e| format!("epsilon {e:.3}")));
    if record.clients > 1 {
        words.push(format!("{} of {} clients", record.survivors, record.clients));
        words.push(format!("{:.2} MB up", record.bytes_up as f64 / 1e6));
    }
    if record.round > 0 {
        words.push(format!("{:.1} s", record.seconds));
    }
    words
}
