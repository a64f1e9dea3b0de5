//! `bench attack`: attacks an update that somebody else's federated-learning stack captured. Needs
//! no truth; scores when one is given. The file format is documented in
//! `docs/attack-your-own-update.md`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use attacks::{Progress, Reconstruction, Run};
use clap::{Args as ClapArgs, ValueEnum};
use harness::artifacts;
use indicatif::{ProgressBar, ProgressStyle};
use learning::client::LocalTraining;
use learning::models::{self, Shape};
use learning::{Known, Mode, Network, Observation, Params, Signal, checkpoint, init};
use metrics::{Panel, Scored, Scores, Setup, pairing};
use serde_json::{Map, Value, json};
use suites::rng::{self, AttackSeed};
use suites::{Init, ModelSpec};
use tch::{Kind, Tensor};

use crate::device;
use crate::plausible;
use crate::settings::Settings;
use crate::tensors;

/// What the update file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Holds {
    /// The loss gradient of one batch
    Gradient,
    /// Weights after minus weights before
    Delta,
    /// The weights after local training; --weights holds those before
    Weights,
}

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// Model name (see `bench list models`), or your own network as `torch.export.save` writes it
    /// (.pt2)
    #[arg(long, value_name = "NAME|FILE")]
    model: String,
    /// Parameters of the architecture as JSON, such as '{"stem":"cifar"}'
    #[arg(long, value_name = "JSON", default_value = "{}")]
    model_params: String,
    /// Shape of one example: CxHxW, or F for a table row; a model's own file says it
    #[arg(long, value_name = "SHAPE")]
    input: Option<String>,
    /// Number of classes; a model's own file says it
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    classes: Option<i64>,
    /// Weights before the update: .safetensors, .pt or .pth; else those in the model's own file
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// The captured update, tensors named as the weights are
    #[arg(long, value_name = "FILE")]
    update: PathBuf,
    /// What the update file holds
    #[arg(long, value_enum, default_value = "gradient")]
    holds: Holds,
    /// Match the tensors of both files to the model's by position and shape, not by name
    #[arg(long)]
    by_position: bool,
    /// The client's learning rate (needed for delta and weights)
    #[arg(long)]
    lr: Option<f64>,
    /// SGD steps between the weights before and after
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Examples in the batch
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    /// True labels, where they are known: comma-separated class indices
    #[arg(long, value_delimiter = ',')]
    labels: Option<Vec<i64>>,
    /// Mean subtracted from each channel of [0,1] pixels
    #[arg(long, value_delimiter = ',', default_value = "0.5")]
    mean: Vec<f64>,
    /// Standard deviation each channel is divided by
    #[arg(long, value_delimiter = ',', default_value = "0.5")]
    std: Vec<f64>,
    /// BatchNorm used running statistics on the client
    #[arg(long)]
    batch_norm_eval: bool,
    /// Attack name (see `bench list attacks`)
    #[arg(long, default_value = "fl-attack")]
    attack: String,
    /// Set a parameter of the attack: --set iterations=500
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// libtorch threads; another number gives results that differ in rounding
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Seed of the attack's randomness
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// True images, to score against: one file an example
    #[arg(long, value_name = "IMAGE", num_args = 1..)]
    truth: Vec<PathBuf>,
    /// Folder for the reconstruction (PNG and safetensors)
    #[arg(long, value_name = "DIR", default_value = "attack-out")]
    out: PathBuf,
}

