//! Why a tensor does not have the shape that a model needs, in words.

/// Orders of other frameworks: the sizes as they are written, what they are called, and the
/// permutation that gives PyTorch's.
const ORDERS: [(&str, &[usize]); 5] = [
    ("TensorFlow (HWIO)", &[3, 2, 0, 1]),
    ("TensorFlow's depthwise kernels (HWOI)", &[2, 3, 0, 1]),
    ("channels last (OHWI)", &[0, 3, 1, 2]),
    ("TensorFlow ([in, out])", &[1, 0]),
    ("TensorFlow (WIO)", &[2, 1, 0]),
];

/// What may have become of a tensor of shape `found` where `needed` is needed, and how to mend it.
pub(crate) fn remedy(needed: &[i64], found: &[i64]) -> String {
    if let Some((order, by)) = ORDERS.iter().find(|(_, by)| permuted(found, by) == needed) {
        return format!("the order of {order}; save it with permute({})", listed(by));
    }
    if let Some(by) = permutation(needed, found) {
        return format!("the same sizes in another order; save it with permute({})", listed(&by));
    }
    let count = |shape: &[i64]| shape.iter().try_fold(1_i64, |n, s| n.checked_mul(*s));
    if count(found).is_some() && count(found) == count(needed) {
        let flat = if found.len() == 1 { "flattened" } else { "in another shape" };
        return format!("the right count, {flat}; save it with reshape({needed:?})");
    }
    "the weights belong to another model or class count".into()
}

fn permuted(found: &[i64], by: &[usize]) -> Vec<i64> {
    if found.len() == by.len() { by.iter().map(|&i| found[i]).collect() } else { Vec::new() }
}

/// The first permutation that gives the sizes that are needed. Sizes of one are no order, and a
/// tensor with them is rather reshaped.
fn permutation(needed: &[i64], found: &[i64]) -> Option<Vec<usize>> {
    if needed.len() != found.len() || found.contains(&1) {
        return None;
    }
    let mut by: Vec<usize> = Vec::new();
    for size in needed {
        by.push((0..found.len()).find(|i| found[*i] == *size && !by.contains(i))?);
    }
    Some(by)
}

fn listed(by: &[usize]) -> String {
    by.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_of_other_frameworks_are_named() {
        for (needed, found, says) in [
            (
                &[12, 3, 5, 5][..],
                &[5, 5, 3, 12][..],
                "TensorFlow (HWIO); save it with permute(3, 2",
            ),
            (&[12, 3, 5, 5], &[12, 5, 5, 3], "channels last (OHWI); save it with permute(0, 3, 1"),
            (&[10, 192], &[192, 10], "TensorFlow ([in, out]); save it with permute(1, 0)"),
            (&[2, 3, 4, 5, 6], &[4, 5, 6, 3, 2], "another order; save it with permute(4, 3, 0"),
            (&[12, 3, 5, 5], &[900], "the right count, flattened; save it with reshape([12, 3"),
            (&[12, 3, 5, 5], &[12, 75], "the right count, in another shape"),
            (&[10], &[100], "another model or class count"),
            (&[10], &[], "another model or class count"),
        ] {
            let said = remedy(needed, found);
            assert!(said.contains(says), "{needed:?} {found:?}: {said}");
        }
    }

    #[test]
    fn a_named_order_gives_what_is_needed() {
        for (needed, found) in [(vec![7, 2, 3, 5], vec![3, 5, 2, 7]), (vec![2, 3], vec![3, 2])] {
            let by = permutation(&needed, &found).unwrap();
            assert_eq!(permuted(&found, &by), needed);
        }
    }
}
