//! `bench attack`: attacks an update that somebody else's federated-learning stack captured. Needs
//! no truth; scores when one is given. The file format is documented in
//! `docs/attack-your-own-update.md`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use attacks::{Progress, Reconstruction, Run};
use clap::Args as ClapArgs;
use harness::artifacts;
use indicatif::{ProgressBar, ProgressStyle};
use learning::client::{LocalTraining, StepRule};
use learning::effect::{Effect, Published};
use learning::{Observation, Signal, checkpoint};
use metrics::{Panel, Scored, Scores, Setup, pairing};
use serde_json::json;
use suites::rng::AttackSeed;
use suites::{Fact, FlagKind};
use tch::{Kind, Tensor};

use crate::capture::explain::Explained;
use crate::capture::{self, Description, Knowledge};
use crate::device;
use crate::named::parameters;
use crate::settings::Settings;

/// The value of a plain grey picture's pixels.
const GREY: f64 = 0.5;

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// Folder with a `capture.json` that says what the flags would (docs/capture.md)
    #[arg(value_name = "CAPTURE")]
    capture: Option<PathBuf>,
    #[command(flatten)]
    said: Description,
    /// How much of the client's training the adversary knows
    #[arg(long, value_enum, default_value = "exact")]
    knowledge: Knowledge,
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
    let said = args.said.clone();
    let said = match &args.capture {
        Some(folder) => said.with_folder(folder)?,
        None => said,
    };
    let (observation, training) = capture::observe(&said, args.knowledge, settings)?;
    let truth = truth(args, &observation)?;
    let attack = chosen(args, settings, &observation)?;
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
    let explained = Explained::by(&observation, &training, &found);
    let doubt = explained.and_then(|e| e.doubt(&observation));
    if truth.is_some() && !found.has_pictures() {
        tell!("note: attack `{}` draws no picture: --truth is not scored", args.attack);
    }
    let truth = truth.filter(|_| found.has_pictures());
    let found = match &truth {
        Some(truth) => in_order(found, truth)?,
        None => found,
    };
    let mut files = write(args, &found)?;
    files.extend(beside(args, &found, truth.as_ref())?);
    let scores = match &truth {
        Some(truth) => Some(score(truth, &found, settings, device)?),
        None => None,
    };
    let verdicts = match (&truth, &scores) {
        (Some(truth), Some(scores)) if truth.dim() == 4 => verdicts(truth, scores),
        _ => Vec::new(),
    };
    print(settings, &found, &files, (scores, verdicts), (explained, doubt))?;
    Ok(ExitCode::SUCCESS)
}

/// The attack of that name with its parameters; labels that are given are used where it can.
fn chosen(
    args: &Args,
    settings: &Settings,
    seen: &Observation,
) -> Result<Box<dyn attacks::Attack>> {
    let entry = settings.registries.attacks.find(&args.attack)?;
    let mut given = parameters(&args.set)?;
    let told = seen.has(Fact::Labels);
    if told && (entry.build)(&given)?.spelled_out().contains_key("labels") {
        given.entry("labels").or_insert(json!("known"));
    }
    let attack = (entry.build)(&given)?;
    if let Some(fact) = attack.needs().into_iter().find(|f| !seen.has(*f)) {
        bail!(
            "attack `{}` needs {fact}; give --labels, --lr or --steps, or choose another attack",
            args.attack
        );
    }
    if let Some(why) = unread(attack.as_ref(), seen) {
        bail!("attack `{}`: {why}", args.attack);
    }
    let guesses = |facts: &[Fact]| attack.infers_labels(facts);
    let used =
        attack.needs().contains(&Fact::Labels) || (guesses(&[]) && !guesses(&[Fact::Labels]));
    if told && !used {
        tell!("note: attack `{}` makes no use of --labels", args.attack);
    }
    if steps_taken(seen) > 1 && attack.spelled_out().get("unroll") == Some(&json!(false)) {
        tell!("note: --set unroll=true follows the client's steps one by one");
    }
    if attack.adapts() && seen.known.defenses.is_empty() {
        tell!("note: attack `{}` adapts to nothing: no --defense is given", args.attack);
    }
    Ok(attack)
}

/// Why an update by Adam is none that the attack reads: its entries are no multiples of a
/// gradient's. Its steps are followed, or one step's signs adapted to.
fn unread(attack: &dyn attacks::Attack, seen: &Observation) -> Option<String> {
    let adam = |local: &LocalTraining| local.rule != StepRule::Sgd;
    let update = matches!(seen.signal, Signal::Update(_));
    if !update || !seen.known.local.as_ref().is_some_and(adam) {
        return None;
    }
    let signs = |d: &Published| d.effect == Effect::Signs { scaled: false };
    let adapts = attack.adapts() && seen.known.defenses.iter().any(signs);
    let read = attack.needs().contains(&Fact::LocalSteps) || adapts;
    (!read).then(|| {
        "an update by Adam cannot be read as a gradient; follow its steps with --set unroll=true \
         (`inverting-gradients` with --set signed=true), or take `adaptive-matching` for one step"
            .into()
    })
}

/// Steps of local training, as far as they are known.
fn steps_taken(seen: &Observation) -> usize {
    let local = seen.known.local.as_ref();
    local.map_or(0, |local| local.steps(seen.known.local_examples.unwrap_or(1)))
}