/// Attacks the update and writes what came out.
///
/// # Errors
/// Files that cannot be read, weights or updates of another model, NaN, unknown names.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    let device = device::resolve(&settings.device)?;
    tch::set_num_threads(i32::from(args.threads));
    let observation = observe(args, settings)?;
    let truth = truth(args, &observation)?;
    let entry = settings.registries.attacks.find(&args.attack)?;
    let attack = (entry.build)(&parameters(&args.set)?)?;
    if let Some(fact) = attack.needs().into_iter().find(|f| !observation.has(*f)) {
        bail!(
            "attack `{}` needs {fact}; give --labels, --lr or --steps, or choose another attack",
            args.attack
        );
    }
    writable(&args.out)?;
    let bar = bar(settings);
    let report = |p: Progress| show(bar.as_ref(), p);
    let run = Run {
        seed: AttackSeed::new(args.seed),
        key: "bench attack",
        device,
        cancel: &AtomicBool::new(false),
        progress: &report,
    };
    let found = attack.reconstruct(&observation, &run)?;
    let found = match &truth {
        Some(truth) => in_order(found, truth)?,
        None => found,
    };
    let files = write(args, &found)?;
    let scores = match truth {
        Some(truth) => Some(score(&truth, &found, settings, device)?),
        None => None,
    };
    print(settings, &found, &files, scores)?;
    Ok(ExitCode::SUCCESS)
}

/// `NAME=VALUE` pairs as a table; a bare word is a string.
pub fn parameters(set: &[String]) -> Result<Map<String, Value>> {
    set.iter()
        .map(|pair| {
            let (name, value) =
                pair.split_once('=').with_context(|| format!("--set {pair}: write NAME=VALUE"))?;
            Ok((
                name.trim().to_string(),
                serde_json::from_str(value).unwrap_or_else(|_| json!(value)),
            ))
        })
        .collect()
}

fn observe(args: &Args, settings: &Settings) -> Result<Observation> {
    let (net_spec, shape) =
        model_of(&args.model, &args.model_params, args.input.as_deref(), args.classes)?;
    let channels = shape.input[0] as usize;
    let spread = |v: &[f64], flag: &str| match v.len() {
        1 => Ok(vec![v[0]; channels]),
        n if n == channels => Ok(v.to_vec()),
        n => bail!("{flag} gives {n} values for {channels} channels; give one, or one a channel"),
    };
    if let Some(std) = args.std.iter().find(|s| s.is_nan() || **s <= 0.0) {
        bail!("--std {std}: must be above 0");
    }
    let models = &settings.registries.federation.models;
    let architecture = (models.find(&net_spec.name)?.build)(&net_spec.params)?;
    let model = architecture.build(&shape)?;
    let net =
        Arc::new(Network::new(model, spread(&args.mean, "--mean")?, spread(&args.std, "--std")?));
    let order = tensors::Order::new(args.by_position);
    let weights = match &args.weights {
        Some(path) => params_from(&net, path, None, args.holds, &order)?,
        None if models::file::gives(&net_spec) => {
            // The file's own values, which nothing draws.
            init::fresh(net.layout(), Init::Pytorch, &mut rng::stream(0, "bench attack", "file"))
        }
        None => bail!("`{}` needs the weights before the update: give --weights", args.model),
    };
    let update = params_from(&net, &args.update, Some(&weights), args.holds, &order)?;
    let gradient = args.holds == Holds::Gradient;
    let update = if args.holds == Holds::Weights { update.sub(&weights) } else { update };
    let doubts = plausible::doubts(&net, &weights, &update, gradient, args.batch_size)
        .with_context(|| args.update.display().to_string())?;
    doubts.iter().for_each(|doubt| tell!("doubt: {}: {doubt}", args.update.display()));
    let signal = if gradient { Signal::Gradient(update) } else { Signal::Update(update) };
    let known = known(args, net.classes())?;
    let mode = if args.batch_norm_eval { Mode::Eval } else { Mode::Train };
    Ok(Observation { net, weights, signal, mode, known })
}

/// The model by name or file, and the shape of its examples.
///
/// # Errors
/// Parameters that are no JSON, a file that holds no network, a shape that is nowhere said.
pub fn model_of(
    model: &str,
    params: &str,
    input: Option<&str>,
    classes: Option<i64>,
) -> Result<(ModelSpec, Shape)> {
    let mut spec = ModelSpec::named(model);
    let params: Map<String, Value> =
        serde_json::from_str(params).with_context(|| format!("--model-params {params}"))?;
    spec.params.extend(params);
    let given = input.map(shape).transpose()?;
    let own = models::file::shape(&spec)?;
    let shape = match (given, classes, own) {
        (Some(input), Some(classes), _) => Shape { input, classes },
        (input, classes, Some(own)) => {
            Shape { input: input.unwrap_or(own.input), classes: classes.unwrap_or(own.classes) }
        }
        _ => bail!("`{model}` needs --input and --classes; a .pt2 file says them itself"),
    };
    Ok((spec, shape))
}

