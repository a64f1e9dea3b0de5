//! `bench suite`: runs a suite, or goes on with a run folder.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use clap::Args as ClapArgs;
use harness::runner::{self, Schedule, Tally};
use harness::{Registries, resolve};
use record::{Metrics, RunInfo, RunStore, SCHEMA, SuiteInfo};
use serde_json::{Value, json};
use suites::Suite;
use tch::Device;

use crate::device;
use crate::progress::Display;
use crate::settings::Settings;

/// Which suite, and what is changed about it.
#[derive(ClapArgs, Clone, Debug)]
pub struct Selection {
    /// Name of a suite (see `bench list suites`) or path of a TOML file
    pub suite: String,
    /// A profile of the suite, such as smoke or full
    #[arg(long)]
    pub profile: Option<String>,
    /// Data set to use instead of the suite's
    #[arg(long)]
    pub dataset: Option<String>,
    /// Set a value in every cell, or replace an axis: --set attack.iterations=500
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub set: Vec<String>,
}

/// How and where cells are run.
#[derive(ClapArgs, Clone, Debug)]
pub struct Execution {
    /// Run folder; one that exists is gone on with [default: runs/<suite>-<date>-<time>]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Cells side by side [default: one a core on the CPU, one on a GPU]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,
    /// libtorch threads inside a cell; another number gives results that differ in rounding
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: u16,
}

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    execution: Execution,
    /// Run only the i-th of n parts of the suite, e.g. 2/8
    #[arg(long, value_name = "I/N")]
    shard: Option<String>,
}

impl Selection {
    /// Loads the suite with everything spelled out, and the overrides as stored in the run folder.
    ///
    /// # Errors
    /// Unknown names, keys, values.
    pub fn load(&self, registries: &Registries) -> Result<(Suite, Vec<(String, Value)>)> {
        let mut overrides = Vec::new();
        if let Some(dataset) = &self.dataset {
            overrides.push(("task.dataset".to_string(), json!(dataset)));
        }
        for set in &self.set {
            overrides.push(suites::parse_override(set)?);
        }
        let (name, profile) = (&self.suite, self.profile.as_deref());
        let mut suite = Suite::load_from(&registries.suites, name, profile, &overrides)?;
        suite.notes.iter().for_each(|note| tell!("{}: {note}", self.suite));
        suite.map_specs(|spec| resolve::spell_out(registries, spec))?;
        Ok((suite, overrides))
    }
}

/// Runs the suite and writes its report.
///
/// # Errors
/// Bad input, or a run folder that cannot be used.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    let (mut suite, overrides) = args.selection.load(&settings.registries)?;
    if let Some(shard) = &args.shard {
        suite.cells = shard_of(shard, &suite)?;
    }
    execute(
        &suite,
        overrides,
        &args.execution,
        settings,
        &command(args, settings),
        args.shard.clone(),
    )
}

/// Runs the cells of a suite in a run folder, which `command` would make again, and writes the
/// report.
///
/// # Errors
/// A device that is not there, or a run folder that cannot be used.
pub fn execute(
    suite: &Suite,
    overrides: Vec<(String, Value)>,
    execution: &Execution,
    settings: &Settings,
    command: &str,
    shard: Option<String>,
) -> Result<ExitCode> {
    let device = device::resolve(&settings.device)?;
    let dir = execution.out.clone().unwrap_or_else(|| default_dir(suite));
    let mut info = info(suite, overrides, device, execution.threads, settings);
    let out = if execution.out.is_some() && command.contains("--out") {
        String::new()
    } else {
        format!(" --out {}", quote(&dir.display().to_string()))
    };
    (info.command, info.resume, info.shard) =
        (command.to_string(), format!("{command}{out}"), shard);
    any_cell_builds(suite, settings)?;
    let mut store = RunStore::resume(&dir, info)?;
    store.info().mixed().iter().for_each(|note| tell!("note: {note}"));
    let schedule = schedule(execution, settings, device);
    let cancel = on_interrupt()?;
    let display = Display::new(settings.json, Metrics::from_run(store.info()));
    let ran = runner::run(&suite.cells, &mut store, &schedule, &display, &cancel);
    let tally = ran.with_context(|| {
        format!(
            "the run stopped, finished cells are kept; mend this, then go on with `{}`",
            store.info().resume
        )
    })?;
    if tally.stopped {
        tell!("stopped; what is finished is kept. Go on with: {}", store.info().resume);
        return Ok(ExitCode::from(130));
    }
    let report = reports::write_report(&dir)?;
    conclude(settings, &tally, &report);
    Ok(ExitCode::from(u8::from(tally.failed > 0)))
}

