//! Label-sorted shards dealt to clients (McMahan et al., 2017, "pathological non-iid").

use rand::Rng;
use rand::seq::SliceRandom;

use super::{Fault, cut, even_sizes, groups};

/// Sorts by label, cuts into `clients * per_client` even shards and deals `per_client` random ones
/// to each client.
pub(super) fn split<R: Rng + ?Sized>(
    per_client: usize,
    labels: &[i64],
    clients: usize,
    rng: &mut R,
) -> Result<Vec<Vec<usize>>, Fault> {
    if per_client == 0 {
        return Err(Fault::new("zero shards per client", "set `per_client` to 1 or more"));
    }
    let shards = clients.saturating_mul(per_client);
    if shards > labels.len() {
        let most = labels.len() / clients;
        return Err(Fault::new(
            format!("more shards than examples ({shards} shards, {} examples)", labels.len()),
            format!("set `per_client` to {most} or less, or use fewer clients"),
        ));
    }
    let sorted: Vec<usize> = groups(labels, rng).into_iter().flatten().collect();
    let mut pieces = cut(&sorted, even_sizes(labels.len(), shards));
    pieces.shuffle(rng);
    Ok(pieces.chunks(per_client).map(<[Vec<usize>]>::concat).collect())
}
