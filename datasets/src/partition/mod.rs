//! Dividing examples among clients: iid, by label skew (Dirichlet, shards), by person, or in
//! batches with repeated labels.
//!
//! Every partition is disjoint and complete (with repeated labels but for what makes no batch),
//! leaves no client without examples, and depends only on its arguments and the random stream. Each
//! client's list is in random order, so its first k examples are a fair sample of what it holds;
//! with repeated labels it is in order of batches.

mod dirichlet;
mod identity;
mod iid;
mod repeated;
mod shards;

use std::collections::BTreeMap;

use rand::Rng;
use rand::seq::SliceRandom;
use suites::Partition;

use crate::DatasetError;

/// Divides the examples `0..labels.len()` among `clients`: one list of example ids per client.
///
/// `labels` are class numbers (any integers; -1, "no class", counts as one more class).
/// `identities` gives the person of each example and is needed by [`Partition::ByIdentity`] only,
/// `batch`, the examples of a step, by [`Partition::RepeatedLabels`].
///
/// # Errors
/// [`DatasetError::Partition`] where no such partition exists: no clients, more clients (or shards,
/// or fewer persons) than examples can fill, an alpha that is not a positive number, absent
/// identities, classes too few for the batch.
pub fn split<R: Rng + ?Sized>(
    kind: &Partition,
    labels: &[i64],
    identities: Option<&[u64]>,
    clients: usize,
    batch: usize,
    rng: &mut R,
) -> Result<Vec<Vec<usize>>, DatasetError> {
    let fault = |problem: String, remedy: String| DatasetError::Partition {
        kind: word(kind).into(),
        problem,
        remedy,
    };
    if clients == 0 {
        return Err(fault(
            "zero clients".into(),
            "set `federation.clients.total` to 1 or more".into(),
        ));
    }
    if clients > labels.len() {
        return Err(fault(
            format!("more clients than examples ({clients} clients, {} examples)", labels.len()),
            format!("use at most {} clients, or a larger split or limit", labels.len()),
        ));
    }
    let parts = match *kind {
        Partition::Iid => Ok(iid::split(labels.len(), clients, rng)),
        Partition::Dirichlet { alpha } => dirichlet::split(alpha, labels, clients, rng),
        Partition::Shards { per_client } => shards::split(per_client, labels, clients, rng),
        Partition::ByIdentity => identity::split(identities, labels.len(), clients, rng),
        Partition::RepeatedLabels { repeats } => {
            repeated::split(repeats, labels, clients, batch, rng)
        }
    };
    let mut parts = parts.map_err(|Fault { problem, remedy }| fault(problem, remedy))?;
    if !matches!(kind, Partition::RepeatedLabels { .. }) {
        parts.iter_mut().for_each(|part| part.shuffle(rng));
    }
    Ok(parts)
}

/// Why a partition cannot be made, and what to change; [`split`] adds its kind.
struct Fault {
    problem: String,
    remedy: String,
}

impl Fault {
    fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: remedy.into() }
    }
}

fn word(kind: &Partition) -> &'static str {
    match kind {
        Partition::Iid => "iid",
        Partition::Dirichlet { .. } => "dirichlet",
        Partition::Shards { .. } => "shards",
        Partition::ByIdentity => "by-identity",
        Partition::RepeatedLabels { .. } => "repeated-labels",
    }
}

/// How many of `examples` each client holds when they are shared out evenly; the first ones take
/// what is left over.
fn even_sizes(examples: usize, clients: usize) -> impl Iterator<Item = usize> {
    (0..clients).map(move |c| examples / clients + usize::from(c < examples % clients))
}

/// Cuts `ids` into runs of these lengths.
fn cut(ids: &[usize], sizes: impl Iterator<Item = usize>) -> Vec<Vec<usize>> {
    let mut rest = ids;
    sizes
        .map(|size| {
            let (part, tail) = rest.split_at(size);
            rest = tail;
            part.to_vec()
        })
        .collect()
}

/// Example ids by class (or person), each list in random order.
fn groups<K: Ord + Copy, R: Rng + ?Sized>(keys: &[K], rng: &mut R) -> Vec<Vec<usize>> {
    let mut found: BTreeMap<K, Vec<usize>> = BTreeMap::new();
    for (id, key) in keys.iter().enumerate() {
        found.entry(*key).or_default().push(id);
    }
    let mut lists: Vec<Vec<usize>> = found.into_values().collect();
    lists.iter_mut().for_each(|list| list.shuffle(rng));
    lists
}

#[cfg(test)]
mod tests;
