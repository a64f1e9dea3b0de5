//! `run.json`: what was run, by which program, on which machine.

use super::{RUN, files, jsonl};
use crate::{MetricInfo, Metrics, RecordError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;
use suites::foreign::{self, limits};
use suites::{CellId, Published, Suite};

/// Schema of run folders: `major.minor`. Folders of [`OLD_MAJOR`] are read, but not gone on with;
/// another major cannot be read.
pub const SCHEMA: &str = "2.0";

/// The major before.
const OLD_MAJOR: u32 = 1;

/// The content of `run.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Schema of the folder, [`SCHEMA`] when written by this program.
    pub schema: String,
    /// Version of the program that started the run.
    pub bench_version: String,
    /// The suite.
    pub suite: SuiteInfo,
    /// libtorch's version and flavour, such as `2.11.0 (cpu)`.
    pub libtorch: String,
    /// Device in words, such as `cpu` or `cuda:0 (NVIDIA A100, 80 GiB)`.
    pub device: String,
    /// Operating system, processor and cores.
    pub machine: String,
    /// Kind of processor and the instructions taken, on which the last digits depend; empty where
    /// the program that started the run did not record it.
    #[serde(default)]
    pub processor: String,
    /// Values set on the command line, as (dotted path, value).
    pub overrides: Vec<(String, Value)>,
    /// The shard of the suite that this folder holds, such as `2/8`.
    pub shard: Option<String>,
    /// The command that makes this run again from nothing.
    pub command: String,
    /// The command that goes on with this folder.
    pub resume: String,
    /// Where parts of the run were made if not on the machine above: resumed elsewhere, or merged
    /// from several.
    pub elsewhere: Vec<Host>,
    /// What the scores of the records mean, in the order of reports; empty in runs of old. Readers
    /// ask [`Metrics::from_run`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricInfo>,
    /// Version of the keys of random streams ([`suites::stream_key::VERSION`]): cells of two
    /// versions have other images and weights under one id.
    #[serde(default = "first_streams")]
    pub streams: u32,
}

/// What runs drew by before they recorded it.
fn first_streams() -> u32 {
    1
}

/// The suite as it was when the run started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SuiteInfo {
    /// Its name.
    pub name: String,
    /// The profile chosen, if any.
    pub profile: Option<String>,
    /// Its version.
    pub version: String,
    /// What it is for.
    pub description: String,
    /// The TOML.
    pub text: String,
    /// Cells that this folder should hold when finished, in the suite's order.
    pub cells: Vec<CellId>,
    /// Values from the literature to print beside the measured ones.
    pub published: Vec<Published>,
}

/// A program on a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Version of the program.
    pub bench_version: String,
    /// libtorch's version and flavour.
    pub libtorch: String,
    /// Device in words.
    pub device: String,
    /// Operating system, processor and cores.
    pub machine: String,
    /// Kind of processor and the instructions taken.
    #[serde(default)]
    pub processor: String,
}

impl Host {
    /// Whether both give the same bits for the same cell: device, libtorch and processor are equal.
    /// (The number of threads is, in all of a run folder.)
    pub fn same_kind(&self, other: &Host) -> bool {
        let kind = |h: &Host| [h.device.clone(), h.libtorch.clone(), h.processor.clone()];
        kind(self) == kind(other)
    }

    /// Device, libtorch and processor in words.
    pub fn kind(&self) -> String {
        let unknown = "unknown processor".to_string();
        let processor = if self.processor.is_empty() { &unknown } else { &self.processor };
        format!("{}, libtorch {}, {processor}", self.device, self.libtorch)
    }
}

impl RunInfo {
    /// The program and machine that started the run.
    pub fn host(&self) -> Host {
        Host {
            bench_version: self.bench_version.clone(),
            libtorch: self.libtorch.clone(),
            device: self.device.clone(),
            machine: self.machine.clone(),
            processor: self.processor.clone(),
        }
    }

    /// Whether parts were made on machines of different kinds ([`Host::same_kind`]).
    pub fn is_mixed(&self) -> bool {
        self.elsewhere.iter().any(|host| !host.same_kind(&self.host()))
    }

    /// One line for the user of a run whose parts were made on machines of different kinds.
    pub fn mixed(&self) -> Option<String> {
        let mut kinds = vec![self.host().kind()];
        kinds.extend(self.elsewhere.iter().map(Host::kind));
        let mut seen = std::collections::BTreeSet::new();
        kinds.retain(|kind| seen.insert(kind.clone()));
        self.is_mixed().then(|| {
            format!(
                "the cells of this run were made on {} kinds of machine ({}): they agree to \
                 rounding, not bit by bit; the run and its report say so",
                kinds.len(),
                kinds.join("; ")
            )
        })
    }

    /// One line for the reader of a run of schema 1.x.
    pub fn old(&self) -> Option<String> {
        (major(&self.schema) == Some(OLD_MAJOR)).then(|| {
            format!(
                "this run was written in schema {}: its ids are kept as they are, and an accuracy \
                 after training or an epsilon of it is that of another federation than the \
                 attacked one",
                self.schema
            )
        })
    }

