//! Holm's correction for many tests (Holm, 1979), among those that can come out at all (Tarone,
//! 1990).

/// Holm's adjusted p-values, in the order given: at most `alpha` exactly where Holm's step-down
/// procedure rejects at family-wise error `alpha`, however the tests depend on each other.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut running = 0.0f64;
    for (rank, at) in order.into_iter().enumerate() {
        running = running.max((p.len() - rank) as f64 * p[at]).min(1.0);
        adjusted[at] = running;
    }
    adjusted
}

/// Which tests can reject at family-wise error `alpha`, given the smallest p-value that each can
/// have.
///
/// With the least k such that no more than k tests can fall to `alpha / k`, those are the ones that
/// enter a correction; the others could never be significant and would only cost the rest their
/// power. The choice sees sizes of differences and never their signs, so that the error rate of
/// what follows is untouched.
pub fn testable(smallest: &[f64], alpha: f64) -> Vec<bool> {
    let can = |k: usize| smallest.iter().map(|p| *p <= alpha / k as f64).collect::<Vec<bool>>();
    let fits = |k: &usize| can(*k).iter().filter(|c| **c).count() <= *k;
    can((1..=smallest.len().max(1)).find(fits).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // 4 x 0.01, then 3 x 0.02, then the larger of 0.06 and 2 x 0.025, then that and 0.5.
        let adjusted = holm(&[0.02, 0.5, 0.01, 0.025]);
        let want = [0.06, 0.5, 0.04, 0.06];
        assert!(adjusted.iter().zip(want).all(|(a, w)| (a - w).abs() < 1e-12), "{adjusted:?}");
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn what_cannot_come_out_costs_nothing() {
        // At k = 2 two tests can fall to 0.025; 0.03 and 1 never can.
        assert_eq!(testable(&[0.001, 0.03, 1.0, 0.02], 0.05), [true, false, false, true]);
        assert_eq!(testable(&[0.04], 0.05), [true]);
        assert_eq!(testable(&[0.06, 1.0], 0.05), [false, false]);
        assert!(testable(&[], 0.05).is_empty());
    }
}
