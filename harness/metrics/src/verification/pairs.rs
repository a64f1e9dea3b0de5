//! Pairs drawn from images whose persons are known: half of the same person, half of two, in folds
//! that share no person where that can be.

use std::collections::{BTreeMap, HashSet};

use rand::Rng;
use rand::seq::SliceRandom;

use super::VerificationError;

/// Two images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Number of the one image.
    pub a: usize,
    /// Number of the other.
    pub b: usize,
    /// Whether both show the same person.
    pub same: bool,
    /// The fold it belongs to, from 0.
    pub fold: usize,
}

/// What was drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// The pairs, fold after fold, all different, as many of the same person as of two in each
    /// fold.
    pub pairs: Vec<Pair>,
    /// Whether no person is in two folds.
    pub disjoint: bool,
}

/// The images of each person.
type People = Vec<Vec<usize>>;

/// Draws about `n` pairs in `folds` folds of images whose persons are `identities`; fewer where the
/// images make no more.
///
/// A person is drawn first and then two of their images (or two persons, and an image of each), so
/// that persons with many images do not prevail.
///
/// # Errors
/// Fewer than two pairs a fold asked for, fewer than two persons, or too few with two images.
pub fn pairs<R: Rng + ?Sized>(
    identities: &[u64],
    n: usize,
    folds: usize,
    rng: &mut R,
) -> Result<Drawn, VerificationError> {
    if folds == 0 || n < 2 * folds {
        let problem = format!("{n} pairs in {folds} folds");
        return Err(VerificationError::new(problem, "ask for two pairs a fold at least"));
    }
    let mut images: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    identities.iter().enumerate().for_each(|(i, who)| images.entry(*who).or_default().push(i));
    let mut people: People = images.into_values().collect();
    let several = people.iter().filter(|p| p.len() > 1).count();
    if people.len() < 2 || several == 0 {
        let problem =
            format!("{} persons, {several} of them with two images or more", people.len());
        return Err(VerificationError::new(
            problem,
            "pairs take two persons, and two images of one of them",
        ));
    }
    people.shuffle(rng);
    // Those with several images first, so that dealing them in turn gives each fold its share.
    people.sort_by_key(|p| p.len() < 2);
    let disjoint = several >= folds && people.len() >= 2 * folds;
    let mut all = Vec::new();
    if disjoint {
        let mut dealt: Vec<People> = vec![Vec::new(); folds];
        people.into_iter().enumerate().for_each(|(i, p)| dealt[i % folds].push(p));
        for (fold, people) in dealt.iter().enumerate() {
            // The first folds take what is left over.
            let wanted = n / 2 / folds + usize::from(fold < n / 2 % folds);
            draw(people, wanted, rng).for_each(|(a, b, same)| all.push(Pair { a, b, same, fold }));
        }
    } else {
        let drawn: Vec<_> = draw(&people, n / 2, rng).collect();
        if drawn.len() < 2 * folds {
            let problem = format!(
                "the images make {} pairs of each kind, {folds} folds need more",
                drawn.len() / 2
            );
            return Err(VerificationError::new(problem, "add images or persons"));
        }
        // Both kinds alternate, two pairs a fold in turn.
        all.extend(drawn.into_iter().enumerate().map(|(i, (a, b, same))| Pair {
            a,
            b,
            same,
            fold: i / 2 % folds,
        }));
        all.sort_by_key(|p| p.fold);
    }
    Ok(Drawn { pairs: all, disjoint })
}

/// As many pairs of the same person as of two, alternating, at most `wanted` of each.
fn draw<R: Rng + ?Sized>(
    people: &People,
    wanted: usize,
    rng: &mut R,
) -> impl Iterator<Item = (usize, usize, bool)> + use<R> {
    let genuine = distinct(
        wanted,
        same_available(people),
        rng,
        |rng| same_person(people, rng),
        || all_same(people),
    );
    let impostor = distinct(
        wanted,
        other_available(people),
        rng,
        |rng| two_persons(people, rng),
        || all_other(people),
    );
    genuine.into_iter().zip(impostor).flat_map(|(g, i)| [(g.0, g.1, true), (i.0, i.1, false)])
}

/// `wanted` different pairs: drawn one by one where there are many more, else all there are in
/// random order.
fn distinct<R: Rng + ?Sized>(
    wanted: usize,
    available: usize,
    rng: &mut R,
    one: impl Fn(&mut R) -> (usize, usize),
    all: impl Fn() -> Vec<(usize, usize)>,
) -> Vec<(usize, usize)> {
    if available <= wanted.saturating_mul(4) {
        let mut every = all();
        every.shuffle(rng);
        every.truncate(wanted);
        return every;
    }
    // Persons are drawn evenly, so one with few images among many can be used up: after a while the
    // rest is taken from all.
    let (mut found, mut known, mut tries) = (Vec::with_capacity(wanted), HashSet::new(), 0);
    while found.len() < wanted && tries < 50 * wanted {
        let pair = one(rng);
        if known.insert(pair) {
            found.push(pair);
        }
        tries += 1;
    }
    if found.len() < wanted {
        let mut rest: Vec<_> = all().into_iter().filter(|p| !known.contains(p)).collect();
        rest.shuffle(rng);
        found.extend(rest.into_iter().take(wanted - found.len()));
    }
    found
}

fn same_available(people: &People) -> usize {
    people.iter().map(|p| p.len() * (p.len() - 1) / 2).sum()
}

fn other_available(people: &People) -> usize {
    let total: usize = people.iter().map(Vec::len).sum();
    (total * total - people.iter().map(|p| p.len() * p.len()).sum::<usize>()) / 2
}

/// Two images of a person who has several; such persons come first.
fn same_person<R: Rng + ?Sized>(people: &People, rng: &mut R) -> (usize, usize) {
    let several = people.partition_point(|p| p.len() > 1);
    let images = &people[rng.random_range(0..several)];
    let a = rng.random_range(0..images.len());
    let b = (a + rng.random_range(1..images.len())) % images.len();
    ordered(images[a], images[b])
}

fn two_persons<R: Rng + ?Sized>(people: &People, rng: &mut R) -> (usize, usize) {
    let p = rng.random_range(0..people.len());
    let q = (p + rng.random_range(1..people.len())) % people.len();
    let mut image = |who: &[usize]| who[rng.random_range(0..who.len())];
    let (a, b) = (image(&people[p]), image(&people[q]));
    ordered(a, b)
}

fn all_same(people: &People) -> Vec<(usize, usize)> {
    let of = |images: &Vec<usize>| -> Vec<(usize, usize)> {
        (0..images.len())
            .flat_map(|b| (0..b).map(move |a| (a, b)))
            .map(|(a, b)| ordered(images[a], images[b]))
            .collect()
    };
    people.iter().flat_map(of).collect()
}

fn all_other(people: &People) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for q in 1..people.len() {
        for p in 0..q {
            found.extend(
                people[p].iter().flat_map(|&a| people[q].iter().map(move |&b| ordered(a, b))),
            );
        }
    }
    found
}

fn ordered(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}