fn truth(args: &Args, observation: &Observation) -> Result<Option<Tensor>> {
    if args.truth.is_empty() {
        return Ok(None);
    }
    let batch = observation.known.batch_size.unwrap_or(1);
    if args.truth.len() as i64 != batch {
        bail!("--truth gives {} images for a batch of {batch}", args.truth.len());
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

/// Labels alone leave no file.
fn write(args: &Args, found: &Reconstruction) -> Result<Vec<PathBuf>> {
    if !found.has_pictures() {
        return Ok(Vec::new());
    }
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

/// Truth and reconstruction side by side, a row an image, with a white line between them.
fn beside(args: &Args, found: &Reconstruction, truth: Option<&Tensor>) -> Result<Option<PathBuf>> {
    const LINE: i64 = 2;
    let batch = found.pixels.get(0).to_kind(Kind::Float).to_device(tch::Device::Cpu);
    let Some(truth) = truth.filter(|t| t.dim() == 4 && matches!(t.size()[1], 1 | 3)) else {
        return Ok(None);
    };
    let [channels, height, width] = [1, 2, 3].map(|at| batch.size()[at]);
    let white = |height: i64, width: i64| {
        Tensor::ones([channels, height, width], (Kind::Float, tch::Device::Cpu))
    };
    let mut rows = Vec::new();
    for b in 0..batch.size()[0] {
        let pair = [truth.get(b).to_kind(Kind::Float), white(height, LINE), batch.get(b)];
        rows.extend([Tensor::cat(&pair, 2), white(LINE, 2 * width + LINE)]);
    }
    rows.pop();
    let path = args.out.join("truth-beside-reconstruction.png");
    artifacts::write_png(&path, &Tensor::cat(&rows, 1))?;
    Ok(Some(path))
}

/// How each reconstruction stands against a plain grey picture, which needs no update.
fn verdicts(truth: &Tensor, scored: &Scored) -> Vec<String> {
    let one = |(b, image): (usize, &metrics::ImageScores)| {
        let psnr = image.scores.get("psnr").copied().flatten()?;
        let grey = truth.get(b as i64).to_kind(Kind::Double) - GREY;
        let grey = -10.0 * grey.square().mean(Kind::Double).double_value(&[]).log10();
        let gain = psnr - grey;
        Some(if gain > 0.0 {
            format!("image {b}: {gain:.1} dB better than a plain grey picture ({grey:.1} dB)")
        } else {
            format!(
                "image {b}: nothing of it was recovered: {:.1} dB below a plain grey picture \
                 ({grey:.1} dB)",
                -gain
            )
        })
    };
    scored.images.iter().enumerate().filter_map(one).collect()
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
    (scored, verdicts): (Option<Scored>, Vec<String>),
    (explained, doubt): (Option<Explained>, Option<String>),
) -> Result<()> {
    let labels: Option<Vec<i64>> = found.labels.as_ref().and_then(|l| Vec::try_from(l.get(0)).ok());
    let certainty = found.certainty.as_ref().and_then(|c| Vec::<f32>::try_from(c.get(0)).ok());
    if settings.json {
        let table = scored.as_ref().map(|s| s.images.iter().map(|i| &i.scores).collect::<Vec<_>>());
        let out = json!({
            "files": files, "labels": labels, "label_counts": counts(found),
            "label_certainty": certainty, "objective": found.objective,
            "flags": found.flags.first(), "gradient_evaluations": found.evaluations,
            "scores": table, "notes": scored.as_ref().map(|s| &s.notes),
            "explained": explained, "doubt": doubt, "verdicts": verdicts,
        });
        show!("{out}");
        return Ok(());
    }
    if let Some(labels) = labels {
        show!("labels: {labels:?}");
    }
    counts(found).iter().for_each(|c| show!("examples with each label: {c:?}"));
    certainty.iter().for_each(|c| show!("certainty: {c:.2?}"));
    if found.has_pictures() {
        show!(
            "objective: {:.6e} after {} gradient evaluations",
            found.objective.first().copied().unwrap_or(f64::NAN),
            found.evaluations
        );
    }
    if let Some(Explained { cosine, size_ratio }) = explained {
        show!(
            "the found examples explain the update: cosine {cosine:.4}, size ratio {size_ratio:.3}"
        );
    }
    for flag in found.flags.first().into_iter().flatten() {
        let fact = matches!(flag.kind(), Some(FlagKind::Adapted | FlagKind::Derivative));
        show!("{}: {flag}", if fact { "note" } else { "doubt" });
    }
    doubt.iter().for_each(|d| show!("doubt: {d}"));
    if let Some(scored) = scored {
        scored
            .images
            .iter()
            .enumerate()
            .for_each(|(b, image)| show!("image {b}: {}", words(&image.scores)));
        verdicts.iter().for_each(|verdict| show!("{verdict}"));
        scored.notes.iter().for_each(|note| show!("note: {note}"));
    }
    files.iter().for_each(|f| show!("wrote {}", f.display()));
    Ok(())
}

/// Examples with each of several labels, `[K]`; none where an example has one class.
fn counts(found: &Reconstruction) -> Option<Vec<i64>> {
    let several = found.labels.as_ref().filter(|l| l.dim() == 3)?;
    let sums = several.get(0).sum_dim_intlist(0, false, Kind::Double).to_kind(Kind::Int64);
    Vec::try_from(sums).ok()
}

/// The scores that were measured, small ones in scientific notation.
fn words(scores: &Scores) -> String {
    let number =
        |v: f64| if v != 0.0 && v.abs() < 1e-3 { format!("{v:.3e}") } else { format!("{v:.4}") };
    let cells: Vec<String> =
        scores.iter().filter_map(|(k, v)| v.map(|v| format!("{k} {}", number(v)))).collect();
    cells.join(", ")
}
