//! Batches in which a given number of labels is repeated: what label inference and the separation
//! of a batch's images depend on (Yin et al., 2021, suppose that no label occurs twice).

use rand::Rng;
use rand::seq::SliceRandom;

use super::{Fault, groups, iid};

/// Divides at random, then orders each client's examples so that every run of `batch` has `repeats`
/// examples of a label that the run already has, all of one class, and the others have labels of
/// their own. What makes no such batch is left out.
pub(super) fn split<R: Rng + ?Sized>(
    repeats: usize,
    labels: &[i64],
    clients: usize,
    batch: usize,
    rng: &mut R,
) -> Result<Vec<Vec<usize>>, Fault> {
    if repeats >= batch {
        return Err(Fault::new(
            format!("{repeats} repeated labels in a batch of {batch}"),
            format!("set `repeats` to {} or less", batch.saturating_sub(1)),
        ));
    }
    let parts = iid::split(labels.len(), clients, rng);
    parts.into_iter().map(|part| ordered(&part, repeats, labels, batch, rng)).collect()
}

/// One client's examples as batches, each begun with the class that has most left.
fn ordered<R: Rng + ?Sized>(
    part: &[usize],
    repeats: usize,
    labels: &[i64],
    batch: usize,
    rng: &mut R,
) -> Result<Vec<usize>, Fault> {
    let own: Vec<i64> = part.iter().map(|&id| labels[id]).collect();
    let mut classes = groups(&own, rng);
    let mut out = Vec::with_capacity(part.len());
    loop {
        // Of equally large classes any may be repeated.
        classes.shuffle(rng);
        classes.sort_by_key(|left| std::cmp::Reverse(left.len()));
        let others = batch - repeats - 1;
        if classes[0].len() <= repeats || classes.iter().skip(1).take(others).any(Vec::is_empty) {
            break;
        }
        if classes.len() <= others {
            break;
        }
        let kept = classes[0].len() - repeats - 1;
        out.extend(classes[0].drain(kept..));
        out.extend(classes[1..=others].iter_mut().filter_map(Vec::pop));
    }
    if out.is_empty() {
        return Err(Fault::new(
            format!(
                "{} examples of a client make no batch of {batch} with {repeats} repeated labels \
                 and {} classes",
                part.len(),
                batch - repeats
            ),
            "use fewer clients, another batch size or other `repeats`",
        ));
    }
    Ok(out.into_iter().map(|place| part[place]).collect())
}
