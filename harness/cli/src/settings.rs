//! Settings that every verb shares: where data lie, which device, how many threads. Flags win over
//! the environment, which wins over the config file (`bench.toml` in the working folder, else
//! `~/.config/bench/config.toml`).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use harness::Registries;
use serde::Deserialize;

/// Flags of every verb.
#[derive(Args, Clone, Debug)]
pub struct Flags {
    /// Root folder of the data sets and LPIPS weights [env: BENCH_DATA]
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// auto, cpu, cuda, cuda:N or mps [default: auto]
    #[arg(long, global = true, value_name = "DEVICE")]
    pub device: Option<String>,
    /// Machine-readable output, and plain lines instead of progress bars
    #[arg(long, global = true)]
    pub json: bool,
}

/// The config file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    data: Option<PathBuf>,
    device: Option<String>,
    jobs: Option<usize>,
}

/// What flags, environment and config file amount to, and what names stand for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Root of the data sets, where one is set.
    pub data: Option<PathBuf>,
    /// The device's name.
    pub device: String,
    /// Machine-readable output.
    pub json: bool,
    /// Cells side by side, where the config file says.
    pub jobs: Option<usize>,
    /// Everything that has a name.
    pub registries: Registries,
}

impl Settings {
    /// Gathers the settings.
    ///
    /// # Errors
    /// A config file that cannot be read, or a data root that is no folder.
    pub fn gather(flags: &Flags, registries: Registries) -> Result<Settings> {
        let config = config()?;
        let data = flags
            .data
            .clone()
            .or_else(|| std::env::var_os("BENCH_DATA").map(PathBuf::from))
            .or(config.data);
        if let Some(dir) = data.as_deref().filter(|d| !d.is_dir()) {
            bail!(
                "data root {} is not a folder; create it, or correct --data, BENCH_DATA or \
                 bench.toml",
                dir.display()
            );
        }
        let device = flags.device.clone().or(config.device).unwrap_or_else(|| "auto".into());
        Ok(Settings { data, device, json: flags.json, jobs: config.jobs, registries })
    }
}

fn config() -> Result<Config> {
    let home = std::env::var_os("HOME").map(|h| Path::new(&h).join(".config/bench/config.toml"));
    let places = [Some(PathBuf::from("bench.toml")), home];
    match places.into_iter().flatten().find(|p| p.is_file()) {
        None => Ok(Config::default()),
        Some(path) => {
            let text = suites::foreign::read_text(&path, &suites::foreign::limits::SUITE)
                .with_context(|| format!("cannot read {}", path.display()))?;
            toml::from_str(&text).map_err(|e| {
                let line = e.span().map_or(0, |s| text[..s.start].lines().count().max(1));
                anyhow::anyhow!(
                    "{}:{line}: {}; known keys: data, device, jobs",
                    path.display(),
                    e.message()
                )
            })
        }
    }
}
