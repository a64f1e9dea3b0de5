//! `capture.json`: a folder that says all of a captured update (docs/capture.md).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};
use suites::Named;
use suites::foreign::{self, limits};

use super::description::{Description, Holds, Optimizer};

/// Name of the file in its folder.
pub const NAME: &str = "capture.json";

/// The version that is read.
const SCHEMA: &str = "bench-capture/1";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaptureFile {
    schema: String,
    #[serde(default, rename = "made_by")]
    _made_by: Option<String>,
    #[serde(default, rename = "notes")]
    _notes: Vec<String>,
    model: ModelEntry,
    weights: Option<String>,
    update: String,
    holds: Holds,
    examples: i64,
    training: Option<TrainingEntry>,
    batch_norm: Option<BatchNorm>,
    normalization: Option<Normalization>,
    labels: Option<Vec<i64>>,
    contributors: Option<Vec<i64>>,
    #[serde(default)]
    defenses: Vec<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelEntry {
    file: Option<String>,
    name: Option<String>,
    params: Option<Map<String, Value>>,
    input: Option<Vec<i64>>,
    classes: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TrainingEntry {
    optimizer: Option<Optimizer>,
    lr: Option<f64>,
    momentum: Option<f64>,
    weight_decay: Option<f64>,
    betas: Option<Vec<f64>>,
    lr_schedule: Option<Vec<f64>>,
    epochs: Option<u32>,
    minibatch: Option<i64>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum BatchNorm {
    Train,
    Eval,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Normalization {
    mean: Vec<f64>,
    std: Vec<f64>,
}

/// Reads the description in a folder; its files are named by their paths from here.
///
/// # Errors
/// A folder without the file, JSON of another kind or version, names that leave the folder.
pub fn read(folder: &Path) -> Result<Description> {
    let path = folder.join(NAME);
    let place = || path.display().to_string();
    if !path.is_file() {
        bail!("{} holds no {NAME}; give a folder that a capture wrote, or flags", folder.display());
    }
    let text = foreign::read_text(&path, &limits::SUITE).with_context(place)?;
    let file: CaptureFile = serde_json::from_str(&text).with_context(place)?;
    if file.schema != SCHEMA {
        bail!("{}: schema `{}`; this version reads `{SCHEMA}`", place(), file.schema);
    }
    described(file, folder).with_context(place)
}

fn described(file: CaptureFile, folder: &Path) -> Result<Description> {
    let within = |name: String| inside(folder, &name);
    let model = match (file.model.file, file.model.name) {
        (Some(file), None) => inside(folder, &file)?.display().to_string(),
        (None, Some(name)) => name,
        _ => bail!("`model` needs either `file` or `name`"),
    };
    let input = file
        .model
        .input
        .map(|shape| shape.iter().map(i64::to_string).collect::<Vec<_>>().join("x"));
    let training = file.training.unwrap_or_default();
    let (mean, std) = file.normalization.map(|n| (n.mean, n.std)).unzip();
    let named = |table| -> Result<String> { Ok(spelled(&named(table)?)) };
    Ok(Description {
        model: Some(model),
        model_params: file.model.params.map(|params| Value::Object(params).to_string()),
        trainable: None,
        by_position: false,
        input,
        classes: file.model.classes,
        weights: file.weights.map(within).transpose()?,
        update: Some(inside(folder, &file.update)?),
        holds: Some(file.holds),
        examples: Some(file.examples),
        lr: training.lr,
        lr_schedule: training.lr_schedule,
        epochs: training.epochs,
        minibatch: training.minibatch,
        steps: None,
        optimizer: training.optimizer,
        momentum: training.momentum,
        weight_decay: training.weight_decay,
        betas: training.betas,
        contributors: file.contributors.as_ref().map(|each| each.len() as i64),
        weights_of: file.contributors,
        labels: file.labels,
        mean,
        std,
        batch_norm_eval: file.batch_norm.map(|mode| mode == BatchNorm::Eval),
        defenses: file.defenses.into_iter().map(named).collect::<Result<_>>()?,
    })
}

/// A file beside the description.
fn inside(folder: &Path, name: &str) -> Result<PathBuf> {
    let path = Path::new(name);
    if path.file_name().is_none_or(|own| own != path.as_os_str()) {
        bail!("`{name}` is not the name of a file in this folder");
    }
    Ok(folder.join(name))
}

/// `{"name": "prune", "fraction": 0.9}`.
fn named(mut table: Map<String, Value>) -> Result<Named> {
    let Some(Value::String(name)) = table.remove("name") else {
        bail!("an entry of `defenses` has no `name`");
    };
    Ok(Named { name, params: table })
}

/// As a flag gives it.
fn spelled(named: &Named) -> String {
    let pairs: Vec<String> = named.params.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let colon = if pairs.is_empty() { "" } else { ":" };
    format!("{}{colon}{}", named.name, pairs.join(","))
}
