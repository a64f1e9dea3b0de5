//! `bench verify`: whether two pictures show the same person, and how well a model tells by the
//! protocols of face verification.

mod judged;
mod sources;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args as ClapArgs;
use federation::model_file::ModelFile;
use serde_json::json;
use tch::Tensor;

use super::embed::{Embedder, numbers, unit};
use crate::infer;
use crate::settings::Settings;
use judged::Judged;
use sources::Work;

/// Arguments.
#[derive(ClapArgs, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["images", "pairs", "dataset"]))]
pub struct Args {
    /// Two pictures to compare
    #[arg(num_args = 2, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Checkpoint that `bench train` wrote
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Two pictures: call them the same person from this cosine on
    #[arg(long, value_name = "COSINE", allow_negative_numbers = true, requires = "images")]
    threshold: Option<f64>,
    /// List of pairs: LFW's pairs.txt, or lines of two files and 1 (same) or 0
    #[arg(long, value_name = "FILE", requires = "folder")]
    pairs: Option<PathBuf>,
    /// Folder that the list's files lie in
    #[arg(id = "folder", long = "images", value_name = "DIR", requires = "pairs")]
    folder: Option<PathBuf>,
    /// Draw pairs from a data set: of persons that are in no train split, where it knows such
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    /// Pairs to draw, half of the same person
    #[arg(long, value_name = "N", default_value_t = 6000)]
    #[arg(value_parser = clap::value_parser!(u32).range(4..))]
    pairs_count: u32,
    /// Folds of the pairs [default: those a list states, else 10, or fewer where a short list makes
    /// no more]
    #[arg(long, value_name = "N", conflicts_with = "images")]
    #[arg(value_parser = clap::value_parser!(u32).range(2..))]
    folds: Option<u32>,
    /// Seed of the pairs that are drawn
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Add the embedding of the mirrored picture
    #[arg(long)]
    flip: bool,
    /// Folder for roc.csv, pairs.csv and verification.json
    #[arg(long, value_name = "DIR", default_value = "verify-out")]
    out: PathBuf,
}

/// Compares two pictures, or judges the model on many pairs.
///
/// # Errors
/// Files that are absent or no pictures, lists of another form, data without enough persons, a
/// model of tables.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    if args.threshold.is_some_and(|t| !(-1.0..=1.0).contains(&t)) {
        bail!("--threshold: a cosine is in [-1, 1]; write for instance 0.4");
    }
    // A list's faults show before the model is read.
    let listed = match (&args.pairs, &args.folder) {
        (Some(list), Some(folder)) => {
            Some(sources::listed(list, folder, args.folds.map(|n| n as usize))?)
        }
        _ => None,
    };
    let saved = super::model(settings, &args.model)?;
    let embedder = Embedder::new(&args.model, &saved, settings, args.flip)?;
    if let [a, b] = &args.images[..] {
        return two(args, settings, &embedder, a, b);
    }
    let work = match (listed, &args.dataset) {
        (Some(files), _) => files.embedded(&embedder)?,
        (None, Some(name)) => sources::drawn(name, args, settings, &saved, &embedder)?,
        (None, None) => {
            bail!("nothing to compare; give two pictures, --pairs and --images, or --dataset")
        }
    };
    judge(args, settings, &saved, work)
}

fn two(
    args: &Args,
    settings: &Settings,
    embedder: &Embedder,
    a: &Path,
    b: &Path,
) -> Result<ExitCode> {
    let paths = [a.to_path_buf(), b.to_path_buf()];
    let rows = unit(&embedder.files(&paths)?, |at| paths[at].display().to_string())?;
    let cosine = cosines(&rows, &[0], &[1])[0];
    let same = args.threshold.map(|t| cosine >= t);
    match (settings.json, args.threshold, same) {
        (true, threshold, same) => {
            println!(
                "{}",
                json!({ "a": a, "b": b, "cosine": cosine, "threshold": threshold, "same": same })
            )
        }
        (false, Some(t), Some(true)) => {
            show!("cosine {cosine}: the same person (threshold {t})")
        }
        (false, Some(t), _) => show!("cosine {cosine}: different persons (threshold {t})"),
        (false, None, _) => {
            show!("cosine {cosine:.4}; to decide give --threshold (--dataset or --pairs finds one)")
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The cosines of rows `a` and `b` of unit length.
fn cosines(rows: &Tensor, a: &[i64], b: &[i64]) -> Vec<f64> {
    let pick = |ids: &[i64]| rows.index_select(0, &Tensor::from_slice(ids));
    numbers(&(pick(a) * pick(b)).sum_dim_intlist([1i64].as_slice(), false, tch::Kind::Double))
}

fn judge(args: &Args, settings: &Settings, saved: &ModelFile, work: Work) -> Result<ExitCode> {
    let ids = |of: fn(&(usize, usize)) -> usize| {
        work.pairs.iter().map(|p| of(p) as i64).collect::<Vec<_>>()
    };
    let scores = cosines(&work.rows, &ids(|p| p.0), &ids(|p| p.1));
    let judged = Judged::new(&scores, &work.same, &work.fold)?;
    let model = infer::describe(saved);
    let files = judged::write(&args.out, &judged, &work, &scores, &model)?;
    if settings.json {
        println!("{}", judged.json(&work, &model))
    } else {
        show_all!("{}", judged.text(&work, &model));
        show!("written: {}", files.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}
