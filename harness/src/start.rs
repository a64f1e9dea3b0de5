//! What every federation starts from: who holds which examples, and the first weights.

use std::path::Path;

use datasets::Dataset;
use learning::{Network, Params, checkpoint, init};
use rand_chacha::ChaCha12Rng;
use suites::{ModelSpec, Partition, Split, TaskSpec, rng::stream};

use crate::HarnessError;

/// Ids of a split's examples, one list a client.
///
/// # Errors
/// Labels that cannot be read, or a partition that does not exist.
pub fn partition(
    data: &dyn Dataset,
    split: Split,
    kind: &Partition,
    clients: usize,
    rng: &mut ChaCha12Rng,
) -> Result<Vec<Vec<usize>>, HarnessError> {
    let labels =
        (0..data.len(split)).map(|id| data.label(split, id)).collect::<Result<Vec<_>, _>>()?;
    let identities: Option<Vec<u64>> = match kind {
        Partition::ByIdentity => (0..data.len(split)).map(|id| data.identity(split, id)).collect(),
        _ => None,
    };
    Ok(datasets::partition::split(kind, &labels, identities.as_deref(), clients, rng)?)
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
) -> Result<Params, HarnessError> {
    match &model.weights {
        Some(path) => load(net, path),
        None => {
            let key = format!(
                "weights {} {:?} {} {:?} {:?}",
                task.dataset, task.label, model.name, model.params, model.init
            );
            Ok(init::fresh(net.layout(), model.init, &mut stream(seed, &key, "weights")))
        }
    }
}

/// Weights from a checkpoint.
///
/// # Errors
/// A file that cannot be read, values that are not finite, tensors that are not the model's.
pub fn load(net: &Network, path: &Path) -> Result<Params, HarnessError> {
    let named = checkpoint::load(path)?;
    let wrong =
        |e: &dyn std::fmt::Display| HarnessError::Weights(format!("{}: {e}", path.display()));
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
