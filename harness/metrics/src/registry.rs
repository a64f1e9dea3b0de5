//! Every metric by name.

use crate::lpips;
use crate::{Metric, MetricError, fl_attack, mse, psnr, ssim};
use std::path::Path;
use suites::{Registered, Registry};
use tch::Device;

/// What a metric may need to be built.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// Folder of data sets and weights; LPIPS looks in its `lpips/`.
    pub data_root: Option<&'a Path>,
    /// Where the networks of LPIPS run.
    pub device: Device,
}

/// A constructor.
pub type Build = fn(&Setup) -> Result<Box<dyn Metric>, MetricError>;

/// One metric.
pub struct MetricEntry {
    /// Unique name, the key in records.
    pub name: &'static str,
    /// One line for `bench list metrics`.
    pub summary: &'static str,
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
    &mse::ENTRY,
    &psnr::ENTRY,
    &ssim::ENTRY,
    &lpips::SQUEEZE,
    &lpips::ALEX,
    &lpips::VGG,
    &fl_attack::PSNR,
    &fl_attack::SSIM,
];

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
