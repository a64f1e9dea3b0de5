//! Laws that every partition keeps, and what each kind promises beyond them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use suites::Partition;
use suites::rng::stream;

use super::split;

fn kinds() -> impl Strategy<Value = Partition> {
    prop_oneof![
        Just(Partition::Iid),
        (1e-4f64..1e4).prop_map(|alpha| Partition::Dirichlet { alpha }),
        (1usize..4).prop_map(|per_client| Partition::Shards { per_client }),
        Just(Partition::ByIdentity),
        (0usize..3).prop_map(|repeats| Partition::RepeatedLabels { repeats }),
    ]
}

proptest! {
    #[test]
    fn disjoint_complete_deterministic_and_none_empty(
        kind in kinds(),
        people in prop::collection::vec((-1i64..6, 0u64..12), 1..120),
        clients in 1usize..20,
        seed: u64,
    ) {
        let (labels, identities): (Vec<i64>, Vec<u64>) = people.into_iter().unzip();
        let rng = || stream(seed, "t", "p");
        let make = || split(&kind, &labels, Some(&identities), clients, 3, &mut rng());
        let possible = match kind {
            Partition::Shards { per_client } => clients * per_client <= labels.len(),
            Partition::ByIdentity => clients <= identities.iter().collect::<BTreeSet<_>>().len(),
            // Whether a batch can be made depends on the draw.
            Partition::RepeatedLabels { .. } => make().is_ok(),
            _ => clients <= labels.len(),
        };
        match make() {
            Ok(parts) => {
                prop_assert!(possible);
                prop_assert_eq!(parts.len(), clients);
                prop_assert!(parts.iter().all(|part| !part.is_empty()));
                let mut all: Vec<usize> = parts.concat();
                all.sort_unstable();
                match kind {
                    Partition::RepeatedLabels { .. } => {
                        all.dedup();
                        prop_assert_eq!(all.len(), parts.concat().len());
                    }
                    _ => prop_assert_eq!(all, (0..labels.len()).collect::<Vec<_>>()),
                }
                prop_assert_eq!(parts, make().unwrap());
            }
            Err(fault) => prop_assert!(!possible, "{}", fault),
        }
    }

    #[test]
    fn by_identity_keeps_persons_whole(
        identities in prop::collection::vec(0u64..9, 1..80),
        clients in 1usize..6,
    ) {
        let (labels, kind) = (vec![0; identities.len()], Partition::ByIdentity);
        let parts = split(&kind, &labels, Some(&identities), clients, 1, &mut stream(1, "t", "p"));
        for (client, part) in parts.into_iter().flatten().enumerate() {
            for id in &part {
                let whole = identities.iter().filter(|i| **i == identities[*id]).count();
                let here = part.iter().filter(|i| identities[**i] == identities[*id]).count();
                prop_assert_eq!(here, whole, "client {}", client);
            }
        }
    }
}

/// Share of a client's most frequent class, averaged over clients.
fn skew(kind: Partition) -> f64 {
    let labels: Vec<i64> = (0..2000).map(|i| i % 10).collect();
    let parts = split(&kind, &labels, None, 20, 1, &mut stream(3, "t", "skew")).unwrap();
    let top = |part: &Vec<usize>| {
        let mut counts = BTreeMap::new();
        part.iter().for_each(|&i| *counts.entry(labels[i]).or_insert(0) += 1);
        *counts.values().max().unwrap() as f64 / part.len() as f64
    };
    parts.iter().map(top).sum::<f64>() / parts.len() as f64
}

#[test]
fn smaller_alpha_is_more_skewed() {
    let [even, mild, strong] =
        [1000.0, 1.0, 0.05].map(|alpha| skew(Partition::Dirichlet { alpha }));
    assert!(even < 0.2 && mild > even + 0.05 && strong > 0.6, "{even} {mild} {strong}");
    assert!((skew(Partition::Iid) - even).abs() < 0.05);
}

#[test]
fn a_shard_holds_few_classes() {
    assert!(skew(Partition::Shards { per_client: 1 }) > 0.99);
    assert!(skew(Partition::Shards { per_client: 2 }) >= 0.5);
}

#[test]
fn every_batch_repeats_its_label_as_often_as_asked() {
    let labels: Vec<i64> = (0..800).map(|i| i % 10).collect();
    for (batch, repeats) in [(1, 0), (2, 0), (2, 1), (8, 0), (8, 4), (8, 7), (16, 6)] {
        let kind = Partition::RepeatedLabels { repeats };
        let parts = split(&kind, &labels, None, 4, batch, &mut stream(3, "t", "p")).unwrap();
        for part in parts {
            assert!(part.len() >= 3 * batch && part.len() % batch == 0);
            for run in part.chunks(batch) {
                let mut counts = BTreeMap::new();
                run.iter().for_each(|&id| *counts.entry(labels[id]).or_insert(0) += 1);
                assert_eq!(counts.len(), batch - repeats, "{batch} {repeats}");
                assert_eq!(counts.values().max(), Some(&(repeats + 1)), "all of one class");
            }
        }
    }
}

#[test]
fn another_stream_gives_another_partition() {
    let labels = vec![0; 50];
    let make =
        |seed| split(&Partition::Iid, &labels, None, 5, 1, &mut stream(seed, "t", "p")).unwrap();
    assert_ne!(make(1), make(2));
}

#[test]
fn impossible_partitions_say_what_to_change() {
    let message = |kind, n: usize, identities: Option<&[u64]>, clients| {
        let labels = vec![0; n];
        split(&kind, &labels, identities, clients, 4, &mut stream(0, "t", "p"))
            .unwrap_err()
            .to_string()
    };
    let cases = [
        (
            message(Partition::Iid, 3, None, 4),
            "more clients than examples (4 clients, 3 examples); use at most 3",
        ),
        (message(Partition::Iid, 3, None, 0), "zero clients; set `federation.clients.total`"),
        (message(Partition::Shards { per_client: 2 }, 5, None, 3), "set `per_client` to 1 or less"),
        (message(Partition::Shards { per_client: 0 }, 5, None, 3), "zero shards"),
        (message(Partition::Shards { per_client: usize::MAX }, 5, None, 3), "more shards"),
        (message(Partition::Dirichlet { alpha: -1.0 }, 5, None, 3), "alpha = -1; set `alpha`"),
        (message(Partition::Dirichlet { alpha: f64::NAN }, 5, None, 3), "alpha = NaN"),
        (message(Partition::ByIdentity, 3, None, 2), "does not know who"),
        (
            message(Partition::ByIdentity, 3, Some(&[1, 1, 2]), 3),
            "more clients than persons (3 clients, 2 persons)",
        ),
        (message(Partition::ByIdentity, 3, Some(&[1]), 3), "1 identities for 3 examples"),
        (
            message(Partition::RepeatedLabels { repeats: 4 }, 9, None, 1),
            "4 repeated labels in a batch of 4; set `repeats` to 3 or less",
        ),
        (
            message(Partition::RepeatedLabels { repeats: 1 }, 9, None, 1),
            "no batch of 4 with 1 repeated labels and 3 classes",
        ),
    ];
    for (message, part) in cases {
        assert!(message.contains(part) && !message.contains('\n'), "{message} lacks {part}");
    }
}