fn known(args: &Args, classes: i64) -> Result<Known> {
    if args.holds != Holds::Gradient && !args.lr.is_some_and(|lr| lr > 0.0 && lr.is_finite()) {
        bail!("--holds {:?} needs the client's learning rate: give --lr above 0", args.holds);
    }
    let batch = i64::from(args.batch_size);
    let labels = match &args.labels {
        None => None,
        Some(l) if l.len() as i64 != batch => {
            bail!("--labels gives {} labels for a batch of {batch}", l.len())
        }
        Some(l) => match l.iter().find(|&&l| l < 0 || l >= classes) {
            Some(l) => bail!("--labels {l}: classes run from 0 to {}", classes - 1),
            None => Some(Tensor::from_slice(l).reshape([1, batch])),
        },
    };
    let local = (args.holds != Holds::Gradient).then(|| LocalTraining {
        epochs: args.steps as usize,
        batch_size: batch as usize,
        lr: args.lr.unwrap_or(1.0),
        ..LocalTraining::default()
    });
    Ok(Known {
        labels,
        batch_size: Some(batch),
        local,
        lr: args.lr,
        local_examples: Some(batch as usize),
        contributors: 1,
        defenses: Vec::new(),
    })
}

fn shape(text: &str) -> Result<Vec<i64>> {
    let parts: Option<Vec<i64>> =
        text.split('x').map(|p| p.parse().ok().filter(|&n| n > 0)).collect();
    match parts {
        Some(parts) if parts.len() == 1 || parts.len() == 3 => Ok(parts),
        _ => bail!("--input {text}: write CxHxW such as 3x64x64, or F such as 30"),
    }
}

/// Named tensors of a file as parameters; an update may leave buffers out (they are taken as
/// unchanged).
fn params_from(
    net: &Network,
    path: &Path,
    like: Option<&Params>,
    holds: Holds,
    order: &tensors::Order,
) -> Result<Params> {
    let place = || format!("{}", path.display());
    let mut named = tensors::load(net, path, order)?;
    if let Some(like) = like {
        let specs = net.layout().specs().iter().zip(&like.tensors);
        for (spec, value) in specs.filter(|(s, _)| !s.trainable) {
            if !named.iter().any(|(name, _)| name == &spec.name) {
                let unchanged =
                    if holds == Holds::Weights { value.get(0) } else { value.get(0).zeros_like() };
                named.push((spec.name.clone(), unchanged));
            }
        }
    }
    if let Some((name, _)) = named
        .iter()
        .find(|(_, t)| t.is_floating_point() && t.isfinite().all().int64_value(&[]) == 0)
    {
        bail!(
            "{}: tensor `{name}` holds NaN or infinite values; nothing can be recovered from it",
            path.display()
        );
    }
    Params::from_named(net.layout().clone(), named).with_context(place)
}

fn truth(args: &Args, observation: &Observation) -> Result<Option<Tensor>> {
    if args.truth.is_empty() {
        return Ok(None);
    }
    if args.truth.len() != args.batch_size as usize {
        bail!("--truth gives {} images for a batch of {}", args.truth.len(), args.batch_size);
    }
    let input = observation.net.input();
    let images = args
        .truth
        .iter()
        .map(|p| artifacts::read_picture(p, input[0]))
        .collect::<Result<Vec<_>, _>>()?;
    for (path, image) in args.truth.iter().zip(&images) {
        if image.size() != input {
            bail!(
                "{}: is {:?}, but the model takes {:?}; give the image as the client fed it",
                path.display(),
                image.size(),
                input
            );
        }
    }
    Ok(Some(Tensor::stack(&images, 0)))
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

/// Finds out before the attack whether its result can be kept.
fn writable(out: &Path) -> Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    tempfile::tempfile_in(out).map(drop).with_context(|| {
        format!("cannot write to {}; choose another folder with --out", out.display())
    })
}