/// Refuses a suite of which nothing could run, such as for want of data, before a folder is made
/// for it.
fn any_cell_builds(suite: &Suite, settings: &Settings) -> Result<()> {
    let mut first = None;
    for spec in &suite.cells {
        match resolve::resolve(&settings.registries, spec, settings.data.as_deref()) {
            Ok(_) => return Ok(()),
            Err(error) => first = first.or(Some(error)),
        }
    }
    first.map_or(Ok(()), |error| Err(error.into()))
}

fn conclude(settings: &Settings, tally: &Tally, report: &std::path::Path) {
    if settings.json {
        println!(
            "{}",
            json!({
                "event": "end", "done": tally.done, "failed": tally.failed,
                "skipped": tally.skipped, "report": report,
            })
        );
        return;
    }
    let failed =
        if tally.failed > 0 { format!(", {} failed", tally.failed) } else { String::new() };
    show!("{} cells done{failed}, {} done before", tally.done, tally.skipped);
    show!("report: {}", super::page(report).display());
}

fn schedule<'a>(args: &Execution, settings: &'a Settings, device: Device) -> Schedule<'a> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let default = if device == Device::Cpu { (cores / args.threads as usize).max(1) } else { 1 };
    let jobs = args.jobs.map(usize::from).or(settings.jobs).unwrap_or(default).max(1);
    Schedule {
        registries: &settings.registries,
        jobs,
        threads: args.threads as usize,
        device,
        data_root: settings.data.as_deref(),
    }
}

/// The cells of part `i/n`, dealt out in turn so that parts cost about the same.
fn shard_of(shard: &str, suite: &Suite) -> Result<Vec<suites::CellSpec>> {
    let parsed = shard
        .split_once('/')
        .and_then(|(i, n)| Some((i.parse::<usize>().ok()?, n.parse::<usize>().ok()?)));
    match parsed {
        Some((i, n)) if i >= 1 && i <= n => {
            Ok(suite.cells.iter().skip(i - 1).step_by(n).cloned().collect())
        }
        _ => bail!("--shard {shard}: write i/n with 1 <= i <= n, such as 2/8"),
    }
}

/// A folder that is not there yet, though another run may have begun in the same second.
fn default_dir(suite: &Suite) -> PathBuf {
    let stamp = crate::clock::stamp();
    let profile = suite.profile.as_ref().map_or_else(String::new, |p| format!("-{p}"));
    let name = format!("{}{profile}-{stamp}", suite.name);
    let places = std::iter::once(name.clone()).chain((2..).map(|n| format!("{name}-{n}")));
    places.map(|n| PathBuf::from("runs").join(n)).find(|p| !p.exists()).unwrap_or_default()
}

fn info(
    suite: &Suite,
    mut overrides: Vec<(String, Value)>,
    device: Device,
    threads: u16,
    settings: &Settings,
) -> RunInfo {
    // Threads change rounding, so a folder begun with another number is another run.
    overrides.push(("threads".into(), json!(threads)));
    RunInfo {
        schema: SCHEMA.into(),
        bench_version: env!("CARGO_PKG_VERSION").into(),
        suite: SuiteInfo::from_suite(suite),
        libtorch: crate::machine::libtorch(),
        device: crate::machine::device(device),
        machine: crate::machine::describe(),
        processor: crate::machine::processor(),
        overrides,
        shard: None,
        resume: String::new(),
        command: String::new(),
        elsewhere: Vec::new(),
        metrics: metrics::infos(settings.registries.metrics.iter()),
        streams: suites::stream_key::VERSION,
    }
}

/// The command that asks for the same cells.
fn command(args: &Args, settings: &Settings) -> String {
    let s = &args.selection;
    let mut parts = vec!["bench".to_string(), "suite".into(), quote(&s.suite)];
    let mut push = |flag: &str, value: &str| parts.extend([flag.to_string(), quote(value)]);
    s.profile.iter().for_each(|p| push("--profile", p));
    s.dataset.iter().for_each(|d| push("--dataset", d));
    s.set.iter().for_each(|v| push("--set", v));
    args.shard.iter().for_each(|v| push("--shard", v));
    if args.execution.threads != 1 {
        push("--threads", &args.execution.threads.to_string());
    }
    // Changes no number but the seconds, which comparisons of speed must know.
    let jobs = args.execution.jobs.map(usize::from).or(settings.jobs);
    jobs.iter().for_each(|n| push("--jobs", &n.to_string()));
    parts.join(" ")
}

/// A word as a shell takes it.
pub fn quote(word: &str) -> String {
    let plain = word.chars().all(|c| c.is_alphanumeric() || "-_./=,:+@%".contains(c));
    if plain && !word.is_empty() {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The first Ctrl-C asks for a clean stop, the second ends at once.
///
/// # Errors
/// A system that takes no handler.
pub fn on_interrupt() -> Result<Arc<AtomicBool>> {
    let cancel = Arc::new(AtomicBool::new(false));
    let flag = cancel.clone();
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        tell!("stopping after the current step; press Ctrl-C again to end at once");
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(cancel)
}
