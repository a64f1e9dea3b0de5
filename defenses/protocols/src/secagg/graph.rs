//! The mask graph: complete, or sparse and random (Bell et al. 2020, section 3).

use aws_lc_rs::digest::{Context, SHA256};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha12Rng;

/// Neighbours of each client, ascending, itself not among them.
#[derive(Clone, Debug)]
pub struct Graph {
    neighbours: Vec<Vec<u32>>,
    digest: [u8; 32],
}

impl Graph {
    /// The complete graph.
    pub fn complete(n: usize) -> Graph {
        Graph::new((0..n as u32).map(|i| (0..n as u32).filter(|&j| j != i).collect()).collect())
    }

    /// Clients in a random order on a circle, each joined to the `k / 2` next on either side (`k`
    /// even, below `n`): a Harary graph with its nodes permuted at random, which falls apart only
    /// where `k / 2` clients in a row are missing.
    pub fn harary(n: usize, k: usize, rng: &mut ChaCha12Rng) -> Graph {
        let mut order: Vec<u32> = (0..n as u32).collect();
        order.shuffle(rng);
        let mut neighbours = vec![Vec::with_capacity(k); n];
        for (place, &client) in order.iter().enumerate() {
            for step in 1..=k / 2 {
                neighbours[client as usize].push(order[(place + step) % n]);
                neighbours[client as usize].push(order[(place + n - step) % n]);
            }
        }
        neighbours.iter_mut().for_each(|list| {
            list.sort_unstable();
            list.dedup();
        });
        Graph::new(neighbours)
    }

    fn new(neighbours: Vec<Vec<u32>>) -> Graph {
        let mut context = Context::new(&SHA256);
        for list in &neighbours {
            let words = std::iter::once(list.len() as u32).chain(list.iter().copied());
            let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
            context.update(&bytes);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Graph { neighbours, digest }
    }

    /// SHA-256 of all lists of neighbours, each behind its length.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Neighbours of a client, ascending.
    pub fn neighbours(&self, client: u32) -> &[u32] {
        self.neighbours.get(client as usize).map_or(&[], Vec::as_slice)
    }

    /// Clients in all.
    pub fn clients(&self) -> usize {
        self.neighbours.len()
    }

    /// Whether the two are neighbours.
    pub fn joined(&self, a: u32, b: u32) -> bool {
        self.neighbours(a).binary_search(&b).is_ok()
    }
}

/// The point at which `holder` holds its share of `owner`'s secrets: its place, from 1, among the
/// owner and its neighbours.
pub fn point(owner: u32, neighbours: &[u32], holder: u32) -> Option<u8> {
    let before = match neighbours.binary_search(&holder) {
        Ok(at) => at + usize::from(owner < holder),
        Err(at) if holder == owner => at,
        Err(_) => return None,
    };
    u8::try_from(before + 1).ok()
}

/// Statistical security and correctness wanted, in bits (Bell et al. 2020 use the same).
pub const SECURITY: f64 = 40.0;
/// Probability `2^-30` that a round fails for bad luck in the graph.
pub const CORRECTNESS: f64 = 30.0;

/// Rates up to which a sparse graph shall hold.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Share of clients who may pool their secrets with the server.
    pub corrupt: f64,
    /// Share of clients who may drop out.
    pub dropout: f64,
}

/// Whether a graph of degree `k` with threshold `t` holds: with probability `1 - 2^-40` no client
/// has `t` corrupt neighbours and the honest survivors stay connected, and with probability `1 -
/// 2^-30` every client keeps `t` neighbours (Bell et al. 2020, theorem 3.10 and its Harary variant:
/// events E1, E2, E3 by the hypergeometric tail and a union bound).
pub fn holds(n: usize, k: usize, t: usize, rates: Rates) -> bool {
    let others = n - 1;
    let corrupt = (rates.corrupt * n as f64).floor() as usize;
    let dropped = (rates.dropout * n as f64).ceil() as usize;
    let ln_n = (n as f64).ln();
    let ln2 = std::f64::consts::LN_2;
    let revealed = ln_n + ln_tail(others, corrupt.min(others), k, t);
    // Fewer than t of k stay: more than k - t are gone.
    let starved = ln_n + ln_tail(others, dropped.min(others), k, (k + 1).saturating_sub(t));
    let split = ln_n + (k / 2) as f64 * (rates.corrupt + rates.dropout).ln();
    revealed < -SECURITY * ln2 && split < -SECURITY * ln2 && starved < -CORRECTNESS * ln2
}

/// The smallest even degree that holds, with its smallest threshold above half of the
/// neighbourhood; `None` where none below `n - 1` and within 254 does.
pub fn smallest(n: usize, rates: Rates) -> Option<(usize, usize)> {
    (2..n.saturating_sub(1).min(255))
        .step_by(2)
        .find_map(|k| threshold(n, k, rates).map(|t| (k, t)))
}

/// The smallest threshold above half of a client and its `k` neighbours that holds.
pub fn threshold(n: usize, k: usize, rates: Rates) -> Option<usize> {
    (k.div_ceil(2) + 1..=k).find(|&t| holds(n, k, t, rates))
}

/// `ln P[X >= least]` for `X` marked ones among `drawn` of `all`, of which `marked` are marked.
fn ln_tail(all: usize, marked: usize, drawn: usize, least: usize) -> f64 {
    let choose = |n: usize, k: usize| {
        let g = |x: usize| libm::lgamma(x as f64 + 1.0);
        g(n) - g(k) - g(n - k)
    };
    let total = choose(all, drawn);
    let low = least.max((drawn + marked).saturating_sub(all));
    let terms: Vec<f64> = (low..=drawn.min(marked))
        .map(|x| choose(marked, x) + choose(all - marked, drawn - x) - total)
        .collect();
    let top = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        return top;
    }
    top + terms.iter().map(|t| (t - top).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harary_graphs_are_regular_and_symmetric() {
        for (n, k) in [(9, 4), (50, 10), (10, 8)] {
            let graph = Graph::harary(n, k, &mut suites::rng::stream(3, "graph", "test"));
            for i in 0..n as u32 {
                assert_eq!(graph.neighbours(i).len(), k);
                assert!(graph.neighbours(i).iter().all(|&j| j != i && graph.joined(j, i)));
            }
        }
    }

    #[test]
    fn points_are_places_in_the_neighbourhood() {
        let places = [1, 4, 6, 9].map(|holder| point(6, &[1, 4, 9], holder));
        assert_eq!(places, [Some(1), Some(2), Some(3), Some(4)]);
        assert_eq!(point(6, &[1, 4, 9], 5), None);
    }

    /// Values from `scipy.stats.hypergeom` (SciPy 1.x), base 2: 1000 clients, 20% corrupt, 10%
    /// gone.
    #[test]
    fn the_smallest_degree_matches_scipy() {
        let rates = Rates { corrupt: 0.2, dropout: 0.1 };
        assert_eq!(smallest(1000, rates), Some((74, 45)));
        assert_eq!(smallest(10_000, rates), Some((90, 54)));
        assert_eq!(smallest(200, Rates { corrupt: 0.2, dropout: 0.05 }), Some((48, 31)));
        let bits = (1000f64.ln() + ln_tail(999, 200, 74, 45)) / std::f64::consts::LN_2;
        assert!((bits + 40.006312).abs() < 1e-5, "{bits}");
        assert_eq!(smallest(12, rates), None);
    }
}
