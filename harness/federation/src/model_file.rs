//! Trained models as files: the weights, and beside them what they were trained on and how, so that
//! nothing else is needed to use them.

use std::path::Path;
use std::sync::Arc;

use datasets::Card;
use defenses::pipeline;
use learning::{Network, Params, checkpoint};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use suites::TrainSpec;
use suites::foreign::{Budget, limits, printable};

use crate::randomness::Draws;
use crate::{FederationError, Registries, init, panics};

/// A trained model.
pub struct ModelFile {
    /// The architecture with its normalisation.
    pub net: Arc<Network>,
    /// The weights, `[1, ...]` on the CPU.
    pub params: Params,
    /// How it was trained.
    pub spec: TrainSpec,
    /// What has to be said of it wherever it is used.
    pub caution: Option<String>,
    /// Rounds it has been trained for.
    pub round: usize,
    /// The data it was trained on: shape, classes, normalisation.
    pub card: Card,
}

/// What is written beside the tensors.
#[derive(Serialize)]
struct Description {
    bench: String,
    spec: TrainSpec,
    #[serde(skip_serializing_if = "Option::is_none")]
    caution: Option<&'static str>,
    round: usize,
    card: Card,
}

/// What is read of it; the spec may be one of 1.x.
#[derive(Deserialize)]
struct Described {
    spec: Value,
    #[serde(default)]
    caution: Option<String>,
    round: usize,
    card: Card,
}

impl ModelFile {
    /// Names of the classes, or their numbers.
    pub fn classes(&self) -> Vec<String> {
        if self.card.class_names.len() == self.card.classes {
            self.card.class_names.clone()
        } else {
            (0..self.card.classes).map(|c| c.to_string()).collect()
        }
    }
}

/// Writes weights with their description.
///
/// # Errors
/// A file that cannot be written.
pub fn write(
    path: &Path,
    params: &Params,
    spec: &TrainSpec,
    draws: Draws,
    round: usize,
    card: &Card,
) -> Result<(), FederationError> {
    let (bench, caution) = (env!("CARGO_PKG_VERSION").to_string(), draws.caution());
    let description = Description { bench, spec: spec.clone(), caution, round, card: card.clone() };
    let text =
        serde_json::to_string(&description).map_err(|e| FederationError::Weights(e.to_string()))?;
    Ok(checkpoint::save_described(path, &params.named(0), &text)?)
}

/// Opens a model that `bench train` wrote.
///
/// # Errors
/// A file that is no checkpoint, has no description, or whose tensors are not those of the model it
/// names.
pub fn open(registries: &Registries, path: &Path) -> Result<ModelFile, FederationError> {
    let wrong =
        |problem: String| FederationError::Weights(format!("{}: {problem}", path.display()));
    let none = || {
        wrong("does not say what model it is; give a checkpoint that `bench train` wrote".into())
    };
    let text = checkpoint::description(path)?.ok_or_else(none)?;
    let unread = |e: &dyn std::fmt::Display| wrong(format!("its description cannot be read: {e}"));
    let Described { spec, caution, round, card } =
        serde_json::from_str(&text).map_err(|e| unread(&e))?;
    let stored = std::fs::metadata(path).map_or(0, |about| about.len());
    let mut budget = Budget::new(&limits::MODEL, stored);
    budget.build(nodes(&spec), NODE).map_err(|e| unread(&e))?;
    let spec = suites::train::revive(&spec).map_err(|e| unread(&e))?;
    check(&card).map_err(|e| unread(&e))?;
    // What a description asks of libtorch it may refuse in no other way.
    let net = panics::guarded(|| network(registries, &spec, &card, budget))
        .map_err(|e| {
            wrong(format!("its description is of no model that fits the file: {}", printable(&e)))
        })?
        .map_err(|e| wrong(e.to_string()))?;
    let params = init::load(&net, path)?;
    Ok(ModelFile { net: Arc::new(net), params, spec, caution, round, card })
}

/// Bytes that a value of a description takes while it is read.
const NODE: usize = 256;

/// Values in a description.
fn nodes(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(nodes).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(nodes).sum::<usize>(),
        _ => 1,
    }
}

/// A card of data that a model can have been trained on.
fn check(card: &Card) -> Result<(), String> {
    let sides = [card.channels, card.height, card.width, card.classes];
    if sides.iter().any(|&n| n == 0 || i64::try_from(n).is_err()) {
        return Err(format!("it was trained on data of {sides:?}, which there are not"));
    }
    if [&card.mean, &card.std].iter().any(|v| v.len() != card.channels && v.len() != 1) {
        return Err(format!("its normalisation is not one of {} channels", card.channels));
    }
    Ok(())
}

/// The model of a training on data of that shape, with what its defenses change in it, within a
/// budget.
fn network(
    registries: &Registries,
    spec: &TrainSpec,
    card: &Card,
    budget: Budget,
) -> Result<Network, FederationError> {
    let model = init::model(registries, &spec.model, card)?;
    let mut net = Network::within(model, card.mean.clone(), card.std.clone(), budget);
    for defense in &pipeline::build(&registries.defenses, &spec.defenses)?.defenses {
        net = defense.model(net)?;
    }
    Ok(net)
}