fn write(args: &Args, found: &Reconstruction) -> Result<Vec<PathBuf>> {
    let batch = found.pixels.get(0);
    let tensors = args.out.join("reconstruction.safetensors");
    checkpoint::save_safetensors(&tensors, &[("reconstruction".to_string(), batch.contiguous())])?;
    let mut files = vec![tensors];
    if batch.dim() == 4 && matches!(batch.size()[1], 1 | 3) {
        for b in 0..batch.size()[0] {
            let path = args.out.join(format!("reconstruction-{b}.png"));
            artifacts::write_png(&path, &batch.get(b))?;
            files.push(path);
        }
    }
    Ok(files)
}

/// Puts the examples of a reconstruction in the order of the truth, so that the n-th file and label
/// are those of the n-th score.
fn in_order(mut found: Reconstruction, truth: &Tensor) -> Result<Reconstruction> {
    let (_, order) = pairing::align(&found.pixels.get(0).to_kind(Kind::Float), truth)?;
    let order = Tensor::from_slice(&order.iter().map(|&g| g as i64).collect::<Vec<_>>());
    found.pixels = found.pixels.index_select(1, &order);
    found.labels = found.labels.map(|l| l.index_select(1, &order));
    Ok(found)
}

fn score(
    truth: &Tensor,
    found: &Reconstruction,
    settings: &Settings,
    device: tch::Device,
) -> Result<Scored> {
    let setup = Setup::new(settings.data.as_deref(), device);
    let panel = Panel::open_from(&settings.registries.metrics, &setup);
    let mut scored = panel.score(&found.pixels.get(0).to_kind(Kind::Float), truth)?;
    scored.notes.extend(panel.notes());
    scored.notes.sort();
    scored.notes.dedup();
    Ok(scored)
}

fn print(
    settings: &Settings,
    found: &Reconstruction,
    files: &[PathBuf],
    scored: Option<Scored>,
) -> Result<()> {
    let labels: Option<Vec<i64>> = found.labels.as_ref().and_then(|l| Vec::try_from(l.get(0)).ok());
    if settings.json {
        let table = scored.as_ref().map(|s| s.images.iter().map(|i| &i.scores).collect::<Vec<_>>());
        let out = json!({
            "files": files, "labels": labels, "objective": found.objective,
            "flags": found.flags.first(), "gradient_evaluations": found.evaluations,
            "scores": table, "notes": scored.as_ref().map(|s| &s.notes),
        });
        show!("{out}");
        return Ok(());
    }
    if let Some(labels) = labels {
        show!("labels: {labels:?}");
    }
    show!(
        "objective: {:.6e} after {} gradient evaluations",
        found.objective.first().copied().unwrap_or(f64::NAN),
        found.evaluations
    );
    found.flags.first().into_iter().flatten().for_each(|f| show!("doubt: {f}"));
    if let Some(scored) = scored {
        scored
            .images
            .iter()
            .enumerate()
            .for_each(|(b, image)| show!("image {b}: {}", words(&image.scores)));
        scored.notes.iter().for_each(|note| show!("note: {note}"));
    }
    files.iter().for_each(|f| show!("wrote {}", f.display()));
    Ok(())
}

/// The scores that were measured, small ones in scientific notation.
fn words(scores: &Scores) -> String {
    let number =
        |v: f64| if v != 0.0 && v.abs() < 1e-3 { format!("{v:.3e}") } else { format!("{v:.4}") };
    let cells: Vec<String> =
        scores.iter().filter_map(|(k, v)| v.map(|v| format!("{k} {}", number(v)))).collect();
    cells.join(", ")
}
