//! What every federation starts from: who holds which examples, and the first weights.

use std::path::Path;

use datasets::{Card, Dataset, Request};
use learning::models::{Model, Shape};
use learning::{Network, Params, checkpoint, init};
use rand_chacha::ChaCha12Rng;
use suites::{ModelSpec, Partition, Split, TaskSpec, rng::stream, stream_key};

use crate::{FederationError, Registries};

/// The data of a task, drawn from `seed` where they are drawn at all.
///
/// # Errors
/// Unknown names, data that are absent or broken.
pub fn open(
    registries: &Registries,
    task: &TaskSpec,
    seed: u64,
    root: Option<&Path>,
) -> Result<Box<dyn Dataset>, FederationError> {
    let label = task.label.as_deref();
    let request = Request { root, size: task.size, label, limit: task.limit, seed };
    Ok(datasets::open_from(&registries.datasets, &task.dataset, &request)?)
}

/// The architecture on data of that shape, with their normalisation.
///
/// # Errors
/// Unknown names, parameters out of range, a model that cannot take the data's shape.
pub fn network(
    registries: &Registries,
    spec: &ModelSpec,
    card: &Card,
) -> Result<Network, FederationError> {
    let model = model(registries, spec, card)?;
    Ok(Network::new(model, card.mean.clone(), card.std.clone()))
}

/// The architecture itself, of which nothing is computed yet.
///
/// # Errors
/// As [`network`].
pub fn model(
    registries: &Registries,
    spec: &ModelSpec,
    card: &Card,
) -> Result<Box<dyn Model>, FederationError> {
    let input = match card.kind {
        datasets::Kind::Image => vec![card.channels as i64, card.height as i64, card.width as i64],
        datasets::Kind::Table => vec![card.channels as i64],
    };
    let architecture = (registries.models.find(&spec.name)?.build)(&spec.params)?;
    Ok(architecture.build(&Shape { input, classes: card.classes as i64 })?)
}

/// Ids of a split's examples, one list a client, of which each step takes `batch`.
///
/// # Errors
/// Labels that cannot be read, or a partition that does not exist.
pub fn partition(
    data: &dyn Dataset,
    split: Split,
    kind: &Partition,
    clients: usize,
    batch: usize,
    rng: &mut ChaCha12Rng,
) -> Result<Vec<Vec<usize>>, FederationError> {
    let labels =
        (0..data.len(split)).map(|id| data.label(split, id)).collect::<Result<Vec<_>, _>>()?;
    let identities: Option<Vec<u64>> = match kind {
        Partition::ByIdentity => (0..data.len(split)).map(|id| data.identity(split, id)).collect(),
        _ => None,
    };
    let identities = identities.as_deref();
    Ok(datasets::partition::split(kind, &labels, identities, clients, batch, rng)?)
}

/// The first weights, `[1, ...]` on the CPU: those of a checkpoint, or fresh ones from a stream
/// that knows data set, model and initialisation, so that a training and the cells that attack it
/// start alike.
///
/// # Errors
/// A checkpoint that cannot be read or does not fit.
pub fn weights(
    net: &Network,
    task: &TaskSpec,
    model: &ModelSpec,
    seed: u64,
) -> Result<Params, FederationError> {
    match &model.weights {
        Some(path) => load(net, path),
        None => {
            let key = stream_key::weights(task, model);
            Ok(init::fresh(net.layout(), model.init, &mut stream(seed, &key, "weights")))
        }
    }
}

/// Weights from a checkpoint.
///
/// # Errors
/// A file that cannot be read, values that are not finite, tensors that are not the model's.
pub fn load(net: &Network, path: &Path) -> Result<Params, FederationError> {
    let wrong =
        |e: &dyn std::fmt::Display| FederationError::Weights(format!("{}: {e}", path.display()));
    let (named, _) =
        checkpoint::unwrap(net.layout(), checkpoint::load(path)?).map_err(|e| wrong(&e))?;
    if let Some((name, _)) = named
        .iter()
        .find(|(_, t)| t.is_floating_point() && t.isfinite().all().int64_value(&[]) == 0)
    {
        return Err(wrong(&format!(
            "tensor `{name}` holds NaN or infinite values; save the weights of a training that \
             did not diverge"
        )));
    }
    Params::from_named(net.layout().clone(), named).map_err(|e| wrong(&e))
}

/// The split that measures utility: test, else validation, else train, but never the one that the
/// clients hold.
pub fn test_split(data: &dyn Dataset, held: Split) -> Option<Split> {
    [Split::Test, Split::Val, Split::Train].into_iter().find(|&s| s != held && data.len(s) > 0)
}

/// The split an adversary may know: not the attacked one.
pub fn public_split(data: &dyn Dataset, attacked: Split) -> Option<Split> {
    [Split::Train, Split::Val, Split::Test].into_iter().find(|&s| s != attacked && data.len(s) > 0)
}
