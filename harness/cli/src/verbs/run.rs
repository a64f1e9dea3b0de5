//! `bench run`: one cell from flags. `docs/from-fl-attack.md` lists which flag of the fl-attack
//! sandbox each stands for.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Args as ClapArgs;
use harness::{resolve, scenario};
use serde_json::{Value, json};
use suites::{CellSpec, Fact, FederationSpec, Regime, Suite};

use super::suite::{self, Execution};
use crate::capture;
use crate::named::{defense, parameters};
use crate::settings::Settings;

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// Data set
    #[arg(long, default_value = "photos")]
    dataset: String,
    /// Attribute to predict, where the data set has several
    #[arg(long)]
    label: Option<String>,
    /// Side of the square images in pixels
    #[arg(long)]
    size: Option<usize>,
    /// Split the clients hold: train, val or test
    #[arg(long, default_value = "test")]
    split: String,
    /// Use only the first so many examples of each split
    #[arg(long)]
    limit: Option<usize>,
    /// Model
    #[arg(long, default_value = "simple-cnn")]
    model: String,
    /// Initial weights: pytorch or dlg-uniform
    #[arg(long, default_value = "pytorch")]
    init: String,
    /// Checkpoint to attack instead of fresh weights
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Captured signal: gradients, one_step_update, local_update or agg_update
    #[arg(long, default_value = "gradients")]
    source: String,
    /// Who looks: server, aggregate, ...
    #[arg(long, default_value = "server")]
    vantage: String,
    /// Facts granted to the adversary
    #[arg(long, value_delimiter = ',', default_value = "batch-size,local-steps,learning-rate")]
    facts: Vec<String>,
    /// Clients
    #[arg(long, default_value_t = 1)]
    clients: usize,
    /// Partition among clients: iid, by-identity, or JSON such as {"kind":"dirichlet","alpha":0.5}
    #[arg(long, default_value = "iid")]
    partition: String,
    /// Examples an SGD step
    #[arg(long, default_value_t = 1)]
    batch_size: usize,
    /// Local epochs
    #[arg(long, default_value_t = 1)]
    local_epochs: usize,
    /// Examples a client holds [default: one batch; in a federation all there are]
    #[arg(long)]
    local_examples: Option<usize>,
    /// Learning rate of the clients
    #[arg(long, default_value_t = 0.01)]
    client_lr: f64,
    /// Momentum of the clients
    #[arg(long, default_value_t = 0.0)]
    client_momentum: f64,
    /// Weight decay of the clients
    #[arg(long, default_value_t = 0.0)]
    client_weight_decay: f64,
    /// Rounds of the federation that is attacked [default: none, bare clients]
    #[arg(long)]
    rounds: Option<usize>,
    /// Clients invited to a round [default: all]
    #[arg(long)]
    clients_per_round: Option<usize>,
    /// The round that is captured, from 0
    #[arg(long, default_value_t = 0)]
    capture_round: usize,
    /// BatchNorm on the clients: train or eval
    #[arg(long, default_value = "train")]
    batch_norm: String,
    /// A defense, repeatable and composed in order: NAME or NAME:key=value,key=value
    #[arg(long, value_name = "DEFENSE")]
    defense: Vec<String>,
    /// Attack
    #[arg(long, default_value = "fl-attack")]
    attack: String,
    /// Set a parameter of the attack: --set iterations=500
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Captures attacked side by side
    #[arg(long, default_value_t = 1)]
    trials: usize,
    /// Seed of everything
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    execution: Execution,
}

/// Runs the cell in a run folder of its own and writes its report.
///
/// # Errors
/// Bad input, or a run folder that cannot be used.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    let mut spec = spec(args)?;
    resolve::spell_out(&settings.registries, &mut spec)?;
    // Unlike in a suite, one cell that cannot be built is an error before anything is stored.
    let cell = resolve::resolve(&settings.registries, &spec, settings.data.as_deref())?;
    if cell.not_applicable().is_none() {
        scenario::check(cell)?;
    }
    let suite = Suite::single("run", spec)?;
    let command: Vec<String> = std::env::args().skip(1).map(|a| suite::quote(&a)).collect();
    suite::execute(
        &suite,
        Vec::new(),
        &args.execution,
        settings,
        &format!("bench {}", command.join(" ")),
        None,
    )
}

fn spec(args: &Args) -> Result<CellSpec> {
    let mut spec = CellSpec::new(&args.dataset, &args.model, &args.attack);
    spec.model = capture::spec_named(&args.model)?;
    spec.task.label = args.label.clone();
    spec.task.size = args.size;
    spec.task.limit = args.limit;
    spec.task.split = word("--split", &args.split)?;
    spec.model.init = word("--init", &args.init)?;
    spec.model.weights = args.weights.clone();
    spec.model.batch_norm = word("--batch-norm", &args.batch_norm)?;
    spec.source = word("--source", &args.source)?;
    spec.vantage = word("--vantage", &args.vantage)?;
    spec.facts = facts(&args.facts)?;
    spec.federation = federation(args)?;
    spec.capture.round = args.capture_round;
    spec.attack.params = parameters(&args.set)?;
    spec.defenses = args.defense.iter().map(|d| defense(d)).collect::<Result<_>>()?;
    (spec.trials, spec.seed) = (args.trials, args.seed);
    spec.check()?;
    Ok(spec)
}

/// Bare clients, or with `--rounds` the federation whose round is attacked.
fn federation(args: &Args) -> Result<FederationSpec> {
    let rounds = args.rounds.or((args.capture_round > 0).then_some(args.capture_round + 1));
    let mut federation = FederationSpec::new(rounds.map_or(Regime::Bare, |_| Regime::Federated));
    federation.rounds = rounds.unwrap_or(1);
    let (clients, local) = (&mut federation.clients, &mut federation.local);
    (clients.total, clients.examples) = (args.clients, args.local_examples);
    clients.per_round = args.clients_per_round;
    clients.partition = word("--partition", &args.partition)?;
    (local.batch_size, local.epochs) = (args.batch_size, args.local_epochs);
    (local.lr, local.momentum, local.weight_decay) =
        (args.client_lr, args.client_momentum, args.client_weight_decay);
    Ok(federation)
}

/// Facts by their words; those of earlier versions that granted nothing are dropped with a line.
fn facts(words: &[String]) -> Result<Vec<Fact>> {
    let (dropped, kept): (Vec<&String>, Vec<&String>) =
        words.iter().partition(|word| suites::REMOVED_FACTS.contains(&word.as_str()));
    dropped.iter().for_each(|word| tell!("fact `{word}` granted nothing and is dropped"));
    kept.into_iter().map(|fact| word::<Fact>("--facts", fact)).collect()
}

/// A word (or JSON) as the spec's own type reads it.
fn word<T: serde::de::DeserializeOwned>(flag: &str, text: &str) -> Result<T> {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
    serde_json::from_value(value).map_err(|e| anyhow!("{flag} {text}: {e}"))
}