    /// Reads `run.json` of `dir`.
    ///
    /// # Errors
    /// [`RecordError::NotARun`], [`RecordError::Schema`], [`RecordError::Malformed`],
    /// [`RecordError::Io`].
    pub fn read(dir: &Path) -> Result<Self, RecordError> {
        let path = dir.join(RUN);
        let text = match foreign::read(&path, &limits::RUN) {
            Ok(text) => text,
            Err(e)
                if matches!(
                    e.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                return Err(RecordError::NotARun(dir.into()));
            }
            Err(e) => return Err(RecordError::io("read", &path)(e)),
        };
        let malformed = |e: serde_json::Error| RecordError::Malformed {
            path: path.clone(),
            line: e.line(),
            column: e.column(),
            message: jsonl::reason(&e),
            remedy: "restore the file, or start a new run folder",
        };
        // The schema first: a newer file may not parse at all, and its user should hear why.
        let schema: OnlySchema = serde_json::from_slice(&text).map_err(malformed)?;
        if major(&schema.schema) != Some(OLD_MAJOR) {
            check_schema(&schema.schema, SCHEMA, &path)?;
        }
        serde_json::from_slice(&text).map_err(malformed)
    }

    pub(super) fn write(&self, dir: &Path) -> Result<(), RecordError> {
        let unwritable = |e: serde_json::Error| RecordError::Unwritable {
            cell: RUN.into(),
            message: e.to_string(),
        };
        let mut text = serde_json::to_vec_pretty(self).map_err(unwritable)?;
        text.push(b'\n');
        files::write_whole(&dir.join(RUN), &text)
    }

    /// Refuses `wanted` where it would put other cells into this folder.
    pub(super) fn same_experiment(&self, wanted: &Self, path: &Path) -> Result<(), RecordError> {
        check_schema(&self.schema, SCHEMA, &path.join(RUN))?;
        let difference = if self.suite.text != wanted.suite.text {
            "the suite's text"
        } else if self.suite.profile != wanted.suite.profile {
            "the profile"
        } else if self.overrides != wanted.overrides {
            "what the command line sets"
        } else if self.streams != wanted.streams {
            "the version of its random streams"
        } else if Metrics::of_both(self, wanted).is_err() {
            "which direction of a metric is better"
        } else {
            return Ok(());
        };
        let (found, wanted) = (self.suite.title(), wanted.suite.title());
        Err(RecordError::OtherSuite { path: path.into(), found, wanted, difference })
    }

    /// Notes a host other than those known; says whether it was new.
    pub(super) fn note_host(&mut self, host: Host) -> bool {
        let new = host != self.host() && !self.elsewhere.contains(&host);
        if new {
            self.elsewhere.push(host);
        }
        new
    }

    /// Describes the metrics of `other` that a list of its own lacks; says whether there were any.
    /// A run of old, which lists none, stays as it is.
    pub(super) fn note_metrics(&mut self, other: &Self) -> bool {
        let known = |m: &&MetricInfo| self.metrics.iter().any(|own| own.name == m.name);
        let new: Vec<MetricInfo> = other.metrics.iter().filter(|m| !known(m)).cloned().collect();
        let any = !self.metrics.is_empty() && !new.is_empty();
        if any {
            self.metrics.extend(new);
        }
        any
    }
}

impl SuiteInfo {
    /// The suite as it is about to be run; call it after the suite was cut to a shard.
    pub fn from_suite(suite: &Suite) -> Self {
        let cells: Vec<_> = suite.cells.iter().map(suites::CellSpec::id).collect();
        // A suite built from flags has no file; its cells then say what it is.
        let text = if suite.text.is_empty() {
            cells.iter().map(|id| format!("{id}\n")).collect()
        } else {
            suite.text.clone()
        };
        SuiteInfo {
            name: suite.name.clone(),
            profile: suite.profile.clone(),
            version: suite.version.clone(),
            description: suite.description.clone(),
            text,
            cells,
            published: suite.published.clone(),
        }
    }

    /// Name and profile, such as "suite showcase (profile full)".
    pub fn title(&self) -> String {
        match &self.profile {
            Some(profile) => format!("suite {} (profile {profile})", self.name),
            None => format!("suite {}", self.name),
        }
    }
}

#[derive(Deserialize)]
struct OnlySchema {
    schema: String,
}

fn major(schema: &str) -> Option<u32> {
    schema.split('.').next().and_then(|m| m.parse().ok())
}

/// Refuses a file whose schema has another major than `known`.
///
/// # Errors
/// [`RecordError::Schema`], which says which of the two is newer.
pub fn check_schema(found: &str, known: &'static str, path: &Path) -> Result<(), RecordError> {
    let (theirs, ours) = (major(found), major(known));
    if theirs == ours {
        return Ok(());
    }
    Err(RecordError::Schema { path: path.into(), found: found.into(), known, newer: theirs > ours })
}
