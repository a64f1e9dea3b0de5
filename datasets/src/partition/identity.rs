//! All examples of one person stay with one client, as on personal devices.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::Rng;
use rand::seq::SliceRandom;

use super::{Fault, groups};

/// Deals persons in random order, each to the client that holds least so far.
pub(super) fn split<R: Rng + ?Sized>(
    identities: Option<&[u64]>,
    examples: usize,
    clients: usize,
    rng: &mut R,
) -> Result<Vec<Vec<usize>>, Fault> {
    let identities = identities.ok_or_else(|| {
        Fault::new(
            "the data set does not know who is in its examples",
            "use celeba (with its identity list) or synthfaces, or another partition",
        )
    })?;
    if identities.len() != examples {
        return Err(Fault::new(
            format!("{} identities for {examples} examples", identities.len()),
            "give one identity per example",
        ));
    }
    let mut people = groups(identities, rng);
    if people.len() < clients {
        return Err(Fault::new(
            format!("more clients than persons ({clients} clients, {} persons)", people.len()),
            format!("use at most {} clients", people.len()),
        ));
    }
    people.shuffle(rng);
    Ok(deal(people, clients))
}

fn deal(people: Vec<Vec<usize>>, clients: usize) -> Vec<Vec<usize>> {
    let mut parts = vec![Vec::new(); clients];
    let mut loads: BinaryHeap<_> = (0..clients).map(|c| Reverse((0, c))).collect();
    for person in people {
        if let Some(Reverse((load, client))) = loads.pop() {
            loads.push(Reverse((load + person.len(), client)));
            parts[client].extend(person);
        }
    }
    parts
}
