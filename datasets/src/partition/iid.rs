//! Examples dealt uniformly at random, in equal shares (McMahan et al., 2017).

use rand::Rng;
use rand::seq::SliceRandom;

use super::{cut, even_sizes};

/// Shares differ by one example at most.
pub(super) fn split<R: Rng + ?Sized>(
    examples: usize,
    clients: usize,
    rng: &mut R,
) -> Vec<Vec<usize>> {
    let mut ids: Vec<usize> = (0..examples).collect();
    ids.shuffle(rng);
    cut(&ids, even_sizes(examples, clients))
}
