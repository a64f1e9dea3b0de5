//! Every metric by name.

use crate::{
    Metric, MetricError, fl_attack, identification, label_batch, label_match, lpips, mse, psnr,
    registered, ssim,
};
use record::MetricInfo;
use std::path::{Path, PathBuf};
use suites::{Registered, Registry};
use tch::Device;

/// What a metric may need to be built.
#[derive(Clone, Debug)]
pub struct Setup<'a> {
    /// Folder of data sets and weights; LPIPS looks in its `lpips/`.
    pub data_root: Option<&'a Path>,
    /// Folder with networks of LPIPS, where the data root has none.
    pub lpips: Option<PathBuf>,
    /// Where the networks of LPIPS run.
    pub device: Device,
}

impl<'a> Setup<'a> {
    /// With the networks of LPIPS that the environment variable `BENCH_LPIPS` names, which the
    /// set-up scripts fill and export.
    pub fn new(data_root: Option<&'a Path>, device: Device) -> Setup<'a> {
        let lpips = std::env::var_os("BENCH_LPIPS").map(PathBuf::from);
        Setup { data_root, lpips, device }
    }
}

/// A constructor.
pub type Build = fn(&Setup) -> Result<Box<dyn Metric>, MetricError>;

/// One metric.
pub struct MetricEntry {
    /// Unique name, the key in records.
    pub name: &'static str,
    /// One line for `bench list metrics`.
    pub summary: &'static str,
    /// Title, unit, range, direction, cap and thresholds: what reports know of it, also where it
    /// cannot be built.
    pub info: fn() -> MetricInfo,
    /// Builds it; [`MetricError::Absent`] where its weights are not on this machine.
    pub build: Build,
}

impl Registered for MetricEntry {
    fn name(&self) -> &'static str {
        self.name
    }
}

/// The metrics that ship with the project.
pub fn builtin() -> Registry<MetricEntry> {
    Registry::builtin("metric", ENTRIES)
}

/// The registry, in the order of reports. `label_match` is not here, because it compares labels and
/// not images (see [`label_match`](super::label_match)).
pub static ENTRIES: &[&MetricEntry] = &[
    &psnr::ENTRY,
    &ssim::ENTRY,
    &lpips::SQUEEZE,
    &lpips::ALEX,
    &lpips::VGG,
    &mse::ENTRY,
    &fl_attack::PSNR,
    &fl_attack::SSIM,
];

/// What `run.json` says of these metrics, in this order, and of the scores that every run has:
/// identifications and labels; and of registered ones, which cells have whose defenses transform
/// examples.
pub fn infos(entries: impl IntoIterator<Item = &'static MetricEntry>) -> Vec<MetricInfo> {
    let own = entries.into_iter().map(|e| (e.info)());
    let every = identification::infos().into_iter().chain(registered::infos());
    own.chain(every).chain(label_match::infos()).chain(label_batch::infos()).collect()
}

/// The metric called `name`.
///
/// # Errors
/// [`MetricError::UnknownName`] with the nearest known name.
pub fn find(name: &str) -> Result<&'static MetricEntry, MetricError> {
    ENTRIES.iter().find(|e| e.name == name).copied().ok_or_else(|| {
        let names: Vec<&str> = ENTRIES.iter().map(|e| e.name).collect();
        MetricError::UnknownName {
            name: name.into(),
            hint: suites::did_you_mean(name, &names).map(String::from),
            known: names.join(", "),
        }
    })
}
