//! Faces by person: which images train a classifier of persons, which test it, and which persons it
//! never sees.
//!
//! Face recognition is trained on a closed set of persons and judged by pairs of images of persons
//! it never saw. So a set of faces opens in two ways: `label = "identity"` gives images of the
//! training persons in all splits, `label = "unseen"` images of other persons as its test split.

use std::collections::{BTreeMap, HashMap};

/// [`crate::Request::label`] for a class per training person.
pub(crate) const IDENTITY: &str = "identity";
/// [`crate::Request::label`] for the persons that are kept out of training.
pub(crate) const UNSEEN: &str = "unseen";

/// Whether a data set of that name opens with `label = "unseen"`: persons for verification, who are
/// in no train split.
pub fn knows_unseen(name: &str) -> bool {
    ["celeba", "casia-webface", "synthfaces"].contains(&name) || name.starts_with("recordio:")
}

/// What the splits are, for a card's notes.
pub(crate) const CLOSED_NOTE: &str = "classes are the persons of train; val and test are other \
    images of the same persons (a tenth and a fifth of \
    each person's, one for test of those with three or four); persons that are not in train are \
    served by label = \"unseen\"";

/// Images dealt among the splits, and a class for each person.
#[derive(Debug, PartialEq)]
pub(crate) struct Dealt {
    /// Train, val, test: numbers of images, ascending, each with its class.
    pub splits: [Vec<(usize, u32)>; 3],
    /// The person of each class, ascending.
    pub persons: Vec<u64>,
}

/// A closed set: every person of train is a class, and has images in test (from three on) and val
/// (from ten on).
///
/// `people` are images with their persons; `limit` keeps the first so many images of train, and the
/// persons among them.
pub(crate) fn closed(people: &[(usize, u64)], limit: Option<usize>) -> Dealt {
    let mut images: HashMap<u64, usize> = HashMap::new();
    people.iter().for_each(|(_, who)| *images.entry(*who).or_default() += 1);
    let mut seen: HashMap<u64, usize> = HashMap::new();
    let mut dealt: [Vec<(usize, u64)>; 3] = Default::default();
    for &(image, who) in people {
        let nth = seen.entry(who).or_default();
        dealt[seat(*nth, images[&who])].push((image, who));
        *nth += 1;
    }
    dealt[0].truncate(limit.unwrap_or(usize::MAX));
    classed(dealt.map(|part| part.into_iter().collect()))
}

/// The given images as the test split, with a class for each person.
pub(crate) fn unseen(people: &[(usize, u64)]) -> Dealt {
    let mut all = classed([people.to_vec(), Vec::new(), Vec::new()]);
    all.splits.swap(0, 2);
    all
}

/// Which split the `nth` of a person's `n` images belongs to: a fifth is test (one at least of
/// three), a tenth val, each spread over all.
fn seat(nth: usize, n: usize) -> usize {
    let tests = if n >= 3 { (n / 5).max(1) } else { 0 };
    let is_among = |nth: usize, n: usize, wanted: usize| (nth + 1) * wanted / n > nth * wanted / n;
    if is_among(nth, n, tests) {
        return 2;
    }
    let others = nth - nth * tests / n;
    usize::from(is_among(others, n - tests, n / 10))
}

/// Numbers the persons of the first split, and drops images of others.
fn classed(parts: [Vec<(usize, u64)>; 3]) -> Dealt {
    let mut classes: BTreeMap<u64, u32> = parts[0].iter().map(|(_, who)| (*who, 0)).collect();
    classes.values_mut().zip(0..).for_each(|(class, number)| *class = number);
    let splits = parts.map(|part| {
        part.into_iter().filter_map(|(image, who)| Some((image, *classes.get(&who)?))).collect()
    });
    Dealt { splits, persons: classes.into_keys().collect() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_closed_set_is_closed(
            people in proptest::collection::vec(0u64..12, 1..200),
            limit in proptest::option::of(1usize..100),
        ) {
            let images: Vec<(usize, u64)> = people.iter().map(|w| w * 7).enumerate().collect();
            let dealt = closed(&images, limit);
            let train: BTreeSet<u32> = dealt.splits[0].iter().map(|i| i.1).collect();
            prop_assert_eq!(train.len(), dealt.persons.len());
            let mut used: Vec<usize> = Vec::new();
            for (image, class) in dealt.splits.iter().flatten() {
                prop_assert_eq!(dealt.persons[*class as usize], images[*image].1);
                used.push(*image);
            }
            used.sort_unstable();
            prop_assert!(used.windows(2).all(|w| w[0] < w[1]));
            if limit.is_none() {
                prop_assert_eq!(used.len(), images.len());
                for (class, who) in dealt.persons.iter().enumerate() {
                    let is_own = |i: &&(usize, u32)| i.1 as usize == class;
                    let count = |s: usize| dealt.splits[s].iter().filter(is_own).count();
                    let n = images.iter().filter(|i| i.1 == *who).count();
                    let tests = if n < 3 { 0 } else { (n / 5).max(1) };
                    prop_assert_eq!((count(2), count(1)), (tests, n / 10));
                }
            }
        }
    }

    #[test]
    fn unseen_persons_are_all_test() {
        let dealt = unseen(&[(4, 30), (5, 20), (6, 30)]);
        assert_eq!(
            (dealt.persons, dealt.splits[2].as_slice()),
            (vec![20, 30], &[(4, 1), (5, 0), (6, 1)][..])
        );
        assert!(dealt.splits[0].is_empty() && dealt.splits[1].is_empty());
    }
}
