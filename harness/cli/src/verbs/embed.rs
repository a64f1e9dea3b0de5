//! `bench embed`: what a trained model makes of pictures, for use elsewhere.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args as ClapArgs;
use datasets::Kind as Sort;
use federation::model_file::ModelFile;
use harness::HarnessError;
use learning::{Mode, Params};
use rayon::prelude::*;
use serde_json::json;
use suites::foreign::printable;
use tch::{Device, Kind, Tensor};

use crate::device;
use crate::infer::images;
use crate::settings::Settings;

/// Pictures of one forward pass.
const BATCH: usize = 64;

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    /// Pictures, or folders of them
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Checkpoint that `bench train` wrote
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// File to write, .csv or .npy [default: CSV on standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// As the model gives them; otherwise they are scaled to unit length
    #[arg(long)]
    raw: bool,
    /// Add the embedding of the mirrored picture
    #[arg(long)]
    flip: bool,
}

/// Embeds the pictures and prints or writes the result.
///
/// # Errors
/// Files that are no pictures or no model, and an `--out` of another ending.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    if let Some(out) = args.out.as_deref().filter(|o| !["csv", "npy"].contains(&ending(o))) {
        bail!("--out {}: end it in .csv or .npy", out.display());
    }
    let paths = pictures(&args.images)?;
    let saved = super::model(settings, &args.model)?;
    let embedder = Embedder::new(&args.model, &saved, settings, args.flip)?;
    let mut rows = embedder.files(&paths)?;
    if !args.raw {
        rows = unit(&rows, |at| paths[at].display().to_string())?;
    }
    let values = numbers(&rows);
    let width = rows.size()[1] as usize;
    match &args.out {
        None => show_all!("{}", as_csv(&paths, &values, width)?),
        Some(out) => {
            let bytes = match ending(out) {
                "csv" => as_csv(&paths, &values, width)?.into_bytes(),
                _ => as_npy(&values, width),
            };
            record::write_whole(out, &bytes)?;
            if settings.json {
                println!("{}", json!({ "out": out, "images": paths, "dimensions": width }))
            } else {
                show!("{}: {} embeddings of {width} dimensions", out.display(), paths.len())
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn ending(path: &Path) -> &str {
    path.extension().and_then(|e| e.to_str()).unwrap_or_default()
}

/// The files named, and those in the folders named.
fn pictures(named: &[PathBuf]) -> Result<Vec<PathBuf>, HarnessError> {
    let mut found = Vec::new();
    for path in named {
        if path.is_dir() {
            found.extend(images::list(path)?.into_iter().map(|p| p.path))
        } else {
            found.push(path.clone())
        }
    }
    Ok(found)
}

fn as_csv(paths: &[PathBuf], values: &[f64], width: usize) -> Result<String> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let header = (0..width).map(|d| format!("e{d}"));
    out.write_record(std::iter::once("image".to_string()).chain(header))?;
    for (path, row) in paths.iter().zip(values.chunks(width)) {
        let row = row.iter().map(|v| (*v as f32).to_string());
        out.write_record(
            std::iter::once(printable(&path.display().to_string()).into_owned()).chain(row),
        )?;
    }
    Ok(String::from_utf8(out.into_inner()?)?)
}

/// NumPy's format, version 1.0: `f32 [N, E]`, rows in the order of the pictures.
fn as_npy(values: &[f64], width: usize) -> Vec<u8> {
    let rows = values.len() / width;
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}");
    // Magic, version and length take ten bytes; the whole is padded to a multiple of 64 and ends in
    // a newline.
    let padded = (10 + header.len() + 1).next_multiple_of(64) - 10;
    header.extend(std::iter::repeat_n(' ', padded - header.len() - 1));
    header.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(values.iter().flat_map(|v| (*v as f32).to_le_bytes()));
    out
}

/// A model of pictures, ready for use.
pub(super) struct Embedder<'a> {
    saved: &'a ModelFile,
    weights: Params,
    device: Device,
    flip: bool,
}

impl<'a> Embedder<'a> {
    /// Puts the model on the device; `flip` adds the embedding of the mirrored picture.
    ///
    /// # Errors
    /// A model of tables, or a device that is not there.
    pub(super) fn new(
        path: &Path,
        saved: &'a ModelFile,
        settings: &Settings,
        flip: bool,
    ) -> Result<Self> {
        if saved.card.kind != Sort::Image {
            images::check(path, saved)?;
        }
        let device = device::resolve(&settings.device)?;
        tch::set_num_threads(std::thread::available_parallelism().map_or(1, |n| n.get() as i32));
        Ok(Self { saved, weights: saved.params.to(device, Kind::Float), device, flip })
    }

    /// `[N, E]`, double precision on the CPU, of picture files.
    ///
    /// # Errors
    /// The file that is no picture.
    pub(super) fn files(&self, paths: &[PathBuf]) -> Result<Tensor> {
        self.all(paths.len(), |from, to| {
            // Tensors cannot be shared between threads, and the model's are in `self`.
            let card = &self.saved.card;
            let pixels = paths[from..to].par_iter().map(|p| images::pixels(p, card));
            Ok(Tensor::stack(&pixels.collect::<Result<Vec<_>, _>>()?, 0))
        })
    }

    /// `[N, E]`, double precision on the CPU, of `count` pictures that `pixels` gives as `[B, C, H,
    /// W]` from one number up to another.
    ///
    /// # Errors
    /// Those of `pixels`.
    pub(super) fn all(
        &self,
        count: usize,
        pixels: impl Fn(usize, usize) -> Result<Tensor, HarnessError>,
    ) -> Result<Tensor> {
        let mut parts = Vec::new();
        for from in (0..count).step_by(BATCH) {
            let x = pixels(from, (from + BATCH).min(count))?.to_device(self.device).unsqueeze(0);
            parts.push(self.pass(&x).to_kind(Kind::Double).to_device(Device::Cpu));
        }
        Ok(Tensor::cat(&parts, 0))
    }

    /// `[B, E]` of pixels `[1, B, C, H, W]`.
    fn pass(&self, x: &Tensor) -> Tensor {
        let one = |x: &Tensor| {
            tch::no_grad(|| self.saved.net.embed(&self.weights, x, Mode::Eval))
                .squeeze_dim(0)
                .flatten(1, -1)
        };
        if !self.flip { one(x) } else { one(x) + one(&x.flip([-1])) }
    }
}

/// Rows `[N, E]` scaled to unit length.
///
/// # Errors
/// The picture whose embedding is zero or not finite.
pub(super) fn unit(rows: &Tensor, name: impl Fn(usize) -> String) -> Result<Tensor> {
    let lengths = rows.norm_scalaropt_dim(2.0, [1i64].as_slice(), true);
    if let Some(at) = numbers(&lengths).iter().position(|n| !n.is_finite() || *n == 0.0) {
        bail!(
            "{}: its embedding has no direction (all zeros, or not finite); give another picture, \
             or a model whose training did not diverge",
            name(at)
        );
    }
    Ok(rows / lengths)
}

/// The values of a tensor in double precision, row by row.
pub(super) fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).contiguous().reshape([-1])).unwrap_or_default()
}
