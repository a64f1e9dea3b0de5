//! Labels taken one by one: whoever has the most negative entry is given one, and its entry is
//! raised by what one example weighs.

/// At most `batch` classes with a negative entry, the most negative first.
pub fn present(entries: &[f64], batch: usize) -> Vec<i64> {
    let mut found: Vec<usize> = (0..entries.len()).filter(|&k| entries[k] < 0.0).collect();
    found.sort_by(|&a, &b| entries[a].total_cmp(&entries[b]));
    found.into_iter().take(batch).map(|k| k as i64).collect()
}

/// The classes with the least entry in their row, the lowest first, at most `batch` (Yin et al.
/// 2021).
pub fn row_minima(rows: &[Vec<f64>], batch: usize) -> Vec<i64> {
    let least: Vec<f64> =
        rows.iter().map(|row| row.iter().copied().fold(f64::INFINITY, f64::min)).collect();
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&a, &b| least[a].total_cmp(&least[b]));
    order.into_iter().take(batch).map(|k| k as i64).collect()
}

/// `batch` labels off the bias's gradient: the negative entries hold one each, and one example
/// weighs their sum over `batch` (breaching's `bias-corrected`).
pub fn bias_corrected(bias: &[f64], batch: usize) -> Vec<i64> {
    let impact = negative(bias) / batch as f64;
    chosen(bias.to_vec(), &vec![0.0; bias.len()], impact, batch, Rest::Chosen)
}

/// `batch` labels off the sums of the weight's rows (Wainakh et al. 2022, LLG): `impact`, below 0,
/// is what one example adds to its class's sum, `offset` `[K]` what the other examples add to a
/// class's.
pub fn llg(sums: &[f64], impact: f64, offset: &[f64], batch: usize) -> Vec<i64> {
    chosen(sums.to_vec(), offset, impact, batch, Rest::Chosen)
}

/// LLG's impact by the shared gradient alone: the negative sums over `batch`, times `1 + 1/K`.
pub fn shared_impact(sums: &[f64], batch: usize) -> f64 {
    negative(sums) * (1.0 + 1.0 / sums.len() as f64) / batch as f64
}

/// breaching's `wainakh-simple`: as [`llg`] with the impact of the shared gradient, but that its
/// second stage raises the last class's entry instead of the chosen one's.
pub fn simple(sums: &[f64], batch: usize) -> Vec<i64> {
    let impact = shared_impact(sums, batch);
    chosen(sums.to_vec(), &vec![0.0; sums.len()], impact, batch, Rest::Last)
}

/// Which entry the second stage raises.
#[derive(Clone, Copy, PartialEq)]
enum Rest {
    Chosen,
    Last,
}

fn chosen(mut left: Vec<f64>, offset: &[f64], impact: f64, batch: usize, rest: Rest) -> Vec<i64> {
    let mut given = present(&left, batch);
    given.iter().for_each(|&k| left[k as usize] -= impact);
    left.iter_mut().zip(offset).for_each(|(entry, offset)| *entry -= offset);
    while given.len() < batch && !left.is_empty() {
        let k = (0..left.len()).min_by(|&a, &b| left[a].total_cmp(&left[b])).unwrap_or(0);
        given.push(k as i64);
        let raised = if rest == Rest::Chosen { k } else { left.len() - 1 };
        left[raised] -= impact;
    }
    given
}

fn negative(entries: &[f64]) -> f64 {
    entries.iter().filter(|v| **v < 0.0).sum()
}
